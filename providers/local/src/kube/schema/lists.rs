//! How lists and maps of the built-in kinds merge: facts of the Kubernetes API that its Rust types do not carry.
//!
//! Lists that are not named here are atomic, maps and structs that are not named here merge by key.

use super::super::json::json;
use super::ListKind;

/// Lists whose items are identified by the fields on the right.
const MAP_LISTS: &[(&str, &str, &[&str])] = &[
    ("PodSpec", "containers", &["name"]),
    ("PodSpec", "initContainers", &["name"]),
    ("PodSpec", "ephemeralContainers", &["name"]),
    ("PodSpec", "volumes", &["name"]),
    ("PodSpec", "imagePullSecrets", &["name"]),
    ("PodSpec", "hostAliases", &["ip"]),
    ("PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("PodSpec", "schedulingGates", &["name"]),
    ("PodSpec", "resourceClaims", &["name"]),
    ("Container", "ports", &["containerPort", "protocol"]),
    ("Container", "env", &["name"]),
    ("Container", "volumeMounts", &["mountPath"]),
    ("Container", "volumeDevices", &["devicePath"]),
    ("EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("EphemeralContainer", "env", &["name"]),
    ("EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("ResourceRequirements", "claims", &["name"]),
    ("PodStatus", "conditions", &["type"]),
    ("PodStatus", "podIPs", &["ip"]),
    ("PodStatus", "resourceClaimStatuses", &["name"]),
    ("ContainerStatus", "volumeMounts", &["mountPath"]),
    ("ServiceSpec", "ports", &["port", "protocol"]),
    ("ServiceStatus", "conditions", &["type"]),
    ("ServiceAccount", "secrets", &["name"]),
    ("NodeStatus", "addresses", &["type"]),
    ("NodeStatus", "conditions", &["type"]),
    ("NamespaceStatus", "conditions", &["type"]),
    ("PersistentVolumeClaimStatus", "conditions", &["type"]),
    ("ReplicationControllerStatus", "conditions", &["type"]),
    ("DeploymentStatus", "conditions", &["type"]),
    ("ReplicaSetStatus", "conditions", &["type"]),
    ("StatefulSetStatus", "conditions", &["type"]),
    ("DaemonSetStatus", "conditions", &["type"]),
    ("HorizontalPodAutoscalerStatus", "conditions", &["type"]),
    ("PodDisruptionBudgetStatus", "conditions", &["type"]),
    ("CertificateSigningRequestStatus", "conditions", &["type"]),
    ("ValidatingWebhookConfiguration", "webhooks", &["name"]),
    ("MutatingWebhookConfiguration", "webhooks", &["name"]),
    ("ValidatingWebhook", "matchConditions", &["name"]),
    ("MutatingWebhook", "matchConditions", &["name"]),
    ("CSINodeSpec", "drivers", &["name"]),
    ("CustomResourceDefinitionStatus", "conditions", &["type"]),
    ("APIServiceStatus", "conditions", &["type"]),
    ("ObjectMeta", "ownerReferences", &["uid"]),
];

/// Lists that are sets of scalars.
const SETS: &[(&str, &str)] = &[
    ("ObjectMeta", "finalizers"),
    ("NodeSpec", "podCIDRs"),
    ("CSIDriverSpec", "volumeLifecycleModes"),
    ("Endpoint", "addresses"),
];

/// Structs that are replaced as a whole wherever they appear.
const ATOMIC_STRUCTS: &[&str] = &[
    "LabelSelector",
    "LocalObjectReference",
    "TypedLocalObjectReference",
    "ObjectReference",
    "SecretReference",
    "OwnerReference",
    "ObjectFieldSelector",
    "ResourceFieldSelector",
    "ConfigMapKeySelector",
    "SecretKeySelector",
    "FileKeySelector",
    "NodeSelector",
    "NodeSelectorTerm",
    "ScopeSelector",
    "TopologySelectorTerm",
    "RoleRef",
    "Subject",
    "EndpointAddress",
    "EndpointPort",
];

/// Maps that are replaced as a whole.
const ATOMIC_MAPS: &[(&str, &str)] = &[
    ("PodSpec", "nodeSelector"),
    ("ServiceSpec", "selector"),
    ("ReplicationControllerSpec", "selector"),
    ("Overhead", "podFixed"),
    ("Scheduling", "nodeSelector"),
];

/// What a key field is taken to be when an item leaves it out: what Go decodes to, unless the API says otherwise.
fn key_default(key: &str) -> Option<super::Json> {
    Some(match key {
        "protocol" => json!("TCP"),
        "port" | "containerPort" => json!(0),
        _ => json!(""),
    })
}

/// The way the list `field` of the struct `owner` merges. `owner` is the last part of the type's name.
pub(crate) fn list_kind(owner: &str, field: &str) -> ListKind {
    if let Some((.., keys)) = MAP_LISTS.iter().find(|(o, f, _)| *o == owner && *f == field) {
        return ListKind::Map(keys.iter().map(|k| ((*k).to_owned(), key_default(k))).collect());
    }
    if SETS.contains(&(owner, field)) { ListKind::Set } else { ListKind::Atomic }
}

/// Whether the struct is replaced as a whole. Core and discovery both have an `EndpointPort`; both are.
pub(crate) fn atomic_struct(name: &str) -> bool {
    ATOMIC_STRUCTS.contains(&name)
}

/// Whether the map `field` of the struct `owner` is replaced as a whole.
pub(crate) fn atomic_map(owner: &str, field: &str) -> bool {
    ATOMIC_MAPS.contains(&(owner, field))
}

/// Every field the tables speak of, so that a test can hold them against the types.
#[cfg(test)]
pub(crate) fn named() -> Vec<(&'static str, &'static str)> {
    let lists = MAP_LISTS.iter().map(|(o, f, _)| (*o, *f));
    lists.chain(SETS.iter().copied()).chain(ATOMIC_MAPS.iter().copied()).collect()
}
