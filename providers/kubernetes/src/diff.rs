//! What it takes to bring a recorded object to the desired one, and what each kind declares for that.

use std::time::Duration;

use plinth_provider::{Change, Diff, KindSchema, Path, Pattern, Recorded, Result, Value, changes_with_sets};

use crate::kind::Gvk;
use crate::quantity;
use crate::schema;

/// What `owner::STACK` and `owner::URN` are in the inputs.
const MARKS: &[&str] =
    &[r#"metadata.labels["plinth.dev/stack"]"#, r#"metadata.annotations["plinth.dev/urn"]"#];
const CLAIM_SIZE: &str = "spec.resources.requests.storage";

/// What a kind declares.
pub(crate) fn schema(gvk: &Gvk) -> KindSchema {
    let mut immutable = vec!["metadata.name", "metadata.namespace"];
    immutable.extend_from_slice(immutable_paths(gvk));
    let secret: &[&str] = if gvk.is("", "Secret") { &["data.*", "stringData.*"] } else { &[] };
    let (usual, timeout) = durations(gvk);
    KindSchema {
        immutable: KindSchema::patterns(&immutable),
        recreated: KindSchema::patterns(if gvk.is("apps", "StatefulSet") { &RECREATED } else { &[] }),
        secret: KindSchema::patterns(secret),
        computed: KindSchema::patterns(&["metadata.uid", "status"]),
        marks: KindSchema::patterns(MARKS),
        set_like: KindSchema::patterns(&["metadata.finalizers"]),
        // One name each: no old instance is ever left beside a new one.
        at_delete: Vec::new(),
        // An object's name is its identity: the old one must go before the new one can come.
        delete_before_replace: true,
        usual_duration: Duration::from_millis(usual),
        default_timeout: Duration::from_secs(timeout),
    }
}

/// Paths that the API server refuses to change. Not here, whatever the folklore says: PodDisruptionBudgets,
/// HorizontalPodAutoscalers, CronJobs, a Job's parallelism, backoff, deadline and time to live, the capacity and
/// reclaim policy of a volume, a Service's type.
///
/// Not here either: the parts of a StatefulSet that are replaced by leaving its pods as orphans for a moment
/// (see [`recreates`]), so that neither pods nor claims are lost.
fn immutable_paths(gvk: &Gvk) -> &'static [&'static str] {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", _) => match gvk.kind.as_str() {
            "ControllerRevision" => &["data"],
            _ => &["spec.selector"],
        },
        ("batch", "Job") => &[
            "spec.template",
            "spec.selector",
            "spec.manualSelector",
            "spec.completions",
            "spec.completionMode",
            "spec.podFailurePolicy",
            "spec.backoffLimitPerIndex",
            "spec.maxFailedIndexes",
            "spec.managedBy",
            "spec.successPolicy",
            "spec.podReplacementPolicy",
        ],
        ("", kind) => match kind {
            "Pod" => &[
                "spec.volumes",
                "spec.nodeName",
                "spec.nodeSelector",
                "spec.affinity",
                "spec.serviceAccountName",
                "spec.securityContext",
                "spec.restartPolicy",
                "spec.hostNetwork",
                "spec.hostPID",
                "spec.hostIPC",
                "spec.priorityClassName",
                "spec.runtimeClassName",
                "spec.topologySpreadConstraints",
                "spec.dnsPolicy",
                "spec.dnsConfig",
                "spec.containers[*].name",
                "spec.containers[*].command",
                "spec.containers[*].args",
                "spec.containers[*].env",
                "spec.containers[*].envFrom",
                "spec.containers[*].ports",
                "spec.containers[*].volumeMounts",
                "spec.containers[*].workingDir",
                "spec.containers[*].livenessProbe",
                "spec.containers[*].readinessProbe",
                "spec.containers[*].startupProbe",
                "spec.containers[*].securityContext",
                "spec.containers[*].lifecycle",
            ],
            "PersistentVolumeClaim" => &[
                "spec.accessModes",
                "spec.dataSource",
                "spec.dataSourceRef",
                "spec.selector",
                "spec.storageClassName",
                "spec.volumeMode",
                "spec.volumeName",
                "spec.resources.limits",
            ],
            "PersistentVolume" => &[
                "spec.csi",
                "spec.nfs",
                "spec.hostPath",
                "spec.local",
                "spec.fc",
                "spec.iscsi",
                "spec.awsElasticBlockStore",
                "spec.gcePersistentDisk",
                "spec.azureDisk",
                "spec.azureFile",
                "spec.cephfs",
                "spec.rbd",
                "spec.volumeMode",
            ],
            "Service" => &["spec.clusterIP", "spec.clusterIPs", "spec.loadBalancerClass"],
            "Secret" => &["type"],
            "ResourceQuota" => &["spec.scopes", "spec.scopeSelector"],
            _ => &[],
        },
        ("storage.k8s.io", "StorageClass") => {
            &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode", "allowedTopologies"]
        }
        ("storage.k8s.io", "CSIDriver") => {
            &["spec.attachRequired", "spec.fsGroupPolicy", "spec.volumeLifecycleModes"]
        }
        ("storage.k8s.io", "VolumeAttributesClass") => &["driverName", "parameters"],
        ("storage.k8s.io", "VolumeAttachment") => &["spec"],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &["roleRef"],
        ("scheduling.k8s.io", "PriorityClass") => &["value", "preemptionPolicy"],
        ("networking.k8s.io", "IngressClass") => &["spec.controller"],
        ("node.k8s.io", "RuntimeClass") => &["handler"],
        ("discovery.k8s.io", "EndpointSlice") => &["addressType"],
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            &["spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"]
        }
        ("certificates.k8s.io", "CertificateSigningRequest") => &["spec"],
        _ => &[],
    }
}

