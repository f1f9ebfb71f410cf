//! Real clients over loopback HTTP, restarts, and faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::{Api, Client, Discovery};
use plinth_local::kube::{ApiServer, Fault, Options, Serving};
use serde_json::json;

use crate::common::{alive, get, post, still, until};

async fn serve(api: &ApiServer) -> (Serving, Client) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let serving = api.serve(listener).expect("serves");
    let mut config = kube::Config::new(serving.url().parse().expect("url"));
    config.default_namespace = "default".into();
    // Two implementations of ciphers are compiled in; somebody has to choose.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(config).expect("client");
    (serving, client)
}

fn deployment(replicas: i64) -> serde_json::Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}}})
}

#[tokio::test]
async fn the_kube_client_works_against_it() {
    let (_serving, client) = serve(&alive()).await;
    let version = client.apiserver_version().await.expect("version");
    assert_eq!(version.minor, "36");
    let discovery = Discovery::new(client.clone()).run_aggregated().await.expect("discovers");
    assert!(discovery.groups().any(|g| g.name() == "apps"));
    Discovery::new(client.clone()).run().await.expect("discovers the old way");
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let applied = deployments
        .patch("web", &PatchParams::apply("plinth"), &Patch::Apply(deployment(2)))
        .await
        .expect("applies");
    let version = applied.metadata.resource_version.clone().expect("version");
    let params = WatchParams::default().fields("metadata.name=web").timeout(10);
    let mut events = deployments.watch(&params, &version).await.expect("watches").boxed();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.try_next())
            .await
            .expect("in time")
            .expect("event");
        if let Some(WatchEvent::Modified(d)) = event
            && d.status.and_then(|s| s.ready_replicas) == Some(2)
        {
            break;
        }
    }
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let list = pods.list(&ListParams::default().labels("a=b").limit(1)).await.expect("lists");
    assert_eq!((list.items.len(), list.metadata.remaining_item_count), (1, None));
    assert!(list.metadata.continue_.is_some());
    let log = pods
        .logs(list.items[0].metadata.name.as_deref().expect("name"), &Default::default())
        .await
        .expect("logs");
    assert!(log.contains("started"));
    let conflict = deployments
        .patch("web", &PatchParams::apply("other"), &Patch::Apply(deployment(3)))
        .await
        .expect_err("conflicts");
    let kube::Error::Api(status) = conflict else { panic!("{conflict}") };
    assert_eq!((status.code, status.details.expect("details").causes.len()), (409, 1));
    deployments.delete("web", &DeleteParams::foreground()).await.expect("deletes");
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while deployments.get_opt("web").await.expect("reads").is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    gone.await.expect("goes");
    assert!(pods.list(&ListParams::default()).await.expect("lists").items.is_empty());
}

