//! Keys wrapped with age: for a passphrase, or for the holders of identities.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use age::secrecy::{ExposeSecret, SecretString};

use super::wrapped::data_key;
use super::{BY_IDENTITY, BY_PASSPHRASE, Keys, WrappedKey};
use crate::backend::{make_folder, sync_folder};
use crate::{DataKey, Error, Result};

/// Cost of a passphrase's key derivation, as a power of two: some tenths of a second. An unoptimized build, which only
/// its developers run, would take half a minute for that.
const WORK_FACTOR: u8 = if cfg!(debug_assertions) { 12 } else { 17 };
/// What somebody else's wrapped key may at most cost us to try.
const MAX_WORK_FACTOR: u8 = 22;

fn failed(error: &dyn fmt::Display) -> Error {
    Error::Key { why: format!("the data key cannot be wrapped: {error}") }
}

/// Wraps a data key. Slow with a passphrase, and reads files: not for an async task.
pub(super) fn wrap(keys: &Keys, key: &DataKey) -> Result<WrappedKey> {
    match keys {
        Keys::Passphrase(passphrase) => {
            if passphrase.is_empty() {
                return Err(Error::Key { why: "the passphrase is empty".to_owned() });
            }
            let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.clone()));
            recipient.set_work_factor(WORK_FACTOR);
            let wrapped = age::encrypt(&recipient, key.as_bytes()).map_err(|error| failed(&error))?;
            Ok(WrappedKey::new(BY_PASSPHRASE, &wrapped))
        }
        Keys::Identity(path) => {
            let identities = match read_identities(path)? {
                Some(identities) => identities,
                None => vec![make_identity(path)?],
            };
            for_recipients(identities.iter().map(age::x25519::Identity::to_public).collect(), key)
        }
        Keys::Recipients { recipients, .. } => for_recipients(parse_recipients(recipients)?, key),
        other => Err(Error::Key { why: format!("{other} is none of age's") }),
    }
}

fn for_recipients(recipients: Vec<age::x25519::Recipient>, key: &DataKey) -> Result<WrappedKey> {
    let as_dyn = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(as_dyn).map_err(|error| failed(&error))?;
    let mut wrapped = Vec::new();
    let mut writer = encryptor.wrap_output(&mut wrapped).map_err(|error| failed(&error))?;
    writer.write_all(key.as_bytes()).map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    let mut wrapped = WrappedKey::new(BY_IDENTITY, &wrapped);
    wrapped.recipients = recipients.iter().map(ToString::to_string).collect();
    Ok(wrapped)
}

fn parse_recipients(recipients: &[String]) -> Result<Vec<age::x25519::Recipient>> {
    if recipients.is_empty() {
        return Err(Error::Key { why: "`settings.encryption.age` lists no recipient".to_owned() });
    }
    let parse = |text: &String| {
        // A secret key that was pasted by mistake must not be shown.
        let shown = if text.to_ascii_uppercase().contains("SECRET") { "(a secret key?)" } else { text };
        text.trim().parse().map_err(|why| Error::Key {
            why: format!("`{shown}` is no age recipient: {why}; a recipient begins with `age1` and is what `age-keygen -y` prints"),
        })
    };
    recipients.iter().map(parse).collect()
}

/// Opens a wrapped data key. Slow with a passphrase, and reads files: not for an async task.
pub(super) fn open(keys: &Keys, wrapped: &WrappedKey) -> Result<DataKey> {
    let wrong = |what: String| Error::Key {
        why: format!("{what} does not open this stack's data key; {}", wrapped.expected()),
    };
    let bytes = wrapped.bytes()?;
    let opened = match keys {
        Keys::Passphrase(passphrase) => {
            let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.clone()));
            identity.set_max_work_factor(MAX_WORK_FACTOR);
            age::decrypt(&identity, &bytes).map_err(|_| wrong("the passphrase".to_owned()))?
        }
        Keys::Identity(path) | Keys::Recipients { identity: path, .. } => {
            let identities = read_identities(path)?.ok_or_else(|| Error::Key {
                why: format!(
                    "the identity file {} is missing, and this stack's data key needs it; {}",
                    path.display(),
                    wrapped.expected()
                ),
            })?;
            identities
                .iter()
                .find_map(|identity| age::decrypt(identity, &bytes).ok())
                .ok_or_else(|| wrong(format!("the key in the identity file {}", path.display())))?
        }
        other => return Err(wrong(other.to_string())),
    };
    data_key(&opened)
}

/// Whether an identity file, if it is there, can be used.
pub(super) fn check_identity(path: &Path) -> Result<()> {
    read_identities(path).map(drop)
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
    use super::make_identity;

    #[test]
    fn two_that_make_the_same_identity_file_end_with_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/identity");
        let first = make_identity(&path).unwrap().to_public().to_string();
        assert_eq!(make_identity(&path).unwrap().to_public().to_string(), first);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
    }
}
