//! A door before a Kubernetes API, as EKS has one: TLS under an authority of its own, and in by a token that AWS signed.
//! Pods seen through it have what EKS's webhook gives them at their admission: the address of their credentials, when their
//! service account had a role by then.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::eks::{Eks, PodIdentities};
use crate::proxy::Background;

/// By this variable the SDKs find the credentials of a pod.
const CREDENTIALS: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

type Body = BoxBody<Bytes, hyper::Error>;

/// A door before a Kubernetes API. Ends when it is dropped.
#[derive(Debug)]
pub struct EksDoor {
    background: Background,
    authority: String,
    tokens: Arc<Mutex<BTreeSet<String>>>,
    webhook: Arc<Mutex<Webhook>>,
}

/// What gives pods their identities.
#[derive(Default)]
struct Webhook {
    identities: Option<PodIdentities>,
    /// How many more pods it does not know yet when they are admitted.
    late: usize,
    /// The pods that it did not know.
    unknown: BTreeSet<String>,
    known: BTreeSet<String>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("late", &self.late).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Whether a pod has a role.
    fn knows(&mut self, cluster: &str, pod: &Json) -> bool {
        let text = |path: &str| pod.pointer(path).and_then(Json::as_str).unwrap_or_default();
        let account = text("/spec/serviceAccountName");
        let since = self.identities.as_ref();
        let since = since.and_then(|held| held.since(cluster, text("/metadata/namespace"), account));
        let made = text("/metadata/creationTimestamp").parse::<jiff::Timestamp>();
        // A pod tells whole seconds.
        let (Some(since), Ok(made)) = (since, made) else { return false };
        let uid = text("/metadata/uid").to_owned();
        if self.unknown.contains(&uid) || (made.as_second() as f64) < since.floor() {
            return false;
        }
        if self.late > 0 && !self.known.contains(&uid) {
            self.late -= 1;
            self.unknown.insert(uid);
            return false;
        }
        self.known.insert(uid);
        true
    }

    /// A list of pods as the cluster has them.
    fn pods(&mut self, cluster: &str, list: &mut Json) {
        for pod in list["items"].as_array_mut().into_iter().flatten() {
            if !self.knows(cluster, pod) {
                continue;
            }
            for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
                let given = json!({ "name": CREDENTIALS, "value": "http://169.254.170.23/v1/credentials" });
                match container["env"].as_array_mut() {
                    Some(env) => env.push(given),
                    None => container["env"] = json!([given]),
                }
            }
        }
    }
}

struct Shared {
    webhook: Arc<Mutex<Webhook>>,
    target: String,
    bearer: String,
    cluster: String,
    secret: String,
    client: Client<HttpConnector, Incoming>,
    tokens: Arc<Mutex<BTreeSet<String>>>,
}

