//! What the network and the server do wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use plinth_kubernetes::{Connector, Kubernetes};
use plinth_local::kube::Seeded;
use plinth_provider::{Class, Context, Provider, ReadRequest, Recorded, Request, Result, Urn, Value};
use serde_json::json;

use crate::cluster::{Cluster, recorded};

/// What an engine does about an error's class.
async fn settled(cluster: &Cluster, urn: &Urn, inputs: &Value, before: Option<&Recorded>) -> Recorded {
    let request = Request { urn, inputs, connection: None };
    let mut last = None;
    for _ in 0..60 {
        let context = cluster.context("s");
        let result = match before {
            None => cluster.provider.create(&context, request).await,
            Some(before) => cluster.provider.update(&context, request, before).await,
        };
        match result {
            Ok(applied) => return recorded(urn, inputs, applied),
            Err(error) => match error.class {
                Class::Unavailable => {}
                Class::Throttled { .. } => tokio::time::sleep(Duration::from_millis(5)).await,
                Class::UnknownOutcome => {
                    cluster
                        .provider
                        .find(&context, request)
                        .await
                        .expect("find is a read, and reads are not faulty");
                }
                _ => panic!("{urn}: {error:?}"),
            },
        }
        last = Some(result_of(before));
    }
    panic!("{urn} never settles: {last:?}")
}

fn result_of(before: Option<&Recorded>) -> &'static str {
    if before.is_some() { "update" } else { "create" }
}

#[tokio::test]
async fn everything_arrives_whatever_is_lost_on_the_way() {
    for seed in 0..4 {
        let cluster = Cluster::with_faults(Arc::new(Seeded::new(seed, 0.4))).await;
        for at in 0..8 {
            let name = format!("c{at}");
            let urn = Cluster::urn("v1/ConfigMap", &name);
            let inputs =
                |text: &str| cluster.check(&urn, &json!({"metadata": {"name": name}, "data": {"k": text}}));
            let created = settled(&cluster, &urn, &inputs("1"), None).await;
            let updated = settled(&cluster, &urn, &inputs("2"), Some(&created)).await;
            let live = cluster.read(&updated).await.expect("it is there");
            assert_eq!(cluster.provider.drift(&updated, &live), []);
            for _ in 0..60 {
                match cluster.provider.delete(&cluster.context("s"), &updated).await {
                    Ok(()) => break,
                    Err(error) => assert!(error.is_retryable(), "{error:?}"),
                }
            }
            assert!(cluster.read(&updated).await.is_none());
        }
    }
}

/// Gives clients of a server whose tokens expire, and counts how often it was told so.
struct Expiring {
    url: String,
    forgotten: AtomicUsize,
}

#[async_trait]
impl Connector for Expiring {
    async fn client(&self, _: Option<&Value>) -> Result<kube::Client> {
        let mut config = kube::Config::new(self.url.parse().expect("a URL"));
        let value = format!("{}", self.forgotten.load(Ordering::SeqCst));
        config.headers.push(("x-token".parse().expect("a header"), value.parse().expect("a value")));
        plinth_kubernetes::client_of(config)
    }

    async fn forget(&self, _: Option<&Value>) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

async fn serve(answer: impl Fn(&str) -> (StatusCode, String) + Clone + Send + Sync + 'static) -> String {
    let router = Router::new().fallback(any(move |request: axum::extract::Request| {
        let token = request.headers().get("x-token").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let answer = answer(&token);
        async move { answer }
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn some_recorded() -> Recorded {
    let urn = Cluster::urn("v1/ConfigMap", "c");
    let applied = plinth_provider::Applied { id: "default/c".into(), outputs: Value::map() };
    recorded(&urn, &Value::from_json(json!({"metadata": {"name": "c", "namespace": "default"}})), applied)
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let url = serve(|token| match token {
        "1" => (StatusCode::OK, json!({"kind": "ConfigMap", "metadata": {"name": "c"}}).to_string()),
        _ => (StatusCode::UNAUTHORIZED, json!({"kind": "Status", "message": "Unauthorized"}).to_string()),
    })
    .await;
    let connector = Arc::new(Expiring { url, forgotten: AtomicUsize::new(0) });
    let provider = Kubernetes::new(connector.clone());
    let recorded = some_recorded();
    let context = Context::new("s", Duration::from_secs(5));
    let live = provider.read(&context, ReadRequest { recorded: &recorded }).await.unwrap();
    assert!(live.is_some());
    assert_eq!(connector.forgotten.load(Ordering::SeqCst), 1);

    // The second time it is the user who must log in.
    let connector = Arc::new(Expiring { url: connector.url.clone(), forgotten: AtomicUsize::new(1) });
    connector.forget(None).await;
    let provider = Kubernetes::new(connector);
    let error = provider.read(&context, ReadRequest { recorded: &recorded }).await.unwrap_err();
    assert_eq!(error.class, Class::Denied);
    assert!(error.help.unwrap().contains("log in"));
}

#[tokio::test]
async fn a_group_without_a_backend_and_a_dead_server_are_unavailable() {
    let url = serve(|_| (StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n".to_owned())).await;
    let provider = Kubernetes::new(Arc::new(Expiring { url, forgotten: AtomicUsize::new(0) }));
    let recorded = some_recorded();
    let context = Context::new("s", Duration::from_secs(30));
    let error = provider.read(&context, ReadRequest { recorded: &recorded }).await.unwrap_err();
    assert_eq!(error.class, Class::Unavailable);

    let dead = Kubernetes::new(Arc::new(Expiring {
        url: "http://127.0.0.1:1".into(),
        forgotten: AtomicUsize::new(0),
    }));
    let error = dead.read(&context, ReadRequest { recorded: &recorded }).await.unwrap_err();
    assert_eq!(error.class, Class::Unavailable, "{error}");
    let request = Request { urn: &recorded.urn, inputs: &recorded.inputs, connection: None };
    let error = dead.create(&context, request).await.unwrap_err();
    assert_eq!(error.class, Class::Unavailable, "what was never sent did not happen: {error}");
}

/// Gives clients of a server that moves each time that it is asked for again.
struct Moving {
    urls: Vec<String>,
    asked: AtomicUsize,
}

#[async_trait]
impl Connector for Moving {
    async fn client(&self, _: Option<&Value>) -> Result<kube::Client> {
        let url = &self.urls[self.asked.fetch_add(1, Ordering::SeqCst).min(self.urls.len() - 1)];
        plinth_kubernetes::client_of(kube::Config::new(url.parse().expect("a URL")))
    }
}

#[tokio::test]
async fn a_server_that_has_moved_is_followed() {
    let object = json!({"kind": "ConfigMap", "metadata": {"name": "c"}}).to_string();
    let alive = serve(move |_| (StatusCode::OK, object.clone())).await;
    let moving = Moving { urls: vec!["http://127.0.0.1:1".to_owned(), alive], asked: AtomicUsize::new(0) };
    let provider = Kubernetes::new(Arc::new(moving));
    let recorded = some_recorded();
    let context = Context::new("s", Duration::from_secs(5));
    assert!(provider.read(&context, ReadRequest { recorded: &recorded }).await.unwrap().is_some());
}