/// Milliseconds that a create usually takes, and seconds that it may take.
fn durations(gvk: &Gvk) -> (u64, u64) {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "StatefulSet") => (60_000, 600),
        ("apps", _) => (20_000, 600),
        ("batch", "Job") => (15_000, 600),
        ("", "Pod") => (8_000, 600),
        ("", "PersistentVolumeClaim") => (4_000, 600),
        ("", "Service") => (200, 600),
        ("", "Namespace") => (200, 600),
        ("networking.k8s.io", "Ingress") => (2_000, 600),
        ("apiextensions.k8s.io", _) => (500, 300),
        ("admissionregistration.k8s.io", _) => (2_000, 300),
        ("apiregistration.k8s.io", _) => (5_000, 300),
        ("cert-manager.io", "Certificate") => (5_000, 600),
        ("cert-manager.io", _) => (2_000, 300),
        _ if schema::built_in(gvk).is_none() => (1_000, 600),
        _ => (150, 300),
    }
}

/// The parts of a StatefulSet that can only change by deleting it and creating it again. Its pods and claims stay.
const RECREATED: [&str; 3] = ["spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"];

/// Whether an update has to delete the object, leaving what it made, and create it again.
pub(crate) fn recreates(gvk: &Gvk, before: &Value, after: &Value) -> bool {
    gvk.is("apps", "StatefulSet")
        && RECREATED.iter().any(|path| before.at(&Path::parse(path)) != after.at(&Path::parse(path)))
}

/// The difference between what is recorded and what is desired.
pub(crate) fn diff(gvk: &Gvk, recorded: &Recorded, desired: &Value) -> Result<Diff> {
    let mut schema = schema(gvk);
    let frozen = (gvk.is("", "ConfigMap") || gvk.is("", "Secret"))
        && recorded.inputs.get("immutable") == Some(&Value::Bool(true));
    if frozen {
        schema.immutable.extend(["data", "binaryData", "stringData", "immutable"].map(Pattern::parse));
    }
    let found: Vec<Change> = changes_with_sets(&recorded.inputs, desired, &schema.set_like)
        .into_iter()
        .filter(|change| !is_same_quantity(change))
        .collect();
    if gvk.is("", "PersistentVolumeClaim") && found.iter().any(shrinks) {
        schema.immutable.push(Pattern::parse(CLAIM_SIZE));
    }
    Ok(Diff::from_changes(&schema, found))
}

/// Custom resources have no schema here, so their quantities are not canonical; equal ones are still no change.
fn is_same_quantity(change: &Change) -> bool {
    match (&change.before, &change.after) {
        (Some(Value::String(before)), Some(Value::String(after))) => {
            let both_measured =
                [before, after].iter().all(|text| text.ends_with(|c: char| !c.is_ascii_digit()));
            both_measured && quantity::same(before, after)
        }
        _ => false,
    }
}

