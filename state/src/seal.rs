//! Sealing of secrets inside JSON trees, and keyed fingerprints.
//!
//! The nonce is derived from the content: equal secrets under one key have equal sealed texts, so that a record's bytes
//! depend on nothing but its content, and a nonce never meets two contents. Every sealed text says which key it needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac};
use serde_json::Value as Json;
use sha2::Sha256;

use crate::lines::hex;
use crate::{Error, Result};

const SECRET: &str = "$secret";
const SEALED: &str = "$sealed";
/// First byte of what is sealed: the scheme. The key's id follows.
const SCHEME: u8 = 2;
/// The scheme of format version 1: no id, for there was one key in a stack's life.
const SCHEME_WITHOUT_ID: u8 = 1;
const ID_LEN: usize = 8;
const NONCE_LEN: usize = 24;
/// Content is padded to a multiple of this, so that its length tells less.
const BLOCK: usize = 32;
const CONTEXT: &[u8] = b"plinth secret 1";

/// A data key, in the clear: only in memory.
#[derive(Clone)]
pub struct DataKey {
    id: [u8; ID_LEN],
    cipher: XChaCha20Poly1305,
    nonces: [u8; 32],
    fingerprints: [u8; 32],
    bytes: [u8; 32],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl DataKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self::from_bytes(rand::random())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        let cipher = XChaCha20Poly1305::new(&keyed_hash(&bytes, &[b"plinth sealing key 1"]).into());
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&keyed_hash(&bytes, &[b"plinth key id 1"])[..ID_LEN]);
        Self {
            id,
            cipher,
            nonces: keyed_hash(&bytes, &[b"plinth nonce key 1"]),
            fingerprints: keyed_hash(&bytes, &[b"plinth fingerprint key 1"]),
            bytes,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// What sealed texts and wrapped keys call it. Tells nothing about the key.
    pub fn id(&self) -> String {
        hex(&self.id)
    }

    /// A keyed hash: tells whether two contents are equal to whoever has the key, and nothing to anybody else.
    pub fn fingerprint(&self, content: &[u8]) -> String {
        hex(&keyed_hash(&self.fingerprints, &[content]))
    }

    pub(crate) fn seal(&self, content: &Json) -> Result<String> {
        let mut text = content.to_string().into_bytes();
        // JSON ignores trailing blanks.
        text.resize(text.len().next_multiple_of(BLOCK), b' ');
        let hash = keyed_hash(&self.nonces, &[CONTEXT, &text]);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&hash[..NONCE_LEN]);
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), Payload { msg: &text, aad: CONTEXT })
            .map_err(|_| Error::Unrecordable { why: "a secret is too large to be sealed".to_owned() })?;
        let mut bytes = Vec::with_capacity(1 + ID_LEN + NONCE_LEN + sealed.len());
        bytes.push(SCHEME);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(BASE64.encode(bytes))
    }

    fn open(&self, rest: &[u8]) -> Option<Json> {
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
        let text = self.cipher.decrypt(&nonce.into(), Payload { msg: sealed, aad: CONTEXT }).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// The data keys of a stack: the one that seals, and every earlier one, which still opens what it sealed.
#[derive(Debug, Clone, Default)]
pub struct DataKeys {
    current: Option<DataKey>,
    older: Vec<DataKey>,
}

impl DataKeys {
    /// One key, and no earlier one.
    pub fn one(key: DataKey) -> Self {
        Self { current: Some(key), older: Vec::new() }
    }

    /// The key that seals; none before the first secret.
    pub fn current(&self) -> Option<&DataKey> {
        self.current.as_ref()
    }

    /// The earlier keys, newest first.
    pub fn older(&self) -> &[DataKey] {
        &self.older
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.current.is_none()
    }

    /// Whether the key with this id is among them.
    pub fn has(&self, id: &str) -> bool {
        self.all().any(|key| key.id() == id)
    }

    /// Seals with `key` from now on. What this knows of earlier keys is kept.
    #[must_use]
    pub fn succeeded_by(&self, key: DataKey) -> Self {
        let older = self.all().filter(|old| old.id != key.id).cloned().collect();
        Self { current: Some(key), older }
    }

    /// The same keys, sealing with the one that has this id, if it is among them.
    #[must_use]
    pub(crate) fn led_by(&self, id: &str) -> Self {
        match self.all().find(|key| key.id() == id) {
            Some(key) => self.succeeded_by(key.clone()),
            None => self.clone(),
        }
    }

    /// These, and of others those that these lack.
    #[must_use]
    pub fn with_older(mut self, others: &Self) -> Self {
        for other in others.all() {
            if self.all().all(|key| key.id != other.id) {
                self.older.push(other.clone());
            }
        }
        self
    }

    fn all(&self) -> impl Iterator<Item = &DataKey> {
        self.current.iter().chain(&self.older)
    }

    /// Opens a sealed text.
    pub(crate) fn open(&self, sealed: &str) -> Result<Json, NotOpened> {
        let bytes = BASE64.decode(sealed).map_err(|_| NotOpened::Changed)?;
        let (scheme, rest) = bytes.split_first().ok_or(NotOpened::Changed)?;
        match *scheme {
            SCHEME => {
                let (id, rest) = rest.split_at_checked(ID_LEN).ok_or(NotOpened::Changed)?;
                let key = self.all().find(|key| key.id == id).ok_or_else(|| NotOpened::NoKey(hex(id)))?;
                key.open(rest).ok_or(NotOpened::Changed)
            }
            SCHEME_WITHOUT_ID => self.all().find_map(|key| key.open(rest)).ok_or(NotOpened::Changed),
            _ => Err(NotOpened::Changed),
        }
    }
}

/// Why a sealed text does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// Its key is not among the stack's; the key's id.
    NoKey(String),
    /// It is not what was sealed.
    Changed,
}

