//! How many requests a stack costs, and how close to the least possible time it comes when each takes a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use kube::client::Body;
use plinth_kubernetes::{Connector, Kubernetes};
use plinth_provider::{Provider, ReadRequest, Recorded, Result, Urn, Value};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

const LATENCY: Duration = Duration::from_millis(5);
const OBJECTS: usize = 400;
const AT_ONCE: usize = 64;

type Seen = Arc<Mutex<BTreeMap<String, usize>>>;

/// Reaches the server by way of a line that takes its time, and counts what passes.
struct Slow {
    client: kube::Client,
}

#[async_trait]
impl Connector for Slow {
    async fn client(&self, _: Option<&Value>) -> Result<kube::Client> {
        Ok(self.client.clone())
    }
}

async fn slow() -> (Cluster, Seen) {
    let mut cluster = Cluster::start().await;
    let seen: Seen = Arc::default();
    let (counting, direct) = (seen.clone(), cluster.client.clone());
    let line = tower::service_fn(move |request: http::Request<Body>| {
        *counting.lock().unwrap().entry(request.method().to_string()).or_default() += 1;
        let direct = direct.clone();
        async move {
            tokio::time::sleep(LATENCY).await;
            direct.send(request).await
        }
    });
    cluster.provider = Kubernetes::new(Arc::new(Slow { client: kube::Client::new(line, "default") }));
    (cluster, seen)
}

/// Kinds of objects that need nobody to become ready: thirty of them.
fn kinds() -> Vec<(String, bool)> {
    let mut kinds: Vec<(String, bool)> = [
        ("v1/ConfigMap", true),
        ("v1/Secret", true),
        ("v1/ServiceAccount", true),
        ("rbac.authorization.k8s.io/v1/Role", true),
        ("networking.k8s.io/v1/NetworkPolicy", true),
        ("rbac.authorization.k8s.io/v1/ClusterRole", false),
        ("v1/Namespace", false),
        ("coordination.k8s.io/v1/Lease", true),
        ("v1/LimitRange", true),
        ("v1/Service", true),
    ]
    .into_iter()
    .map(|(kind, namespaced)| (kind.to_owned(), namespaced))
    .collect();
    kinds.extend((kinds.len()..30).map(|at| (format!("example.com/v1/Thing{at}"), true)));
    kinds
}

fn inputs(kind: &str, name: &str) -> Json {
    let mut object = json!({"metadata": {"name": name}});
    match kind.rsplit('/').next().unwrap_or_default() {
        "NetworkPolicy" => object["spec"] = json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
        "Service" => object["spec"] = json!({"clusterIP": "None", "ports": [{"port": 80}]}),
        "LimitRange" => object["spec"] = json!({"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}),
        "ConfigMap" => object["data"] = json!({"a": "1"}),
        thing if thing.starts_with("Thing") => {
            object["metadata"]["namespace"] = "default".into();
            object["spec"] = json!({"size": 1});
        }
        _ => {}
    }
    object
}

async fn apply(cluster: &Cluster, wanted: Vec<(Urn, Json)>) -> Vec<Recorded> {
    let work = wanted.into_iter().map(|(urn, inputs)| async move {
        cluster.try_create(&urn, &inputs).await.unwrap_or_else(|error| panic!("{urn}: {error:?}"))
    });
    futures::stream::iter(work.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await
}

#[tokio::test]
async fn four_hundred_objects_of_thirty_kinds() {
    let (cluster, seen) = slow().await;
    let definitions = kinds().into_iter().filter(|(kind, _)| kind.starts_with("example.com")).map(|(kind, _)| {
        let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
        let plural = kind.to_lowercase() + "s";
        let inputs = json!({"metadata": {"name": format!("{plural}.example.com")}, "spec": {"group": "example.com",
            "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [{"name": "v1", "served": true,
            "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
        (Cluster::urn("apiextensions.k8s.io/v1/CustomResourceDefinition", &plural), inputs)
    });
    apply(&cluster, definitions.collect()).await;

    let kinds = kinds();
    let wanted: Vec<(Urn, Json)> = (0..OBJECTS)
        .map(|at| {
            let (kind, _) = &kinds[at % kinds.len()];
            let name = format!("o{at}");
            (Cluster::urn(kind, &name), inputs(kind, &name))
        })
        .collect();
    seen.lock().unwrap().clear();
    let begun = Instant::now();
    let recorded = apply(&cluster, wanted).await;
    let took = begun.elapsed();
    let asked = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(asked["PATCH"], OBJECTS, "one write each: {asked:?}");
    // Nothing depends on anything: waves of as many requests as may run at once, and the discovery of one group.
    let total: usize = asked.values().sum();
    assert!(total <= OBJECTS + kinds.len(), "{asked:?}");
    eprintln!("{OBJECTS} objects applied in {took:?} by {total} requests");

    let requests: Vec<ReadRequest<'_>> = recorded.iter().map(|recorded| ReadRequest { recorded }).collect();
    let begun = Instant::now();
    let live = cluster.provider.read_many(&cluster.context("s"), &requests).await;
    let took = begun.elapsed();
    let asked = std::mem::take(&mut *seen.lock().unwrap());
    eprintln!("refreshed in {took:?} by {asked:?}");
    assert!(asked.values().sum::<usize>() <= 40, "{asked:?}");
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["GET"], "a refresh writes nothing");
    for (live, recorded) in live.into_iter().zip(&recorded) {
        assert_eq!(cluster.provider.drift(recorded, &live.unwrap().unwrap()), [], "{}", recorded.urn);
    }
}
