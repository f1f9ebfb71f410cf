//! What goes wrong for those who manage objects by server-side apply, as far as no other file is about it. Which test is
//! about which trap stands in `tests/traps.yaml`.

use std::time::Duration;

use plinth_provider::{Class, Context, Provider};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PLAIN: &str = "application/json";

/// Runs on the embedded server, and on the cluster that `PLINTH_TEST_KUBECONFIG` names.
macro_rules! on_both {
    ($($name:ident => $judge:ident),* $(,)?) => { $(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn embedded() {
                $judge(&Cluster::start().await).await;
            }

            #[tokio::test]
            async fn real() {
                let Some(cluster) = Cluster::real().await else { return };
                $judge(&cluster).await;
            }
        }
    )* };
}

on_both! {
    branches => the_branch_of_a_one_of_changes,
    wiped => wiped_ownership_is_taken_up_again,
    jobs => a_job_goes_with_its_pods,
    webhooks => a_webhook_that_cannot_be_reached_is_waited_for,
    replaced => what_is_made_anew_is_not_deleted_for_the_old_one,
    quantities => shared_quantities_do_not_conflict,
}

async fn create(cluster: &Cluster, kind: &str, name: &str, inputs: Json) -> plinth_provider::Recorded {
    let urn = Cluster::urn(kind, name);
    let inputs = cluster.check(&urn, &cluster.own(&urn, inputs).expose());
    cluster.try_create_checked(&urn, inputs).await.unwrap_or_else(|error| panic!("{urn}: {error}"))
}

async fn update(
    cluster: &Cluster,
    recorded: &plinth_provider::Recorded,
    inputs: Json,
) -> plinth_provider::Recorded {
    let inputs = cluster.check(&recorded.urn, &cluster.own(&recorded.urn, inputs).expose());
    let updated = cluster.try_update_checked(recorded, inputs).await;
    updated.unwrap_or_else(|error| panic!("{}: {error}", recorded.urn))
}

/// A volume without a source has become an emptyDir, a variable got its value by hand: the other branch still comes.
async fn the_branch_of_a_one_of_changes(cluster: &Cluster) {
    let deployment = |volume: Json, env: Json| {
        json!({"metadata": {"name": "b"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "b"}},
            "template": {"metadata": {"labels": {"app": "b"}}, "spec": {"volumes": [volume],
            "containers": [{"name": "c", "image": "nginx:1", "env": [env]}]}}}})
    };
    let plain = json!({"name": "A", "value": "1"});
    let recorded =
        create(cluster, "apps/v1/Deployment", "b", deployment(json!({"name": "v"}), plain.clone())).await;
    let map = json!({"name": "v", "configMap": {"name": "none", "optional": true}});
    let recorded = update(cluster, &recorded, deployment(map.clone(), plain)).await;
    let path = cluster.path_of(&recorded).await;
    let pods = "/spec/template/spec";
    let live = cluster.get(&path).await;
    assert_eq!(live.pointer(&format!("{pods}/volumes/0/emptyDir")), None, "{live:#}");

    // Somebody else writes the value, which is theirs now.
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "2"}]}]}}}});
    cluster.raw("PATCH", &format!("{path}?fieldManager=kubectl-set"), STRATEGIC, &edit).await;
    let from = json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a", "optional": true}}});
    update(cluster, &recorded, deployment(map, from)).await;
    let live = cluster.get(&path).await;
    let env = live.pointer(&format!("{pods}/containers/0/env/0")).unwrap();
    assert!(env["value"].is_null() && env["valueFrom"].is_object(), "{env:#}");
}

