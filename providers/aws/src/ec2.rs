//! The few calls to EC2 that a network's end needs: the SDK's crate for EC2 costs more to build than all of Plinth.

use aws_config::SdkConfig;
use plinth_provider::{Error, Result};

use crate::bare::{self, Ask};

/// The version of EC2's interface.
const VERSION: &str = "2016-11-15";

/// One call; what EC2 answers, as text.
pub(crate) async fn call(config: &SdkConfig, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
    let body = form(action, parameters);
    let action = format!("ec2:{action}");
    let ask = Ask {
        service: "ec2",
        action: &action,
        headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
        body: &body,
    };
    let (status, text) = bare::send(config, &ask).await?;
    if (200..300).contains(&status) {
        return Ok(text);
    }
    let code = texts(&text, "Code").next().unwrap_or("an error without a code");
    let said = texts(&text, "Message").next().unwrap_or_default();
    Err(Error::new(bare::class(code, status), format!("{action} was refused: {said} ({code})")))
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