#[tokio::test]
async fn a_client_may_call_in_process() {
    let api = still();
    let client = Client::new(api.clone(), "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).expect("map");
    maps.create(&PostParams::default(), &map).await.expect("creates");
    assert_eq!(maps.list(&ListParams::default()).await.expect("lists").items.len(), 1);
    let spaces: Api<Namespace> = Api::all(client.clone());
    assert_eq!(spaces.list(&ListParams::default()).await.expect("lists").items.len(), 4);
    let resource = kube::discovery::ApiResource::erase::<ConfigMap>(&());
    let dynamic: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    assert_eq!(dynamic.list_metadata(&ListParams::default()).await.expect("lists").items.len(), 1);
}

#[tokio::test]
async fn what_was_answered_survives_a_restart_and_work_goes_on() {
    let dir = tempfile::tempdir().expect("dir");
    let maps = "/api/v1/namespaces/default/configmaps";
    let version = {
        let api =
            ApiServer::open(dir.path(), Options { controllers: false, ..Options::default() }).expect("opens");
        post(
            &api,
            maps,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}),
        )
        .await;
        post(&api, "/apis/apps/v1/namespaces/default/deployments", deployment(2)).await;
        assert!(ApiServer::open(dir.path(), Options::default()).is_err(), "one process at a time");
        api.version()
    };
    let api = ApiServer::open(dir.path(), Options::default()).expect("opens again");
    assert!(api.version() >= version);
    let found = get(&api, &format!("{maps}/a")).await;
    assert_eq!(found.body["data"], json!({"k": "v"}));
    assert_eq!(found.body["metadata"]["managedFields"][0]["manager"], "tests");
    until(&api, "/apis/apps/v1/namespaces/default/deployments/web", |r| {
        r.body["status"]["readyReplicas"] == 2
    })
    .await;
    let uid = |r: &crate::common::Reply| r.body["metadata"]["uid"].clone();
    let default = uid(&get(&api, "/api/v1/namespaces/default").await);
    drop(api);
    let api = loop {
        // The controllers' task lets go of the server a moment after the last handle.
        match ApiServer::open(dir.path(), Options::default()) {
            Ok(api) => break api,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!(uid(&get(&api, "/api/v1/namespaces/default").await), default);
    assert_eq!(
        get(&api, "/apis/apps/v1/namespaces/default/deployments/web").await.body["status"]["readyReplicas"],
        2
    );
}

#[tokio::test]
async fn faults_refuse_delay_and_lose_replies() {
    let turn = Arc::new(AtomicUsize::new(0));
    let decide = {
        let turn = Arc::clone(&turn);
        move |_: &str, _: &str| match turn.fetch_add(1, Ordering::SeqCst) {
            0 => Fault::Refuse { code: 429, retry_after: Some(7) },
            1 => Fault::Refuse { code: 503, retry_after: None },
            2 => Fault::LoseReply,
            _ => Fault::Delay(Duration::from_millis(30)),
        }
    };
    let api = ApiServer::in_memory(Options {
        controllers: false,
        faults: Some(Arc::new(decide)),
        ..Options::default()
    });
    let (_serving, client) = serve(&api).await;
    let mut map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("map");
    let mut codes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        map.metadata.name = Some(name.into());
        let request = http::Request::post("/api/v1/namespaces/default/configmaps")
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&map).expect("json"))
            .expect("request");
        let begun = std::time::Instant::now();
        let done = raw(&api, request).await;
        codes.push((name, done, begun.elapsed() >= Duration::from_millis(30)));
    }
    assert_eq!(codes[0].1, Some((429, Some("7".to_owned()))));
    assert_eq!(codes[1].1, Some((503, None)));
    assert_eq!(codes[2].1, None);
    assert_eq!((codes[3].1.clone(), codes[3].2), (Some((201, None)), true));
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let names: Vec<String> = maps
        .list(&ListParams::default())
        .await
        .expect("reading is never hurt")
        .items
        .into_iter()
        .filter_map(|m| m.metadata.name)
        .collect();
    assert_eq!(names, ["c", "d"], "the lost reply was to a request that was carried out");
}

async fn raw(api: &ApiServer, request: http::Request<Vec<u8>>) -> Option<(u16, Option<String>)> {
    use tower_service::Service;
    let request = request.map(|b| http_body_util::Full::new(bytes::Bytes::from(b)));
    let reply = api.clone().call(request).await.ok()?;
    let retry = reply.headers().get("retry-after").map(|v| v.to_str().expect("text").to_owned());
    Some((reply.status().as_u16(), retry))
}

#[tokio::test]
async fn a_lost_reply_closes_the_connection() {
    let api = ApiServer::in_memory(Options {
        controllers: false,
        faults: Some(Arc::new(|_: &str, _: &str| Fault::LoseReply)),
        ..Options::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let serving = api.serve(listener).expect("serves");
    let mut stream = tokio::net::TcpStream::connect(serving.address()).await.expect("connects");
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let head = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.expect("writes");
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.expect("reads");
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(get(&api, "/api/v1/namespaces/default/configmaps/a").await.code, 200);
}
