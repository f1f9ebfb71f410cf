//! Admission webhooks that have an address: a real one, over TLS, in this process.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::common::{get, merge, post, still};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What the webhook says to a review's request.
fn opinion(request: &Value) -> Value {
    let object = &request["object"];
    let mut response = json!({"uid": request["uid"], "allowed": true, "warnings": ["seen"]});
    if object["data"]["forbidden"].is_string() {
        response["allowed"] = json!(false);
        response["status"] = json!({"message": "no such data", "code": 403});
    }
    let patch =
        json!([{"op": "add", "path": "/metadata/labels", "value": {"stamped": request["operation"]}}]);
    response["patchType"] = json!("JSONPatch");
    response["patch"] = json!(BASE64.encode(patch.to_string()));
    response
}

/// Serves the webhook until the test ends; gives its port and its authority.
async fn serve() -> (u16, String) {
    let key = rcgen::KeyPair::generate().expect("key");
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    let certificate = params.self_signed(&key).expect("signs");
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .expect("certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(async |request: http::Request<hyper::body::Incoming>| {
                    let bytes = request.into_body().collect().await?.to_bytes();
                    let review: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                    let answer = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
                        "response": opinion(&review["request"])});
                    let body = Full::new(bytes::Bytes::from(answer.to_string()));
                    Ok::<_, hyper::Error>(http::Response::new(body))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (port, certificate.pem())
}

fn configuration(kind: &str, url: &str, bundle: &str, policy: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "ours"}, "webhooks": [{
        "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": policy,
        "timeoutSeconds": 2, "clientConfig": {"url": url, "caBundle": BASE64.encode(bundle)},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]}]})
}

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_with_an_address_are_called() {
    let api = still();
    let (port, authority) = serve().await;
    let url = format!("https://127.0.0.1:{port}/admit");
    let hook = configuration("MutatingWebhookConfiguration", &url, &authority, "Fail");
    let made = post(&api, MUTATING, hook).await;
    assert_eq!(made.code, 201, "{:#}", made.body);
    let stamped = post(&api, MAPS, map("a", json!({"x": "y"}))).await;
    assert_eq!(stamped.code, 201, "{:#}", stamped.body);
    assert_eq!(stamped.body["metadata"]["labels"], json!({"stamped": "CREATE"}));
    assert_eq!(stamped.warnings, ["299 - \"seen\""]);
    let changed = merge(&api, &format!("{MAPS}/a"), json!({"data": {"x": "z"}})).await;
    assert_eq!(changed.body["metadata"]["labels"], json!({"stamped": "UPDATE"}));
    let denied = post(&api, MAPS, map("b", json!({"forbidden": "yes"}))).await;
    let why = "admission webhook \"a.example.com\" denied the request: no such data";
    assert_eq!((denied.code, denied.message()), (403, why));
    let dry = post(&api, &format!("{MAPS}?dryRun=All"), map("c", json!({}))).await;
    assert_eq!(dry.body["metadata"]["labels"], json!({"stamped": "CREATE"}));
    assert_eq!(get(&api, &format!("{MAPS}/c")).await.code, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_that_cannot_be_trusted_or_reached_fail_by_their_policy() {
    let api = still();
    let (port, _) = serve().await;
    let (_, stranger) = serve().await;
    let url = format!("https://127.0.0.1:{port}/admit");
    post(&api, MUTATING, configuration("MutatingWebhookConfiguration", &url, &stranger, "Fail")).await;
    let refused = post(&api, MAPS, map("a", json!({}))).await;
    assert_eq!((refused.code, refused.body["reason"].as_str()), (500, Some("InternalError")));
    let why = format!(
        "Internal error occurred: failed calling webhook \"a.example.com\": failed to call webhook: Post \"{url}?timeout=2s\": tls: failed to verify certificate: x509: certificate signed by unknown authority"
    );
    assert_eq!(refused.message(), why);
    let closed = json!({"webhooks": [{"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore", "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]});
    merge(&api, &format!("{MUTATING}/ours"), closed).await;
    assert_eq!(post(&api, MAPS, map("a", json!({}))).await.code, 201);
    let plain = configuration("MutatingWebhookConfiguration", "http://127.0.0.1:1/", "", "Fail");
    let refused = merge(&api, &format!("{MUTATING}/ours"), plain).await;
    assert_eq!(
        refused.body["details"]["causes"][0]["message"],
        "Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"
    );
}
