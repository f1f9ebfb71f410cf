//! Export by OTLP over HTTP, as protocol buffers or as JSON. A thread of its own does it: a collector that is slow or
//! dead costs spans and never a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::layer::Sink;
use super::protobuf::Message as Proto;
use super::{Attribute, Begun, Closed};

/// Spans that wait for their export at most.
const WAITING: usize = 1 << 16;
/// Spans of one request at most.
const BATCH: usize = 512;
/// How often what there is is sent.
const EVERY: Duration = Duration::from_secs(1);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(2);

/// A collector of traces.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Where traces are taken: the whole URL.
    pub url: http::Uri,
    /// Headers of every request; they may hold credentials.
    pub headers: http::HeaderMap,
    /// How spans are written.
    pub encoding: Encoding,
    /// What the spans are of: `service.name` and more.
    pub resource: Vec<(String, String)>,
}

/// How spans are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As protocol buffers.
    #[default]
    Protobuf,
    /// As JSON.
    Json,
}

enum Message {
    Closed(Closed),
    /// The end: by then everything is to be sent.
    End(Instant),
}

/// Exports spans.
#[derive(Debug)]
pub(super) struct Exporter {
    messages: SyncSender<Message>,
    thread: JoinHandle<()>,
    lost: Arc<AtomicU64>,
    url: http::Uri,
}

/// Where spans to be exported are handed in.
pub(super) struct Input {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Sink for Input {
    fn begun(&self, _span: &Begun) {}

    fn closed(&self, span: &Closed) {
        if let Err(TrySendError::Full(_)) = self.messages.try_send(Message::Closed(span.clone())) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Exporter {
    /// Begins to export. Nothing is asked of the collector before there is a span.
    pub fn start(collector: Collector) -> std::io::Result<(Self, Input)> {
        let (messages, received) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let url = collector.url.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counter = lost.clone();
        let thread = std::thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            let sender = Sender::new(collector, counter);
            runtime.block_on(sender.run(&received));
            // Whatever a dead collector still keeps busy is dropped.
            runtime.shutdown_background();
        })?;
        let input = Input { messages: messages.clone(), lost: lost.clone() };
        Ok((Self { messages, thread, lost, url }, input))
    }

    /// Sends what there is, as far as that gets within `patience`. Says what was lost.
    pub fn finish(self, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        // A full queue means a collector that cannot keep up: what is in it is what gets sent.
        let mut end = Message::End(deadline);
        while let Err(TrySendError::Full(back)) = self.messages.try_send(end) {
            if Instant::now() >= deadline {
                break;
            }
            end = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let lost = self.lost.load(Ordering::Relaxed);
        if self.thread.is_finished() && lost == 0 {
            return None;
        }
        let origin = self.url.authority().map(ToString::to_string).unwrap_or_default();
        Some(if lost == 0 {
            format!("the trace did not get to {origin} in time")
        } else {
            format!("{lost} spans of the trace did not get to {origin}")
        })
    }
}

struct Sender {
    collector: Collector,
    client:
        Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, Full<Bytes>>,
    trace: [u8; 16],
    lost: Arc<AtomicU64>,
}

impl Sender {
    fn new(collector: Collector, lost: Arc<AtomicU64>) -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(collector.url.scheme() == Some(&http::uri::Scheme::HTTPS)))
            .https_or_http()
            .enable_http1()
            .build();
        Self {
            collector,
            client: Client::builder(TokioExecutor::new()).build(connector),
            trace: *uuid::Uuid::new_v4().as_bytes(),
            lost,
        }
    }

