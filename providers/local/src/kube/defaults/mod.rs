//! The values that the API fills in when they are left out. Pure functions on one object, safe to repeat.

mod network;
mod pod;
mod workloads;

use super::json::{Json, default, json, list_mut, place, remove};
use super::kinds::Resource;

/// Fills in what the API would for an object of a built-in kind.
pub(crate) fn apply(resource: &Resource, object: &mut Json) {
    if let Some(custom) = &resource.custom {
        super::custom::fill(object, &custom.schema);
        return;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pod::pod(object),
        ("", "PodTemplate") => pod::template(place(object, "template")),
        ("", "Namespace") => namespace(object),
        ("", "Secret") => secret(object),
        ("", "Service") => network::service(object),
        ("", "Endpoints") => network::endpoints(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "PersistentVolume") => {
            default(object, "spec.volumeMode", "Filesystem");
            default(object, "spec.persistentVolumeReclaimPolicy", "Retain");
            default(object, "status.phase", "Pending");
            if super::json::Look::has(object, "spec.hostPath") {
                default(object, "spec.hostPath.type", "");
            }
        }
        ("", "Node") => default(object, "status", json!({})),
        ("", "ReplicationController") => workloads::replication_controller(object),
        ("", "LimitRange") => limits(object),
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "ReplicaSet") => workloads::replica_set(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("batch", "Job") => workloads::job(object),
        ("batch", "CronJob") => workloads::cron_job(object),
        ("autoscaling", _) => workloads::autoscaler(object),
        ("networking.k8s.io", "Ingress") => network::ingress(object),
        ("networking.k8s.io", "NetworkPolicy") => network::policy(object),
        ("discovery.k8s.io", "EndpointSlice") => network::slice(object),
        ("policy", "PodDisruptionBudget") => default(
            object,
            "status",
            json!({"currentHealthy": 0,
            "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}),
        ),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("storage.k8s.io", "StorageClass") => {
            default(object, "reclaimPolicy", "Delete");
            default(object, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "CSIDriver") => {
            default(object, "spec.attachRequired", true);
            default(object, "spec.podInfoOnMount", false);
            default(object, "spec.storageCapacity", false);
            default(object, "spec.fsGroupPolicy", "ReadWriteOnceWithFSType");
            default(object, "spec.volumeLifecycleModes", json!(["Persistent"]));
            default(object, "spec.requiresRepublish", false);
            default(object, "spec.seLinuxMount", false);
        }
        ("scheduling.k8s.io", "PriorityClass") => default(object, "preemptionPolicy", "PreemptLowerPriority"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => webhooks(object, false),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => webhooks(object, true),
        ("apiextensions.k8s.io", _) => definition(object),
        ("apiregistration.k8s.io", _) => {
            if object["spec"].get("service").is_some_and(|s| !s.is_null()) {
                default(object, "spec.service.port", 443);
            }
            default(object, "status", json!({}));
        }
        _ => {}
    }
}

fn namespace(object: &mut Json) {
    if !super::json::deleting(object) {
        default(object, "spec.finalizers", json!(["kubernetes"]));
    }
    default(object, "status.phase", "Active");
    let name = super::json::name(object).to_owned();
    if !name.is_empty() {
        place(object, "metadata.labels");
        super::json::object(&mut object["metadata"]["labels"])
            .insert("kubernetes.io/metadata.name".into(), json!(name));
    }
}

/// `stringData` is write-only: it ends up in `data`.
fn secret(object: &mut Json) {
    use base64::Engine as _;
    default(object, "type", "Opaque");
    if let Some(Json::Object(plain)) = remove(object, "stringData") {
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            super::json::object(place(object, "data")).insert(key, json!(encoded));
        }
    }
}

pub(super) fn claim(object: &mut Json) {
    default(object, "spec.volumeMode", "Filesystem");
    default(object, "spec.resources", json!({}));
    default(object, "status.phase", "Pending");
}

fn limits(object: &mut Json) {
    use super::json::Look;
    for item in list_mut(object, "spec.limits").into_iter().flatten() {
        if item.text("type") != "Container" {
            continue;
        }
        for (key, value) in item.map("max").cloned().unwrap_or_default() {
            let here = super::json::object(place(item, "default"));
            here.entry(key).or_insert(value);
        }
        for (key, value) in item.map("default").cloned().unwrap_or_default() {
            let here = super::json::object(place(item, "defaultRequest"));
            here.entry(key).or_insert(value);
        }
    }
}

fn binding(object: &mut Json) {
    default(object, "roleRef.apiGroup", "rbac.authorization.k8s.io");
    for subject in list_mut(object, "subjects").into_iter().flatten() {
        if subject["kind"] != "ServiceAccount" {
            default(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}

fn webhooks(object: &mut Json, mutating: bool) {
    for hook in list_mut(object, "webhooks").into_iter().flatten() {
        default(hook, "failurePolicy", "Fail");
        default(hook, "matchPolicy", "Equivalent");
        default(hook, "namespaceSelector", json!({}));
        default(hook, "objectSelector", json!({}));
        default(hook, "timeoutSeconds", 10);
        if mutating {
            default(hook, "reinvocationPolicy", "Never");
        }
        if hook["clientConfig"].get("service").is_some_and(|s| !s.is_null()) {
            default(hook, "clientConfig.service.port", 443);
        }
        for rule in list_mut(hook, "rules").into_iter().flatten() {
            default(rule, "scope", "*");
        }
    }
}

fn definition(object: &mut Json) {
    use super::json::Look;
    let kind = object.text("spec.names.kind").to_owned();
    default(object, "spec.names.singular", kind.to_lowercase());
    default(object, "spec.names.listKind", format!("{kind}List"));
    default(object, "spec.conversion.strategy", "None");
}
