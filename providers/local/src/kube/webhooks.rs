//! Admission webhooks, as far as they can be simulated: they say yes to everything, if only they can be reached.
//!
//! That is where they hurt in real clusters: a webhook whose Service has no ready pod yet, or whose configuration
//! holds no CA bundle yet, refuses every write it matches.

use super::json::{Json, Look, json, name};
use super::kinds::Resource;
use super::selector::LabelSelector;
use super::server::Server;
use super::status::Status;
use super::store::Key;

const CONFIGURATIONS: [&str; 2] = [
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
];

/// Refuses an operation whose webhook cannot be reached.
pub(crate) fn admit(
    server: &Server,
    resource: &Resource,
    operation: &str,
    object: &Json,
) -> Result<(), Status> {
    let simulated = server.options.webhooks && server.options.controllers;
    if !simulated || resource.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    for kind in CONFIGURATIONS {
        for configuration in server.store.list(kind, None).0 {
            for hook in configuration.list("webhooks") {
                let matters = hook.text("failurePolicy") != "Ignore"
                    && hook.list("rules").iter().any(|r| rule(r, resource, operation))
                    && selected(server, hook, resource, object);
                if let (true, Some(why)) = (matters, unreachable(server, hook)) {
                    let text =
                        format!("failed calling webhook {}: failed to call webhook: {why}", hook.at("name"));
                    return Err(Status::internal(&text));
                }
            }
        }
    }
    Ok(())
}

fn rule(rule: &Json, resource: &Resource, operation: &str) -> bool {
    let any = |field: &str, value: &str| rule.list(field).iter().any(|v| v == "*" || v == value);
    let plural = rule.list("resources").iter().filter_map(Json::as_str).any(|r| {
        matches!(r, "*" | "*/*") || r == resource.plural || r.strip_suffix("/*") == Some(&resource.plural)
    });
    let scope = match rule.text("scope") {
        "Cluster" => !resource.namespaced,
        "Namespaced" => resource.namespaced,
        _ => true,
    };
    any("operations", operation)
        && any("apiGroups", &resource.group)
        && any("apiVersions", &resource.version)
        && plural
        && scope
}

fn selected(server: &Server, hook: &Json, resource: &Resource, object: &Json) -> bool {
    if !LabelSelector::of(hook.at("objectSelector")).matches(object.at("metadata.labels")) {
        return false;
    }
    let selector = LabelSelector::of(hook.at("namespaceSelector"));
    if resource.storage == "namespaces" {
        return selector.matches(object.at("metadata.labels"));
    }
    if !resource.namespaced {
        return true;
    }
    let home = server.store.get(&Key::new("namespaces", "", object.text("metadata.namespace")));
    home.is_some_and(|n| selector.matches(n.at("metadata.labels")))
}

/// Why a webhook cannot be called.
fn unreachable(server: &Server, hook: &Json) -> Option<String> {
    let config = hook.at("clientConfig");
    let service = config.at("service");
    if service.is_null() {
        return None;
    }
    let (ns, target) = (service.text("namespace"), service.text("name"));
    let call = format!(
        "Post \"https://{target}.{ns}.svc:{}{}?timeout={}s\"",
        service.int("port").unwrap_or(443),
        if service.text("path").is_empty() { "/" } else { service.text("path") },
        hook.int("timeoutSeconds").unwrap_or(10)
    );
    let Some(found) = server.store.get(&Key::new("services", ns, target)) else {
        return Some(format!("{call}: service \"{target}\" not found"));
    };
    let endpoints = server.store.get(&Key::new("endpoints", ns, name(&found)));
    let ready = endpoints.is_some_and(|e| e.list("subsets").iter().any(|s| !s.list("addresses").is_empty()));
    if !ready {
        return Some(format!("{call}: no endpoints available for service \"{target}\""));
    }
    let trusted = config.at("caBundle") != &json!(null)
        && !config.text("caBundle").is_empty()
        && config.text("caBundle") != "Cg==";
    (!trusted).then(|| {
        format!("{call}: tls: failed to verify certificate: x509: certificate signed by unknown authority")
    })
}
