//! Sealing of secrets inside JSON trees, and keyed fingerprints.
//!
//! The nonce is derived from the content: equal secrets of one stack have equal sealed texts, so that a record's bytes
//! depend on nothing but its content, and a nonce never meets two contents.

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
/// First byte of what is sealed: the scheme.
const SCHEME: u8 = 1;
const NONCE_LEN: usize = 24;
/// Content is padded to a multiple of this, so that its length tells less.
const BLOCK: usize = 32;
const CONTEXT: &[u8] = b"plinth secret 1";

/// A stack's data key, in the clear: only in memory.
#[derive(Clone)]
pub struct DataKey {
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
        Self {
            cipher,
            nonces: keyed_hash(&bytes, &[b"plinth nonce key 1"]),
            fingerprints: keyed_hash(&bytes, &[b"plinth fingerprint key 1"]),
            bytes,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// A keyed hash: tells whether two contents are equal to whoever has the key, and nothing to anybody else.
    pub fn fingerprint(&self, content: &[u8]) -> String {
        hex(&keyed_hash(&self.fingerprints, &[content]))
    }

    fn seal(&self, content: &Json) -> Result<String> {
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
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        bytes.push(SCHEME);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(BASE64.encode(bytes))
    }

    fn open(&self, sealed: &str) -> Option<Json> {
        let bytes = BASE64.decode(sealed).ok()?;
        let (scheme, rest) = bytes.split_first()?;
        if *scheme != SCHEME {
            return None;
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
        let text = self.cipher.decrypt(&nonce.into(), Payload { msg: sealed, aad: CONTEXT }).ok()?;
        serde_json::from_slice(&text).ok()
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
pub fn seal_tree(key: &DataKey, tree: &mut Json) -> Result<()> {
    check_sealable(tree)?;
    seal_checked(key, tree)
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
pub fn open_tree(key: &DataKey, tree: &mut Json) -> Result<()> {
    match tree {
        Json::Object(map) => {
            if let Some(sealed) = map.get(SEALED) {
                let content = sealed.as_str().filter(|_| map.len() == 1).and_then(|text| key.open(text));
                let content = content.ok_or_else(|| Error::Key {
                    why: "a sealed secret does not open with this stack's data key: it was changed, or sealed for \
                          another stack"
                        .to_owned(),
                })?;
                map.clear();
                map.insert(SECRET.to_owned(), content);
                return Ok(());
            }
            map.values_mut().try_for_each(|value| open_tree(key, value))
        }
        Json::Array(list) => list.iter_mut().try_for_each(|value| open_tree(key, value)),
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
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_comes_back_and_shows_nothing_meanwhile() {
        let key = DataKey::generate();
        let tree = json!({"a": [{"$secret": {"p": "CANARY"}}, 1], "b": {"$secret": null}, "c": "plain"});
        let mut sealed = tree.clone();
        seal_tree(&key, &mut sealed).unwrap();
        let text = sealed.to_string();
        assert!(!text.contains("CANARY") && !text.contains("$secret") && text.contains("plain"));
        assert!(holds_secret(&tree));
        open_tree(&key, &mut sealed).unwrap();
        assert_eq!(sealed, tree);
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
    }

    #[test]
    fn what_was_changed_or_sealed_by_another_key_does_not_open() {
        let key = DataKey::generate();
        let sealed = key.seal(&json!("x")).unwrap();
        assert_eq!(key.open(&sealed), Some(json!("x")));
        assert_eq!(DataKey::generate().open(&sealed), None);
        let bytes = BASE64.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(key.open(&BASE64.encode(bytes)), None, "byte {at}");
        }
        for nonsense in ["", "AQ", "?", &sealed[..20]] {
            assert_eq!(key.open(nonsense), None);
            let mut tree = json!({ "$sealed": nonsense });
            assert!(open_tree(&key, &mut tree).is_err());
        }
        assert!(open_tree(&key, &mut json!({ "$sealed": 1 })).is_err());
    }
}