impl std::fmt::Display for NotOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKey(id) => write!(
                f,
                "a sealed secret needs the data key {id}, which is none of this stack's: it was sealed for another stack, or \
                 that key's entry is lost"
            ),
            Self::Changed => f.write_str(
                "a sealed secret does not open with this stack's data key: it was changed, or sealed for another stack",
            ),
        }
    }
}

fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // An HMAC key may have any length; a fixed one of 32 bytes is never refused.
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Refuses a tree that would not come back from sealing as it was.
pub(crate) fn check_sealable(tree: &Json) -> Result<()> {
    match tree {
        Json::Object(map) => {
            if map.contains_key(SEALED) || (map.len() > 1 && map.contains_key(SECRET)) {
                return Err(Error::Unrecordable {
                    why: format!(
                        "it has an object with the reserved key `{SECRET}` or `{SEALED}`; rename that key"
                    ),
                });
            }
            // What is inside a secret is sealed as a whole and comes back as a whole.
            if map.contains_key(SECRET) { Ok(()) } else { map.values().try_for_each(check_sealable) }
        }
        Json::Array(list) => list.iter().try_for_each(check_sealable),
        _ => Ok(()),
    }
}

/// Replaces every `{"$secret": …}` in the tree by `{"$sealed": "…"}`.
///
/// # Errors
/// When an object holds one of the two marks beside other keys, or is sealed already: it would not come back as it was.
pub fn seal_tree(keys: &DataKeys, tree: &mut Json) -> Result<()> {
    check_sealable(tree)?;
    match keys.current() {
        Some(key) => seal_checked(key, tree),
        None if holds_secret(tree) => Err(Error::Unrecordable {
            why: "it holds a secret and there is no key to seal it with".to_owned(),
        }),
        None => Ok(()),
    }
}

fn seal_checked(key: &DataKey, tree: &mut Json) -> Result<()> {
    match tree {
        Json::Object(map) => {
            if let Some(content) = map.get(SECRET) {
                let sealed = key.seal(content)?;
                map.clear();
                map.insert(SEALED.to_owned(), Json::String(sealed));
                return Ok(());
            }
            map.values_mut().try_for_each(|value| seal_checked(key, value))
        }
        Json::Array(list) => list.iter_mut().try_for_each(|value| seal_checked(key, value)),
        _ => Ok(()),
    }
}

/// Replaces every `{"$sealed": "…"}` in the tree by the `{"$secret": …}` that it was.
///
/// # Errors
/// When something does not open: another key sealed it, or it was changed.
pub fn open_tree(keys: &DataKeys, tree: &mut Json) -> Result<()> {
    match tree {
        Json::Object(map) => {
            if let Some(sealed) = map.get(SEALED) {
                let text = sealed.as_str().filter(|_| map.len() == 1).ok_or(NotOpened::Changed);
                let content = text
                    .and_then(|text| keys.open(text))
                    .map_err(|why| Error::Key { why: why.to_string() })?;
                map.clear();
                map.insert(SECRET.to_owned(), content);
                return Ok(());
            }
            map.values_mut().try_for_each(|value| open_tree(keys, value))
        }
        Json::Array(list) => list.iter_mut().try_for_each(|value| open_tree(keys, value)),
        _ => Ok(()),
    }
}

/// Shows a tree with its secrets masked: what `Debug` of anything that holds plain JSON goes through.
pub(crate) struct Masked<'a>(pub &'a Json);

impl std::fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Json::Object(map) if map.contains_key(SECRET) => f.write_str("(secret)"),
            Json::Object(map) => {
                f.debug_map().entries(map.iter().map(|(key, value)| (key, Masked(value)))).finish()
            }
            Json::Array(list) => f.debug_list().entries(list.iter().map(Masked)).finish(),
            plain => write!(f, "{plain}"),
        }
    }
}

