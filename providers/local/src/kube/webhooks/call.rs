//! Calling a webhook that has an address of its own: over TLS, trusted by its bundle alone.
//!
//! Nothing here may run on a thread that drives tasks: who calls waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::json::{Json, Look};

/// Asks a webhook and gives its `response`; the error is why it could not be asked.
pub(super) fn ask(hook: &Json, review: &Json) -> Result<Json, String> {
    let seconds = hook.int("timeoutSeconds").unwrap_or(10).clamp(1, 30).unsigned_abs();
    let url = hook.text("clientConfig.url");
    let joiner = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joiner}timeout={seconds}s");
    let failed = |why: String| format!("Post \"{url}\": {why}");
    let handle = tokio::runtime::Handle::try_current().map_err(|error| failed(error.to_string()))?;
    let exchange = exchange(&url, hook.text("clientConfig.caBundle"), review.to_string());
    let answer = handle.block_on(tokio::time::timeout(Duration::from_secs(seconds), exchange));
    match answer {
        Ok(Ok(bytes)) => {
            let answer: Json = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
            match answer.get("response").filter(|r| r.is_object()) {
                Some(response) => Ok(response.clone()),
                None => Err("webhook response was absent".to_owned()),
            }
        }
        Ok(Err(why)) => Err(failed(why)),
        Err(_) => Err(failed("context deadline exceeded".to_owned())),
    }
}

async fn exchange(url: &str, bundle: &str, body: String) -> Result<Bytes, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let uri: Uri = url.parse().map_err(|error| text(&error))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|_| format!("dial tcp {host}:{port}: connect: connection refused"))?;
    let name = ServerName::try_from(host).map_err(|error| text(&error))?;
    let stream =
        TlsConnector::from(Arc::new(trusting(bundle)?)).connect(name, stream).await.map_err(|_| {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
        })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
    let driver = tokio::spawn(connection);
    let request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| text(&error))?;
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|error| text(&error))?.to_bytes();
    driver.abort();
    if !status.is_success() {
        return Err(format!("the server answered {status}"));
    }
    Ok(bytes)
}

fn trusting(bundle: &str) -> Result<ClientConfig, String> {
    let pem = BASE64.decode(bundle).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
