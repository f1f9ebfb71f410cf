use ::age::secrecy::ExposeSecret as _;
use ::age::x25519::Identity;
use proptest::prelude::*;

use super::*;

const STACK: &str = "dev";

fn text(identity: &Identity) -> String {
    identity.to_string().expose_secret().to_owned()
}

fn current(keys: &DataKeys) -> [u8; 32] {
    *keys.current().unwrap().as_bytes()
}

#[tokio::test]
async fn a_passphrase_opens_what_it_wrapped_and_another_does_not() {
    let keys = Keys::Passphrase("correct horse".into());
    let (key, wrapped) = keys.generate(STACK).await.unwrap();
    assert_eq!(current(&keys.open(STACK, &wrapped).await.unwrap()), current(&key));
    let error = Keys::Passphrase("battery".into()).open(STACK, &wrapped).await.unwrap_err().to_string();
    assert!(error.contains("the passphrase does not open this stack's data key"), "{error}");
    let error = Keys::Identity("nowhere".into()).open(STACK, &wrapped).await.unwrap_err().to_string();
    assert!(
        error.contains("wrapped with a passphrase") && error.contains("PLINTH_OLD_PASSPHRASE"),
        "{error}"
    );
    assert!(Keys::Passphrase(String::new()).generate(STACK).await.is_err());
    assert!(Keys::Passphrase(String::new()).check(STACK).await.is_err());
    assert_eq!(format!("{keys:?} {keys}"), "Passphrase(…) a passphrase");
}

#[tokio::test]
async fn an_identity_file_with_several_identities_wraps_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [(), ()].map(|()| Identity::generate());
    let both = folder.path().join("both");
    std::fs::write(&both, format!("# ours\n{}\n\n{}\n", text(&one), text(&two))).unwrap();
    let (key, wrapped) = Keys::Identity(both).generate(STACK).await.unwrap();
    assert_eq!(wrapped.recipients.len(), 2);
    for identity in [&one, &two] {
        let alone = folder.path().join("alone");
        std::fs::write(&alone, text(identity)).unwrap();
        assert_eq!(current(&Keys::Identity(alone).open(STACK, &wrapped).await.unwrap()), current(&key));
    }
}

#[tokio::test]
async fn everybody_who_is_a_recipient_opens_it_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let people = [(); 3].map(|()| Identity::generate());
    let files = [0, 1, 2].map(|at| {
        let file = folder.path().join(format!("person-{at}"));
        std::fs::write(&file, text(&people[at])).unwrap();
        file
    });
    let recipients: Vec<String> = people[..2].iter().map(|person| person.to_public().to_string()).collect();
    let keys = |at: usize| Keys::Recipients { recipients: recipients.clone(), identity: files[at].clone() };
    let (key, wrapped) = keys(0).generate(STACK).await.unwrap();
    assert!(keys(1).wraps_as(&wrapped));
    assert_eq!(current(&keys(1).open(STACK, &wrapped).await.unwrap()), current(&key));
    let error = keys(2).open(STACK, &wrapped).await.unwrap_err().to_string();
    assert!(error.contains("person-2") && error.contains(&recipients[0]), "{error}");
    // Who is not among the recipients must not lock everybody else into what only they can read.
    let error = keys(2).generate(STACK).await.unwrap_err().to_string();
    assert!(error.contains("does not open"), "{error}");
    assert!(keys(2).check(STACK).await.is_err());
    let missing = Keys::Recipients { recipients: recipients.clone(), identity: folder.path().join("none") };
    let error = missing.check(STACK).await.unwrap_err().to_string();
    assert!(error.contains("is missing"), "{error}");
    let other = Keys::Recipients { recipients: recipients[..1].to_vec(), identity: files[0].clone() };
    assert!(!other.wraps_as(&wrapped));
}

#[tokio::test]
async fn a_recipient_that_is_none_is_told_and_a_secret_key_is_not_shown() {
    let secret = text(&Identity::generate());
    for (given, told) in [("age1nonsense", "`age1nonsense`"), (secret.as_str(), "a secret key?")] {
        let keys = Keys::Recipients { recipients: vec![given.to_owned()], identity: "none".into() };
        let error = keys.check(STACK).await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains(&secret), "{error}");
    }
    let none = Keys::Recipients { recipients: Vec::new(), identity: "none".into() };
    assert!(none.check(STACK).await.is_err());
}

#[tokio::test]
async fn damaged_wrapped_keys_are_errors() {
    let keys = Keys::Passphrase("p".into());
    let (_, good) = keys.generate(STACK).await.unwrap();
    for bytes in ["?", "", "AAAA"] {
        let wrapped = WrappedKey { wrapped: bytes.into(), ..good.clone() };
        assert!(keys.open(STACK, &wrapped).await.is_err());
    }
    let wrapped = WrappedKey { id: Some("0011223344556677".into()), ..good.clone() };
    let error = keys.open(STACK, &wrapped).await.unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    let wrapped = WrappedKey { older: vec!["AAAA".into()], ..good.clone() };
    assert!(keys.open(STACK, &wrapped).await.is_err());
    let wrapped = WrappedKey { by: "kms".into(), ..good };
    assert!(keys.open(STACK, &wrapped).await.unwrap_err().to_string().contains("`kms`"));
}

#[tokio::test]
async fn what_the_first_format_wrapped_still_opens() {
    let keys = Keys::Passphrase("p".into());
    let (key, wrapped) = keys.generate(STACK).await.unwrap();
    let mut old = serde_json::to_value(&wrapped).unwrap();
    old.as_object_mut().unwrap().retain(|field, _| matches!(field.as_str(), "by" | "wrapped" | "recipients"));
    let old: WrappedKey = serde_json::from_value(old).unwrap();
    assert_eq!(current(&keys.open(STACK, &old).await.unwrap()), current(&key));
}

#[test]
fn addresses_that_credentials_may_not_go_to_are_refused() {
    for right in ["https://kms.example.com/x", "http://127.0.0.1:80", "http://localhost:1", "http://[::1]:9"]
    {
        http::address("the key", right).unwrap();
    }
    for wrong in ["http://kms.example.com", "ftp://x", "x", "http://127.0.0.1.example.com"] {
        let error = http::address("the key", wrong).unwrap_err().to_string();
        assert!(error.contains("the key"), "{error}");
    }
}

proptest! {
    // A passphrase's key derivation is slow on purpose, and slower still in an unoptimized build.
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// However often the keys are rotated, and from whatever to whatever, all of them open with the newest wrapped
    /// form, by everybody that it is for, and by nobody whom it was for before only.
    #[test]
    fn rotating_keeps_every_key(
        passphrases in proptest::collection::vec("[a-z]{1,12}", 2..4),
        by_passphrase in 0..3_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut data = DataKeys::default();
            let mut last: Option<Keys> = None;
            for (at, passphrase) in passphrases.iter().enumerate() {
                let keys = if at != by_passphrase {
                    Keys::Identity(folder.path().join(at.to_string()))
                } else {
                    Keys::Passphrase(format!("{at}{passphrase}"))
                };
                data = data.succeeded_by(DataKey::generate());
                let wrapped = keys.wrap(STACK, &data).await.unwrap();
                let opened = keys.open(STACK, &wrapped).await.unwrap();
                assert_eq!(current(&opened), current(&data));
                let ids = |keys: &DataKeys| keys.older().iter().map(DataKey::id).collect::<Vec<_>>();
                assert_eq!(ids(&opened), ids(&data));
                if let Some(last) = &last {
                    assert!(last.open(STACK, &wrapped).await.is_err());
                }
                last = Some(keys);
            }
        });
    }
}
