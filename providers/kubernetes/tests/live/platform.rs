//! The whole platform: created in the order that follows from its objects, in sync at once, and gone without a rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plinth_provider::{Class, Context, Diff, Provider, ReadRequest, Recorded, Request, Resource, Urn, Value};
use plinth_stacks::program::{Target, program};
use serde_json::json;

use crate::cluster::{Cluster, recorded};

/// What the cloud would have given.
fn made_up(path: &str) -> Value {
    match path.rsplit('.').next().unwrap_or(path) {
        "port" => Value::from(443),
        _ => "made-up".into(),
    }
}

async fn apply(cluster: &Arc<Cluster>, resource: Resource, known: BTreeMap<Urn, Recorded>) -> Recorded {
    let urn = resource.urn;
    let inputs = resource.inputs.resolve(&mut |reference| {
        let from = known.get(&reference.urn).and_then(|recorded| recorded.outputs.lookup(&reference.path));
        Some(from.unwrap_or_else(|| made_up(&reference.path.to_string())))
    });
    let inputs = cluster.provider.check(&urn, inputs).unwrap_or_else(|error| panic!("{urn}: {error:?}"));
    let request = Request { urn: &urn, inputs: &inputs, connection: None };
    for _ in 0..5 {
        let context = Context::new(urn.stack(), Duration::from_secs(60));
        match cluster.provider.create(&context, request).await {
            Ok(applied) => return recorded(&urn, &inputs, applied),
            Err(error) if matches!(error.class, Class::Unavailable | Class::Throttled { .. }) => {}
            Err(error) => panic!("{urn}: {error:?}"),
        }
    }
    panic!("{urn} does not settle")
}

/// cert-manager's webhook makes its own CA once its pods run; pods here run nothing.
fn simulate_webhook(cluster: &Arc<Cluster>) {
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        let find = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let found = cluster.get(find).await;
            for item in found["items"].as_array().into_iter().flatten() {
                let wanted =
                    item["metadata"]["annotations"]["cert-manager.io/inject-ca-from-secret"].as_str();
                if let Some((namespace, name)) = wanted.and_then(|text| text.split_once('/')) {
                    let secret = json!({"metadata": {"name": name}, "data": {"ca.crt": "Y2E="}});
                    let path = format!("/api/v1/namespaces/{namespace}/secrets");
                    // The server may know how to play this part itself.
                    if cluster.get(&path).await["items"]
                        .as_array()
                        .is_some_and(|all| all.iter().all(|one| one["metadata"]["name"] != name))
                    {
                        cluster.raw("POST", &path, "application/json", &secret).await;
                    }
                    return;
                }
            }
        }
    });
}

