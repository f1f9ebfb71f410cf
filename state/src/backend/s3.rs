//! `s3://`: Amazon S3 and servers that speak its language.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut};
use object_store::{ClientConfigKey, CredentialProvider};

use super::objects::{Advice, Judge, Objects, client_options, no_retries, verdict};
use super::options::{AwsCredentials, Options};
use super::url::{Bucket, bad, unknown, without_secrets};
use crate::{Error, Result};

/// What a URL may set, beside `endpoint` and `region`.
const PARAMETERS: [(&str, AmazonS3ConfigKey); 4] = [
    ("allow_http", AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)),
    ("virtual_hosted_style_request", AmazonS3ConfigKey::VirtualHostedStyleRequest),
    ("skip_signature", AmazonS3ConfigKey::SkipSignature),
    ("imdsv1_fallback", AmazonS3ConfigKey::ImdsV1Fallback),
];
const KMS: &str = "sse_kms_key_id";
/// What the cloud's own environment may set.
const SETTINGS: [&str; 12] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_allow_http",
    "aws_skip_signature",
    "aws_virtual_hosted_style_request",
    "aws_web_identity_token_file",
    "aws_role_arn",
    "aws_role_session_name",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_container_authorization_token_file",
];

pub(super) fn open(url: &str, bucket: &Bucket, options: &Options) -> Result<Objects<S3>> {
    let given =
        |name: &str| bucket.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let mut known = vec!["region", "endpoint", KMS];
    known.extend(PARAMETERS.iter().map(|(name, _)| *name));
    if let Some((name, _)) = bucket.query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(unknown(url, name, &known));
    }
    let endpoint = given("endpoint")
        .or_else(|| options.get(&["aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint"]));
    let allow_http = given("allow_http").or_else(|| options.get(&["aws_allow_http"])) == Some("true");
    let region = given("region").or_else(|| options.get(&["aws_region", "aws_default_region"]));
    let region = match (region, endpoint) {
        (Some(region), _) => region,
        (None, Some(_)) => "us-east-1",
        (None, None) => {
            let why = "the bucket's region is not known: add ?region=…, or set AWS_REGION or a region in the AWS profile";
            return Err(bad(url, why));
        }
    };
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client_options(allow_http))
        .with_retry(no_retries())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // One object at a time is what every server of this kind knows how to delete.
        .with_disable_bulk_delete(true)
        .with_bucket_name(&bucket.name)
        .with_region(region);
    if let Some(endpoint) = endpoint {
        check_endpoint(url, endpoint, allow_http)?;
        builder = builder.with_endpoint(endpoint);
    }
    for name in SETTINGS {
        if let (Some(value), Ok(key)) = (options.get(&[name]), name.parse()) {
            builder = builder.with_config(key, value);
        }
    }
    for (name, key) in PARAMETERS {
        if let Some(value) = given(name) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(key) = given(KMS) {
        builder = builder.with_sse_kms_encryption(key);
    }
    if options.get(&["aws_access_key_id"]).is_none()
        && let Some(keys) = options.aws()
    {
        builder = builder.with_credentials(Arc::new(Provided(keys)));
    }
    let store: AmazonS3 = builder.build().map_err(|error| bad(url, error.to_string()))?;
    let judge = S3 { place: without_secrets(url) };
    Ok(Objects::new(store, &bucket.prefix, judge))
}

/// Refuses an endpoint that is no URL, or sends everything in the clear without having been asked to.
pub(super) fn check_endpoint(url: &str, endpoint: &str, allow_http: bool) -> Result<()> {
    if endpoint.starts_with("http://") && !allow_http {
        let why = format!("the endpoint {endpoint} is not encrypted; if that is meant, add allow_http=true");
        return Err(bad(url, why));
    }
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(bad(url, format!("the endpoint `{endpoint}` must begin with https:// or http://")));
    }
    Ok(())
}

/// Credentials that are asked for elsewhere.
#[derive(Debug)]
struct Provided(Arc<dyn AwsCredentials>);

#[async_trait]
impl CredentialProvider for Provided {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let keys = self.0.keys().await.map_err(|why| object_store::Error::Unauthenticated {
            path: String::new(),
            source: why.into(),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: keys.access_key_id,
            secret_key: keys.secret_access_key,
            token: keys.session_token,
        }))
    }
}

#[derive(Debug)]
pub(super) struct S3 {
    place: String,
}

impl Judge for S3 {
    fn judge(&self, doing: &str, error: object_store::Error) -> Error {
        let action = match doing.split(' ').next().unwrap_or_default() {
            "list" => "s3:ListBucket",
            // Without the right to list, S3 says of an absent object that it is denied.
            "read" => "s3:GetObject, and s3:ListBucket on the bucket,",
            "delete" => "s3:DeleteObject",
            _ => "s3:PutObject (and kms:GenerateDataKey where the bucket is encrypted with a key)",
        };
        let advice = Advice {
            denied: format!("allow this identity {action} for {}", self.place),
            credentials: "see which AWS credentials are in force (`aws sts get-caller-identity`): AWS_PROFILE, \
                          AWS_ACCESS_KEY_ID and their like, or sign in again (`aws sso login`)",
            bucket: "make the bucket first, or correct its name: Plinth does not make the bucket that holds its state",
        };
        verdict(&self.place, doing, &error, advice)
    }
}