/// Somebody has wiped the record of who owns what: what is dropped afterwards still goes.
async fn wiped_ownership_is_taken_up_again(cluster: &Cluster) {
    let map = |data: Json| json!({"metadata": {"name": "w"}, "data": data});
    let recorded = create(cluster, "v1/ConfigMap", "w", map(json!({"a": "1", "b": "2"}))).await;
    let path = cluster.path_of(&recorded).await;
    let mut live = cluster.get(&path).await;
    live["metadata"]["managedFields"] = json!([{}]);
    cluster.raw("PUT", &format!("{path}?fieldManager=editor"), PLAIN, &live).await;
    let recorded = update(cluster, &recorded, map(json!({"a": "3"}))).await;
    let live = cluster.get(&path).await;
    assert_eq!(live["data"], json!({"a": "3"}), "{live:#}");
    let managers: Vec<&str> = live["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(managers, ["plinth"]);
    let live = cluster.read(&recorded).await.unwrap();
    assert_eq!(cluster.provider.drift(&recorded, &live), []);
}

/// A plain deletion of a Job leaves its pods.
async fn a_job_goes_with_its_pods(cluster: &Cluster) {
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"metadata": {"labels": {"of": "j"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "nginx:1"}]}}}});
    let recorded = create(cluster, "batch/v1/Job", "j", job).await;
    let pods = format!("/api/v1/namespaces/{}/pods?labelSelector=of%3Dj", cluster.run());
    for _ in 0..100 {
        if cluster.get(&pods).await["items"].as_array().is_some_and(|found| !found.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.delete(&recorded).await.unwrap();
    for _ in 0..200 {
        if cluster.get(&pods).await["items"].as_array().is_some_and(Vec::is_empty) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("its pods are still there");
}

/// Its pods may be ready before it is: what it covers is tried again until it answers, or goes.
async fn a_webhook_that_cannot_be_reached_is_waited_for(cluster: &Cluster) {
    let name = format!("{}.example.com", cluster.run());
    let configuration = json!({"metadata": {"name": name}, "webhooks": [{
        "name": format!("a.{name}"), "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": cluster.run(), "name": "nobody"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.run()}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]});
    let hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    cluster.raw("POST", hooks, PLAIN, &configuration).await;
    // A new configuration takes a moment to be in force.
    let maps = format!("/api/v1/namespaces/{}/configmaps", cluster.run());
    for at in 0..100 {
        let tried = json!({"metadata": {"name": format!("try-{at}")}});
        if cluster.try_raw("POST", &format!("{maps}?dryRun=All"), PLAIN, &tried).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        cluster.raw("DELETE", &format!("{hooks}/{name}"), PLAIN, &Json::Null).await;
    };
    let inputs = json!({"metadata": {"name": "behind"}, "data": {"a": "1"}});
    let (_, made) = tokio::join!(freeing, create(cluster, "v1/ConfigMap", "behind", inputs));
    let told = cluster.told.waiting.lock().unwrap().join("\n");
    assert!(told.contains("failed calling webhook"), "{told}");
    cluster.delete(&made).await.unwrap();
}

/// A deletion names the object it means, by its uid.
async fn what_is_made_anew_is_not_deleted_for_the_old_one(cluster: &Cluster) {
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "1"}});
    let recorded = create(cluster, "v1/ConfigMap", "m", map).await;
    let path = cluster.path_of(&recorded).await;
    cluster.raw("DELETE", &path, PLAIN, &Json::Null).await;
    let collection = path.rsplit_once('/').unwrap().0.to_owned();
    let theirs = json!({"metadata": {"name": "m"}, "data": {"theirs": "1"}});
    cluster.raw("POST", &collection, PLAIN, &theirs).await;
    cluster.delete(&recorded).await.unwrap();
    assert_eq!(cluster.get(&path).await["data"]["theirs"], "1", "what somebody else made stays");
}

/// Ownership is compared by the text of a quantity: what is sent in canonical form is shared.
async fn shared_quantities_do_not_conflict(cluster: &Cluster) {
    let claim = |cpu: &str| {
        json!({"metadata": {"name": "q"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "q"}},
            "template": {"metadata": {"labels": {"app": "q"}}, "spec": {"containers": [
            {"name": "c", "image": "nginx:1", "resources": {"requests": {"cpu": cpu}}}]}}}})
    };
    let recorded = create(cluster, "apps/v1/Deployment", "q", claim("1000m")).await;
    let path = cluster.path_of(&recorded).await;
    let mut theirs = claim("1");
    theirs["apiVersion"] = "apps/v1".into();
    theirs["kind"] = "Deployment".into();
    cluster
        .raw("PATCH", &format!("{path}?fieldManager=other"), "application/apply-patch+yaml", &theirs)
        .await;
    update(cluster, &recorded, claim("1000m")).await;
}

/// An API that somebody else's server brings and that does not answer keeps every namespace from ending.
#[tokio::test]
async fn what_keeps_a_namespace_from_ending_is_named() {
    let cluster = Cluster::start().await;
    let recorded = cluster.create("v1/Namespace", "gone", &json!({"metadata": {"name": "gone"}})).await;
    let dead = json!({"metadata": {"name": "v1.dead.example.com"}, "spec": {"group": "dead.example.com", "version": "v1",
        "groupPriorityMinimum": 100, "versionPriority": 100, "service": {"namespace": "default", "name": "nobody"}}});
    cluster.raw("POST", "/apis/apiregistration.k8s.io/v1/apiservices", PLAIN, &dead).await;
    let context =
        Context { reporter: cluster.told.clone(), ..Context::new("s", Duration::from_millis(2500)) };
    let error = cluster.provider.delete(&context, &recorded).await.unwrap_err();
    assert_eq!(error.class, Class::Timeout);
    assert!(error.message.contains("dead.example.com/v1"), "{error}");
    cluster
        .raw("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.dead.example.com", PLAIN, &Json::Null)
        .await;
    cluster.delete(&recorded).await.unwrap();
}
