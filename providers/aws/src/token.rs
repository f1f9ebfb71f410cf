//! The token with which EKS knows a caller: a presigned request to STS, made here, in this process.
//!
//! Form and lifetime are those of `aws eks get-token`: a signed URL of `sts:GetCallerIdentity` that names the cluster in
//! a signed header, in URL-safe base64 without padding, after `k8s-aws-v1.`; the API server takes it for 15 minutes.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use plinth_provider::{Class, Error, Result};

/// How long the API server takes a token, less a minute for clocks that differ.
const LIFETIME: Duration = Duration::from_secs(14 * 60);
/// How long the signature itself says that it is valid; the API server's own 15 minutes count from the signing.
const EXPIRES_IN: Duration = Duration::from_secs(60);

/// A bearer token for an EKS cluster's API server.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub secret: String,
    /// Until when it is good: its own lifetime, or that of the credentials behind it when those end earlier.
    pub until: SystemTime,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Makes a token for a cluster.
///
/// # Errors
/// When there are no credentials.
pub async fn token(config: &SdkConfig, cluster: &str, now: SystemTime) -> Result<Token> {
    let denied = |why: String| {
        Error::new(Class::Denied, format!("no token for the cluster {cluster}: {why}"))
            .help("log in to AWS again; the same command then continues")
    };
    let provider =
        config.credentials_provider().ok_or_else(|| denied("there are no AWS credentials".to_owned()))?;
    let credentials =
        provider.provide_credentials().await.map_err(|error| denied(crate::error::chain(&error)))?;
    let until = credentials.expiry().map_or(now + LIFETIME, |expiry| expiry.min(now + LIFETIME));
    let region = config.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
    let host = host(&region);
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");

    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES_IN);
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| denied(error.to_string()))?
        .into();
    let headers = [("host", host.as_str()), ("x-k8s-aws-id", cluster)];
    let signable = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(&[]))
        .map_err(|error| denied(error.to_string()))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| denied(error.to_string()))?.into_parts();
    let mut request = http::Request::get(&url).body(()).map_err(|error| denied(error.to_string()))?;
    instructions.apply_to_request_http1x(&mut request);
    let signed = BASE64_URL_SAFE_NO_PAD.encode(request.uri().to_string());
    Ok(Token { secret: format!("k8s-aws-v1.{signed}"), until })
}

/// STS's address in a region; China has a domain of its own.
fn host(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("sts.{region}.{domain}")
}
