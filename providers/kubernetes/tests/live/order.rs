//! Things that are not there yet, or not gone yet.

use plinth_provider::{Class, Provider, Value};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

fn definition() -> Json {
    json!({"metadata": {"name": "things.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}})
}

const DEFINITION: &str = "apiextensions.k8s.io/v1/CustomResourceDefinition";

#[tokio::test]
async fn a_custom_resource_waits_for_its_definition() {
    let cluster = Cluster::start().await;
    let thing = json!({"metadata": {"name": "t"}, "spec": {"size": 1}});
    let later = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        cluster.create(DEFINITION, "crd", &definition()).await
    };
    let (definition, thing) = tokio::join!(later, cluster.create("example.com/v1/Thing", "t", &thing));
    assert_eq!(thing.id, "default/t");
    assert!(cluster.told.waiting.lock().unwrap().iter().any(|reason| reason.contains("not served yet")));
    cluster.delete(&thing).await.unwrap();
    cluster.delete(&definition).await.unwrap();
    // Without its definition it is gone, and deleting it again is no error.
    assert!(cluster.read(&thing).await.is_none());
    cluster.delete(&thing).await.unwrap();
}

#[tokio::test]
async fn a_new_field_of_a_custom_resource_is_refused_when_its_schema_has_none() {
    let cluster = Cluster::start().await;
    cluster.create(DEFINITION, "crd", &definition()).await;
    let urn = Cluster::urn("example.com/v1/Thing", "t");
    let error =
        cluster.try_create(&urn, &json!({"metadata": {"name": "t"}, "spec": {"sise": 1}})).await.unwrap_err();
    assert_eq!(error.class, Class::Invalid, "{error}");
    assert!(error.message.contains("sise"), "{error}");
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_waited_for() {
    let cluster = Cluster::start().await;
    let namespace = cluster.create("v1/Namespace", "n", &json!({"metadata": {"name": "n"}})).await;
    let held = json!({"metadata": {"name": "held", "namespace": "n", "finalizers": ["example.com/hold"]}});
    cluster.raw("POST", "/api/v1/namespaces/n/configmaps", "application/json", &held).await;
    cluster.raw("DELETE", "/api/v1/namespaces/n", "application/json", &Json::Null).await;
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        let patch = json!({"metadata": {"finalizers": null}});
        cluster
            .raw("PATCH", "/api/v1/namespaces/n/configmaps/held", "application/merge-patch+json", &patch)
            .await;
    };
    let inputs = json!({"metadata": {"name": "n", "labels": {"l": "v"}}});
    let (again, ()) = tokio::join!(cluster.update(&namespace, &inputs), release);
    assert_ne!(again.outputs.text_at("metadata.uid"), namespace.outputs.text_at("metadata.uid"));
    let live = cluster.get("/api/v1/namespaces/n").await;
    assert_eq!(live["metadata"]["labels"]["l"], "v");
    assert!(live["metadata"].get("deletionTimestamp").is_none());
}

#[tokio::test]
async fn a_hanging_finalizer_is_named_with_who_set_it() {
    let cluster = Cluster::start().await;
    let recorded = cluster.create("v1/ConfigMap", "c", &json!({"metadata": {"name": "c"}})).await;
    let patch = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let path = "/api/v1/namespaces/default/configmaps/c";
    cluster
        .raw("PATCH", &format!("{path}?fieldManager=holder"), "application/merge-patch+json", &patch)
        .await;
    let context = plinth_provider::Context::new("s", std::time::Duration::from_secs(2));
    let context = plinth_provider::Context { reporter: cluster.told.clone(), ..context };
    let error = cluster.provider.delete(&context, &recorded).await.unwrap_err();
    assert_eq!(error.class, Class::Timeout);
    assert!(error.message.contains("example.com/hold (set by holder)"), "{error}");
    let told = cluster.told.waiting.lock().unwrap();
    assert!(told.iter().any(|reason| reason.contains("(set by holder)")), "said while waiting: {told:?}");
}

#[tokio::test]
async fn a_claim_that_waits_for_its_first_consumer_is_done() {
    let cluster = Cluster::start().await;
    let class = json!({"metadata": {"name": "late"}, "provisioner": "example.com/disks", "volumeBindingMode": "WaitForFirstConsumer"});
    cluster.create("storage.k8s.io/v1/StorageClass", "late", &class).await;
    let claim = json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "late", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    let recorded = cluster.create("v1/PersistentVolumeClaim", "c", &claim).await;
    let live = cluster.get("/api/v1/namespaces/default/persistentvolumeclaims/c").await;
    assert_eq!(live["status"]["phase"], "Pending");
    cluster.delete(&recorded).await.unwrap();
}

#[tokio::test]
async fn what_is_dropped_but_shared_stays_and_is_told() {
    let cluster = Cluster::start().await;
    let config = |data: Json| json!({"metadata": {"name": "c"}, "data": data});
    let recorded = cluster.create("v1/ConfigMap", "c", &config(json!({"a": "1", "b": "1"}))).await;
    let path = "/api/v1/namespaces/default/configmaps/c";
    let shared =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"b": "1"}});
    cluster
        .raw("PATCH", &format!("{path}?fieldManager=other"), "application/apply-patch+yaml", &shared)
        .await;
    cluster.update(&recorded, &config(json!({"a": "1"}))).await;
    assert_eq!(cluster.get(path).await["data"], json!({"a": "1", "b": "1"}));
    let warnings = cluster.told.warnings.lock().unwrap().join("\n");
    assert!(warnings.contains("data.b is left in place, owned by other"), "{warnings}");
}

#[tokio::test]
async fn a_job_that_removed_itself_is_not_missed() {
    let cluster = Cluster::start().await;
    let job = json!({"metadata": {"name": "j"}, "spec": {"ttlSecondsAfterFinished": 0, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1"}]}}}});
    let recorded = cluster.create("batch/v1/Job", "j", &job).await;
    let mut left = 1;
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        left = cluster.get("/apis/batch/v1/jobs").await["items"].as_array().unwrap().len();
        if left == 0 {
            break;
        }
    }
    assert_eq!(left, 0, "the server removes it");
    let live = cluster.read(&recorded).await.expect("it has done its work");
    assert_eq!(cluster.provider.drift(&recorded, &live), []);
    cluster.delete(&recorded).await.unwrap();
}

#[tokio::test]
async fn what_is_secret_in_the_inputs_is_secret_in_what_comes_back() {
    let cluster = Cluster::start().await;
    let urn = Cluster::urn("v1/ConfigMap", "c");
    let inputs = Value::from([
        ("metadata", Value::from([("name", "c")])),
        (
            "data",
            Value::from([("plain", Value::from("x")), ("config", Value::secret("password: CANARY-77"))]),
        ),
    ]);
    let inputs = cluster.provider.check(&urn, inputs).unwrap();
    let recorded = cluster.try_create_checked(&urn, inputs).await.unwrap();
    let live = cluster.read(&recorded).await.unwrap();
    assert!(!format!("{:?} {:?} {:?}", recorded.outputs, live.outputs, live.inputs).contains("CANARY"));
    assert_eq!(cluster.provider.drift(&recorded, &live), []);
    let patch = json!({"data": {"config": "other: SECRET-88"}});
    cluster
        .raw("PATCH", "/api/v1/namespaces/default/configmaps/c", "application/merge-patch+json", &patch)
        .await;
    let live = cluster.read(&recorded).await.unwrap();
    let drift = cluster.provider.drift(&recorded, &live);
    assert_eq!(drift.len(), 1);
    assert!(!format!("{drift:?}").contains("SECRET-88"));
}
