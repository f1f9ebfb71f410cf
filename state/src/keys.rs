//! The key that opens a stack's data key: an age identity file, or a passphrase.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret, SecretString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::backend::{make_folder, sync_folder};
use crate::{DataKey, Error, Result};

/// Cost of a passphrase's key derivation, as a power of two: some tenths of a second. An unoptimized build, which only
/// its developers run, would take half a minute for that.
const WORK_FACTOR: u8 = if cfg!(debug_assertions) { 12 } else { 17 };
/// What somebody else's wrapped key may at most cost us to try.
const MAX_WORK_FACTOR: u8 = 22;

/// What wraps and opens a stack's data key.
#[derive(Clone)]
#[non_exhaustive]
pub enum Keys {
    /// An age identity file. Made, readable by its owner alone, when the first secret is recorded.
    Identity(PathBuf),
    /// A passphrase.
    Passphrase(String),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(path) => f.debug_tuple("Identity").field(path).finish(),
            Self::Passphrase(_) => f.write_str("Passphrase(…)"),
        }
    }
}

/// A data key that only its key opens; may stand in the log and in plan files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrappedKey {
    /// What wrapped it: `age-x25519` or `age-passphrase`.
    pub by: String,
    /// Whose identities open it; none for a passphrase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// The wrapped key, in base64.
    pub wrapped: String,
}

const BY_IDENTITY: &str = "age-x25519";
const BY_PASSPHRASE: &str = "age-passphrase";

impl Keys {
    /// A new data key and its wrapped form. Makes the identity file if there is none.
    /// Slow with a passphrase, and reads files: not for an async task.
    ///
    /// # Errors
    /// When the identity file cannot be read or made.
    pub fn generate(&self) -> Result<(DataKey, WrappedKey)> {
        let key = DataKey::generate();
        let wrapped = self.wrap(&key)?;
        Ok((key, wrapped))
    }

    /// Wraps a data key.
    ///
    /// # Errors
    /// When the identity file cannot be read or made.
    pub fn wrap(&self, key: &DataKey) -> Result<WrappedKey> {
        let failed =
            |error: &dyn fmt::Display| Error::Key { why: format!("the data key cannot be wrapped: {error}") };
        match self {
            Self::Passphrase(passphrase) => {
                if passphrase.is_empty() {
                    return Err(Error::Key { why: "the passphrase is empty".to_owned() });
                }
                let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.clone()));
                recipient.set_work_factor(WORK_FACTOR);
                let wrapped = age::encrypt(&recipient, key.as_bytes()).map_err(|error| failed(&error))?;
                Ok(WrappedKey {
                    by: BY_PASSPHRASE.to_owned(),
                    recipients: Vec::new(),
                    wrapped: BASE64.encode(wrapped),
                })
            }
            Self::Identity(path) => {
                let identities = match read_identities(path)? {
                    Some(identities) => identities,
                    None => vec![make_identity(path)?],
                };
                let recipients: Vec<_> = identities.iter().map(age::x25519::Identity::to_public).collect();
                let encryptor = age::Encryptor::with_recipients(
                    recipients.iter().map(|recipient| recipient as &dyn age::Recipient),
                )
                .map_err(|error| failed(&error))?;
                let mut wrapped = Vec::new();
                let mut writer = encryptor.wrap_output(&mut wrapped).map_err(|error| failed(&error))?;
                writer.write_all(key.as_bytes()).map_err(|error| failed(&error))?;
                writer.finish().map_err(|error| failed(&error))?;
                Ok(WrappedKey {
                    by: BY_IDENTITY.to_owned(),
                    recipients: recipients.iter().map(ToString::to_string).collect(),
                    wrapped: BASE64.encode(wrapped),
                })
            }
        }
    }

    /// Opens a wrapped data key. Slow with a passphrase, and reads files: not for an async task.
    ///
    /// # Errors
    /// When this is not its key; says which one is.
    pub fn open(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        let wrong = |what: String| Error::Key {
            why: format!("{what} does not open this stack's data key; {}", expected(wrapped)),
        };
        let bytes = BASE64.decode(&wrapped.wrapped).map_err(|_| Error::Key {
            why: "the wrapped data key in the state log is not base64: the log is damaged".to_owned(),
        })?;
        let opened = match self {
            Self::Passphrase(passphrase) => {
                if wrapped.by != BY_PASSPHRASE {
                    return Err(wrong("a passphrase".to_owned()));
                }
                let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.clone()));
                identity.set_max_work_factor(MAX_WORK_FACTOR);
                age::decrypt(&identity, &bytes).map_err(|_| wrong("the passphrase".to_owned()))?
            }
            Self::Identity(path) => {
                if wrapped.by != BY_IDENTITY {
                    return Err(wrong(format!("the identity file {}", path.display())));
                }
                let identities = read_identities(path)?.ok_or_else(|| Error::Key {
                    why: format!(
                        "the identity file {} is missing, and this stack's data key needs it; {}",
                        path.display(),
                        expected(wrapped)
                    ),
                })?;
                identities
                    .iter()
                    .find_map(|identity| age::decrypt(identity, &bytes).ok())
                    .ok_or_else(|| wrong(format!("the key in the identity file {}", path.display())))?
            }
        };
        let bytes: [u8; 32] = opened.try_into().map_err(|_| Error::Key {
            why: "the wrapped data key has another length than a data key".to_owned(),
        })?;
        Ok(DataKey::from_bytes(bytes))
    }
}

