//! What storage needs to know beside its URL: credentials, region, endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

/// Settings of the clouds' own names in lower case (`aws_region`, `google_application_credentials`,
/// `azure_storage_account_name`, `pgpassword` …), handed over by whoever may read them. A URL's own parameters win.
#[derive(Clone, Default)]
pub struct Options {
    values: BTreeMap<String, String>,
    aws: Option<Arc<dyn AwsCredentials>>,
}

/// A pair of AWS keys, perhaps for a limited time.
#[derive(Clone)]
pub struct AwsKeys {
    /// The key's public part.
    pub access_key_id: String,
    /// Its secret part.
    pub secret_access_key: String,
    /// What goes with keys of limited time.
    pub session_token: Option<String>,
}

/// Gives AWS keys that are valid now: from a profile, single sign-on, a web identity, the machine itself.
#[async_trait]
pub trait AwsCredentials: fmt::Debug + Send + Sync {
    /// Called before every request; keeps keys as long as they are valid.
    ///
    /// # Errors
    /// When there are none; says what was tried and what to do.
    async fn keys(&self) -> Result<AwsKeys, String>;
}

impl Options {
    /// Gives AWS requests their keys, unless the settings hold keys themselves.
    #[must_use]
    pub fn with_aws(mut self, credentials: Arc<dyn AwsCredentials>) -> Self {
        self.aws = Some(credentials);
        self
    }

    /// Adds a setting; an empty one counts as none, as it does in an environment.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.values.insert(name.to_ascii_lowercase(), value);
        }
    }

    /// The first of these settings that is there.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.values.get(*name)).map(String::as_str)
    }

    pub(crate) fn aws(&self) -> Option<Arc<dyn AwsCredentials>> {
        self.aws.clone()
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Options {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(settings: I) -> Self {
        let mut options = Self::default();
        for (name, value) in settings {
            options.set(name.as_ref(), value);
        }
        options
    }
}

// Values may be secret, names are not.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("names", &self.values.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}
