//! `gs://`: Google Cloud Storage.

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};

use super::objects::{Advice, Judge, Objects, client_options, no_retries, verdict};
use super::options::Options;
use super::s3::check_endpoint;
use super::url::{Bucket, bad, unknown, without_secrets};
use crate::{Error, Result};

const PARAMETERS: [&str; 3] = ["endpoint", "allow_http", "application_credentials"];

pub(super) fn open(url: &str, bucket: &Bucket, options: &Options) -> Result<Objects<Gcs>> {
    let given =
        |name: &str| bucket.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    if let Some((name, _)) = bucket.query.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
        return Err(unknown(url, name, &PARAMETERS));
    }
    let allow_http = given("allow_http") == Some("true");
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_client_options(client_options(allow_http))
        .with_retry(no_retries())
        .with_bucket_name(&bucket.name);
    let token = options.get(&["google_oauth_access_token", "google_bearer_token"]);
    let file = given("application_credentials").or_else(|| options.get(&["google_application_credentials"]));
    let endpoint = given("endpoint");
    match (token, options.get(&["google_service_account_key"]), file) {
        (Some(token), _, _) => builder = builder.with_credentials(bearer(token)),
        (None, Some(key), _) => builder = builder.with_service_account_key(key),
        (None, None, Some(file)) => {
            if !std::path::Path::new(file).is_file() {
                let why =
                    format!("the credentials file {file} (GOOGLE_APPLICATION_CREDENTIALS) does not exist");
                return Err(bad(url, why));
            }
            builder = builder.with_application_credentials(file);
        }
        // A server of one's own wants no token of Google's.
        (None, None, None) if endpoint.is_some() => builder = builder.with_credentials(bearer("")),
        // What `gcloud auth application-default login` has left, else the machine's own service account.
        (None, None, None) => {}
    }
    if let Some(endpoint) = endpoint {
        check_endpoint(url, endpoint, allow_http)?;
        builder = builder.with_base_url(endpoint);
    }
    let store = builder.build().map_err(|error| {
        bad(
            url,
            format!(
                "{error}; credentials of the kinds service_account and authorized_user work, and those of the machine \
                 itself; for others put a token into GOOGLE_OAUTH_ACCESS_TOKEN (`gcloud auth print-access-token`)"
            ),
        )
    })?;
    Ok(Objects::new(store, &bucket.prefix, Gcs { place: without_secrets(url) }))
}

fn bearer(token: &str) -> Arc<StaticCredentialProvider<GcpCredential>> {
    Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: token.to_owned() }))
}

#[derive(Debug)]
pub(super) struct Gcs {
    place: String,
}

impl Judge for Gcs {
    fn judge(&self, doing: &str, error: object_store::Error) -> Error {
        let action = match doing.split(' ').next().unwrap_or_default() {
            "list" => "storage.objects.list",
            "read" => "storage.objects.get",
            "delete" => "storage.objects.delete",
            "write" => "storage.objects.create and storage.objects.delete (replacing an object needs both)",
            _ => "storage.objects.create",
        };
        let advice = Advice {
            denied: format!(
                "allow this identity {action} for {}, as the role Storage Object User does",
                self.place
            ),
            credentials: "see which Google credentials are in force: GOOGLE_APPLICATION_CREDENTIALS, or sign in again \
                          (`gcloud auth application-default login`)",
            bucket: "make the bucket first, or correct its name: Plinth does not make the bucket that holds its state",
        };
        verdict(&self.place, doing, &error, advice)
    }
}
