//! Who owns a place, and what happens when the owner ends.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::*;

fn quick() -> Options {
    Options { latency_scale: 0.02, ..Options::default() }
}

async fn get(place: &Place, path: &str) -> Json {
    let response = place.send(Request::get(path).body(Bytes::new()).unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{path}: {response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

async fn make(place: &Place, collection: &str, name: &str, inputs: Json) -> Json {
    let body = json!({ "inputs": inputs }).to_string();
    let request = Request::post(format!("/cloud/v1/{collection}/{name}")).body(body.into()).unwrap();
    let response = place.send(request).await.unwrap();
    assert!(response.status().is_success(), "{response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

async fn done(place: &Place, accepted: &Json) {
    let id = accepted["operation"]["id"].as_str().unwrap();
    let ended = get(place, &format!("/cloud/v1/operations/{id}?waitMs=10000")).await;
    assert_eq!(ended["progress"], "DONE", "{ended}");
}

#[tokio::test]
async fn many_attach_and_one_owns() {
    let dir = tempfile::tempdir().unwrap();
    let places: Vec<Place> = (0..8).map(|_| Place::new(dir.path(), quick())).collect();
    let endpoints = futures::future::join_all(places.iter().map(Place::endpoint)).await;
    let first = endpoints[0].as_ref().unwrap();
    assert!(endpoints.iter().all(|endpoint| endpoint.as_ref().unwrap() == first));
    let mut owners = 0;
    for place in &places {
        owners += u32::from(place.is_owner().await);
        get(place, "/cloud/v1").await;
    }
    assert_eq!(owners, 1);
}

#[tokio::test]
async fn a_guest_takes_over_and_finds_everything_at_the_same_address() {
    let dir = tempfile::tempdir().unwrap();
    let owner = Place::attach(dir.path(), quick()).await.unwrap();
    let guest = Place::attach(dir.path(), quick()).await.unwrap();
    done(&guest, &make(&guest, "buckets", "logs", json!({ "name": "logs" })).await).await;
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kept" } }).to_string();
    let request = Request::post("/api/v1/namespaces/default/configmaps")
        .header("content-type", "application/json")
        .body(map.into())
        .unwrap();
    assert_eq!(guest.send(request).await.unwrap().status(), StatusCode::CREATED);

    let before = guest.endpoint().await.unwrap();
    owner.shutdown().await;
    assert_eq!(get(&guest, "/cloud/v1/buckets/logs").await["status"], "ACTIVE");
    assert!(guest.is_owner().await);
    let after = guest.endpoint().await.unwrap();
    assert_eq!((&before.url, &before.token), (&after.url, &after.token));
    assert_ne!(before.instance, after.instance);
    assert_eq!(get(&guest, "/api/v1/namespaces/default/configmaps/kept").await["metadata"]["name"], "kept");
    // The former owner is a guest now.
    get(&owner, "/cloud/v1/buckets/logs").await;
    assert!(!owner.is_owner().await);
}

#[tokio::test]
async fn operations_go_on_under_the_next_owner() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { latency_scale: 0.3, ..Options::default() };
    let first = Place::attach(dir.path(), options.clone()).await.unwrap();
    done(&first, &make(&first, "clusters", "main", json!({ "name": "main", "version": "1.35" })).await).await;
    let inputs = json!({ "cluster": "main", "name": "a" });
    let accepted = make(&first, "nodePools", "main/a", inputs).await;
    assert_eq!(accepted["resource"]["status"], "CREATING");
    first.shutdown().await;
    let second = Place::attach(dir.path(), options).await.unwrap();
    done(&second, &accepted).await;
    let nodes = get(&second, "/api/v1/nodes").await;
    let zones: Vec<&str> = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str())
        .collect();
    assert_eq!(zones.len(), 3, "{zones:?}");
    for zone in ["local-1a", "local-1b", "local-1c"] {
        assert!(zones.contains(&zone), "{zones:?}");
    }
}

#[tokio::test]
async fn nodes_follow_their_pool() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::attach(dir.path(), quick()).await.unwrap();
    done(&place, &make(&place, "clusters", "main", json!({ "name": "main", "version": "1.34" })).await).await;
    let inputs = |size: u32, labels: Json| {
        json!({ "cluster": "main", "name": "a", "instanceType": "m7i.2xlarge", "minSize": 1,
            "desiredSize": size, "labels": labels,
            "taints": [{ "key": "only", "value": "stores", "effect": "NoSchedule" }] })
    };
    done(&place, &make(&place, "nodePools", "main/a", inputs(2, json!({ "role": "x" }))).await).await;
    let change = async |inputs: Json| {
        let body = json!({ "inputs": inputs }).to_string();
        let request = Request::put("/cloud/v1/nodePools/main/a").body(Bytes::from(body)).unwrap();
        let response = place.send(request).await.unwrap();
        done(&place, &serde_json::from_slice(response.body()).unwrap()).await;
        get(&place, "/api/v1/nodes").await["items"].as_array().unwrap().clone()
    };
    let nodes = change(inputs(4, json!({ "role": "y" }))).await;
    assert_eq!(nodes.len(), 4);
    for node in &nodes {
        assert_eq!(node["metadata"]["labels"]["role"], "y");
        assert_eq!(node["status"]["capacity"]["cpu"], "8");
        assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.34.0");
        assert_eq!(node["spec"]["taints"][0]["key"], "only");
    }
    let nodes = change(inputs(1, json!({}))).await;
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0]["metadata"]["labels"]["role"], Json::Null);
}

