//! Defaults of pods and of the templates that make them.

use super::super::json::{Json, Look, default, json, list_mut, object, place, set};

/// A pod itself: what a template gets, and a little more.
pub(super) fn pod(pod: &mut Json) {
    spec(place(pod, "spec"));
    default(pod, "spec.enableServiceLinks", true);
    for list in ["spec.initContainers", "spec.containers"] {
        for container in list_mut(pod, list).into_iter().flatten() {
            for (key, value) in container.map("resources.limits").cloned().unwrap_or_default() {
                object(place(container, "resources.requests")).entry(key).or_insert(value);
            }
        }
    }
    default(pod, "status.phase", "Pending");
}

/// The template of a workload.
pub(super) fn template(template: &mut Json) {
    default(template, "metadata", json!({}));
    spec(place(template, "spec"));
}

fn spec(spec: &mut Json) {
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", "default-scheduler");
    match (spec.text("serviceAccountName").to_owned(), spec.text("serviceAccount").to_owned()) {
        (name, _) if !name.is_empty() => set(spec, "serviceAccount", name),
        (_, old) if !old.is_empty() => set(spec, "serviceAccountName", old),
        _ => {}
    }
    let host_network = spec.yes("hostNetwork");
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for item in list_mut(spec, list).into_iter().flatten() {
            container(item, host_network);
        }
    }
    for item in list_mut(spec, "volumes").into_iter().flatten() {
        volume(item);
    }
}

fn container(container: &mut Json, host_network: bool) {
    let image = container.text("image");
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let latest = !image.contains('@') && tag.is_none_or(|t| t == "latest");
    default(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    default(container, "resources", json!({}));
    for port in list_mut(container, "ports").into_iter().flatten() {
        default(port, "protocol", "TCP");
        if let (true, Some(number)) = (host_network, port.int("containerPort")) {
            default(port, "hostPort", number);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(name).filter(|p| p.is_object()) {
            probe(found);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(found) = container.get_mut("lifecycle").and_then(|l| l.get_mut(hook)) {
            http_get(found);
        }
    }
    for env in list_mut(container, "env").into_iter().flatten() {
        if let Some(found) = env.get_mut("valueFrom").and_then(|v| v.get_mut("fieldRef")) {
            default(found, "apiVersion", "v1");
        }
        if let Some(found) = env.get_mut("valueFrom").and_then(|v| v.get_mut("resourceFieldRef")) {
            default(found, "divisor", "0");
        }
    }
}

fn http_get(action: &mut Json) {
    if let Some(http) = action.get_mut("httpGet").filter(|h| h.is_object()) {
        default(http, "scheme", "HTTP");
        default(http, "path", "/");
    }
}

fn probe(probe: &mut Json) {
    default(probe, "timeoutSeconds", 1);
    default(probe, "periodSeconds", 10);
    default(probe, "successThreshold", 1);
    default(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc").filter(|g| g.is_object()) {
        default(grpc, "service", "");
    }
}

fn volume(volume: &mut Json) {
    let sources = volume.as_object().map_or(0, |m| m.keys().filter(|k| *k != "name").count());
    if sources == 0 {
        set(volume, "emptyDir", json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(found) = volume.get_mut(source).filter(|s| s.is_object()) {
            default(found, "defaultMode", 420);
        }
    }
    if let Some(path) = volume.get_mut("hostPath").filter(|s| s.is_object()) {
        default(path, "type", "");
    }
    for items in ["downwardAPI.items"] {
        for item in list_mut(volume, items).into_iter().flatten() {
            field_ref(item);
        }
    }
    for source in list_mut(volume, "projected.sources").into_iter().flatten() {
        if let Some(token) = source.get_mut("serviceAccountToken").filter(|t| t.is_object()) {
            default(token, "expirationSeconds", 3600);
        }
        for item in list_mut(source, "downwardAPI.items").into_iter().flatten() {
            field_ref(item);
        }
    }
    if let Some(template) = volume.get_mut("ephemeral").and_then(|e| e.get_mut("volumeClaimTemplate")) {
        default(template, "metadata", json!({}));
        default(template, "spec.volumeMode", "Filesystem");
    }
}

fn field_ref(item: &mut Json) {
    if let Some(found) = item.get_mut("fieldRef").filter(|f| f.is_object()) {
        default(found, "apiVersion", "v1");
    }
}
