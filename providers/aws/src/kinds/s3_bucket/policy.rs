//! The bucket's policy: the statement that refuses plain HTTP, and the user's own.

use serde_json::{Value as Json, json};

use crate::document;

/// The name of our statement.
const SID: &str = "PlinthTlsOnly";

/// The policy as it is to be; `None` when there is nothing to say.
pub(super) fn whole(arn: &str, tls_only: bool, own: Option<&str>) -> Option<String> {
    let mut statements = Vec::new();
    if tls_only {
        statements.push(tls(arn));
    }
    let mut document = json!({ "Version": "2012-10-17" });
    if let Some(Json::Object(own)) = own.and_then(|text| serde_json::from_str(text).ok()) {
        for (key, value) in own {
            match (key.as_str(), value) {
                ("Statement", Json::Array(list)) => statements.extend(list),
                ("Statement", one) => statements.push(one),
                (_, value) => document[key] = value,
            }
        }
    }
    if statements.is_empty() {
        return None;
    }
    document["Statement"] = Json::Array(statements);
    Some(document.to_string())
}

/// What a policy that is there says: whether it refuses plain HTTP by our statement, and the rest of it.
pub(super) fn split(arn: &str, text: &str) -> (bool, Option<String>) {
    let Ok(Json::Object(mut document)) = serde_json::from_str(text) else {
        return (false, Some(text.to_owned()));
    };
    let statements = match document.remove("Statement") {
        Some(Json::Array(list)) => list,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let wanted = tls(arn).to_string();
    let (ours, rest): (Vec<Json>, Vec<Json>) =
        statements.into_iter().partition(|statement| document::same(&statement.to_string(), &wanted));
    let rest = (!rest.is_empty()).then(|| {
        document.insert("Statement".to_owned(), Json::Array(rest));
        Json::Object(document).to_string()
    });
    (!ours.is_empty(), rest)
}

fn tls(arn: &str) -> Json {
    json!({
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:s3:::b";
    const OWN: &str = r#"{"Version":"2012-10-17","Statement":{"Sid":"a","Effect":"Allow","Principal":{"AWS":"x"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#;

    #[test]
    fn what_is_put_together_comes_apart_again() {
        assert_eq!(whole(ARN, false, None), None);
        for (tls_only, own) in [(true, None), (true, Some(OWN)), (false, Some(OWN))] {
            let text = whole(ARN, tls_only, own).unwrap();
            let (tls, rest) = split(ARN, &text);
            assert_eq!(tls, tls_only);
            assert_eq!(rest.is_some(), own.is_some());
            if let (Some(rest), Some(own)) = (rest, own) {
                assert!(document::same(&rest, own), "{rest}");
            }
        }
    }

    #[test]
    fn a_weakened_statement_is_not_taken_for_ours() {
        let text = whole(ARN, true, None).unwrap().replace("s3:*", "s3:GetObject");
        assert!(!split(ARN, &text).0);
    }
}
