//! The patterns that the model's schema uses, matched by hand: they are few, and a regular expression engine is not
//! worth its weight here. A test compares this list with the schema.

use super::secrets::check_secret_name;

/// Whether a text matches one of the known patterns. Unknown patterns match everything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let digits =
        |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    match pattern {
        ACCOUNT => digits(text, 12),
        REGION => {
            let parts: Vec<&str> = text.split('-').collect();
            let [first, middle @ .., last] = parts.as_slice() else { return false };
            let letters =
                |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
            (2..=4).contains(&first.len())
                && letters(first)
                && !middle.is_empty()
                && middle.iter().all(letters)
                && (digits(last, 1) || digits(last, 2))
        }
        MAIL => {
            let mut parts = text.split('@');
            let full = |part: Option<&str>| {
                part.is_some_and(|part| !part.is_empty() && !part.chars().any(char::is_whitespace))
            };
            full(parts.next()) && full(parts.next()) && parts.next().is_none()
        }
        DAY => {
            let parts: Vec<&str> = text.split('-').collect();
            let [year, month, day] = parts[..] else { return false };
            let within =
                |part: &str, most: u32| part.parse::<u32>().is_ok_and(|number| (1..=most).contains(&number));
            digits(year, 4) && digits(month, 2) && digits(day, 2) && within(month, 12) && within(day, 31)
        }
        RECIPIENT => text.strip_prefix("age1").is_some_and(|rest| {
            rest.len() == 58
                && rest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
                && !rest.contains(['1', 'b', 'i', 'o'])
        }),
        GCP_KEY => {
            let parts: Vec<&str> = text.split('/').collect();
            let [a, _, b, _, c, _, d, _] = parts[..] else { return false };
            [a, b, c, d] == ["projects", "locations", "keyRings", "cryptoKeys"]
                && parts.iter().all(|part| !part.is_empty())
        }
        VAULT_KEY => {
            (1..=127).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        SECRET_NAME => check_secret_name(text).is_ok(),
        HOST_AND_PORT => text.split_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.chars().any(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        }),
        _ => true,
    }
}

/// What a pattern asks for.
pub(crate) fn in_words(pattern: &str) -> &'static str {
    match pattern {
        ACCOUNT => "an account's number of twelve digits, in quotes",
        REGION => "a region of AWS, as in `eu-central-1`",
        MAIL => "a mail address",
        DAY => "a day, as in `2025-01-01`",
        RECIPIENT => "an age recipient, which begins with `age1`",
        GCP_KEY => "a key as in `projects/P/locations/L/keyRings/R/cryptoKeys/K`",
        VAULT_KEY => "a key's name of letters, digits and dashes",
        SECRET_NAME => "a secret's name of letters, digits, `_` and `-`, a letter or `_` first",
        HOST_AND_PORT => "a host and a port, as in `smtp.example.com:587`",
        _ => "of another form",
    }
}

const ACCOUNT: &str = r"^[0-9]{12}$";
const REGION: &str = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$";
const MAIL: &str = r"^[^@\s]+@[^@\s]+$";
const DAY: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const RECIPIENT: &str = r"^age1[02-9ac-hj-np-z]{58}$";
const GCP_KEY: &str = r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$";
const VAULT_KEY: &str = r"^[0-9A-Za-z-]{1,127}$";
/// The form of [`check_secret_name`].
pub(super) const SECRET_NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,99}$";
const HOST_AND_PORT: &str = r"^[^:\s]+:[0-9]+$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_schema_is_known() {
        fn walk(value: &serde_json::Value, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| match value.as_str() {
                    Some(pattern) if key == "pattern" => found.push(pattern.to_owned()),
                    _ => walk(value, found),
                }),
                serde_json::Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        walk(&crate::file::schema(), &mut found);
        assert!(!found.is_empty());
        for pattern in found {
            assert_ne!(in_words(&pattern), "of another form", "{pattern}");
        }
    }
}
