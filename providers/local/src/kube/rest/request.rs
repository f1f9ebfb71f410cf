//! What a request asks for.

use std::collections::HashMap;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, header};

/// A request with everything that matters taken apart.
#[derive(Debug)]
pub(crate) struct Ask {
    pub method: Method,
    pub path: String,
    query: HashMap<String, Vec<String>>,
    headers: HeaderMap,
    pub body: Bytes,
}

/// The parts of a resource path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
    /// The old `/watch/` prefix.
    pub watch: bool,
}

impl Ask {
    /// Takes a request apart.
    pub fn new(parts: Parts, body: Bytes) -> Self {
        let mut query: HashMap<String, Vec<String>> = HashMap::new();
        for pair in parts.uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.entry(unescape(key)).or_default().push(unescape(value));
        }
        Self { method: parts.method, path: parts.uri.path().to_owned(), query, headers: parts.headers, body }
    }

    /// A query parameter.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query.get(key)?.first().map(String::as_str)
    }

    /// Whether a query parameter says yes.
    pub fn flag(&self, key: &str) -> bool {
        self.query(key).is_some_and(|v| matches!(v, "true" | "1"))
    }

    /// All values of a query parameter.
    pub fn all(&self, key: &str) -> &[String] {
        self.query.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// A header.
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The content type without parameters.
    pub fn content_type(&self) -> &str {
        let full = self.header(header::CONTENT_TYPE);
        full.split(';').next().unwrap_or_default().trim()
    }

    /// The field manager: what the request says, or the program's name.
    pub fn manager(&self) -> String {
        match self.query("fieldManager") {
            Some(given) if !given.is_empty() => given.to_owned(),
            _ => {
                let agent = self.header(header::USER_AGENT);
                let program = agent.split('/').next().unwrap_or_default();
                if program.is_empty() { "unknown".into() } else { program.to_owned() }
            }
        }
    }
}

/// The segments of a path, unescaped.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).map(unescape).collect()
}

/// Reads a resource path; none when it is not one.
pub(crate) fn target(path: &str) -> Option<Target> {
    let parts = segments(path);
    let mut rest: &[String] = &parts;
    let mut target = Target::default();
    match rest.first()?.as_str() {
        "api" => {
            target.version.clone_from(rest.get(1)?);
            rest = &rest[2..];
        }
        "apis" => {
            target.group.clone_from(rest.get(1)?);
            target.version.clone_from(rest.get(2)?);
            rest = &rest[3..];
        }
        _ => return None,
    }
    if rest.first().is_some_and(|s| s == "watch") {
        target.watch = true;
        rest = &rest[1..];
    }
    // "namespaces/x/pods" goes into a namespace, "namespaces/x/status" does not.
    let inside = rest.len() > 2
        && rest[0] == "namespaces"
        && !(target.group.is_empty() && matches!(rest[2].as_str(), "status" | "finalize"));
    if inside {
        target.namespace.clone_from(&rest[1]);
        rest = &rest[2..];
    }
    target.plural.clone_from(rest.first()?);
    target.name = rest.get(1).cloned().unwrap_or_default();
    target.subresource = rest.get(2).cloned().unwrap_or_default();
    (rest.len() <= 3 || target.subresource == "proxy").then_some(target)
}

/// Undoes percent and plus encoding; what is not valid stays as it is.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[index], hex(index + 1), hex(index + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                index += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                index += 1;
            }
            (byte, ..) => {
                out.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let t = target("/apis/apps/v1/namespaces/a/deployments/b/scale").expect("resource");
        assert_eq!(
            (
                t.group.as_str(),
                t.plural.as_str(),
                t.namespace.as_str(),
                t.name.as_str(),
                t.subresource.as_str()
            ),
            ("apps", "deployments", "a", "b", "scale")
        );
        let t = target("/api/v1/namespaces/x").expect("resource");
        assert_eq!((t.plural.as_str(), t.name.as_str(), t.namespace.as_str()), ("namespaces", "x", ""));
        let t = target("/api/v1/namespaces/x/status").expect("resource");
        assert_eq!((t.name.as_str(), t.subresource.as_str()), ("x", "status"));
        let t = target("/api/v1/namespaces/x/pods").expect("resource");
        assert_eq!((t.namespace.as_str(), t.plural.as_str()), ("x", "pods"));
        assert_eq!(target("/healthz"), None);
        assert_eq!(unescape("a%3Db+c%"), "a=b c%");
    }
}
