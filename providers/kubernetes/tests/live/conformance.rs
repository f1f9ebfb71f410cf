//! Every kind keeps every promise of the contract.

use plinth_provider::conformance::{Case, run};
use plinth_provider::{Provider, Urn, Value};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

struct Kind {
    kind: &'static str,
    inputs: Json,
    updated: Option<Json>,
    replaced: Option<Json>,
}

async fn conform(cluster: &Cluster, kind: Kind) {
    let urn = Urn::new("s", &format!("k8s:{}", kind.kind), "r").unwrap();
    let case = Case {
        updated: kind.updated.map(Value::from_json),
        replaced: kind.replaced.map(Value::from_json),
        ..Case::new(urn, Value::from_json(kind.inputs))
    };
    run(&cluster.provider, &case).await;
    predictions_hold(cluster, &case).await;
}

/// What a plan says of the outputs is what comes, as far as it says anything.
async fn predictions_hold(cluster: &Cluster, case: &Case) {
    let first = cluster.provider.check(&case.urn, case.inputs.clone()).unwrap();
    let predicted = cluster.provider.predict(&case.urn, &first, None);
    let created = cluster.try_create_checked(&case.urn, first).await.unwrap();
    assert_predicted(&predicted, &created.outputs);
    let mut last = created;
    if let Some(updated) = &case.updated {
        let updated = cluster.provider.check(&case.urn, updated.clone()).unwrap();
        let predicted = cluster.provider.predict(&case.urn, &updated, Some(&last));
        last = cluster.try_update_checked(&last, updated).await.unwrap();
        assert_predicted(&predicted, &last.outputs);
    }
    cluster.delete(&last).await.unwrap();
}

fn assert_predicted(predicted: &Value, actual: &Value) {
    match predicted {
        Value::Unknown => {}
        Value::Map(map) => {
            for (key, value) in map {
                if *value != Value::Unknown {
                    assert_predicted(
                        value,
                        actual.get(key).unwrap_or_else(|| panic!("{key} of {predicted} in {actual}")),
                    );
                }
            }
        }
        known => assert_eq!(known, actual),
    }
}

macro_rules! conforms {
    ($name:ident, $kind:expr, $inputs:expr, $updated:expr, $replaced:expr) => {
        #[tokio::test]
        async fn $name() {
            let cluster = Cluster::start().await;
            conform(&cluster, Kind { kind: $kind, inputs: $inputs, updated: $updated, replaced: $replaced })
                .await;
        }
    };
}

conforms!(
    config_map,
    "v1/ConfigMap",
    json!({"metadata": {"name": "a"}, "data": {"k": "1", "gone": "x"}}),
    Some(json!({"metadata": {"name": "a", "labels": {"l": "v"}}, "data": {"k": "2"}})),
    Some(json!({"metadata": {"name": "b"}, "data": {"k": "2"}}))
);
conforms!(
    immutable_config_map,
    "v1/ConfigMap",
    json!({"metadata": {"name": "a"}, "immutable": true, "data": {"k": "1"}}),
    Some(json!({"metadata": {"name": "a", "labels": {"l": "v"}}, "immutable": true, "data": {"k": "1"}})),
    Some(json!({"metadata": {"name": "a"}, "immutable": true, "data": {"k": "2"}}))
);
conforms!(
    secret,
    "v1/Secret",
    json!({"metadata": {"name": "a"}, "stringData": {"k": "hunter2", "gone": "x"}}),
    Some(json!({"metadata": {"name": "a"}, "stringData": {"k": "hunter3"}})),
    Some(json!({"metadata": {"name": "a"}, "type": "example.com/x", "stringData": {"k": "hunter3"}}))
);
conforms!(
    namespace,
    "v1/Namespace",
    json!({"metadata": {"name": "a"}}),
    Some(json!({"metadata": {"name": "a", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})),
    Some(json!({"metadata": {"name": "b"}}))
);
conforms!(
    cluster_role,
    "rbac.authorization.k8s.io/v1/ClusterRole",
    json!({"metadata": {"name": "s:a"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    Some(
        json!({"metadata": {"name": "s:a"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]})
    ),
    None
);
conforms!(
    service,
    "v1/Service",
    json!({"metadata": {"name": "a"}, "spec": {"selector": {"app": "a"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"selector": {"app": "b"}, "ports": [{"name": "http", "port": 81, "targetPort": 8080}]}})
    ),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "None", "selector": {"app": "b"}, "ports": [{"name": "http", "port": 81}]}})
    )
);
conforms!(
    load_balancer,
    "v1/Service",
    json!({"metadata": {"name": "a"}, "spec": {"type": "LoadBalancer", "selector": {"app": "a"}, "ports": [{"port": 80}]}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"type": "ClusterIP", "selector": {"app": "a"}, "ports": [{"port": 80}]}})
    ),
    None
);

