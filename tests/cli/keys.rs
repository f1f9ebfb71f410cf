//! Whose keys open a stack's secrets: people's identities, passphrases, the clouds' key services, and the change from one
//! to another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};

use crate::support::{Ran, Sandbox};

fn stack(encryption: &str) -> String {
    format!(
        "apiVersion: plinth.dev/v1
kind: Stack
name: hush
cloud: {{ provider: local }}
settings: {{ encryption: {encryption} }}
resources:
  - {{ kind: \"plinth:Password\", name: generated, inputs: {{ length: 24 }} }}
"
    )
}

/// The generated secret, which is as good as the key that opens it.
fn password(sandbox: &Sandbox, vars: &[(&str, &str)]) -> String {
    let what = "plinth:Password::generated.value";
    run(sandbox, vars, &["output", "-s", "hush.yaml", what, "--show-secrets"]).expect(0).out
}

fn run(sandbox: &Sandbox, vars: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = sandbox.command(args);
    command.envs(vars.iter().copied());
    Ran::of(command.output().unwrap())
}

const APPLY: &[&str] = &["apply", "-s", "hush.yaml", "--yes"];
const PLAN: &[&str] = &["plan", "-s", "hush.yaml"];
const ROTATE: &[&str] = &["secrets", "rotate", "-s", "hush.yaml"];

/// How many entries the log holds: none more, and nothing happened.
fn entries(sandbox: &Sandbox) -> usize {
    std::fs::read_dir(sandbox.path(".plinth/hush/log")).map_or(0, |entries| entries.count())
}

#[test]
fn a_stack_changes_from_an_identity_to_a_passphrase_to_recipients() {
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack("auto"));
    run(&sandbox, &[], APPLY).expect(0);
    let first = password(&sandbox, &[]);

    // The stack file alone changes nothing: the old key is asked for by its name.
    sandbox.write("hush.yaml", stack("passphrase"));
    let new = [("PLINTH_PASSPHRASE", "new")];
    let before = entries(&sandbox);
    let refused = run(&sandbox, &new, APPLY).expect(1).err;
    assert!(refused.contains("identity file") && refused.contains("plinth secrets rotate"), "{refused}");
    assert_eq!(entries(&sandbox), before, "no lease was taken");
    let rotated = run(&sandbox, &new, ROTATE).expect(0).out;
    assert!(
        rotated.contains("protected by a passphrase, and no longer by the age recipient age1"),
        "{rotated}"
    );
    assert_eq!(password(&sandbox, &new), first);
    run(&sandbox, &new, PLAN).expect(0);
    run(&sandbox, &[("PLINTH_PASSPHRASE", "wrong")], PLAN).expect(1);

    // From a passphrase to another one.
    let newer = [("PLINTH_PASSPHRASE", "newer"), ("PLINTH_OLD_PASSPHRASE", "new")];
    run(&sandbox, &newer[..1], ROTATE).expect(1);
    run(&sandbox, &newer, ROTATE).expect(0);
    run(&sandbox, &new, PLAN).expect(1);
    assert_eq!(password(&sandbox, &newer[..1]), first);

    // To the identities of two people.
    let people = ["ada", "ben", "eve"].map(|person| {
        // Any stack makes an identity file where it is told to.
        let file = sandbox.path(&format!("{person}.txt")).display().to_string();
        let other = Sandbox::new();
        other.write("hush.yaml", stack("identityFile"));
        run(&other, &[("PLINTH_IDENTITY", &file)], APPLY).expect(0);
        let text = std::fs::read_to_string(&file).unwrap();
        let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
        (file, public)
    });
    let [(ada, ada_key), (ben, ben_key), (eve, eve_key)] = &people;
    sandbox.write("hush.yaml", stack(&format!("{{ age: {{ recipients: [ {ada_key}, {ben_key} ] }} }}")));
    let old = ("PLINTH_OLD_PASSPHRASE", "newer");
    run(&sandbox, &[("PLINTH_IDENTITY", eve), old], ROTATE).expect(1);
    run(&sandbox, &[("PLINTH_IDENTITY", ada), old], ROTATE).expect(0);
    for person in [ada, ben] {
        assert_eq!(password(&sandbox, &[("PLINTH_IDENTITY", person)]), first);
    }
    let refused = run(&sandbox, &[("PLINTH_IDENTITY", eve)], APPLY).expect(1).err;
    assert!(refused.contains("eve.txt") && refused.contains(ada_key), "{refused}");

    // Ben goes, Eve comes: said aloud until it is done.
    sandbox.write("hush.yaml", stack(&format!("{{ age: {{ recipients: [ {ada_key}, {eve_key} ] }} }}")));
    let warned = run(&sandbox, &[("PLINTH_IDENTITY", ada)], PLAN).expect(0).err;
    assert!(warned.contains("plinth secrets rotate") && warned.contains(ben_key), "{warned}");
    run(&sandbox, &[("PLINTH_IDENTITY", ada)], ROTATE).expect(0);
    run(&sandbox, &[("PLINTH_IDENTITY", ben)], PLAN).expect(1);
    let quiet = run(&sandbox, &[("PLINTH_IDENTITY", eve)], PLAN).expect(0);
    assert!(quiet.err.is_empty(), "{}", quiet.err);
    assert_eq!(password(&sandbox, &[("PLINTH_IDENTITY", eve)]), first);
    // Every entry of the log opens, the first ones included.
    run(&sandbox, &[("PLINTH_IDENTITY", eve)], &["state", "verify", "-s", "hush.yaml"]).expect(0);
}

#[test]
fn a_plan_that_was_saved_before_a_rotation_still_opens() {
    let sandbox = Sandbox::new();
    sandbox.write("hush.yaml", stack("auto"));
    run(&sandbox, &[], APPLY).expect(0);
    let more = "  - { kind: \"k8s:v1/Secret\", name: s, inputs: { metadata: { name: s, namespace: default }, stringData: { a: b-secret } } }\n";
    sandbox.write("hush.yaml", stack("auto") + more);
    run(&sandbox, &[], &["plan", "-s", "hush.yaml", "--out", "plan.json"]).expect(2);
    run(&sandbox, &[], ROTATE).expect(0);
    run(&sandbox, &[], &["apply", "plan.json", "--yes"]).expect(0);
    run(&sandbox, &[], PLAN).expect(0);
}

#[test]
fn a_mistake_in_the_encryption_is_told_with_its_place() {
    let sandbox = Sandbox::new();
    for (encryption, told) in [
        ("awsKms", "awsKms"),
        ("{ awsKms: { key: x } }", "keyId"),
        ("{ gcpKms: { key: my-key } }", "gcpKms"),
        ("{ age: { recipients: [] } }", "recipients"),
        ("{ age: { recipients: [ age1short ] } }", "recipients"),
    ] {
        sandbox.write("hush.yaml", stack(encryption));
        let error = run(&sandbox, &[], PLAN).expect(1).err;
        assert!(error.contains("hush.yaml:5:") && error.contains(told), "{encryption}: {error}");
    }
}

/// Stand-ins for the three key services, and for Google's token endpoint. What they wrap is bound to its context as the
/// real ones do it.
struct KeyServices {
    address: String,
    deny: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(String, Json)>>>,
}

impl KeyServices {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (deny, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let services = Self { address, deny: Arc::clone(&deny), seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (deny, seen) = (Arc::clone(&deny), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &deny, &seen));
            }
        });
        services
    }

    fn deny(&self, deny: bool) {
        self.deny.store(deny, Ordering::SeqCst);
    }

    fn asked(&self, what: &str) -> Vec<Json> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(path, _)| path.contains(what)).map(|(_, body)| body.clone()).collect()
    }
}

