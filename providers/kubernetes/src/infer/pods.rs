//! What a pod template names: volumes, environment, accounts, classes.

use plinth_provider::{Map, Path, Value};

use crate::kind::Gvk;

/// The pod template's spec, wherever a kind keeps it.
pub(super) fn pod_spec<'a>(gvk: &Gvk, inputs: &'a Value) -> Option<&'a Value> {
    let path = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => "spec",
        ("batch", "CronJob") => "spec.jobTemplate.spec.template.spec",
        ("apps", _) | ("batch", "Job") | ("", "ReplicationController") => "spec.template.spec",
        _ => return None,
    };
    inputs.at(&Path::parse(path))
}

/// The labels of the pods that a workload makes and keeps running.
pub(super) fn template_labels<'a>(gvk: &Gvk, inputs: &'a Value) -> Option<&'a Map> {
    let path = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => "metadata.labels",
        ("apps", _) => "spec.template.metadata.labels",
        _ => return None,
    };
    inputs.at(&Path::parse(path))?.as_map()
}

/// An object that pods need, in their own namespace unless it is a class.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need<'a> {
    ConfigMap(&'a str),
    Secret(&'a str),
    Claim(&'a str),
    ServiceAccount(&'a str),
    PriorityClass(&'a str),
    RuntimeClass(&'a str),
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.at(&Path::parse(path)).and_then(Value::as_list).unwrap_or_default()
}

/// Everything that pods of this spec need by name.
pub(super) fn needs(spec: &Value) -> Vec<Need<'_>> {
    let mut found = Vec::new();
    for volume in list(spec, "volumes") {
        found.extend(volume.text_at("configMap.name").map(Need::ConfigMap));
        found.extend(volume.text_at("secret.secretName").map(Need::Secret));
        found.extend(volume.text_at("persistentVolumeClaim.claimName").map(Need::Claim));
        found.extend(volume.text_at("csi.nodePublishSecretRef.name").map(Need::Secret));
        for source in list(volume, "projected.sources") {
            found.extend(source.text_at("configMap.name").map(Need::ConfigMap));
            found.extend(source.text_at("secret.name").map(Need::Secret));
        }
    }
    for containers in ["containers", "initContainers"] {
        for container in list(spec, containers) {
            for env in list(container, "env") {
                found.extend(env.text_at("valueFrom.configMapKeyRef.name").map(Need::ConfigMap));
                found.extend(env.text_at("valueFrom.secretKeyRef.name").map(Need::Secret));
            }
            for source in list(container, "envFrom") {
                found.extend(source.text_at("configMapRef.name").map(Need::ConfigMap));
                found.extend(source.text_at("secretRef.name").map(Need::Secret));
            }
        }
    }
    for secret in list(spec, "imagePullSecrets") {
        found.extend(secret.text_at("name").map(Need::Secret));
    }
    let account = spec.text_at("serviceAccountName").or_else(|| spec.text_at("serviceAccount"));
    found.extend(account.map(Need::ServiceAccount));
    found.extend(spec.text_at("priorityClassName").map(Need::PriorityClass));
    found.extend(spec.text_at("runtimeClassName").map(Need::RuntimeClass));
    found
}
