//! Fields that cannot change once an object exists, and the sentences that say so.

use super::super::json::{Json, Look, copy, json, name, remove, same};
use super::super::kinds::Resource;
use super::super::quantity::Quantity;
use super::super::server::Server;
use super::super::status::{Cause, Status};
use super::super::store::Key;

/// A reference to a role as the real server prints it, which is in its own form.
fn internal(value: &Json) -> Json {
    if !value.has("apiGroup") || !value.has("kind") {
        return value.clone();
    }
    json!({"APIGroup": value["apiGroup"], "Kind": value["kind"], "Name": value["name"]})
}

/// What differs between two specifications, in the real server's way: lines of its own form. This is how values of
/// environment variables get into error messages.
fn difference(old: &Json, new: &Json) -> String {
    let text = |value: &Json| {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        let _ = serde::Serialize::serialize(&capitalized(value), &mut serializer);
        String::from_utf8_lossy(&out).into_owned()
    };
    let (old, new) = (text(old), text(new));
    let diff = similar::TextDiff::from_lines(&old, &new);
    diff.unified_diff().context_radius(3).missing_newline_hint(false).to_string()
}

fn capitalized(value: &Json) -> Json {
    match value {
        Json::Object(map) => map
            .iter()
            .map(|(key, inner)| {
                let mut letters = key.chars();
                let key: String =
                    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
                (key, capitalized(inner))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(items) => items.iter().map(capitalized).collect(),
        other => other.clone(),
    }
}

const IMMUTABLE: &str = "field is immutable";

/// Storage name, path of the field, sentence.
const TABLE: &[(&str, &str, &str)] = &[
    ("deployments.apps", "spec.selector", IMMUTABLE),
    ("replicasets.apps", "spec.selector", IMMUTABLE),
    ("daemonsets.apps", "spec.selector", IMMUTABLE),
    ("jobs.batch", "spec.completions", IMMUTABLE),
    ("jobs.batch", "spec.selector", IMMUTABLE),
    ("jobs.batch", "spec.completionMode", IMMUTABLE),
    ("secrets", "type", IMMUTABLE),
    ("storageclasses.storage.k8s.io", "parameters", IMMUTABLE),
    ("storageclasses.storage.k8s.io", "provisioner", IMMUTABLE),
    ("storageclasses.storage.k8s.io", "reclaimPolicy", IMMUTABLE),
    ("storageclasses.storage.k8s.io", "volumeBindingMode", IMMUTABLE),
    ("ingressclasses.networking.k8s.io", "spec.controller", IMMUTABLE),
    ("runtimeclasses.node.k8s.io", "handler", IMMUTABLE),
    ("endpointslices.discovery.k8s.io", "addressType", IMMUTABLE),
    ("resourcequotas", "spec.scopes", IMMUTABLE),
    ("csidrivers.storage.k8s.io", "spec.attachRequired", IMMUTABLE),
    ("csidrivers.storage.k8s.io", "spec.volumeLifecycleModes", IMMUTABLE),
    ("priorityclasses.scheduling.k8s.io", "value", "may not be changed in an update."),
    ("priorityclasses.scheduling.k8s.io", "preemptionPolicy", "may not be changed in an update."),
    ("rolebindings.rbac.authorization.k8s.io", "roleRef", "cannot change roleRef"),
    ("clusterrolebindings.rbac.authorization.k8s.io", "roleRef", "cannot change roleRef"),
    ("customresourcedefinitions.apiextensions.k8s.io", "spec.group", IMMUTABLE),
    ("customresourcedefinitions.apiextensions.k8s.io", "spec.scope", IMMUTABLE),
    ("customresourcedefinitions.apiextensions.k8s.io", "spec.names.kind", IMMUTABLE),
    ("customresourcedefinitions.apiextensions.k8s.io", "spec.names.plural", IMMUTABLE),
];

/// Fields of a pod that may change.
const POD_MUTABLE: &[&str] = &["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"];

/// Fields of a StatefulSet's specification that may change.
const STATEFUL_MUTABLE: &[&str] = &[
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// What a change must not touch.
pub(super) fn changed(resource: &Resource, live: &Json, new: &Json) -> Vec<Cause> {
    let storage = resource.storage.as_str();
    let mut causes = Vec::new();
    for (_, path, sentence) in TABLE.iter().filter(|(s, ..)| *s == storage) {
        if !same(live.at(path), new.at(path)) {
            let forbidden = sentence.starts_with("updates to") || sentence.starts_with("may not be changed");
            // The real server misspells this one.
            let (place, path) = (path, &path.replace("attachRequired", "attachedRequired"));
            causes.push(if forbidden {
                Cause::forbidden(path, sentence)
            } else {
                Cause::invalid(path, &internal(new.at(place)), sentence)
            });
        }
    }
    match storage {
        "jobs.batch" => job(live, new, &mut causes),
        "statefulsets.apps" => stateful(live, new, &mut causes),
        "services" => service(live, new, &mut causes),
        "persistentvolumeclaims" => claim(live, new, &mut causes),
        "persistentvolumes" => volume(live, new, &mut causes),
        "pods" => pod(live, new, &mut causes),
        "configmaps" | "secrets" => frozen(live, new, &mut causes),
        _ => {}
    }
    causes
}

fn job(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    // A suspended Job may still be moved to other nodes; nothing else of the template may change.
    let strip = |object: &Json| {
        let mut out = object.at("spec.template").clone();
        if live.yes("spec.suspend") {
            for path in [
                "spec.nodeSelector",
                "spec.tolerations",
                "spec.affinity",
                "metadata.labels",
                "metadata.annotations",
            ] {
                remove(&mut out, path);
            }
        }
        out
    };
    if !same(&strip(live), &strip(new)) {
        causes.push(Cause::invalid("spec.template", new.at("spec.template"), IMMUTABLE));
    }
}

fn stateful(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    let strip = |object: &Json| {
        let mut out = object.at("spec").clone();
        for field in STATEFUL_MUTABLE {
            remove(&mut out, field);
        }
        for claim in super::super::json::list_mut(&mut out, "volumeClaimTemplates").into_iter().flatten() {
            remove(claim, "status");
        }
        out
    };
    if !same(&strip(live), &strip(new)) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn service(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    const ONCE: &str = "may not change once set";
    if new.text("spec.type") != "ExternalName" && live.text("spec.type") != "ExternalName" {
        for path in ["spec.clusterIPs[0]", "spec.ipFamilies[0]"] {
            let (list, _) = path.split_once('[').unwrap_or((path, ""));
            let (old, now) = (live.list(list).first(), new.list(list).first());
            if old.is_some() && old != now {
                causes.push(Cause::invalid(path, &json!(new.at(list)), ONCE));
            }
        }
        if live.has("spec.clusterIP")
            && live.at("spec.clusterIP") != new.at("spec.clusterIP")
            && causes.is_empty()
        {
            causes.push(Cause::invalid("spec.clusterIPs[0]", new.at("spec.clusterIPs"), ONCE));
        }
    }
    let both = live.text("spec.type") == "LoadBalancer" && new.text("spec.type") == "LoadBalancer";
    if both && live.at("spec.loadBalancerClass") != new.at("spec.loadBalancerClass") {
        causes.push(Cause::invalid("spec.loadBalancerClass", new.at("spec.loadBalancerClass"), ONCE));
    }
}

fn claim(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    let bound = live.text("status.phase") == "Bound";
    let mut expected = live.at("spec").clone();
    let mut wanted = new.at("spec").clone();
    if bound {
        let size = |o: &Json, path: &str| o.at(path).as_str().and_then(Quantity::parse).map(Quantity::milli);
        let (asked, have) =
            (size(new, "spec.resources.requests.storage"), size(live, "status.capacity.storage"));
        if asked < have
            && size(new, "spec.resources.requests.storage") != size(live, "spec.resources.requests.storage")
        {
            causes.push(Cause::forbidden(
                "spec.resources.requests.storage",
                "field can not be less than status.capacity",
            ));
        }
        remove(&mut expected, "resources.requests.storage");
        remove(&mut wanted, "resources.requests.storage");
        remove(&mut expected, "volumeAttributesClassName");
        remove(&mut wanted, "volumeAttributesClassName");
    } else if !live.has("spec.storageClassName") {
        copy(&wanted.clone(), &mut expected, "storageClassName");
    }
    if live.text("spec.volumeName").is_empty() {
        copy(&wanted.clone(), &mut expected, "volumeName");
    }
    if !same(&expected, &wanted) {
        causes.push(Cause::forbidden(
            "spec",
            &format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
                difference(&expected, &wanted)
            ),
        ));
    }
}

fn volume(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    let source = |o: &Json| {
        let mut out = o.at("spec").clone();
        for field in [
            "capacity",
            "accessModes",
            "claimRef",
            "persistentVolumeReclaimPolicy",
            "storageClassName",
            "mountOptions",
            "nodeAffinity",
            "volumeAttributesClassName",
        ] {
            remove(&mut out, field);
        }
        out
    };
    if !same(&source(live), &source(new)) {
        causes.push(Cause::forbidden(
            "spec.persistentvolumesource",
            &format!(
                "spec.persistentvolumesource is immutable after creation\n{}",
                difference(&source(live), &source(new))
            ),
        ));
    }
}

fn pod(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    let strip = |object: &Json| {
        let mut out = object.at("spec").clone();
        for field in POD_MUTABLE {
            remove(&mut out, field);
        }
        for list in ["containers", "initContainers"] {
            for container in super::super::json::list_mut(&mut out, list).into_iter().flatten() {
                remove(container, "image");
            }
        }
        out
    };
    if !same(&strip(live), &strip(new)) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
        if let Some(cause) = causes.last_mut() {
            cause.detail.push_str(&format!("\n{}", difference(&strip(live), &strip(new))));
        }
    }
}

fn frozen(live: &Json, new: &Json, causes: &mut Vec<Cause>) {
    if !live.yes("immutable") {
        return;
    }
    const WHEN: &str = "field is immutable when `immutable` is set";
    if !new.yes("immutable") {
        causes.push(Cause::forbidden("immutable", WHEN));
    }
    for field in ["data", "binaryData"] {
        if !same(live.at(field), new.at(field)) {
            causes.push(Cause::forbidden(field, WHEN));
        }
    }
}

/// Refusals that are 403 rather than 422.
pub(crate) fn forbid(server: &Server, resource: &Resource, live: &Json, new: &Json) -> Result<(), Status> {
    if resource.storage != "persistentvolumeclaims" || live.text("status.phase") != "Bound" {
        return Ok(());
    }
    let size = |o: &Json| {
        o.at("spec.resources.requests.storage").as_str().and_then(Quantity::parse).map(Quantity::milli)
    };
    if size(new) <= size(live) {
        return Ok(());
    }
    let class = live.text("spec.storageClassName");
    let found = server.store.get(&Key::new("storageclasses.storage.k8s.io", "", class));
    if found.is_some_and(|c| c.yes("allowVolumeExpansion")) {
        return Ok(());
    }
    Err(Status::forbidden(
        "",
        "persistentvolumeclaims",
        name(live),
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    ))
}