fn serve(stream: TcpStream, deny: &AtomicBool, seen: &Mutex<Vec<(String, Json)>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut stream, mut line) = (stream, String::new());
    reader.read_line(&mut line).ok()?;
    let mut path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-amz-target" => path = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Json = serde_json::from_slice(&body).unwrap_or(Json::Null);
    seen.lock().unwrap().push((path.clone(), body.clone()));
    let (status, reply) = answer(&path, &body, deny.load(Ordering::SeqCst));
    let reply = reply.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(reply.as_bytes()).ok()
}

fn answer(path: &str, body: &Json, deny: bool) -> (u16, Json) {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    // Bytes reversed behind what they are bound to: enough to tell a wrapped key from a key.
    let wrap = |bound: &str, bytes: &[u8]| {
        let mut wrapped = format!("{bound}|").into_bytes();
        wrapped.extend(bytes.iter().rev());
        wrapped
    };
    let unwrap = |bound: &str, wrapped: &[u8]| {
        let bytes = wrapped.strip_prefix(format!("{bound}|").as_bytes())?;
        Some(bytes.iter().rev().copied().collect::<Vec<u8>>())
    };
    if path.ends_with("/token") {
        return (200, json!({ "access_token": "a-token", "token_type": "Bearer", "expires_in": 3600 }));
    }
    if path.starts_with("TrentService.") {
        if deny {
            let said =
                "User: arn:aws:iam::1:user/ci is not authorized to perform: kms:Decrypt on this resource";
            return (400, json!({ "__type": "AccessDeniedException", "message": said }));
        }
        let bound = body["EncryptionContext"].to_string();
        return match path {
            "TrentService.Encrypt" => {
                let wrapped = wrap(&bound, &STANDARD.decode(text("Plaintext")).unwrap());
                (200, json!({ "CiphertextBlob": STANDARD.encode(wrapped), "KeyId": text("KeyId") }))
            }
            _ => match unwrap(&bound, &STANDARD.decode(text("CiphertextBlob")).unwrap()) {
                Some(bytes) => (200, json!({ "Plaintext": STANDARD.encode(bytes), "KeyId": text("KeyId") })),
                None => (400, json!({ "__type": "InvalidCiphertextException" })),
            },
        };
    }
    if deny {
        return (403, json!({ "error": { "code": 403, "message": "the caller lacks a permission" } }));
    }
    let bound = text("additionalAuthenticatedData");
    if path.ends_with(":encrypt") {
        let wrapped = wrap(&bound, &STANDARD.decode(text("plaintext")).unwrap());
        return (200, json!({ "ciphertext": STANDARD.encode(wrapped) }));
    }
    if path.ends_with(":decrypt") {
        return match unwrap(&bound, &STANDARD.decode(text("ciphertext")).unwrap()) {
            Some(bytes) => (200, json!({ "plaintext": STANDARD.encode(bytes) })),
            None => (400, json!({ "error": { "code": 400, "message": "Decryption failed" } })),
        };
    }
    let value = URL_SAFE_NO_PAD.decode(text("value")).unwrap_or_default();
    let kid = "https://v.vault.azure.net/keys/plinth/0123abcd";
    match path {
        _ if path.starts_with("/keys/plinth/wrapkey?api-version=") => {
            (200, json!({ "kid": kid, "value": URL_SAFE_NO_PAD.encode(wrap("", &value)) }))
        }
        _ if path.starts_with("/keys/plinth/0123abcd/unwrapkey?api-version=") => {
            (200, json!({ "kid": kid, "value": URL_SAFE_NO_PAD.encode(unwrap("", &value).unwrap()) }))
        }
        _ => (404, json!({ "error": { "code": "KeyNotFound", "message": path } })),
    }
}

