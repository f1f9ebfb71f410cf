//! Which lists of the built-in kinds are merged by key.
//!
//! `k8s-openapi`'s schemas do not carry `x-kubernetes-list-map-keys`; this is that knowledge. A list that is not here
//! is atomic (or a set of scalars): it is replaced as a whole.

/// The keys by which the items of a list field of a struct are told apart; empty when the list is atomic.
pub(crate) fn list_keys(definition: &str, field: &str) -> &'static [&'static str] {
    let name = definition.rsplit('.').next().unwrap_or(definition);
    match (name, field) {
        ("PodSpec", "containers" | "initContainers" | "ephemeralContainers" | "volumes") => &["name"],
        ("PodSpec", "imagePullSecrets" | "resourceClaims" | "schedulingGates") => &["name"],
        ("PodSpec", "hostAliases") => &["ip"],
        ("PodSpec", "topologySpreadConstraints") => &["topologyKey", "whenUnsatisfiable"],
        ("Container" | "EphemeralContainer", "env") => &["name"],
        ("Container" | "EphemeralContainer", "ports") => &["containerPort", "protocol"],
        ("Container" | "EphemeralContainer", "volumeMounts") => &["mountPath"],
        ("Container" | "EphemeralContainer", "volumeDevices") => &["devicePath"],
        ("ResourceRequirements", "claims") => &["name"],
        ("ServiceSpec", "ports") => &["port", "protocol"],
        ("ServiceAccount", "secrets") => &["name"],
        ("ObjectMeta", "ownerReferences") => &["uid"],
        ("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration", "webhooks") => &["name"],
        ("MutatingWebhook" | "ValidatingWebhook", "matchConditions") => &["name"],
        (
            "ValidatingAdmissionPolicySpec" | "MutatingAdmissionPolicySpec",
            "matchConditions" | "variables",
        ) => &["name"],
        ("CSINodeSpec", "drivers") => &["name"],
        (_, "conditions") => &["type"],
        _ => &[],
    }
}

/// What an absent key counts as when two items are compared.
pub(crate) fn default_key(key: &str) -> Option<&'static str> {
    (key == "protocol").then_some("TCP")
}
