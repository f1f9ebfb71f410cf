//! What the server refuses, in its own words. Pure on objects, apart from a few look-ups.

mod definitions;
mod fields;
mod immutable;
mod names;
mod pod_security;
mod podfields;
mod pods;
mod rules;
mod values;
mod workloads;

pub(crate) use immutable::forbid;
pub(crate) use names::{label_key_error, label_value_error};
pub(crate) use pod_security::enforce;

use super::json::{Json, Look, json, name};
use super::kinds::Resource;
use super::server::Server;
use super::status::Cause;

/// What must hold for an object however it came about.
pub(crate) fn object(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = names::metadata(resource, object);
    if let Some(custom) = &resource.custom {
        causes.extend(super::custom::validate(object, &custom.schema));
        let scale = resource.scale.as_ref();
        causes.extend(scale.and_then(|s| super::custom::scale(object, &s.spec)));
        return causes;
    }
    causes.extend(match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pods::spec(object.at("spec"), "spec"),
        ("", "Service") => service(object),
        ("", "ConfigMap") => data(object, &["data", "binaryData"]),
        ("", "Secret") => secret(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apps" | "batch", _) | ("", "ReplicationController") => workloads::workload(resource, object),
        ("autoscaling", _) => workloads::autoscaler(object),
        ("policy", "PodDisruptionBudget") => workloads::budget(object),
        ("networking.k8s.io", "Ingress") => ingress(object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("storage.k8s.io", "StorageClass") if object.text("provisioner").is_empty() => {
            vec![Cause::required("provisioner", "")]
        }
        ("admissionregistration.k8s.io", _) => webhooks(object),
        ("apiextensions.k8s.io", _) => definitions::definition(object),
        _ => Vec::new(),
    });
    causes.extend(values::object(resource, object));
    fields::object(&resource.storage, object, &mut causes);
    causes.dedup_by(|a, b| a.field == b.field && a.detail == b.detail);
    causes
}

/// What must hold only when an object is created.
pub(crate) fn create(object: &Json) -> Vec<Cause> {
    if name(object).is_empty() {
        return vec![Cause::required("metadata.name", "name or generateName is required")];
    }
    Vec::new()
}

/// What must not change.
pub(crate) fn update(resource: &Resource, live: &Json, new: &Json) -> Vec<Cause> {
    let mut causes = names::metadata_update(live, new);
    causes.extend(immutable::changed(resource, live, new));
    if let Some(custom) = &resource.custom {
        causes.extend(super::custom::transitions(live, new, &custom.schema));
    }
    causes
}

/// What is allowed but worth a word.
pub(crate) fn warnings(server: &Server, resource: &Resource, object: &Json, warnings: &mut Vec<String>) {
    if let Some(text) = resource.custom.as_ref().and_then(|c| c.deprecated.clone()) {
        warnings.push(text);
    }
    let (spec, path) = match resource.storage.as_str() {
        "pods" => (object.at("spec"), "spec"),
        "jobs.batch" | "deployments.apps" | "statefulsets.apps" | "daemonsets.apps" => {
            (object.at("spec.template.spec"), "spec.template.spec")
        }
        _ => return,
    };
    pods::warnings(spec, path, warnings);
    if resource.storage != "pods" {
        warnings.extend(pod_security::warn(server, super::json::namespace(object), spec));
    }
}

fn data(object: &Json, fields: &[&str]) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut total = 0;
    for field in fields {
        for (key, value) in object.map(field).into_iter().flatten() {
            if !names::is_config_key(key) {
                causes.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    &json!(key),
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                ));
            }
            total += value.as_str().unwrap_or_default().len();
        }
    }
    if total > 1_048_576 {
        causes.push(Cause::too_long(
            if fields.len() > 1 { "[]" } else { "data" },
            "may not be more than 1048576 bytes",
        ));
    }
    causes
}

