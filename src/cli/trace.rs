//! Where traces of a command go: `--trace FILE`, and the variables that every exporter of OpenTelemetry reads.

use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::failure::Failure;
use crate::trace::{Collector, Destinations, Encoding, Tracing, start};

/// Begins to trace, if anything asks for it.
///
/// # Errors
/// When the file cannot be made, or a variable says what cannot be done.
pub fn begin(file: Option<&Path>) -> Result<Tracing, Failure> {
    let collector = collector(&|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))?;
    start(Destinations { file, collector }).map_err(|error| match file {
        Some(file) => Failure::new(format!("the trace cannot be written to {}: {error}", file.display())),
        None => Failure::new(format!("traces cannot be exported: {error}")),
    })
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn collector(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Collector>, Failure> {
    let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let none = variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    if disabled || none {
        return Ok(None);
    }
    // What is said of traces goes before what is said of everything.
    let of_traces = |what: &str| {
        let own = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
        own.or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{what}")))
    };
    let url = match variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(whole) => whole,
        None => match variable(ENDPOINT) {
            Some(base) => format!("{}/v1/traces", base.trim_end_matches('/')),
            None => return Ok(None),
        },
    };
    let wrong = |why: String| Failure::new(format!("traces cannot be exported to `{url}`: {why}"));
    let uri: http::Uri = url.trim().parse().map_err(|_| {
        wrong("it is not a URL".to_owned())
            .help(format!("set {ENDPOINT} to one such as http://localhost:4318"))
    })?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(wrong("it is not an HTTP URL".to_owned())
            .help(format!("set {ENDPOINT} to one such as http://localhost:4318")));
    }
    let encoding = match of_traces("PROTOCOL").as_deref() {
        None | Some("http/protobuf") => Encoding::Protobuf,
        Some("http/json") => Encoding::Json,
        Some(other) => {
            return Err(wrong(format!("the protocol `{other}` is not supported"))
                .help("set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf or http/json, and the endpoint to a port that speaks it (usually 4318)"));
        }
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(&of_traces("HEADERS").unwrap_or_default()) {
        // The value may be a credential and is never shown.
        let bad = || wrong(format!("the header `{name}` in OTEL_EXPORTER_OTLP_HEADERS is malformed"));
        let mut secret = HeaderValue::from_str(&value).map_err(|_| bad())?;
        secret.set_sensitive(true);
        headers.insert(HeaderName::try_from(&name).map_err(|_| bad())?, secret);
    }
    let mut resource = pairs(&variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    let name = variable("OTEL_SERVICE_NAME");
    if name.is_some() || !resource.iter().any(|(key, _)| key == "service.name") {
        resource.retain(|(key, _)| key != "service.name");
        resource.insert(0, ("service.name".to_owned(), name.unwrap_or_else(|| "plinth".to_owned())));
    }
    resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    Ok(Some(Collector { url: uri, headers, encoding, resource }))
}

/// `key=value,key=value`; values are percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.trim().to_owned(), decoded(value.trim())))
    };
    text.split(',').filter_map(pair).filter(|(key, _)| !key.is_empty()).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Collector>, Failure> {
        collector(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_of_opentelemetry_are_understood() {
        assert!(of(&[]).unwrap().is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        let found = of(&[endpoint]).unwrap().unwrap();
        assert_eq!(found.url, "http://collector:4318/v1/traces");
        assert_eq!(found.encoding, Encoding::Protobuf);
        assert_eq!(found.resource[0], ("service.name".to_owned(), "plinth".to_owned()));
        let found = of(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/own/path"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20abc, x-scope = 7"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=obs"),
            ("OTEL_SERVICE_NAME", "ours"),
        ]);
        let found = found.unwrap().unwrap();
        assert_eq!(found.url, "https://other/own/path");
        assert_eq!(found.encoding, Encoding::Json);
        assert_eq!(found.headers["authorization"], "Basic abc");
        assert_eq!(found.headers["x-scope"], "7");
        assert!(!format!("{:?}", found.headers).contains("Basic abc"));
        let text = |pair: &(String, String)| format!("{}={}", pair.0, pair.1);
        assert_eq!(
            found.resource[..2].iter().map(text).collect::<Vec<_>>(),
            ["service.name=ours", "team=obs"]
        );
        assert!(of(&[endpoint, ("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_to_do() {
        for (name, value) in
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]
        {
            assert!(of(&[(name, value)]).is_err(), "{value}");
        }
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        assert!(of(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_err());
    }
}
