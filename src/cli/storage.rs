//! What state storage is told beside its URL: the clouds' own environment variables, and the keys of an AWS profile.
//!
//! The environment is read here and nowhere below.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use plinth_state::{AwsCredentials, AwsKeys, Backend, Options};
use tokio::sync::Mutex;

/// The families of variables that storage may look at.
const FAMILIES: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "PG"];
/// What says where keys come from, so that no profile is asked.
const SOURCES: [&str; 5] = [
    "aws_access_key_id",
    "aws_web_identity_token_file",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_skip_signature",
];
/// Keys that end sooner than this are asked for anew.
const MARGIN: Duration = Duration::from_secs(300);

/// Opens the storage that a URL names, with what the environment says about it.
///
/// # Errors
/// When the URL is wrong, or something that it needs is missing.
pub async fn open(url: &str) -> plinth_state::Result<Arc<dyn Backend>> {
    plinth_state::open_backend_with(url, &gather(url).await)
}

async fn gather(url: &str) -> Options {
    let mut options: Options = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| FAMILIES.iter().any(|family| name.starts_with(family)))
        .collect();
    if url.starts_with("s3://") {
        aws(url, &mut options).await;
    }
    if url.starts_with("az://") && !azure_is_set(&options) && on_path("az") {
        // What a person has who has signed in by `az login`; machines have variables.
        options.set("azure_use_azure_cli", "true");
    }
    options
}

async fn aws(url: &str, options: &mut Options) {
    if !has_profiles() {
        return;
    }
    let named = options.get(&["aws_region", "aws_default_region", "aws_endpoint_url", "aws_endpoint_url_s3"]);
    if named.is_none()
        && !["region=", "endpoint="].iter().any(|parameter| url.contains(parameter))
        && let Some(region) = ProfileFileRegionProvider::new().region().await
    {
        options.set("aws_region", region.as_ref());
    }
    if options.get(&SOURCES).is_none() {
        *options = std::mem::take(options).with_aws(Arc::new(Profile::default()));
    }
}

/// Whether the person has told AWS's tools who they are.
fn has_profiles() -> bool {
    let file = |variable: &str, name: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".aws").join(name)))
            .is_some_and(|path| path.is_file())
    };
    std::env::var_os("AWS_PROFILE").is_some_and(|profile| !profile.is_empty())
        || file("AWS_CONFIG_FILE", "config")
        || file("AWS_SHARED_CREDENTIALS_FILE", "credentials")
}

fn azure_is_set(options: &Options) -> bool {
    let credentials = [
        "azure_storage_account_key",
        "azure_storage_key",
        "azure_storage_access_key",
        "azure_storage_sas_token",
        "azure_storage_sas_key",
        "azure_client_id",
        "azure_msi_endpoint",
    ];
    options.get(&credentials).is_some()
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// The keys of the profile in force, as AWS's own SDK reads them: shared files, single sign-on, roles that are assumed,
/// and programs that give keys.
#[derive(Default)]
struct Profile {
    cached: Mutex<Option<Credentials>>,
}

// Says nothing of the keys.
impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

fn lasts(keys: &Credentials) -> bool {
    keys.expiry().is_none_or(|end| end > SystemTime::now() + MARGIN)
}

#[async_trait]
impl AwsCredentials for Profile {
    async fn keys(&self) -> Result<AwsKeys, String> {
        let mut cached = self.cached.lock().await;
        let keys = match cached.take().filter(lasts) {
            Some(keys) => keys,
            None => {
                let given = ProfileFileCredentialsProvider::builder().build().provide_credentials().await;
                given.map_err(|error| {
                    let why = causes(&error);
                    format!("the AWS profile gives no keys: {why}; sign in (`aws sso login`), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
                })?
            }
        };
        *cached = Some(keys.clone());
        Ok(AwsKeys {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: keys.secret_access_key().to_owned(),
            session_token: keys.session_token().map(str::to_owned),
        })
    }
}

/// An error with everything that led to it; the SDK's own texts say little without.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_end_soon_are_asked_for_anew() {
        let keys = |end| Credentials::new("A", "S", None, end, "test");
        let now = SystemTime::now();
        assert!(lasts(&keys(None)) && lasts(&keys(Some(now + 2 * MARGIN))));
        assert!(!lasts(&keys(Some(now + MARGIN / 2))));
    }
}