fn secret(object: &Json) -> Vec<Cause> {
    let mut causes = data(object, &["data"]);
    let needs: &[&str] = match object.text("type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth"
            if ["username", "password"].iter().all(|k| object.at("data").get(*k).is_none()) =>
        {
            &["username", "password"]
        }
        _ => &[],
    };
    for key in needs {
        if object.at("data").get(*key).is_none() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
    causes
}

fn service(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = object.text("spec.type");
    let ports = object.list("spec.ports");
    if ports.is_empty() && kind != "ExternalName" && object.text("spec.clusterIP") != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    if kind == "ExternalName" && object.text("spec.externalName").is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        if ports.len() > 1 && port.text("name").is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        }
        if !port.text("name").is_empty() && ports[..index].iter().any(|p| p.text("name") == port.text("name"))
        {
            causes.push(Cause::duplicate(format!("{path}.name"), port.at("name")));
        }
        causes.extend(names::port_or_name(port.at("targetPort"), &format!("{path}.targetPort")));
        let twin =
            |p: &Json| p.int("port") == port.int("port") && p.text("protocol") == port.text("protocol");
        if ports[..index].iter().any(twin) {
            let value = json!({"port": port["port"], "protocol": port["protocol"]});
            causes.push(Cause::duplicate(path, &value));
        }
    }
    if !kind.is_empty() && !["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].contains(&kind) {
        causes.push(Cause::unsupported(
            "spec.type",
            object.at("spec.type"),
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        ));
    }
    causes
}

fn claim(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object.list("spec.accessModes").is_empty() {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if !object.has("spec.resources.requests.storage") {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
    causes
}

fn ingress(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object.list("spec.rules").is_empty() && !object.has("spec.defaultBackend") {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &Json::Null, why));
    }
    for (r, rule) in object.list("spec.rules").iter().enumerate() {
        for (p, path) in rule.list("http.paths").iter().enumerate() {
            let at = format!("spec.rules[{r}].http.paths[{p}]");
            if path.at("pathType").is_null() {
                causes.push(Cause::required(format!("{at}.pathType"), "pathType must be specified"));
            }
        }
    }
    causes
}

fn binding(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object.text("roleRef.name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (index, subject) in object.list("subjects").iter().enumerate() {
        if subject.text("name").is_empty() {
            causes.push(Cause::required(format!("subjects[{index}].name"), ""));
        }
        let cluster_wide = object.text("kind") == "ClusterRoleBinding";
        if cluster_wide && subject.text("kind") == "ServiceAccount" && subject.text("namespace").is_empty() {
            causes.push(Cause::required(format!("subjects[{index}].namespace"), ""));
        }
    }
    causes
}

fn webhooks(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, hook) in object.list("webhooks").iter().enumerate() {
        let at = format!("webhooks[{index}]");
        let effects = hook.at("sideEffects");
        if effects.is_null() {
            causes
                .push(Cause::required(format!("{at}.sideEffects"), "must specify one of None, NoneOnDryRun"));
        } else if !["None", "NoneOnDryRun"].contains(&effects.as_str().unwrap_or_default()) {
            causes.push(Cause::unsupported(format!("{at}.sideEffects"), effects, &["None", "NoneOnDryRun"]));
        }
        if hook.list("admissionReviewVersions").is_empty() {
            causes.push(Cause::required(
                format!("{at}.admissionReviewVersions"),
                "must specify one of v1, v1beta1",
            ));
        }
        let url = hook.at("clientConfig").text("url");
        if let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| *scheme != "https") {
            let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
            causes.push(Cause::invalid(format!("{at}.clientConfig.url"), &json!(scheme), why));
        }
        let called = hook.text("name");
        if !called.is_empty() && names::subdomain_errors(called).is_empty() && called.split('.').count() < 3 {
            causes.push(Cause::invalid(
                format!("{at}.name"),
                hook.at("name"),
                "should be a domain with at least three segments separated by dots",
            ));
        }
    }
    causes
}
