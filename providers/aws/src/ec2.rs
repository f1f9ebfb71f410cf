//! The few calls to EC2 that a network's end needs, made by hand: the SDK's crate for EC2 costs more to build than all of
//! Plinth.

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

/// The version of EC2's interface.
const VERSION: &str = "2016-11-15";

/// One call; what EC2 answers, as text.
pub(crate) async fn call(config: &SdkConfig, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
    let failed = |why: String| Error::new(Class::Unavailable, format!("ec2:{action} got no answer: {why}"));
    let region = config.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
    let url = match config.endpoint_url() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if region.starts_with("cn-") => format!("https://ec2.{region}.amazonaws.com.cn"),
        None => format!("https://ec2.{region}.amazonaws.com"),
    };
    let body = form(action, parameters);
    let request = signed(config, &url, &region, &body).await?;
    let mut operation = Operation::builder()
        .service_name("ec2")
        .operation_name(action.to_owned())
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
    let (status, text) = operation.invoke(()).await.map_err(|error| failed(chain(&error)))?;
    if (200..300).contains(&status) {
        return Ok(text);
    }
    let code = texts(&text, "Code").next().unwrap_or("an error without a code");
    let said = texts(&text, "Message").next().unwrap_or_default();
    let class = match code {
        "UnauthorizedOperation" | "AuthFailure" | "ExpiredToken" | "RequestExpired" => Class::Denied,
        "RequestLimitExceeded" => Class::Throttled { retry_after: None },
        code if code.ends_with(".NotFound") => Class::NotFound,
        "DependencyViolation" => Class::Conflict,
        _ if status >= 500 => Class::Unavailable,
        _ => Class::Invalid,
    };
    Err(Error::new(class, format!("ec2:{action} was refused: {said} ({code})")))
}

/// The content of every element of a name, in order.
pub(crate) fn texts<'a>(xml: &'a str, element: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let length = rest.get(start..)?.find(&close)?;
        let found = rest.get(start..start + length)?;
        rest = rest.get(start + length..)?;
        Some(found.trim())
    })
}

fn form(action: &str, parameters: &[(&str, &str)]) -> String {
    let mut body = format!("Action={action}&Version={VERSION}");
    for (key, value) in parameters {
        body.push('&');
        body.push_str(&escaped(key));
        body.push('=');
        body.push_str(&escaped(value));
    }
    body
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

async fn signed(config: &SdkConfig, url: &str, region: &str, body: &str) -> Result<HttpRequest> {
    let denied = |why: String| Error::new(Class::Denied, format!("a call to EC2 cannot be signed: {why}"));
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| denied("there are no AWS credentials".to_owned()))?;
    let credentials = provider.provide_credentials().await.map_err(|error| denied(chain(&error)))?;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ec2")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| denied(error.to_string()))?
        .into();
    let kind = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let url = format!("{url}/");
    let signable =
        SignableRequest::new("POST", &url, [kind].into_iter(), SignableBody::Bytes(body.as_bytes()))
            .map_err(|error| denied(error.to_string()))?;
    let (instructions, _) =
        sign(signable, &parameters).map_err(|error| denied(error.to_string()))?.into_parts();
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST").map_err(|error| denied(error.to_string()))?;
    request.headers_mut().insert(kind.0, kind.1);
    for (name, value) in instructions.headers() {
        request.headers_mut().insert(name.to_owned(), value.to_owned());
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_order() {
        let xml = "<a><id>one</id><b><id> two </id></b></a><id/>";
        assert_eq!(texts(xml, "id").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(texts("<id>open", "id").count(), 0);
    }

    #[test]
    fn parameters_are_escaped() {
        let body = form("DescribeThings", &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "a b&c")]);
        assert_eq!(
            body,
            "Action=DescribeThings&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=a%20b%26c"
        );
    }
}
