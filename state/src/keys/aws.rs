//! Keys wrapped by AWS KMS. The stack's name is in the encryption context.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;

use super::http::chain;
use super::wrapped::data_key;
use super::{BY_AWS_KMS, WrappedKey};
use crate::{DataKey, Error, Result};

/// The key of the encryption context that names the stack.
const CONTEXT: &str = "plinth:stack";
/// How long one call may take, tries together.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key of AWS KMS; credentials, and whatever is not said here, by AWS's default chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKms {
    /// The key's id, ARN, or alias (`alias/…`).
    pub key_id: String,
    /// Its region; that of an ARN by default.
    pub region: Option<String>,
    /// A profile of AWS's configuration files.
    pub profile: Option<String>,
}

impl AwsKms {
    /// `arn:aws:kms:<region>:<account>:key/<id>`.
    fn region(&self) -> Option<String> {
        let arn = || self.key_id.starts_with("arn:").then(|| self.key_id.split(':').nth(3)).flatten();
        self.region.clone().or_else(|| arn().map(str::to_owned))
    }

    async fn client(&self) -> Result<Client> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(PATIENCE / 2)
            .operation_timeout(PATIENCE)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
        if let Some(region) = self.region() {
            loader = loader.region(Region::new(region));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(Error::Key {
                why: format!(
                    "the AWS KMS key {} cannot be used: no region is known; give `region` beside `keyId`, or set AWS_REGION",
                    self.key_id
                ),
            });
        }
        Ok(Client::new(&config))
    }

    pub(super) async fn wrap(&self, stack: &str, key: &DataKey) -> Result<WrappedKey> {
        let reply = self
            .client()
            .await?
            .encrypt()
            .key_id(&self.key_id)
            .plaintext(Blob::new(key.as_bytes().as_slice()))
            .encryption_context(CONTEXT, stack)
            .send()
            .await
            .map_err(|error| self.failed("kms:Encrypt", error))?;
        let wrapped = reply.ciphertext_blob().ok_or_else(|| self.incomplete("CiphertextBlob"))?;
        let mut wrapped = WrappedKey::new(BY_AWS_KMS, wrapped.as_ref());
        wrapped.key = Some(self.key_id.clone());
        wrapped.region.clone_from(&self.region);
        Ok(wrapped)
    }

    pub(super) async fn open(&self, stack: &str, wrapped: &WrappedKey) -> Result<DataKey> {
        if wrapped.key.as_ref() != Some(&self.key_id) {
            return Err(super::Keys::AwsKms(self.clone()).refused(wrapped));
        }
        let reply = self
            .client()
            .await?
            .decrypt()
            .key_id(&self.key_id)
            .ciphertext_blob(Blob::new(wrapped.bytes()?))
            .encryption_context(CONTEXT, stack)
            .send()
            .await
            .map_err(|error| self.failed("kms:Decrypt", error))?;
        data_key(reply.plaintext().ok_or_else(|| self.incomplete("Plaintext"))?.as_ref())
    }

    fn incomplete(&self, field: &str) -> Error {
        Error::Key { why: format!("the AWS KMS key {} answered without `{field}`", self.key_id) }
    }

    fn failed<E, R>(&self, permission: &str, error: SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let key = &self.key_id;
        let what = match error.as_service_error() {
            Some(service) => {
                let said = service.message().unwrap_or("no reason given");
                match service.code().unwrap_or_default() {
                    "AccessDeniedException" => {
                        format!("refused: {said}; the caller needs {permission} on the key")
                    }
                    "NotFoundException" => format!("does not exist: {said}; see `keyId` and `region`"),
                    "InvalidCiphertextException" | "IncorrectKeyException" => {
                        "does not open this stack's data key: it was wrapped with another key, or for another stack".to_owned()
                    }
                    "DisabledException" | "KMSInvalidStateException" => {
                        format!("cannot be used in its present state: {said}; enable it, or cancel its deletion")
                    }
                    "UnrecognizedClientException" | "InvalidClientTokenId" | "ExpiredTokenException" => {
                        format!("does not accept the credentials: {said}")
                    }
                    code => format!("answered {code}: {said}"),
                }
            }
            None => {
                let why = chain(&error);
                if why.contains("credential") {
                    let first = why.lines().next().unwrap_or_default().trim_end_matches(". Attempted:");
                    format!("cannot be used: no AWS credentials: {first}; sign in, or set AWS_PROFILE")
                } else {
                    format!("cannot be reached: {why}")
                }
            }
        };
        Error::Key { why: format!("the AWS KMS key {key} {what}; nothing was changed") }
    }
}