/// Applies, opens again, is refused without a side effect, and changes over to another key.
fn goes_through_a_life(
    sandbox: &Sandbox,
    services: &KeyServices,
    encryption: &str,
    vars: &[(&str, &str)],
    permissions: [&str; 2],
) {
    // What cannot seal is refused before anything happens, even where there is no key yet.
    sandbox.write("hush.yaml", stack(encryption));
    services.deny(true);
    let refused = run(sandbox, vars, APPLY).expect(1).err;
    assert!(refused.contains(permissions[0]), "{refused}");
    assert_eq!(entries(sandbox), 0, "no lease was taken");
    services.deny(false);
    run(sandbox, vars, APPLY).expect(0);
    let first = password(sandbox, vars);
    run(sandbox, vars, PLAN).expect(0);
    services.deny(true);
    let before = entries(sandbox);
    let refused = run(sandbox, vars, APPLY).expect(1).err;
    assert!(refused.contains(permissions[1]), "{refused}");
    assert_eq!(entries(sandbox), before, "no lease was taken");
    services.deny(false);
    // Away from it, and back to it: the wrapped key says which key opens it.
    sandbox.write("hush.yaml", stack("passphrase"));
    let with = |more: &'static [(&'static str, &'static str)]| [vars, more].concat();
    run(sandbox, &with(&[("PLINTH_PASSPHRASE", "p")]), ROTATE).expect(0);
    assert_eq!(password(sandbox, &[("PLINTH_PASSPHRASE", "p")]), first);
    sandbox.write("hush.yaml", stack(encryption));
    run(sandbox, &with(&[("PLINTH_OLD_PASSPHRASE", "p")]), ROTATE).expect(0);
    assert_eq!(password(sandbox, vars), first);
}

