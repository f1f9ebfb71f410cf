//! What a state URL means.

use std::path::PathBuf;

use crate::{Error, Result};

const WORKS: &str = "file:///absolute/folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, \
                     postgres://user@host/database and memory:// work";

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Memory,
    S3(Bucket),
    Gcs(Bucket),
    Azure(Bucket),
    Postgres(Database),
}

/// A bucket or container, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub name: String,
    pub prefix: String,
    pub query: Vec<(String, String)>,
}

/// A database, in the form that its client reads, and our own parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Database {
    /// The URL without parameters.
    pub base: String,
    pub query: Vec<(String, String)>,
}

pub(super) fn bad(url: &str, why: impl Into<String>) -> Error {
    Error::Url { url: without_secrets(url), why: why.into() }
}

/// A URL as it may be shown: without its password and parameters.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(base, _)| base);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    if scheme == "file" {
        return url.to_owned();
    }
    match rest.rsplit_once('@') {
        None => url.to_owned(),
        Some((user, rest)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}@{rest}")
        }
    }
}

/// A URL without its password and the parameters that may hold keys: it may be recorded, and still leads there for
/// whoever has these from elsewhere.
pub fn shown_url(url: &str) -> String {
    let base = without_secrets(url);
    let Some((_, query)) = url.split_once('?').filter(|_| !url.starts_with("file://")) else { return base };
    let telling = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name).to_ascii_lowercase();
        name == "sse_kms_key_id"
            || !["password", "secret", "key", "token", "sas", "credential"]
                .iter()
                .any(|word| name.contains(word))
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).filter(telling).collect();
    if kept.is_empty() { base } else { format!("{base}?{}", kept.join("&")) }
}

pub(super) fn parse(url: &str) -> Result<Place> {
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| bad(url, format!("it has no scheme; {WORKS}")))?;
    match scheme {
        "memory" if rest.is_empty() => Ok(Place::Memory),
        "memory" => Err(bad(url, "memory:// takes no path")),
        "file" => folder(url, rest).map(Place::Folder),
        "s3" => bucket(url, "s3", rest).map(Place::S3),
        "gs" => bucket(url, "gs", rest).map(Place::Gcs),
        "az" => bucket(url, "az", rest).map(Place::Azure),
        "postgres" | "postgresql" => database(url, rest).map(Place::Postgres),
        other => {
            let instead = match other {
                "gcs" => "; write gs:// for Google Cloud Storage",
                "azure" | "abfs" | "abfss" | "azblob" => "; write az:// for Azure Blob Storage",
                "s3a" | "s3n" => "; write s3://",
                "pg" => "; write postgres://",
                "http" | "https" => {
                    "; an S3-compatible server is named by s3://bucket/prefix?endpoint=https://server"
                }
                _ => "",
            };
            Err(bad(url, format!("`{other}://` is not supported; {WORKS}{instead}")))
        }
    }
}

fn folder(url: &str, rest: &str) -> Result<PathBuf> {
    let path = without_host(rest);
    if !path.starts_with('/') {
        let why =
            "a file URL takes an absolute path, with three slashes: file:///absolute/folder, not file://";
        return Err(bad(url, format!("{why}{rest}")));
    }
    let path = percent_decode(path).ok_or_else(|| {
        bad(
            url,
            "a `%` must be followed by two hexadecimal digits and the path be UTF-8; write %25 for a percent sign",
        )
    })?;
    if path.contains(['\0', '\n', '\r']) {
        return Err(bad(url, "the path holds a control character"));
    }
    Ok(PathBuf::from(path))
}

fn bucket(url: &str, scheme: &str, rest: &str) -> Result<Bucket> {
    let what = if scheme == "az" { "container" } else { "bucket" };
    let (path, query) = query(url, rest)?;
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() {
        return Err(bad(url, format!("it names no {what}: {scheme}://{what}/prefix")));
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_')) {
        let why =
            format!("`{name}` is no {what}'s name: lower-case letters, digits, `-`, `.` and `_` are allowed");
        return Err(bad(url, why));
    }
    let prefix = prefix.trim_matches('/');
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    let part = |part: &str| !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(allowed);
    if !prefix.is_empty() && !prefix.split('/').all(part) {
        let why = format!(
            "the prefix `{prefix}` may hold letters, digits, `-`, `_`, `.` and `=`, with single slashes"
        );
        return Err(bad(url, why));
    }
    Ok(Bucket { name: name.to_owned(), prefix: prefix.to_owned(), query })
}