    async fn run(&self, messages: &Receiver<Message>) {
        let mut waiting = Vec::new();
        let mut since = Instant::now();
        loop {
            let end = match messages.recv_timeout(EVERY.saturating_sub(since.elapsed())) {
                Ok(Message::Closed(span)) => {
                    waiting.push(span);
                    None
                }
                Ok(Message::End(deadline)) => Some(deadline),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if waiting.len() >= BATCH || since.elapsed() >= EVERY || end.is_some() {
                since = Instant::now();
                for batch in std::mem::take(&mut waiting).chunks(BATCH) {
                    let deadline = end.unwrap_or_else(|| Instant::now() + REQUEST);
                    if !self.send(batch, deadline).await {
                        self.lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    }
                }
            }
            if end.is_some() {
                return;
            }
        }
    }

    async fn send(&self, batch: &[Closed], deadline: Instant) -> bool {
        let (kind, body) = match self.collector.encoding {
            Encoding::Protobuf => ("application/x-protobuf", self.protobuf(batch)),
            Encoding::Json => ("application/json", self.json(batch).to_string().into_bytes()),
        };
        let mut request = http::Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.collector.url.clone();
        *request.headers_mut() = self.collector.headers.clone();
        request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        let sent = tokio::time::timeout_at(deadline.into(), self.client.request(request)).await;
        matches!(sent, Ok(Ok(response)) if response.status().is_success())
    }

    /// A span's id beyond this process.
    fn id(&self, id: u64) -> [u8; 8] {
        let salt = u64::from_le_bytes(self.trace[..8].try_into().unwrap_or_default());
        // Odd, so that different ids stay different.
        (id ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1).to_be_bytes()
    }

    fn protobuf(&self, batch: &[Closed]) -> Vec<u8> {
        let attribute = |key: &str, value: &Attribute| {
            let value = match value {
                Attribute::Text(text) => Proto::default().bytes(1, text),
                Attribute::Flag(flag) => Proto::default().number(2, u64::from(*flag)),
                Attribute::Number(number) => Proto::default().number(3, number.cast_unsigned()),
            };
            Proto::default().bytes(1, key).messages(2, [value])
        };
        let spans = batch.iter().map(|span| {
            let begun = &span.begun;
            let message = Proto::default().bytes(1, self.trace).bytes(2, self.id(begun.id));
            let message = match begun.parent {
                Some(parent) => message.bytes(4, self.id(parent)),
                None => message,
            };
            let message = message
                .bytes(5, begun.name)
                .number(6, INTERNAL)
                .fixed(7, nanos(begun.at))
                .fixed(8, nanos(span.at))
                .messages(9, begun.attributes.iter().map(|(key, value)| attribute(key, value)));
            if failed(span) { message.messages(15, [Proto::default().number(3, ERROR)]) } else { message }
        });
        let scope = Proto::default().bytes(1, "plinth").bytes(2, env!("CARGO_PKG_VERSION"));
        let resource = self.collector.resource.iter();
        let resource = resource.map(|(key, value)| attribute(key, &Attribute::Text(value.clone())));
        let scoped = Proto::default().messages(1, [scope]).messages(2, spans);
        let whole =
            Proto::default().messages(1, [Proto::default().messages(1, resource)]).messages(2, [scoped]);
        Proto::default().messages(1, [whole]).finish()
    }

    fn json(&self, batch: &[Closed]) -> Value {
        let attribute = |key: &str, value: &Attribute| {
            let value = match value {
                Attribute::Text(text) => json!({ "stringValue": text }),
                Attribute::Flag(flag) => json!({ "boolValue": flag }),
                // Numbers of 64 bits are texts in this form.
                Attribute::Number(number) => json!({ "intValue": number.to_string() }),
            };
            json!({ "key": key, "value": value })
        };
        let spans: Vec<Value> = batch
            .iter()
            .map(|span| {
                let begun = &span.begun;
                let attributes: Vec<Value> =
                    begun.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
                let mut json = json!({
                    "traceId": hex(&self.trace), "spanId": hex(&self.id(begun.id)), "name": begun.name,
                    "kind": INTERNAL, "startTimeUnixNano": nanos(begun.at).to_string(),
                    "endTimeUnixNano": nanos(span.at).to_string(), "attributes": attributes,
                });
                if let Some(parent) = begun.parent {
                    json["parentSpanId"] = hex(&self.id(parent)).into();
                }
                if failed(span) {
                    json["status"] = json!({ "code": ERROR });
                }
                json
            })
            .collect();
        let resource = self.collector.resource.iter();
        let resource: Vec<Value> =
            resource.map(|(key, value)| attribute(key, &Attribute::Text(value.clone()))).collect();
        let scope = json!({ "name": "plinth", "version": env!("CARGO_PKG_VERSION") });
        json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }] })
    }
}

