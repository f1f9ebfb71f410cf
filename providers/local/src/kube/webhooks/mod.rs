//! Admission webhooks. Those behind a Service are simulated: they say yes to everything, if only they can be reached.
//! That is where they hurt in real clusters: a webhook whose Service has no ready pod yet, or whose configuration
//! holds no CA bundle yet, refuses every write it matches. Those with a URL of their own are called.

mod call;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::json::{Json, Look, json, name, namespace};
use super::kinds::Resource;
use super::patch::json_patch;
use super::selector::LabelSelector;
use super::server::Server;
use super::status::Status;
use super::store::Key;
use super::write::WriteOptions;

const MUTATING: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
const VALIDATING: &str = "validatingwebhookconfigurations.admissionregistration.k8s.io";

/// What is about to happen to an object.
pub(crate) struct Operation<'a> {
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub verb: &'a str,
    /// What was there before.
    pub old: Option<&'a Json>,
    pub options: &'a WriteOptions,
}

/// Whether there is a webhook that must be called over the network, which takes a thread that may wait.
pub(crate) fn call_out(server: &Server) -> bool {
    [MUTATING, VALIDATING].iter().any(|kind| {
        let configurations = server.store.list(kind, None).0;
        configurations.iter().flat_map(|c| c.list("webhooks")).any(|hook| hook.has("clientConfig.url"))
    })
}

/// Asks every webhook that an operation matches; the first no is the answer. Webhooks that mutate may change the object.
pub(crate) fn admit(
    server: &Server,
    resource: &Resource,
    operation: &Operation<'_>,
    object: &mut Json,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let simulated = server.options.webhooks && server.options.controllers;
    if resource.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    for kind in [MUTATING, VALIDATING] {
        for configuration in server.store.list(kind, None).0 {
            for hook in configuration.list("webhooks") {
                let matters = hook.list("rules").iter().any(|r| rule(r, resource, operation.verb))
                    && selected(server, hook, resource, object);
                let ignorable = hook.text("failurePolicy") == "Ignore";
                if !matters {
                    continue;
                }
                let failure = if hook.has("clientConfig.url") {
                    // The cluster's own controllers do not wait for the network.
                    if operation.options.trusted {
                        continue;
                    }
                    match call::ask(hook, &review(resource, operation, object)) {
                        Ok(response) => {
                            heed(hook, &response, kind == MUTATING, object, warnings)?;
                            None
                        }
                        Err(why) => Some(why),
                    }
                } else if simulated {
                    unreachable(server, hook)
                } else {
                    None
                };
                if let Some(why) = failure.filter(|_| !ignorable) {
                    let text =
                        format!("failed calling webhook {}: failed to call webhook: {why}", hook.at("name"));
                    return Err(Status::internal(&text));
                }
            }
        }
    }
    Ok(())
}

/// The question that a webhook is asked.
fn review(resource: &Resource, operation: &Operation<'_>, object: &Json) -> Json {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let which = json!({"group": resource.group, "version": resource.version, "resource": resource.plural});
    let deletes = operation.verb == "DELETE";
    let options = match operation.verb {
        "CREATE" => "CreateOptions",
        "UPDATE" => "UpdateOptions",
        _ => "DeleteOptions",
    };
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": uuid::Uuid::new_v4().to_string(), "kind": kind, "resource": which, "requestKind": kind,
        "requestResource": which, "name": name(object), "namespace": namespace(object), "operation": operation.verb,
        "userInfo": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
        "object": if deletes { &Json::Null } else { object },
        "oldObject": if deletes { Some(object) } else { operation.old },
        "dryRun": operation.options.dry_run,
        "options": {"kind": options, "apiVersion": "meta.k8s.io/v1", "fieldManager": operation.options.manager},
    }})
}

/// Does what a webhook answered.
fn heed(
    hook: &Json,
    response: &Json,
    mutating: bool,
    object: &mut Json,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    warnings.extend(response.list("warnings").iter().filter_map(Json::as_str).map(str::to_owned));
    if !response.yes("allowed") {
        let denied = format!("admission webhook {} denied the request", hook.at("name"));
        let status = response.at("status");
        let message = match (status.text("message"), status.text("reason")) {
            ("", "") => format!("{denied} without explanation"),
            ("", reason) => format!("{denied}: {reason}"),
            (message, _) => format!("{denied}: {message}"),
        };
        let code = status.int("code").and_then(|c| u16::try_from(c).ok()).filter(|c| (400..600).contains(c));
        return Err(Status::new(code.unwrap_or(400), status.text("reason"), message));
    }
    let patch = response.text("patch");
    if !mutating || patch.is_empty() {
        return Ok(());
    }
    let failed = |why: String| Status::internal(&format!("webhook {}: {why}", hook.at("name")));
    let bytes = BASE64.decode(patch).map_err(|error| failed(error.to_string()))?;
    let operations: Json = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    json_patch(object, &operations).map_err(failed)
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
