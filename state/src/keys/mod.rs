//! What wraps and opens a stack's data key: a passphrase, age identities and recipients, or a cloud's key service.
//!
//! Lives here: wrapping 32 bytes for whoever may have them, and saying whose they are. Must not live here: what is
//! sealed with them (`seal`), and when a new one is made (`ring`).

mod age;
mod aws;
mod azure;
mod gcp;
mod http;
mod wrapped;

use std::fmt;
use std::path::PathBuf;

pub use aws::AwsKms;
pub use azure::{AzureCredentials, AzureKeyVault};
pub use gcp::GcpKms;
pub use wrapped::WrappedKey;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::entry::blocking;
use crate::{DataKey, DataKeys, Error, Result};

/// What wraps and opens a stack's data key.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Keys {
    /// An age identity file. Made, readable by its owner alone, when the first secret is recorded.
    Identity(PathBuf),
    /// A passphrase.
    Passphrase(String),
    /// The age recipients of everybody who may open it; this one does so with an identity file.
    Recipients {
        /// Public keys, `age1…`.
        recipients: Vec<String>,
        /// Where the secret key of one of them is.
        identity: PathBuf,
    },
    /// A key of AWS KMS.
    AwsKms(AwsKms),
    /// A key of Google Cloud KMS.
    GcpKms(GcpKms),
    /// An RSA key of an Azure Key Vault.
    AzureKeyVault(AzureKeyVault),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(path) => f.debug_tuple("Identity").field(path).finish(),
            Self::Passphrase(_) => f.write_str("Passphrase(…)"),
            Self::Recipients { recipients, identity } => {
                f.debug_tuple("Recipients").field(recipients).field(identity).finish()
            }
            Self::AwsKms(kms) => kms.fmt(f),
            Self::GcpKms(kms) => kms.fmt(f),
            Self::AzureKeyVault(vault) => vault.fmt(f),
        }
    }
}

/// What it is, as in a message.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(path) => write!(f, "the identity file {}", path.display()),
            Self::Passphrase(_) => f.write_str("a passphrase"),
            Self::Recipients { recipients, .. } => {
                write!(f, "the age recipients {}", recipients.join(", "))
            }
            Self::AwsKms(kms) => write!(f, "the AWS KMS key {}", kms.key_id),
            Self::GcpKms(kms) => write!(f, "the Cloud KMS key {}", kms.key),
            Self::AzureKeyVault(vault) => write!(f, "the Key Vault key {}", vault.place()),
        }
    }
}

/// Keeps a call to a key service out of every trace: at its finest level AWS's client writes whole requests, and these
/// hold data keys in the clear. Boxed, for the clients' futures are large and deeply nested.
fn untraced<'a, T>(call: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    call.with_subscriber(NoSubscriber::default()).boxed()
}

const BY_IDENTITY: &str = "age-x25519";
const BY_PASSPHRASE: &str = "age-passphrase";
const BY_AWS_KMS: &str = "aws-kms";
const BY_GCP_KMS: &str = "gcp-kms";
const BY_AZURE: &str = "azure-key-vault";

impl Keys {
    /// Whether they open without asking anybody over a network.
    pub fn are_local(&self) -> bool {
        matches!(self, Self::Identity(_) | Self::Passphrase(_) | Self::Recipients { .. })
    }

    /// A new data key for a stack, and its wrapped form. Makes the identity file if there is none.
    ///
    /// # Errors
    /// When it cannot be wrapped, or what was wrapped does not open again: then nobody could read what it seals.
    pub async fn generate(&self, stack: &str) -> Result<(DataKeys, WrappedKey)> {
        let keys = DataKeys::one(DataKey::generate());
        let wrapped = self.wrap(stack, &keys).await?;
        Ok((keys, wrapped))
    }

    /// Wraps a stack's data keys: the one that seals for whoever may open it, the earlier ones sealed with it.
    /// Opens it again before it says that it did.
    ///
    /// # Errors
    /// As [`Keys::generate`].
    pub async fn wrap(&self, stack: &str, keys: &DataKeys) -> Result<WrappedKey> {
        let key =
            keys.current().ok_or_else(|| Error::Key { why: "there is no data key to wrap".to_owned() })?;
        let mut wrapped = match self {
            Self::Identity(_) | Self::Passphrase(_) | Self::Recipients { .. } => {
                let (this, key) = (self.clone(), key.clone());
                blocking(move || age::wrap(&this, &key)).await?
            }
            Self::AwsKms(kms) => untraced(kms.wrap(stack, key)).await?,
            Self::GcpKms(kms) => untraced(kms.wrap(stack, key)).await?,
            Self::AzureKeyVault(vault) => untraced(vault.wrap(stack, key)).await?,
        };
        wrapped.id = Some(key.id());
        wrapped.older =
            keys.older().iter().map(|old| wrapped::seal_older(key, old)).collect::<Result<_>>()?;
        let again = self.open(stack, &wrapped).await?;
        if again.current().is_none_or(|again| again.as_bytes() != key.as_bytes()) {
            return Err(Error::Key { why: format!("{self} gives back another data key than it was given") });
        }
        Ok(wrapped)
    }