/// Whether the tree holds a secret that would have to be sealed.
pub fn holds_secret(tree: &Json) -> bool {
    match tree {
        Json::Object(map) => {
            map.keys().any(|key| key == SECRET || key == SEALED) || map.values().any(holds_secret)
        }
        Json::Array(list) => list.iter().any(holds_secret),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sealed_without_id(key: &DataKey, content: &Json) -> String {
        let mut bytes = BASE64.decode(key.seal(content).unwrap()).unwrap();
        bytes.drain(1..=ID_LEN);
        bytes[0] = SCHEME_WITHOUT_ID;
        BASE64.encode(bytes)
    }

    #[test]
    fn a_tree_comes_back_and_shows_nothing_meanwhile() {
        let keys = DataKeys::one(DataKey::generate());
        let tree = json!({"a": [{"$secret": {"p": "CANARY"}}, 1], "b": {"$secret": null}, "c": "plain"});
        let mut sealed = tree.clone();
        seal_tree(&keys, &mut sealed).unwrap();
        let text = sealed.to_string();
        assert!(!text.contains("CANARY") && !text.contains("$secret") && text.contains("plain"));
        assert!(holds_secret(&tree));
        open_tree(&keys, &mut sealed).unwrap();
        assert_eq!(sealed, tree);
        assert!(seal_tree(&DataKeys::default(), &mut tree.clone()).is_err());
    }

    #[test]
    fn sealing_depends_on_key_and_content_alone() {
        let (one, two) = (DataKey::generate(), DataKey::generate());
        let seal = |key: &DataKey, content: &str| key.seal(&json!(content)).unwrap();
        assert_eq!(seal(&one, "x"), seal(&one, "x"));
        assert_ne!(seal(&one, "x"), seal(&one, "y"));
        assert_ne!(seal(&one, "x"), seal(&two, "x"));
        assert_eq!(seal(&one, "x").len(), seal(&one, "a longer one").len(), "lengths are padded");
        assert_eq!(one.fingerprint(b"x"), one.fingerprint(b"x"));
        assert_ne!(one.fingerprint(b"x"), two.fingerprint(b"x"));
        assert_eq!(format!("{one:?}"), "DataKey(…)");
        let debug = format!("{:?}", DataKeys::one(one.clone()).succeeded_by(two));
        assert!(!debug.contains(&hex(one.as_bytes())) && debug.contains("DataKey(…)"), "{debug}");
    }

    #[test]
    fn what_was_changed_or_sealed_by_another_key_does_not_open() {
        let key = DataKey::generate();
        let sealed = key.seal(&json!("x")).unwrap();
        let keys = DataKeys::one(key.clone());
        assert_eq!(keys.open(&sealed), Ok(json!("x")));
        assert_eq!(
            DataKeys::one(DataKey::generate()).open(&sealed),
            Err(NotOpened::NoKey(key.id())),
            "the key that is missing is named"
        );
        for sealed in [sealed.clone(), sealed_without_id(&key, &json!("x"))] {
            let bytes = BASE64.decode(&sealed).unwrap();
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1;
                assert!(keys.open(&BASE64.encode(bytes)).is_err(), "byte {at}");
            }
        }
        for nonsense in ["", "AQ", "Ag", "?", &sealed[..20]] {
            assert!(keys.open(nonsense).is_err());
            let mut tree = json!({ "$sealed": nonsense });
            assert!(open_tree(&keys, &mut tree).is_err());
        }
        assert!(open_tree(&keys, &mut json!({ "$sealed": 1 })).is_err());
    }

    #[test]
    fn what_the_first_format_sealed_still_opens_after_any_number_of_rotations() {
        let first = DataKey::generate();
        let sealed = sealed_without_id(&first, &json!({"p": 1}));
        let mut keys = DataKeys::one(first);
        for _ in 0..3 {
            assert_eq!(keys.open(&sealed), Ok(json!({"p": 1})));
            keys = keys.succeeded_by(DataKey::generate());
        }
        assert!(DataKeys::one(DataKey::generate()).open(&sealed).is_err());
    }

    fn content() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            ".{0,80}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever was sealed, at whatever rotation, opens with the keys of any later moment and with none of an
        /// earlier one.
        #[test]
        fn every_key_opens_what_it_sealed_and_nothing_else(
            contents in proptest::collection::vec(content(), 1..6),
        ) {
            let mut keys = DataKeys::default();
            let mut sealed = Vec::new();
            for content in &contents {
                let before = keys.clone();
                keys = keys.succeeded_by(DataKey::generate());
                let mut tree = json!({ "in": [{ SECRET: content }] });
                seal_tree(&keys, &mut tree).unwrap();
                prop_assert!(tree["in"][0][SEALED].is_string());
                prop_assert!(open_tree(&before, &mut tree.clone()).is_err());
                sealed.push(tree);
            }
            for (content, tree) in contents.iter().zip(&mut sealed) {
                open_tree(&keys, tree).unwrap();
                prop_assert_eq!(&tree["in"][0][SECRET], content);
            }
        }
    }
}