fn expected(wrapped: &WrappedKey) -> String {
    match wrapped.by.as_str() {
        BY_PASSPHRASE => {
            "it is wrapped with a passphrase: give the one that the stack was first applied with".to_owned()
        }
        BY_IDENTITY => format!(
            "it is wrapped for the age recipient {}: give the identity file that holds its secret key, or restore it from \
             a backup",
            wrapped.recipients.join(" or ")
        ),
        other => format!("it is wrapped by `{other}`, which this Plinth does not know"),
    }
}

fn identity_error(path: &Path, why: impl fmt::Display) -> Error {
    Error::Key { why: format!("the identity file {} cannot be used: {why}", path.display()) }
}

/// The identities in a file; `None` when there is no such file.
fn read_identities(path: &Path) -> Result<Option<Vec<age::x25519::Identity>>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| identity_error(path, error))?,
    };
    let identities: Vec<age::x25519::Identity> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.parse().map_err(|why| identity_error(path, why)))
        .collect::<Result<_>>()?;
    if identities.is_empty() {
        return Err(identity_error(path, "it holds no identity (a line that begins with AGE-SECRET-KEY-1)"));
    }
    Ok(Some(identities))
}

/// Makes an identity file. Complete under its name or not at all; a file that is there meanwhile is taken instead.
fn make_identity(path: &Path) -> Result<age::x25519::Identity> {
    let failed = |error: std::io::Error| identity_error(path, error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(folder).map_err(failed)?;
    let identity = age::x25519::Identity::generate();
    let text = format!(
        "# Opens the secrets in Plinth's state. Keep a copy in a safe place; without it they are lost.\n\
         # public key: {}\n{}\n",
        identity.to_public(),
        identity.to_string().expose_secret()
    );
    let staged = folder.join(format!(".plinth-identity-{}", uuid::Uuid::new_v4()));
    let written = write_private(&staged, &text).and_then(|()| std::fs::hard_link(&staged, path));
    let _ = std::fs::remove_file(&staged);
    // Durable before anything is sealed for it: a log whose key was lost is a log of lost secrets.
    sync_folder(folder).map_err(failed)?;
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read_identities(path)?
            .and_then(|mut identities| identities.pop())
            .ok_or_else(|| identity_error(path, "it was removed meanwhile")),
        written => written.map(|()| identity).map_err(failed),
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_opens_what_it_wrapped_and_another_does_not() {
        let keys = Keys::Passphrase("correct horse".into());
        let (key, wrapped) = keys.generate().unwrap();
        assert_eq!(keys.open(&wrapped).unwrap().as_bytes(), key.as_bytes());
        let error = Keys::Passphrase("battery".into()).open(&wrapped).unwrap_err().to_string();
        assert!(error.contains("the passphrase does not open this stack's data key"), "{error}");
        let error = Keys::Identity("nowhere".into()).open(&wrapped).unwrap_err().to_string();
        assert!(error.contains("wrapped with a passphrase"), "{error}");
        assert!(Keys::Passphrase(String::new()).generate().is_err());
        assert_eq!(format!("{keys:?}"), "Passphrase(…)");
    }

    #[test]
    fn an_identity_file_with_several_identities_wraps_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [(), ()].map(|()| age::x25519::Identity::generate());
        let text = |identity: &age::x25519::Identity| identity.to_string().expose_secret().to_owned();
        let both = folder.path().join("both");
        std::fs::write(&both, format!("# ours\n{}\n\n{}\n", text(&one), text(&two))).unwrap();
        let (key, wrapped) = Keys::Identity(both).generate().unwrap();
        assert_eq!(wrapped.recipients.len(), 2);
        for identity in [&one, &two] {
            let alone = folder.path().join("alone");
            std::fs::write(&alone, text(identity)).unwrap();
            assert_eq!(Keys::Identity(alone).open(&wrapped).unwrap().as_bytes(), key.as_bytes());
        }
    }

    #[test]
    fn two_that_make_the_same_identity_file_end_with_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/identity");
        let first = make_identity(&path).unwrap().to_public().to_string();
        assert_eq!(make_identity(&path).unwrap().to_public().to_string(), first);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn damaged_wrapped_keys_are_errors() {
        let keys = Keys::Passphrase("p".into());
        for wrapped in ["?", "", "AAAA"] {
            let wrapped =
                WrappedKey { by: BY_PASSPHRASE.into(), recipients: Vec::new(), wrapped: wrapped.into() };
            assert!(keys.open(&wrapped).is_err());
        }
        let wrapped = WrappedKey { by: "kms".into(), recipients: Vec::new(), wrapped: String::new() };
        assert!(keys.open(&wrapped).unwrap_err().to_string().contains("`kms`"));
    }
}
