//! What a fresh cluster holds.

use super::super::json::{Json, Look, json};
use super::super::store::Key;
use super::super::write::DeleteOptions;
use super::Server;

const MANAGER: &str = "kube-apiserver";

impl Server {
    /// Creates what is missing, and forgets what has had its time.
    pub(super) fn bootstrap(&self) {
        self.expire_events();
        let mut objects: Vec<Json> = Vec::new();
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        objects.push(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "type": "ClusterIP",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]}
        }));
        for (name, value, description) in [
            (
                "system-cluster-critical",
                2_000_000_000,
                "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
            ),
            (
                "system-node-critical",
                2_000_001_000,
                "Used for system critical pods that must not be moved from their current node.",
            ),
        ] {
            objects.push(json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": {"name": name}, "value": value, "description": description}));
        }
        if self.options.controllers {
            // As on Kind and on most managed clusters: claims that name no class get a disk.
            objects.push(json!({
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": "local.plinth.dev/disk", "reclaimPolicy": "Delete",
                "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true
            }));
        }
        objects.extend(roles());
        objects.extend(flow_control());
        if self.options.external_secrets && self.options.controllers {
            objects.extend(external_secrets());
        }
        for (group, versions) in self.registry.groups() {
            if self.registry.all().iter().any(|r| r.group == group && r.custom.is_some()) {
                continue;
            }
            for version in versions {
                objects.push(json!({
                    "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                    "metadata": {"name": format!("{version}.{group}"),
                        "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
                    "spec": {"group": group, "version": version, "groupPriorityMinimum": if group.is_empty() { 18000 } else { 17000 },
                        "versionPriority": 15},
                    "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Local",
                        "message": "Local APIServices are always available", "lastTransitionTime": super::super::json::now()}]}
                }));
            }
        }
        for object in objects {
            let present = self.key_of(&object).is_some_and(|key: Key| self.store.get(&key).is_some());
            if present {
                continue;
            }
            if let Err(error) = self.system_create(MANAGER, object) {
                tracing::warn!(%error, "bootstrap object could not be created");
            }
        }
        if self.options.controllers
            && let Err(error) = self.balance_virtual_node()
        {
            tracing::warn!(%error, "virtual node could not be created");
        }
    }
}

impl Server {
    /// Events live for an hour. Looking once at every start keeps the journal of a long-lived server short.
    fn expire_events(&self) {
        let limit = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        for event in self.store.list("events", None).0 {
            let seen = [event.text("lastTimestamp"), event.text("metadata.creationTimestamp")];
            let last = seen.iter().find_map(|t| t.parse::<jiff::Timestamp>().ok());
            if last.is_some_and(|t| t < limit) {
                let key = Key::new("events", event.text("metadata.namespace"), event.text("metadata.name"));
                if let Err(error) = self.system_delete(&key, &DeleteOptions::default()) {
                    tracing::warn!(%error, "old event could not be dropped");
                }
            }
        }
    }
}

fn roles() -> Vec<Json> {
    let read = json!(["get", "list", "watch"]);
    let all = json!(["*"]);
    let role = |name: &str, groups: Json, resources: Json, verbs: &Json| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
                "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}},
            "rules": [{"apiGroups": groups, "resources": resources, "verbs": verbs}]})
    };
    let work = json!(["", "apps", "batch", "networking.k8s.io", "policy", "autoscaling"]);
    vec![
        role("cluster-admin", json!(["*"]), json!(["*"]), &all),
        role("admin", work.clone(), json!(["*"]), &all),
        role("edit", work.clone(), json!(["*"]), &all),
        role("view", work, json!(["*"]), &read),
        role(
            "system:auth-delegator",
            json!(["authentication.k8s.io", "authorization.k8s.io"]),
            json!(["tokenreviews", "subjectaccessreviews"]),
            &json!(["create"]),
        ),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:masters"}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "extension-apiserver-authentication-reader", "namespace": "kube-system"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"],
                "resourceNames": ["extension-apiserver-authentication"], "verbs": ["get", "list", "watch"]}]}),
    ]
}

/// What flow control cannot be without: what administrators ask, and whatever nothing else is for.
fn flow_control() -> Vec<Json> {
    let group = |name: &str| json!({"kind": "Group", "group": {"name": name}});
    let everything = |subjects: Json| {
        json!([{"subjects": subjects,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}])
    };
    let object = |kind: &str, name: &str, spec: Json| {
        json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": kind, "spec": spec,
            "metadata": {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}})
    };
    let schema = |name: &str, spec: Json| {
        let mut schema = object("FlowSchema", name, spec);
        schema["status"] = json!({"conditions": [{"type": "Dangling", "status": "False", "reason": "Found",
            "lastTransitionTime": super::super::json::now(),
            "message": format!("This FlowSchema references the PriorityLevelConfiguration object named {name:?} and it exists")}]});
        schema
    };
    let anybody = json!([group("system:unauthenticated"), group("system:authenticated")]);
    vec![
        object(
            "PriorityLevelConfiguration",
            "exempt",
            json!({"type": "Exempt",
            "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
        ),
        object(
            "PriorityLevelConfiguration",
            "catch-all",
            json!({"type": "Limited", "limited": {
            "nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}, "lendablePercent": 0}}),
        ),
        schema(
            "exempt",
            json!({"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 1,
            "rules": everything(json!([group("system:masters")]))}),
        ),
        schema(
            "catch-all",
            json!({"priorityLevelConfiguration": {"name": "catch-all"}, "matchingPrecedence": 10000,
            "distinguisherMethod": {"type": "ByUser"}, "rules": everything(anybody)}),
        ),
    ]
}

/// The definitions of the External Secrets operator, as loose as their objects are varied.
fn external_secrets() -> Vec<Json> {
    let loose = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let text = json!({"type": "string"});
    let external = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "refreshInterval": text, "secretStoreRef": {"type": "object", "properties": {"name": text, "kind": text}},
        "target": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"name": text, "creationPolicy": text}},
        "data": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "required": ["secretKey", "remoteRef"], "properties": {"secretKey": text, "remoteRef": loose}}}}});
    [
        ("ExternalSecret", "externalsecrets", "Namespaced", external),
        ("SecretStore", "secretstores", "Namespaced", loose.clone()),
        ("ClusterSecretStore", "clustersecretstores", "Cluster", loose.clone()),
    ]
    .into_iter()
    .map(|(kind, plural, scope, spec)| {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.external-secrets.io")},
            "spec": {"group": "external-secrets.io", "scope": scope,
                "names": {"kind": kind, "plural": plural, "categories": ["external-secrets"]},
                "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}],
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": loose.clone()}}}}]}
        })
    })
    .collect()
}
