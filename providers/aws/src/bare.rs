//! Calls to services of which Plinth needs so little that an SDK for them costs more than it is worth: signed and sent by
//! hand, over the SDK's own connection.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use plinth_provider::{Class, Error, Result};

use crate::error::chain;

/// One call: to a service, for an action in IAM's words, with these headers.
pub(crate) struct Ask<'a> {
    /// The service, as signatures and addresses name it.
    pub service: &'static str,
    /// What it is, in IAM's words.
    pub action: &'a str,
    pub headers: &'a [(&'static str, &'a str)],
    pub body: &'a str,
}

/// Sends a call; status and text of the answer.
pub(crate) async fn send(config: &SdkConfig, ask: &Ask<'_>) -> Result<(u16, String)> {
    let region = config.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
    let url = match config.endpoint_url() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if region.starts_with("cn-") => format!("https://{}.{region}.amazonaws.com.cn", ask.service),
        None => format!("https://{}.{region}.amazonaws.com", ask.service),
    };
    let request = signed(config, ask, &url, &region).await?;
    let mut operation = Operation::builder()
        .service_name(ask.service)
        .operation_name(ask.action.to_owned())
        .endpoint_url(&url)
        .no_auth()
        .no_retry()
        .timeout_config(TimeoutConfig::disabled());
    if let Some(client) = config.http_client() {
        operation = operation.http_client(client);
    }
    let operation = operation
        .serializer(move |(): ()| request.try_clone().ok_or_else(|| "a request of text can be copied".into()))
        .deserializer::<_, std::convert::Infallible>(|response| {
            let text = response.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            Ok((response.status().as_u16(), text.unwrap_or_default()))
        })
        .build();
    operation.invoke(()).await.map_err(|error| {
        Error::new(Class::Unavailable, format!("{} got no answer: {}", ask.action, chain(&error)))
    })
}

/// The class of a refusal by its code and status.
pub(crate) fn class(code: &str, status: u16) -> Class {
    match code {
        "UnauthorizedOperation"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "AccessDeniedException"
        | "UnrecognizedClientException" => Class::Denied,
        "RequestLimitExceeded" | "ThrottlingException" => Class::Throttled { retry_after: None },
        "ResourceAlreadyExistsException" => Class::AlreadyExists,
        "DependencyViolation" | "OperationAbortedException" => Class::Conflict,
        "ServiceUnavailableException" => Class::Unavailable,
        code if code.ends_with("NotFound") || code == "ResourceNotFoundException" => Class::NotFound,
        _ if status >= 500 => Class::Unavailable,
        _ => Class::Invalid,
    }
}

async fn signed(config: &SdkConfig, ask: &Ask<'_>, url: &str, region: &str) -> Result<HttpRequest> {
    let denied = |why: String| Error::new(Class::Denied, format!("{} cannot be signed: {why}", ask.action));
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| denied("there are no AWS credentials".to_owned()))?;
    let credentials = provider.provide_credentials().await.map_err(|error| denied(chain(&error)))?;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(ask.service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| denied(error.to_string()))?
        .into();
    let url = format!("{url}/");
    let body = SignableBody::Bytes(ask.body.as_bytes());
    let signable = SignableRequest::new("POST", &url, ask.headers.iter().copied(), body)
        .map_err(|error| denied(error.to_string()))?;
    let (instructions, _) =
        sign(signable, &parameters).map_err(|error| denied(error.to_string()))?.into_parts();
    let mut request = HttpRequest::new(SdkBody::from(ask.body));
    request.set_method("POST").map_err(|error| denied(error.to_string()))?;
    for (name, value) in ask.headers {
        request.headers_mut().insert(*name, (*value).to_owned());
    }
    for (name, value) in instructions.headers() {
        request.headers_mut().insert(name.to_owned(), value.to_owned());
    }
    Ok(request)
}