fn pods(image: &str) -> Json {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": image,
        "env": [{"name": "B", "value": "1"}, {"name": "A", "value": ""}],
        "ports": [{"containerPort": 80}], "resources": {"requests": {"cpu": "1000m", "memory": "64Mi"}}}]}})
}

fn deployment(app: &str, image: &str, replicas: i64) -> Json {
    let mut template = pods(image);
    template["metadata"]["labels"]["app"] = app.into();
    json!({"metadata": {"name": "a"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}})
}

conforms!(
    deployments,
    "apps/v1/Deployment",
    deployment("a", "nginx:1.27", 2),
    Some(deployment("a", "nginx:1.28", 3)),
    Some(deployment("b", "nginx:1.28", 3))
);

fn stateful_set(app: &str, replicas: i64, size: &str) -> Json {
    let mut set = deployment(app, "nginx:1.27", replicas);
    set["spec"]["serviceName"] = "a".into();
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}}]);
    set
}

conforms!(
    stateful_sets,
    "apps/v1/StatefulSet",
    stateful_set("a", 2, "1Gi"),
    Some(stateful_set("a", 3, "1024Mi")),
    Some(stateful_set("b", 2, "1Gi"))
);
conforms!(
    stateful_sets_that_grow,
    "apps/v1/StatefulSet",
    stateful_set("a", 2, "1Gi"),
    None,
    Some(stateful_set("a", 2, "2048Mi"))
);
conforms!(
    daemon_set,
    "apps/v1/DaemonSet",
    json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pods("nginx:1")}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pods("nginx:2")}})
    ),
    None
);

fn job(image: &str, parallelism: i64) -> Json {
    json!({"metadata": {"name": "a"}, "spec": {"parallelism": parallelism, "template": {"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": image, "command": ["true"]}]}}}})
}

conforms!(jobs, "batch/v1/Job", job("busybox:1", 1), Some(job("busybox:1", 2)), Some(job("busybox:2", 2)));
conforms!(
    claim,
    "v1/PersistentVolumeClaim",
    json!({"metadata": {"name": "a"}, "spec": {"storageClassName": "immediate", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"storageClassName": "immediate", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}})
    ),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"storageClassName": "immediate", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "2Gi"}}}})
    )
);

fn definition(extra: &str) -> Json {
    json!({"metadata": {"name": "things.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer"}, extra: {"type": "string"}}}}}}}]}})
}

#[tokio::test]
async fn definition_and_custom_resource() {
    let cluster = Cluster::start().await;
    let mut cluster_wide = definition("b");
    cluster_wide["spec"]["scope"] = "Cluster".into();
    conform(
        &cluster,
        Kind {
            kind: "apiextensions.k8s.io/v1/CustomResourceDefinition",
            inputs: definition("a"),
            updated: Some(definition("b")),
            replaced: Some(cluster_wide),
        },
    )
    .await;
    cluster.create("apiextensions.k8s.io/v1/CustomResourceDefinition", "crd", &definition("a")).await;
    conform(
        &cluster,
        Kind {
            kind: "example.com/v1/Thing",
            inputs: json!({"metadata": {"name": "a"}, "spec": {"size": 1}}),
            updated: Some(json!({"metadata": {"name": "a"}, "spec": {"size": 2, "a": "x"}})),
            replaced: Some(json!({"metadata": {"name": "b"}, "spec": {"size": 2}})),
        },
    )
    .await;
}

conforms!(
    storage_class,
    "storage.k8s.io/v1/StorageClass",
    json!({"metadata": {"name": "fast"}, "provisioner": "example.com/x", "parameters": {"type": "ssd"}}),
    Some(
        json!({"metadata": {"name": "fast"}, "provisioner": "example.com/x", "parameters": {"type": "ssd"}, "allowVolumeExpansion": true})
    ),
    Some(
        json!({"metadata": {"name": "fast"}, "provisioner": "example.com/x", "parameters": {"type": "hdd"}})
    )
);
conforms!(
    network_policy,
    "networking.k8s.io/v1/NetworkPolicy",
    json!({"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
    Some(
        json!({"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}})
    ),
    None
);