#[test]
fn aws_kms_wraps_the_data_key_for_this_stack_alone() {
    let (sandbox, services) = (Sandbox::new(), KeyServices::start());
    let endpoint = format!("http://{}", services.address);
    let vars = [
        ("AWS_ENDPOINT_URL_KMS", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let encryption = "{ awsKms: { keyId: alias/plinth, region: eu-central-1 } }";
    goes_through_a_life(&sandbox, &services, encryption, &vars, ["kms:Encrypt", "kms:Decrypt"]);
    for asked in services.asked("TrentService.") {
        assert_eq!(asked["EncryptionContext"], json!({ "plinth:stack": "hush" }));
        assert_eq!(asked["KeyId"], "alias/plinth");
    }
    // Nobody there.
    let gone = [("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")];
    let error = run(&sandbox, &[&vars[1..], &gone].concat(), PLAN).expect(1).err;
    assert!(error.contains("alias/plinth") && error.contains("cannot be reached"), "{error}");
}

#[test]
fn google_cloud_kms_wraps_the_data_key_for_this_stack_alone() {
    let (sandbox, services) = (Sandbox::new(), KeyServices::start());
    let credentials = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("http://{}/token", services.address),
    });
    sandbox.write("adc.json", credentials.to_string());
    let adc = sandbox.path("adc.json").display().to_string();
    let vars = [("GOOGLE_APPLICATION_CREDENTIALS", adc.as_str())];
    let key = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
    let encryption = format!("{{ gcpKms: {{ key: {key}, endpoint: \"http://{}\" }} }}", services.address);
    let permissions = ["cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeyVersions.useToDecrypt"];
    goes_through_a_life(&sandbox, &services, &encryption, &vars, permissions);
    for asked in services.asked(key) {
        assert_eq!(asked["additionalAuthenticatedData"], STANDARD.encode("plinth stack hush"));
    }
    let error = run(&sandbox, &[], PLAN).expect(1).err;
    assert!(error.contains("no Google credentials"), "{error}");
}

#[test]
#[cfg(unix)]
fn an_azure_key_vault_wraps_the_data_key_for_this_stack_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (sandbox, services) = (Sandbox::new(), KeyServices::start());
    let token = r#"{"accessToken":"a-token","expiresOn":"2099-01-02 03:04:05.000000","expires_on":4070908800,"subscription":"s","tenant":"00000000-0000-0000-0000-000000000000","tokenType":"Bearer"}"#;
    sandbox.write("bin/az", format!("#!/bin/sh\necho '{token}'\n"));
    std::fs::set_permissions(sandbox.path("bin/az"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let vars = [("PATH", path.as_str())];
    let encryption =
        format!("{{ azureKeyVault: {{ vault: \"http://{}\", key: plinth }} }}", services.address);
    goes_through_a_life(&sandbox, &services, &encryption, &vars, ["keys/wrapKey", "keys/unwrapKey"]);
    // A wrapped key of another stack does not pass for this one's.
    let text = stack(&encryption).replace("name: hush", "name: other");
    sandbox.write("other.yaml", text);
    run(&sandbox, &vars, &["apply", "-s", "other.yaml", "--yes"]).expect(0);
    let wrapped = |stack: &str| {
        let folder = sandbox.path(&format!(".plinth/{stack}/log"));
        let files = std::fs::read_dir(folder).unwrap().flatten();
        let texts = files.map(|file| std::fs::read_to_string(file.path()).unwrap());
        texts.filter(|text| text.contains("azure-key-vault")).count()
    };
    assert!(wrapped("hush") > 0 && wrapped("other") > 0);
    let error = run(&sandbox, &[("PATH", "/nonexistent")], PLAN).expect(1).err;
    assert!(error.contains("az login"), "{error}");
}
