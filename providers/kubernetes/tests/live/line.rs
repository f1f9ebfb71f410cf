//! A line between the provider and its server on which things happen: requests are refused, watches end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{Request, Response};
use kube::client::Body;
use plinth_kubernetes::{Connector, Kubernetes};
use plinth_provider::{Class, PreviewRequest, Provider, ReadRequest, Recorded, Result, Value};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

struct Line(kube::Client);

#[async_trait]
impl Connector for Line {
    async fn client(&self, _: Option<&Value>) -> Result<kube::Client> {
        Ok(self.0.clone())
    }
}

/// What is answered instead of the server: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// Puts a line between the cluster's provider and its server; `instead` sees every request as `METHOD path?query`.
fn laid(cluster: &mut Cluster, instead: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) {
    let direct = cluster.client.clone();
    let instead = Arc::new(instead);
    let line = tower::service_fn(move |request: Request<Body>| {
        let (direct, instead) = (direct.clone(), instead.clone());
        async move {
            match instead(&format!("{} {}", request.method(), request.uri())) {
                None => direct.send(request).await,
                Some((status, headers, body)) => {
                    let mut response = Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(name, value);
                    }
                    Ok(response.body(Body::from(body.into_bytes())).unwrap())
                }
            }
        }
    });
    cluster.provider = Kubernetes::new(Arc::new(Line(kube::Client::new(line, "default"))));
}

fn status(code: u16, reason: &str, message: &str) -> Json {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn map(name: &str) -> Json {
    json!({"metadata": {"name": name}, "data": {"a": "1"}})
}

#[tokio::test]
async fn a_refusal_for_want_of_room_is_waited_out() {
    let mut cluster = Cluster::start().await;
    let refused = Mutex::new(0);
    laid(&mut cluster, move |request| {
        let mut refused = refused.lock().unwrap();
        (request.starts_with("PATCH") && *refused < 2).then(|| {
            *refused += 1;
            let level = ("x-kubernetes-pf-prioritylevel-uid", "u".to_owned());
            let body = status(429, "TooManyRequests", "too many requests, please try again later");
            (429, vec![("retry-after", "1".to_owned()), level], body.to_string())
        })
    });
    let begun = Instant::now();
    cluster.create("v1/ConfigMap", "c", &map("c")).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_watch_that_is_too_old_is_begun_anew_from_what_is_there() {
    let mut cluster = Cluster::slow().await;
    let watches: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = watches.clone();
    laid(&mut cluster, move |request| {
        if !request.contains("watch=true") {
            return None;
        }
        let mut watches = seen.lock().unwrap();
        watches.push(request.to_owned());
        (watches.len() == 1).then(|| {
            let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Deployment", "metadata": {"resourceVersion": "1"}}});
            let gone = json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version: 1 (9)")});
            (200, vec![("content-type", "application/json".to_owned())], format!("{bookmark}\n{gone}\n"))
        })
    });
    let pods = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}});
    let inputs = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": pods}});
    cluster.create("apps/v1/Deployment", "a", &inputs).await;
    let watches = watches.lock().unwrap();
    assert!(watches.len() >= 2, "{watches:?}");
    assert!(watches.iter().all(|watch| watch.contains("allowWatchBookmarks=true")), "{watches:?}");
    let version = |watch: &String| {
        let from = watch.split("resourceVersion=").nth(1).unwrap_or_default();
        from.split('&').next().unwrap_or_default().to_owned()
    };
    assert!(version(&watches[1]) != version(&watches[0]) && version(&watches[1]) != "1", "{watches:?}");
}

#[tokio::test]
async fn one_who_may_only_list_namespaces_lists_those() {
    let mut cluster = Cluster::start().await;
    let mut recorded: Vec<Recorded> = Vec::new();
    for at in 0..20 {
        let name = format!("c{at}");
        recorded.push(cluster.create("v1/ConfigMap", &name, &map(&name)).await);
    }
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    laid(&mut cluster, move |request| {
        seen.lock().unwrap().push(request.to_owned());
        let denied = || {
            status(
                403,
                "Forbidden",
                "configmaps is forbidden: User \"u\" cannot list resource \"configmaps\"",
            )
        };
        request.contains("/api/v1/configmaps").then(|| (403, Vec::new(), denied().to_string()))
    });
    let requests: Vec<ReadRequest<'_>> = recorded.iter().map(|recorded| ReadRequest { recorded }).collect();
    let live = cluster.provider.read_many(&cluster.context("s"), &requests).await;
    assert!(live.iter().all(|live| matches!(live, Ok(Some(_)))));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

/// Whoever may read and not write plans without asking: each change says why.
#[tokio::test]
async fn one_who_may_not_try_is_told_so() {
    let mut cluster = Cluster::start().await;
    laid(&mut cluster, |request| {
        let denied = status(403, "Forbidden", "configmaps \"a\" is forbidden: User \"reader\" cannot patch");
        request.starts_with("PATCH").then(|| (403, Vec::new(), denied.to_string()))
    });
    let urn = Cluster::urn("v1/ConfigMap", "a");
    let inputs = cluster.check(&urn, &map("a"));
    let request = PreviewRequest {
        urn: &urn,
        inputs: &inputs,
        connection: None,
        recorded: None,
        replaces: false,
        dependencies: &[],
        take_over: &[],
    };
    let found = cluster.provider.preview_many(&cluster.context("s"), &[request]).await;
    let [Err(error)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(error.class, Class::Denied);
    assert!(error.message.contains("cannot patch"), "{error}");
}