fn database(url: &str, rest: &str) -> Result<Database> {
    let (path, query) = query(url, rest)?;
    let host = path.rsplit_once('@').map_or(path, |(_, host)| host);
    if host.split_once('/').is_none_or(|(_, database)| database.is_empty()) {
        return Err(bad(url, "it names no database: postgres://user@host/database"));
    }
    Ok(Database { base: format!("postgres://{path}"), query })
}

/// A URL's path, and its parameters, decoded.
fn query<'a>(url: &str, rest: &'a str) -> Result<(&'a str, Vec<(String, String)>)> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.contains('#') || query.contains('#') {
        return Err(bad(url, "`#` has no meaning in it; write %23 in a parameter"));
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let value = percent_decode(value).ok_or_else(|| {
            bad(url, format!("the parameter `{name}` has a `%` without two hexadecimal digits"))
        })?;
        if pairs.iter().any(|(other, _)| other == name) {
            return Err(bad(url, format!("the parameter `{name}` stands there twice")));
        }
        pairs.push((name.to_owned(), value));
    }
    Ok((path, pairs))
}

/// A parameter that is not known, with those that are.
pub(super) fn unknown(url: &str, name: &str, known: &[&str]) -> Error {
    bad(url, format!("it has no parameter `{name}`; there are {}", known.join(", ")))
}

/// The folder that a `file://` URL names; `None` for other URLs and malformed ones.
pub fn folder_of(url: &str) -> Option<PathBuf> {
    Some(PathBuf::from(percent_decode(without_host(url.strip_prefix("file://")?))?))
}

fn without_host(rest: &str) -> &str {
    rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_name_a_prefix_and_parameters() {
        let Ok(Place::S3(bucket)) =
            parse("s3://state/team/one/?region=eu-west-1&endpoint=http%3A%2F%2Fx:9000&allow_http")
        else {
            panic!("not a bucket")
        };
        assert_eq!((bucket.name.as_str(), bucket.prefix.as_str()), ("state", "team/one"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query =
            [pair("region", "eu-west-1"), pair("endpoint", "http://x:9000"), pair("allow_http", "true")];
        assert_eq!(bucket.query, query);
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        for (url, why) in [
            ("s3://", "names no bucket"),
            ("az:///x", "names no container"),
            ("s3://Bucket", "lower-case"),
            ("s3://b/../c", "single slashes"),
            ("s3://b/a//c", "single slashes"),
            ("s3://b?region=a&region=b", "twice"),
            ("s3://b?region=%z", "hexadecimal"),
            ("gs://b#c", "`#`"),
            ("gcs://b", "write gs://"),
            ("https://b", "endpoint="),
            ("postgres://host", "names no database"),
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_recorded_of_a_url_leads_there_and_opens_nothing() {
        for (url, shown) in [
            ("postgres://me:hunter2@host/db?password=hunter2&table=t", "postgres://me@host/db?table=t"),
            ("s3://b/p?region=eu-west-1&secret_access_key=hunter2", "s3://b/p?region=eu-west-1"),
            ("s3://b?sse_kms_key_id=alias/x", "s3://b?sse_kms_key_id=alias/x"),
            ("az://c?sas_token=hunter2", "az://c"),
            ("file:///a@b", "file:///a@b"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }

    #[test]
    fn no_password_is_shown() {
        for url in ["postgres://me:hunter2@host/db?password=hunter2", "s3://b?secret=hunter2"] {
            assert!(!without_secrets(url).contains("hunter2"), "{url}");
        }
        assert_eq!(without_secrets("postgres://me:p@ss@host/db"), "postgres://me@host/db");
        assert_eq!(without_secrets("file:///a@b"), "file:///a@b");
    }
}