    /// Opens wrapped data keys.
    ///
    /// # Errors
    /// When this is not their key, or it cannot be used; says which one is, and what to do.
    pub async fn open(&self, stack: &str, wrapped: &WrappedKey) -> Result<DataKeys> {
        let key = match (self, wrapped.by.as_str()) {
            (Self::Identity(_) | Self::Recipients { .. }, BY_IDENTITY)
            | (Self::Passphrase(_), BY_PASSPHRASE) => {
                let (this, wrapped) = (self.clone(), wrapped.clone());
                blocking(move || age::open(&this, &wrapped)).await?
            }
            (Self::AwsKms(kms), BY_AWS_KMS) => untraced(kms.open(stack, wrapped)).await?,
            (Self::GcpKms(kms), BY_GCP_KMS) => untraced(kms.open(stack, wrapped)).await?,
            (Self::AzureKeyVault(vault), BY_AZURE) => untraced(vault.open(stack, wrapped)).await?,
            _ => return Err(self.refused(wrapped)),
        };
        if wrapped.id.as_ref().is_some_and(|id| *id != key.id()) {
            return Err(Error::Key {
                why: "the wrapped data key in the state log is not the one that it says it is: the log is damaged"
                    .to_owned(),
            });
        }
        let older = wrapped.older.iter().map(|sealed| wrapped::open_older(&key, sealed));
        let older = older.collect::<Result<Vec<_>>>()?;
        let keys = DataKeys::one(key);
        Ok(older.into_iter().fold(keys, |keys, old| keys.with_older(&DataKeys::one(old))))
    }

    /// Whether this can be used at all, as far as can be told without a data key: what a run asks before it begins.
    ///
    /// # Errors
    /// When an identity file or a recipient is malformed, or a key service refuses.
    pub async fn check(&self, stack: &str) -> Result<()> {
        match self {
            Self::Passphrase(passphrase) if !passphrase.is_empty() => Ok(()),
            // Not made before a secret needs it.
            Self::Identity(path) => {
                let path = path.clone();
                blocking(move || age::check_identity(&path)).await
            }
            _ => self.generate(stack).await.map(drop),
        }
    }

    /// Whether a key is wrapped as this would wrap it now.
    pub fn wraps_as(&self, wrapped: &WrappedKey) -> bool {
        match self {
            Self::Identity(_) => wrapped.by == BY_IDENTITY,
            Self::Passphrase(_) => wrapped.by == BY_PASSPHRASE,
            Self::Recipients { recipients, .. } => {
                let sorted = |list: &[String]| {
                    let mut list = list.to_vec();
                    list.sort_unstable();
                    list.dedup();
                    list
                };
                wrapped.by == BY_IDENTITY && sorted(recipients) == sorted(&wrapped.recipients)
            }
            Self::AwsKms(kms) => {
                wrapped.by == BY_AWS_KMS && wrapped.key.as_deref() == Some(kms.key_id.as_str())
            }
            Self::GcpKms(kms) => wrapped.by == BY_GCP_KMS && wrapped.key.as_deref() == Some(kms.key.as_str()),
            Self::AzureKeyVault(vault) => wrapped.by == BY_AZURE && wrapped.key == Some(vault.place()),
        }
    }

    /// The error of a key that is not this one's.
    fn refused(&self, wrapped: &WrappedKey) -> Error {
        let what = match self {
            Self::Passphrase(_) => "a passphrase".to_owned(),
            other => other.to_string(),
        };
        Error::Key { why: format!("{what} does not open this stack's data key; {}", wrapped.expected()) }
    }
}

/// The means that opened a stack's secrets before its stack file was changed. Key services need none: a wrapped key
/// says which one it needs.
#[derive(Clone, Default)]
pub struct Former {
    /// The passphrase until now.
    pub passphrase: Option<String>,
    /// The identity file until now.
    pub identity: Option<PathBuf>,
    /// How to sign in to Azure.
    pub azure: AzureCredentials,
}

impl fmt::Debug for Former {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Former").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Former {
    /// What may open this wrapped key, if anything given may.
    pub fn keys_of(&self, wrapped: &WrappedKey) -> Option<Keys> {
        match wrapped.by.as_str() {
            BY_PASSPHRASE => self.passphrase.clone().map(Keys::Passphrase),
            BY_IDENTITY => self.identity.clone().map(Keys::Identity),
            BY_AWS_KMS => wrapped
                .key
                .clone()
                .map(|key_id| Keys::AwsKms(AwsKms { key_id, region: wrapped.region.clone(), profile: None })),
            BY_GCP_KMS => {
                let endpoint = wrapped.endpoint.clone();
                wrapped.key.clone().map(|key| Keys::GcpKms(GcpKms { key, endpoint }))
            }
            BY_AZURE => {
                let vault =
                    wrapped.key.as_deref().and_then(|place| AzureKeyVault::parse(place, self.azure.clone()));
                vault.map(Keys::AzureKeyVault)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