#[tokio::test]
async fn nobody_without_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::attach(dir.path(), quick()).await.unwrap();
    let endpoint = place.endpoint().await.unwrap();
    for (path, token) in
        [("/cloud/v1", ""), ("/api/v1/nodes", "wrong"), ("/place/v1", ""), ("/readyzz", ""), ("/api", "")]
    {
        let request = Request::get(format!("{}{path}", endpoint.url))
            .header("authorization", format!("Bearer {token}"))
            .body(http_body_util::Full::new(Bytes::new()))
            .unwrap();
        let response = call::client().request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(place.requests().await.unwrap().unauthorized, 5);
    // As in every cluster, anybody may ask whether it is well.
    for path in ["/readyz", "/livez/ping", "/healthz", "/version"] {
        let request = Request::get(format!("{}{path}", endpoint.url));
        let request = request.body(http_body_util::Full::new(Bytes::new())).unwrap();
        assert_eq!(call::client().request(request).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    assert!(!format!("{place:?} {endpoint:?}").contains(&endpoint.token));
    #[cfg(unix)]
    for name in ["token", "endpoint.json", "certificate.json"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is private");
    }
}

#[tokio::test]
async fn a_kubeconfig_and_a_reset_depend_on_who_serves() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), quick());
    assert!(place.kubeconfig().unwrap_err().to_string().contains("plinth local serve"));
    let endpoint = place.endpoint().await.unwrap();
    let config = place.kubeconfig().unwrap();
    let url = endpoint.url.replace("http://", "https://");
    assert!(config.contains(&url) && config.contains(&endpoint.token));
    let busy = Place::reset(dir.path()).unwrap_err().to_string();
    assert!(busy.contains(&std::process::id().to_string()), "{busy}");
    done(&place, &make(&place, "buckets", "logs", json!({ "name": "logs" })).await).await;
    place.shutdown().await;
    assert!(place.kubeconfig().is_err());
    Place::reset(dir.path()).unwrap();
    assert_eq!(get(&place, "/cloud/v1/buckets").await["items"], json!([]));
    Place::reset(&dir.path().join("never-was")).unwrap();
}

#[tokio::test]
async fn what_a_killed_owner_left_behind_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::attach(dir.path(), quick()).await.unwrap();
    let stale = std::fs::read(dir.path().join("endpoint.json")).unwrap();
    place.shutdown().await;
    let text = String::from_utf8(stale).unwrap().replace("http://127.0.0.1", "http://127.9.9.9");
    std::fs::write(dir.path().join("endpoint.json"), text).unwrap();
    let place = Place::attach(dir.path(), quick()).await.unwrap();
    assert!(place.is_owner().await);
    get(&place, "/cloud/v1").await;
}

#[tokio::test]
async fn serving_takes_a_port_and_ends_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let place = Place::new(dir.path(), quick());
    let (ready, endpoint) = tokio::sync::oneshot::channel();
    let serving = {
        let (place, stop) = (place.clone(), stop.clone());
        tokio::spawn(
            async move { place.serve(None, stop, |endpoint| drop(ready.send(endpoint.clone()))).await },
        )
    };
    let endpoint = endpoint.await.unwrap();
    let other = Place::new(dir.path(), quick());
    assert_eq!(other.endpoint().await.unwrap(), endpoint);
    let busy = other.serve(None, CancellationToken::new(), |_| {}).await;
    assert!(matches!(busy, Err(PlaceError::Busy { .. })));
    // A watch does not keep the place from ending.
    let watch = Request::get("/api/v1/namespaces?watch=true").body(Bytes::new()).unwrap();
    let watching = other.request(watch).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap().unwrap();
    drop(watching);
}

#[tokio::test]
async fn a_kubernetes_client_works_by_kubeconfig_and_by_place() {
    use k8s_openapi::api::core::v1::Node;
    let dir = tempfile::tempdir().unwrap();
    let place = Place::attach(dir.path(), quick()).await.unwrap();
    let config = kube::config::Kubeconfig::from_yaml(&place.kubeconfig().unwrap()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
    let guest = Place::attach(dir.path(), quick()).await.unwrap();
    for client in [kube::Client::try_from(config).unwrap(), kube::Client::new(guest, "default")] {
        let nodes = kube::Api::<Node>::all(client).list(&Default::default()).await.unwrap();
        assert_eq!(nodes.items.len(), 1, "the stand-in");
    }
}

#[tokio::test]
async fn faults_hit_both_apis_and_what_is_lost_was_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Some(Faults { seed: 11, rate: 0.9 });
    let place = Place::attach(dir.path(), Options { faults, ..quick() }).await.unwrap();
    let mut lost = 0;
    for at in 0..40 {
        let map =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("m{at}") } });
        let request = Request::post("/api/v1/namespaces/default/configmaps")
            .header("content-type", "application/json")
            .body(map.to_string().into())
            .unwrap();
        let there = async || {
            let path = format!("/api/v1/namespaces/default/configmaps/m{at}");
            let response = place.send(Request::get(path).body(Bytes::new()).unwrap()).await.unwrap();
            response.status().is_success()
        };
        match place.send(request).await {
            Err(CallError::Lost(_)) => {
                lost += 1;
                assert!(there().await, "m{at}");
            }
            Ok(response) if response.status().is_success() => assert!(there().await, "m{at}"),
            Ok(response) => {
                assert!([429, 500, 503].contains(&response.status().as_u16()), "{response:?}");
                let status: Json = serde_json::from_slice(response.body()).unwrap();
                assert_eq!(status["kind"], "Status");
                assert!(!there().await, "m{at}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost > 2, "{lost}");
    assert!(place.requests().await.unwrap().faults > 20);
}
