//! What other objects rest on: configuration, accounts, services, volumes, definitions.

use serde_json::{Value as Json, json};

use super::{Cluster, Kind, conform, conforms};

conforms!(
    config_map,
    "v1/ConfigMap",
    json!({"metadata": {"name": "a"}, "data": {"k": "1", "gone": "x"}, "binaryData": {"b": "AAEC"}}),
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
    json!({"metadata": {"name": "RUN-a"}}),
    Some(
        json!({"metadata": {"name": "RUN-a", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    ),
    Some(json!({"metadata": {"name": "RUN-b"}}))
);
conforms!(
    service_account,
    "v1/ServiceAccount",
    json!({"metadata": {"name": "a"}, "automountServiceAccountToken": false}),
    Some(json!({"metadata": {"name": "a"}, "imagePullSecrets": [{"name": "x"}]})),
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
conforms!(
    endpoint_slice,
    "discovery.k8s.io/v1/EndpointSlice",
    json!({"metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "outside"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"name": "http", "port": 80}]}),
    Some(
        json!({"metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "outside"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.2"], "conditions": {"ready": true}}], "ports": [{"name": "http", "port": 81}]})
    ),
    Some(
        json!({"metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "outside"}}, "addressType": "IPv6",
        "endpoints": [{"addresses": ["2001:db8::1"]}], "ports": [{"name": "http", "port": 81}]})
    )
);
conforms!(
    lease,
    "coordination.k8s.io/v1/Lease",
    json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "x", "leaseDurationSeconds": 30}}),
    Some(json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "y", "leaseDurationSeconds": 30}})),
    None
);

fn claim(size: &str, mode: &str, label: &str) -> Json {
    json!({"metadata": {"name": "a", "labels": {"l": label}}, "spec": {"storageClassName": "standard-of-plinth",
        "accessModes": [mode], "resources": {"requests": {"storage": size}}}})
}

// Its class is not there, so nothing ever binds it: what counts is what the API says of changes.
conforms!(
    claim_of_no_class,
    "v1/PersistentVolumeClaim",
    {
        let mut claim = claim("1024Mi", "ReadWriteOnce", "a");
        claim["metadata"]["annotations"]["plinth.dev/wait"] = "false".into();
        claim
    },
    {
        let mut claim = claim("1Gi", "ReadWriteOnce", "b");
        claim["metadata"]["annotations"]["plinth.dev/wait"] = "false".into();
        Some(claim)
    },
    {
        let mut claim = claim("1Gi", "ReadWriteMany", "b");
        claim["metadata"]["annotations"]["plinth.dev/wait"] = "false".into();
        Some(claim)
    }
);

#[tokio::test]
async fn a_claim_that_grows() {
    let grown = |size: &str| {
        json!({"metadata": {"name": "a"}, "spec": {"storageClassName": "immediate", "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}}}})
    };
    let kind = Kind {
        kind: "v1/PersistentVolumeClaim",
        inputs: grown("1024Mi"),
        updated: Some(grown("2Gi")),
        replaced: None,
    };
    conform(&Cluster::start().await, kind).await;
}

fn volume(size: &str, path: &str) -> Json {
    json!({"metadata": {"name": "RUN-a"}, "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "none-of-plinth", "hostPath": {"path": path}}})
}

conforms!(
    volume,
    "v1/PersistentVolume",
    super::volume("1Gi", "/a"),
    Some(super::volume("2Gi", "/a")),
    Some(super::volume("2Gi", "/b"))
);
conforms!(
    storage_class,
    "storage.k8s.io/v1/StorageClass",
    json!({"metadata": {"name": "RUN-fast"}, "provisioner": "example.com/x", "parameters": {"type": "ssd"}}),
    Some(
        json!({"metadata": {"name": "RUN-fast"}, "provisioner": "example.com/x", "parameters": {"type": "ssd"}, "allowVolumeExpansion": true})
    ),
    Some(
        json!({"metadata": {"name": "RUN-fast"}, "provisioner": "example.com/x", "parameters": {"type": "hdd"}})
    )
);
conforms!(
    csi_driver,
    "storage.k8s.io/v1/CSIDriver",
    json!({"metadata": {"name": "RUN.example.com"}, "spec": {"attachRequired": true, "podInfoOnMount": false}}),
    Some(
        json!({"metadata": {"name": "RUN.example.com"}, "spec": {"attachRequired": true, "podInfoOnMount": true}})
    ),
    Some(
        json!({"metadata": {"name": "RUN.example.com"}, "spec": {"attachRequired": false, "podInfoOnMount": true}})
    )
);

fn definition(extra: &str, scope: &str) -> Json {
    json!({"metadata": {"name": "things.RUN.example.com"}, "spec": {"group": "RUN.example.com", "scope": scope,
        "names": {"kind": "Thing", "plural": "things"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer"}, "mode": {"type": "string", "default": "plain"}, extra: {"type": "string"}}}}}}}]}})
}

const DEFINITION: &str = "apiextensions.k8s.io/v1/CustomResourceDefinition";

conforms!(
    definition,
    DEFINITION,
    super::definition("b", "Namespaced"),
    Some(super::definition("c", "Namespaced")),
    Some(super::definition("c", "Cluster"))
);

async fn custom_resource(cluster: Cluster) {
    let made = cluster.create(DEFINITION, "crd", &cluster.named(definition("a", "Namespaced"))).await;
    let thing =
        |name: &str, spec: Json| json!({"metadata": {"name": name, "namespace": "RUN"}, "spec": spec});
    let group = cluster.run();
    let kind = Kind {
        kind: Box::leak(format!("{group}.example.com/v1/Thing").into_boxed_str()),
        inputs: thing("a", json!({"size": 1})),
        updated: Some(thing("a", json!({"size": 2, "a": "x"}))),
        replaced: Some(thing("b", json!({"size": 2}))),
    };
    conform(&cluster, kind).await;
    cluster.delete(&made).await.unwrap();
}

#[tokio::test]
async fn custom_resource_embedded() {
    custom_resource(Cluster::start().await).await;
}

#[tokio::test]
async fn custom_resource_real() {
    let Some(cluster) = Cluster::real().await else { return };
    custom_resource(cluster).await;
}