fn shrinks(change: &Change) -> bool {
    let size = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(quantity::nano);
    change.path == Path::parse(CLAIM_SIZE)
        && matches!((size(&change.before), size(&change.after)), (Some(before), Some(after)) if after < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plinth_provider::Urn;
    use serde_json::{Value as Json, json};

    fn outcome(kind: &str, before: Json, after: Json) -> &'static str {
        let urn = Urn::new("s", &format!("k8s:{kind}"), "r").unwrap();
        let gvk = Gvk::parse(urn.kind()).unwrap();
        let recorded = Recorded {
            urn,
            id: "r".into(),
            inputs: Value::from_json(before),
            outputs: Value::map(),
            connection: None,
            dependencies: Vec::new(),
            options: plinth_provider::Options::default(),
            unsettled: false,
        };
        match diff(&gvk, &recorded, &Value::from_json(after)).unwrap() {
            Diff::None => "same",
            Diff::Update(_) => "update",
            Diff::Replace { .. } => "replace",
        }
    }

    #[test]
    fn what_updates_and_what_replaces() {
        let claim = |size: &str, class: &str| json!({"spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}});
        let table = [
            ("v1/ConfigMap", json!({"data": {"a": "1"}}), json!({"data": {"a": "2"}}), "update"),
            (
                "v1/ConfigMap",
                json!({"data": {"a": "1"}, "immutable": true}),
                json!({"data": {"a": "2"}, "immutable": true}),
                "replace",
            ),
            ("v1/ConfigMap", json!({"immutable": true}), json!({}), "replace"),
            (
                "v1/ConfigMap",
                json!({"immutable": true, "metadata": {"labels": {"a": "1"}}}),
                json!({"immutable": true, "metadata": {"labels": {"a": "2"}}}),
                "update",
            ),
            (
                "v1/ConfigMap",
                json!({"metadata": {"name": "a"}}),
                json!({"metadata": {"name": "b"}}),
                "replace",
            ),
            ("v1/Secret", json!({"type": "Opaque"}), json!({"type": "x/y"}), "replace"),
            (
                "apps/v1/Deployment",
                json!({"spec": {"replicas": 1}}),
                json!({"spec": {"replicas": 2}}),
                "update",
            ),
            (
                "apps/v1/Deployment",
                json!({"spec": {"selector": {"matchLabels": {"a": "1"}}}}),
                json!({"spec": {"selector": {"matchLabels": {"a": "2"}}}}),
                "replace",
            ),
            (
                "apps/v1/StatefulSet",
                json!({"spec": {"volumeClaimTemplates": [claim("1Gi", "a")]}}),
                json!({"spec": {"volumeClaimTemplates": [claim("2Gi", "a")]}}),
                "replace",
            ),
            (
                "batch/v1/Job",
                json!({"spec": {"template": {"a": 1}}}),
                json!({"spec": {"template": {"a": 2}}}),
                "replace",
            ),
            (
                "batch/v1/Job",
                json!({"spec": {"parallelism": 1}}),
                json!({"spec": {"parallelism": 2}}),
                "update",
            ),
            ("v1/PersistentVolumeClaim", claim("1Gi", "a"), claim("2Gi", "a"), "update"),
            ("v1/PersistentVolumeClaim", claim("2Gi", "a"), claim("1Gi", "a"), "replace"),
            ("v1/PersistentVolumeClaim", claim("1Gi", "a"), claim("1Gi", "b"), "replace"),
            ("v1/Service", json!({"spec": {"clusterIP": "None"}}), json!({"spec": {}}), "replace"),
            (
                "v1/Service",
                json!({"spec": {"type": "NodePort"}}),
                json!({"spec": {"type": "ClusterIP"}}),
                "update",
            ),
            (
                "rbac.authorization.k8s.io/v1/RoleBinding",
                json!({"roleRef": {"name": "a"}}),
                json!({"roleRef": {"name": "b"}}),
                "replace",
            ),
            (
                "policy/v1/PodDisruptionBudget",
                json!({"spec": {"minAvailable": 1}}),
                json!({"spec": {"maxUnavailable": 1}}),
                "update",
            ),
            (
                "example.com/v1/Thing",
                json!({"spec": {"cpu": "1000m"}}),
                json!({"spec": {"cpu": "1000m"}}),
                "same",
            ),
            (
                "example.com/v1/Thing",
                json!({"spec": {"size": "1024Mi"}}),
                json!({"spec": {"size": "1Gi"}}),
                "same",
            ),
            (
                "example.com/v1/Thing",
                json!({"spec": {"version": "1.0"}}),
                json!({"spec": {"version": "1.00"}}),
                "update",
            ),
        ];
        for (kind, before, after, want) in table {
            assert_eq!(outcome(kind, before.clone(), after.clone()), want, "{kind} {before} {after}");
        }
    }
}
