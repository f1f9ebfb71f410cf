//! The wire: whom a request is for, and refusals in each service's form.

use std::collections::HashMap;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// What a call of EKS comes to.
pub(super) type Reply = Result<Value, Refused>;

/// A refusal of EKS.
#[derive(Debug)]
pub(super) struct Refused {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// What the error says beside its message.
    pub more: Value,
}

pub(super) fn refused(status: u16, code: &'static str, message: impl Into<String>) -> Refused {
    Refused { status, code, message: message.into(), more: json!({}) }
}

pub(super) fn missing(message: impl Into<String>) -> Refused {
    refused(404, "ResourceNotFoundException", message)
}

pub(super) fn in_use(message: impl Into<String>) -> Refused {
    refused(409, "ResourceInUseException", message)
}

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    refused(400, "InvalidParameterException", message)
}

/// Service and region, from the signature's scope: `…/20261123/eu-central-1/eks/aws4_request`.
pub(super) fn scope(headers: &HeaderMap) -> (String, String) {
    let text = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scope = text.split("Credential=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let mut parts = scope.split('/').skip(2);
    let region = parts.next().unwrap_or("us-east-1").to_owned();
    (parts.next().unwrap_or_default().to_owned(), region)
}

pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn query(text: &str) -> HashMap<String, Vec<String>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.entry(decode(key)).or_default().push(decode(value));
    }
    found
}

pub(super) fn json(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

/// A refusal of EKS with all that it says.
pub(super) fn refusal_of(refused: &Refused) -> Response {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", refused.code)];
    let mut body = refused.more.clone();
    body["message"] = refused.message.as_str().into();
    (status, headers, body.to_string()).into_response()
}

/// A refusal as the service words it: EKS in JSON with the code in a header, KMS in JSON with the code in the body, the
/// older ones in XML.
pub(super) fn refusal(service: &str, status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match service {
        "eks" => {
            let headers = [("content-type", "application/json"), ("x-amzn-errortype", code)];
            (status, headers, json!({ "message": message }).to_string()).into_response()
        }
        "kms" | "dynamodb" | "logs" => {
            let body = json!({ "__type": code, "message": message }).to_string();
            (status, [("content-type", "application/x-amz-json-1.1")], body).into_response()
        }
        "s3" => {
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            (status, [("content-type", "application/xml")], body).into_response()
        }
        _ => {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>0</RequestId></ErrorResponse>"
            );
            (status, [("content-type", "text/xml")], body).into_response()
        }
    }
}

pub(super) fn caller_identity(account: &str) -> Response {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/ci</Arn><UserId>AIDA0</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    ([("content-type", "text/xml")], body).into_response()
}
