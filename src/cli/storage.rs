//! What state storage is told beside its URL: the clouds' own environment variables, and the keys of an AWS profile.
//!
//! The environment is read here and nowhere below.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use plinth_state::{AwsCredentials, AwsKeys, Backend, Options};
use serde::Deserialize;
use tokio::process::Command;
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
        && let Ok(region) = run_aws(&["configure", "get", "region"]).await
    {
        options.set("aws_region", region.trim());
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

/// The keys of the profile in force, as AWS's own command line gives them: it knows shared files, single sign-on, roles
/// that are assumed, and programs that give keys.
#[derive(Default)]
struct Profile {
    cached: Mutex<Option<Exported>>,
}

// Says nothing of the keys.
impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

/// What `aws configure export-credentials` prints.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
    #[serde(default)]
    expiration: Option<jiff::Timestamp>,
}

impl Exported {
    fn lasts(&self) -> bool {
        self.expiration.is_none_or(|end| end > jiff::Timestamp::now() + MARGIN)
    }
}

#[async_trait]
impl AwsCredentials for Profile {
    async fn keys(&self) -> Result<AwsKeys, String> {
        let mut cached = self.cached.lock().await;
        let keys = match cached.take().filter(Exported::lasts) {
            Some(keys) => keys,
            None => {
                let text = run_aws(&["configure", "export-credentials", "--format", "process"]).await?;
                // The text holds the keys, so it is not in the message.
                serde_json::from_str(&text).map_err(|_| {
                    "`aws configure export-credentials` gave something that is no credentials".to_owned()
                })?
            }
        };
        *cached = Some(keys.clone());
        Ok(AwsKeys {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
        })
    }
}

async fn run_aws(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("aws").args(arguments).stdin(std::process::Stdio::null()).output().await;
    let output = output.map_err(|error| {
        format!(
            "there are AWS profiles, and the command `aws`, which reads them, cannot be run ({error}): install the AWS \
             command line, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`aws {}` failed: {}", arguments.join(" "), said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_end_soon_are_asked_for_anew() {
        let text = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"2020-01-01T00:00:00+00:00"}"#;
        let keys: Exported = serde_json::from_str(text).unwrap();
        assert!(!keys.lasts());
        let keys: Exported = serde_json::from_str(r#"{"AccessKeyId":"A","SecretAccessKey":"S"}"#).unwrap();
        assert!(keys.lasts() && keys.session_token.is_none());
    }
}
