//! The HTTP client of an API server: one HTTP/2 connection for all requests and watches where the server speaks it,
//! checked for life while it is idle, so that a connection that a load balancer has dropped is noticed.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::Builder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use plinth_provider::Result;
use rustls::crypto::CryptoProvider;
use serde_json::json;
use tower::BoxError;
use tower::util::{MapErrLayer, option_layer};

use super::refused;
use super::tokens::{TokenLayer, Tokens};

const CONNECT: Duration = Duration::from_secs(10);
/// How often an HTTP/2 connection is asked whether it lives, and how long it may take to say so.
const ALIVE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(15);

/// A client of a configuration, for every [`Connector`](super::Connector) to use: without the library's own retries,
/// which would hide a broken API for minutes. This provider decides by the kind of error.
///
/// # Errors
/// When the configuration's certificates or credentials cannot be used.
pub fn client_of(config: kube::Config) -> Result<kube::Client> {
    let config = prepared(config);
    // Through a proxy the library's own client goes; it knows their kinds.
    let client =
        if config.proxy_url.is_some() { kube::Client::try_from(config) } else { multiplexed(&config, None) };
    client.map_err(|error| refused(format!("cannot make a client: {error}")))
}

/// A client of an API server that is known by its address and its authority (PEM in base64, as kubeconfigs have it), with
/// a token that is asked for with every request.
///
/// # Errors
/// As [`client_of`], and when there is no token.
pub async fn client_at(server: &str, authority: &str, tokens: Arc<dyn Tokens>) -> Result<kube::Client> {
    let failed = |why: String| refused(format!("the cluster at {server} cannot be reached: {why}"));
    let told = json!({
        "current-context": "cluster",
        "clusters": [{
            "name": "cluster",
            "cluster": { "server": server, "certificate-authority-data": authority },
        }],
        "contexts": [{ "name": "cluster", "context": { "cluster": "cluster", "user": "us" } }],
        "users": [{ "name": "us", "user": {} }],
    });
    let told: Kubeconfig = serde_json::from_value(told).map_err(|error| failed(error.to_string()))?;
    let config = kube::Config::from_custom_kubeconfig(told, &KubeConfigOptions::default()).await;
    let mut config = prepared(config.map_err(|error| failed(error.to_string()))?);
    let client = if config.proxy_url.is_some() {
        // The library's own client has one token; when that is not accepted any more, a new client comes.
        config.auth_info.token = Some(tokens.token().await?.into());
        kube::Client::try_from(config)
    } else {
        multiplexed(&config, Some(TokenLayer(tokens)))
    };
    client.map_err(|error| failed(error.to_string()))
}

fn prepared(mut config: kube::Config) -> kube::Config {
    choose_ciphers();
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config
}

/// Other clients in the same process may bring another implementation of TLS's ciphers along, and where there are two,
/// rustls takes none by itself.
fn choose_ciphers() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been first: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn multiplexed(config: &kube::Config, tokens: Option<TokenLayer>) -> Result<kube::Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(ALIVE));
    tcp.set_connect_timeout(config.connect_timeout);
    let mut tls =
        HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone().and_then(|name| name.try_into().ok()) {
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let http = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(ALIVE)
        .http2_keep_alive_timeout(ANSWER)
        .build::<_, Body>(tls.enable_all_versions().wrap_connector(tcp));
    Ok(ClientBuilder::new(http, config.default_namespace.clone())
        .with_layer(&MapErrLayer::new(BoxError::from))
        .with_layer(&config.extra_headers_layer()?)
        .with_layer(&option_layer(config.auth_layer()?))
        .with_layer(&option_layer(tokens))
        .with_layer(&config.base_uri_layer())
        .build())
}