impl EksDoor {
    /// Stands before the API at `http://host:port`, which wants this bearer token. Who comes must bring a token that is
    /// signed for the cluster of this name with this secret access key.
    ///
    /// # Panics
    /// When no certificate can be made.
    pub fn before(url: &str, bearer: &str, cluster: &str, secret: &str) -> Self {
        let (authority, config) = certificates();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let tokens = Arc::new(Mutex::new(BTreeSet::new()));
        let webhook = Arc::new(Mutex::new(Webhook::default()));
        let shared = Arc::new(Shared {
            target: url.trim_end_matches('/').to_owned(),
            bearer: bearer.to_owned(),
            cluster: cluster.to_owned(),
            secret: secret.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            tokens: Arc::clone(&tokens),
            webhook: Arc::clone(&webhook),
        });
        let background = Background::start(move |listener| async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(move |request| {
                        let shared = Arc::clone(&shared);
                        async move { Ok::<_, Infallible>(shared.serve(request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { background, authority, tokens, webhook }
    }

    /// Gives pods the identities that this EKS has associations for.
    pub fn identifies(&self, eks: &Eks) {
        self.webhook.lock().unwrap_or_else(PoisonError::into_inner).identities = Some(eks.identities());
    }

    /// The next so many pods with an identity are admitted before it has come through.
    pub fn is_late(&self, pods: usize) {
        self.webhook.lock().unwrap_or_else(PoisonError::into_inner).late = pods;
    }

    /// How many pods were admitted without the identity that was theirs.
    pub fn unknown(&self) -> usize {
        self.webhook.lock().unwrap_or_else(PoisonError::into_inner).unknown.len()
    }

    /// `https://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.background.url().replacen("http://", "https://", 1)
    }

    /// Its certificate authority, as EKS tells it: PEM in base64.
    pub fn authority(&self) -> String {
        STANDARD.encode(&self.authority)
    }

    /// How many different tokens have been shown.
    pub fn tokens(&self) -> usize {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn certificates() -> (String, rustls::ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let own = own.signed_by(&own_key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own_key.serialize_der())),
        )
        .expect("a certificate and its key");
    (authority.pem(), config)
}

impl Shared {
    async fn serve(&self, mut request: Request<Incoming>) -> Response<Body> {
        let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Err(why) = self.judge(shown.unwrap_or_default()) {
            let said = format!(
                "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\"message\":\"Unauthorized: {why}\",\
                 \"reason\":\"Unauthorized\",\"code\":401}}"
            );
            return answer(StatusCode::UNAUTHORIZED, said);
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let (Ok(uri), Ok(bearer)) = (
            format!("{}{path}", self.target).parse(),
            HeaderValue::from_str(&format!("Bearer {}", self.bearer)),
        ) else {
            return answer(StatusCode::BAD_REQUEST, String::new());
        };
        let path = path.to_owned();
        let lists_pods = request.method() == Method::GET
            && path.split('?').next().is_some_and(|path| path.ends_with("/pods"))
            && !path.contains("watch=");
        *request.uri_mut() = uri;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        match self.client.request(request).await {
            Ok(response) if lists_pods => self.pods(response).await,
            Ok(response) => response.map(BodyExt::boxed),
            Err(error) => answer(StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }

    async fn pods(&self, response: Response<Incoming>) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let bytes = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return answer(StatusCode::BAD_GATEWAY, error.to_string()),
        };
        let text = match serde_json::from_slice::<Json>(&bytes) {
            Ok(mut list) => {
                self.webhook.lock().unwrap_or_else(PoisonError::into_inner).pods(&self.cluster, &mut list);
                list.to_string()
            }
            Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        answer(parts.status, text)
    }

    /// Whether the token is one as EKS takes them: a signed request to STS that names the cluster in a signed header.
    fn judge(&self, shown: &str) -> Result<(), String> {
        let token = shown.strip_prefix("Bearer k8s-aws-v1.").ok_or("no token of EKS")?;
        let url = URL_SAFE_NO_PAD.decode(token).map_err(|error| error.to_string())?;
        let url = String::from_utf8(url).map_err(|error| error.to_string())?;
        if signature(&url, &self.cluster, &self.secret).is_none() {
            return Err(format!("no request to STS that is signed for {}", self.cluster));
        }
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
        Ok(())
    }
}

/// The signature of a presigned request to STS, when it is right: version 4, with the cluster's name in a signed header.
fn signature(url: &str, cluster: &str, secret: &str) -> Option<String> {
    let (host, query) = url.strip_prefix("https://")?.split_once("/?")?;
    let mut pairs: Vec<&str> = query.split('&').collect();
    let of = |name: &str| pairs.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let (signature, credential, date) = (of("X-Amz-Signature")?, of("X-Amz-Credential")?, of("X-Amz-Date")?);
    let expected = host.starts_with("sts.")
        && of("Action") == Some("GetCallerIdentity")
        && of("X-Amz-Expires") == Some("60")
        && of("X-Amz-SignedHeaders") == Some("host%3Bx-k8s-aws-id");
    let credential = credential.replace("%2F", "/");
    let (_, scope) = credential.split_once('/')?;
    let signature = signature.to_owned();
    let text_date = date.to_owned();
    pairs.retain(|pair| !pair.starts_with("X-Amz-Signature="));
    pairs.sort_unstable();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let canonical = format!(
        "GET\n/\n{}\nhost:{host}\nx-k8s-aws-id:{cluster}\n\nhost;x-k8s-aws-id\n{}",
        pairs.join("&"),
        hex(&Sha256::digest(b""))
    );
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{text_date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length does");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    (expected && hex(&mac(&key, &to_sign)) == signature).then_some(signature)
}

fn answer(status: StatusCode, text: String) -> Response<Body> {
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