#[tokio::test]
async fn a_platform_comes_stays_in_sync_and_goes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stacks/local.yaml");
    let stack = plinth_stacks::file::load(&file).unwrap_or_else(|found| panic!("{}", found[0])).stack;
    let resources: Vec<Resource> = program(&stack, &Target::default())
        .unwrap()
        .into_iter()
        .filter(|resource| resource.urn.kind().starts_with("k8s:"))
        .map(|resource| Resource { connection: None, ..resource })
        .collect();
    assert!(resources.len() > 50, "{}", resources.len());
    let cluster = Arc::new(Cluster::start().await);
    simulate_webhook(&cluster);
    let all: BTreeSet<Urn> = resources.iter().map(|resource| resource.urn.clone()).collect();
    let mut needs: BTreeMap<Urn, BTreeSet<Urn>> = resources
        .iter()
        .map(|one| {
            (one.urn.clone(), one.dependencies().into_iter().filter(|urn| all.contains(urn)).collect())
        })
        .collect();
    let views: Vec<&Resource> = resources.iter().collect();
    let begun = Instant::now();
    for one in &resources {
        let inputs = one.inputs.resolve(&mut |_| None);
        cluster.provider.check(&one.urn, inputs).unwrap_or_else(|error| panic!("{}: {error:?}", one.urn));
    }
    eprintln!("checked {} in {:?}", resources.len(), begun.elapsed());
    let begun = Instant::now();
    for (dependent, dependency) in cluster.provider.infer_dependencies(&views) {
        needs.get_mut(&dependent).unwrap().insert(dependency);
    }
    eprintln!("infer {:?}", begun.elapsed());
    let order = needs.clone();
    let mut by_urn: BTreeMap<Urn, Resource> =
        resources.into_iter().map(|one| (one.urn.clone(), one)).collect();
    let mut done: BTreeMap<Urn, Recorded> = BTreeMap::new();
    let mut running = tokio::task::JoinSet::new();
    let begun = Instant::now();
    while !needs.is_empty() || !running.is_empty() {
        let ready: Vec<Urn> = needs
            .iter()
            .filter(|(_, needed)| needed.iter().all(|urn| done.contains_key(urn)))
            .map(|(urn, _)| urn.clone())
            .collect();
        for urn in ready {
            needs.remove(&urn);
            let (cluster, resource, known) = (cluster.clone(), by_urn.remove(&urn).unwrap(), done.clone());
            running.spawn(async move {
                let begun = Instant::now();
                let recorded = apply(&cluster, resource, known).await;
                (recorded, begun.elapsed())
            });
        }
        let (recorded, took) = running.join_next().await.expect("no circle").unwrap();
        if took > Duration::from_secs(2) {
            eprintln!("{} took {took:?}", recorded.urn);
        }
        done.insert(recorded.urn.clone(), recorded);
    }
    eprintln!("applied {} in {:?}", done.len(), begun.elapsed());

    let records: Vec<Recorded> = done.values().cloned().collect();
    let requests: Vec<ReadRequest<'_>> = records.iter().map(|recorded| ReadRequest { recorded }).collect();
    let begun = Instant::now();
    let live = cluster.provider.read_many(&cluster.context("s"), &requests).await;
    eprintln!("read in {:?}", begun.elapsed());
    for (live, recorded) in live.into_iter().zip(&records) {
        let live = live.unwrap().unwrap_or_else(|| panic!("{} is there", recorded.urn));
        assert_eq!(cluster.provider.drift(recorded, &live), [], "{}", recorded.urn);
        let again = cluster.provider.check(&recorded.urn, recorded.inputs.clone()).unwrap();
        assert_eq!(cluster.provider.diff(recorded, &again).unwrap(), Diff::None);
        if let Some(rewritten) = recorded.outputs.get("rewritten") {
            panic!("{} was rewritten: {rewritten}", recorded.urn);
        }
    }

    let begun = Instant::now();
    let mut left: BTreeSet<Urn> = all;
    let mut running = tokio::task::JoinSet::new();
    let mut started = BTreeSet::new();
    while !left.is_empty() {
        let needed: BTreeSet<&Urn> = left.iter().flat_map(|urn| &order[urn]).collect();
        let free: Vec<Urn> =
            left.iter().filter(|urn| !needed.contains(urn) && !started.contains(*urn)).cloned().collect();
        for urn in free {
            started.insert(urn.clone());
            let (cluster, recorded) = (cluster.clone(), done[&urn].clone());
            running.spawn(async move {
                let context = Context::new(urn.stack(), Duration::from_secs(60));
                let begun = Instant::now();
                cluster
                    .provider
                    .delete(&context, &recorded)
                    .await
                    .unwrap_or_else(|error| panic!("{urn}: {error:?}"));
                (urn, begun.elapsed())
            });
        }
        let (urn, took) = running.join_next().await.expect("no circle").unwrap();
        if took > Duration::from_secs(2) {
            eprintln!("deleting {urn} took {took:?}");
        }
        left.remove(&urn);
    }
    eprintln!("deleted in {:?}", begun.elapsed());
    for path in ["/api/v1/persistentvolumeclaims", "/api/v1/pods", "/apis/apps/v1/replicasets"] {
        let list = cluster.get(path).await;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{path}");
    }
}