/// Trusts what the system trusts. Reading that takes a while, and only TLS needs it.
fn tls(needed: bool) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    if needed {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    builder
        .with_safe_default_protocol_versions()
        .expect("ring has the usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A span inside of one program.
const INTERNAL: u64 = 1;
/// A span that failed.
const ERROR: u64 = 2;

fn failed(span: &Closed) -> bool {
    span.begun.attributes.iter().any(|(key, _)| *key == "error")
}

fn nanos(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn collector(url: &str, encoding: Encoding) -> Collector {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-key", http::HeaderValue::from_static("k"));
        let resource = vec![("service.name".to_owned(), "plinth".to_owned())];
        Collector { url: url.parse().unwrap(), headers, encoding, resource }
    }

    fn span(id: u64, parent: Option<u64>) -> Closed {
        let at = UNIX_EPOCH + Duration::from_secs(id);
        let attributes = vec![
            ("urn", Attribute::Text("plinth:s::plinth:Data::a".to_owned())),
            ("attempt", Attribute::Number(-2)),
        ];
        let begun = Begun { id, parent, name: "step", at, attributes };
        Closed { begun, at: at + Duration::from_millis(5) }
    }

    /// Answers one request, and gives its head and body.
    fn serve(listener: TcpListener) -> JoinHandle<(String, Vec<u8>)> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut buffer).unwrap();
                bytes.extend(&buffer[..read]);
                let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                let length: usize = length.unwrap();
                if bytes.len() >= end + 4 + length {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                    return (head, bytes[end + 4..].to_vec());
                }
            }
        })
    }

    fn exported(encoding: Encoding) -> (String, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let served = serve(listener);
        let (exporter, input) = Exporter::start(collector(&url, encoding)).unwrap();
        input.closed(&span(2, Some(1)));
        input.closed(&span(1, None));
        assert_eq!(exporter.finish(Duration::from_secs(20)), None);
        served.join().unwrap()
    }

    #[test]
    fn json_arrives() {
        let (head, body) = exported(Encoding::Json);
        assert!(head.starts_with("post /v1/traces") && head.contains("x-key: k"), "{head}");
        let json: Value = serde_json::from_slice(&body).unwrap();
        let spans = &json["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["parentSpanId"], spans[1]["spanId"]);
        assert_eq!(spans[0]["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(spans[1]["startTimeUnixNano"], "1000000000");
        assert_eq!(spans[1]["attributes"][1]["value"]["intValue"], "-2");
        let name = &json["resourceSpans"][0]["resource"]["attributes"][0];
        assert_eq!((&name["key"], &name["value"]["stringValue"]), (&"service.name".into(), &"plinth".into()));
    }

    /// The fields of a message: number and payload; payloads of numbers are eight bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let (first, rest) = bytes.split_first().unwrap();
                *bytes = rest;
                value |= u64::from(first & 0x7f) << shift;
                shift += 7;
                if first & 0x80 == 0 {
                    return value;
                }
            }
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let length = match tag & 7 {
                0 => {
                    found.push((tag >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                wire => panic!("wire type {wire}"),
            };
            let (payload, rest) = bytes.split_at(length);
            found.push((tag >> 3, payload.to_vec()));
            bytes = rest;
        }
        found
    }

    fn all(bytes: &[u8], field: u64) -> Vec<Vec<u8>> {
        fields(bytes).into_iter().filter(|(found, _)| *found == field).map(|(_, payload)| payload).collect()
    }

    #[test]
    fn protocol_buffers_arrive() {
        let (head, body) = exported(Encoding::Protobuf);
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        let resource_spans = all(&body, 1).remove(0);
        let scope_spans = all(&resource_spans, 2).remove(0);
        let spans = all(&scope_spans, 2);
        assert_eq!(spans.len(), 2);
        assert_eq!(all(&spans[0], 4), all(&spans[1], 2), "the child names its parent");
        assert_eq!(all(&spans[0], 1)[0].len(), 16);
        assert_eq!(all(&spans[0], 5)[0], b"step");
        assert_eq!(all(&spans[1], 7)[0], 1_000_000_000u64.to_le_bytes());
        let attributes = all(&spans[0], 9);
        assert_eq!(all(&attributes[0], 1)[0], b"urn");
        assert_eq!(all(&all(&attributes[1], 2)[0], 3)[0], (-2i64).to_le_bytes());
        let resource = all(&resource_spans, 1).remove(0);
        assert_eq!(all(&all(&resource, 1)[0], 1)[0], b"service.name");
    }

    #[test]
    fn a_collector_that_is_gone_or_silent_costs_no_more_than_the_patience() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        for address in [gone, silent.local_addr().unwrap()] {
            let url = format!("http://{address}/v1/traces");
            let (exporter, input) = Exporter::start(collector(&url, Encoding::Json)).unwrap();
            let begun = Instant::now();
            (0..10_000).for_each(|id| input.closed(&span(id, None)));
            let lost = exporter.finish(Duration::from_millis(300)).expect("something is lost");
            assert!(lost.contains(&address.to_string()), "{lost}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
    }
}
