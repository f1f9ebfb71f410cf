//! Endpoints and EndpointSlices of Services with a selector.

use std::sync::Arc;

use super::super::json::{Json, Look, deleting, json, name, namespace, same, set};
use super::super::selector::LabelSelector;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, is_ready, owned_by};
use super::{Again, Controller};

/// The controller.
pub(super) struct Endpoints;

impl Controller for Endpoints {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "services" => vec![key.clone()],
            "pods" => {
                let (services, _) = server.store.list("services", Some(&key.namespace));
                services
                    .iter()
                    .filter(|s| selects(s, object))
                    .map(|s| Key::new("services", &key.namespace, name(s)))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let endpoints = Key::new("endpoints", &key.namespace, &key.name);
        let slice =
            Key::new("endpointslices.discovery.k8s.io", &key.namespace, &format!("{}-slice", key.name));
        let Some(service) = server.store.get(key) else {
            server.system_delete(&endpoints, &super::super::write::DeleteOptions::default())?;
            return Ok(None);
        };
        if deleting(&service) || !service.has("spec.selector") {
            return Ok(None);
        }
        let (pods, _) = server.store.list("pods", Some(&key.namespace));
        let chosen: Vec<&Arc<Json>> = pods
            .iter()
            .filter(|p| selects(&service, p) && !p.text("status.podIP").is_empty() && !finished(p))
            .collect();
        write_endpoints(server, &endpoints, &service, &chosen)?;
        write_slice(server, &slice, &service, &chosen)?;
        Ok(None)
    }
}

fn finished(pod: &Json) -> bool {
    deleting(pod) || matches!(pod.text("status.phase"), "Succeeded" | "Failed")
}

fn selects(service: &Json, pod: &Json) -> bool {
    let selector = LabelSelector::of_map(service.at("spec.selector"));
    !selector.is_empty() && selector.matches(pod.at("metadata.labels"))
}

/// The number behind a target port, which may be the name of a container's port.
fn target(port: &Json, pod: &Json) -> Option<i64> {
    match port.at("targetPort") {
        Json::Number(n) => n.as_i64(),
        Json::String(wanted) => pod
            .list("spec.containers")
            .iter()
            .flat_map(|c| c.list("ports"))
            .find(|p| p.text("name") == wanted)
            .and_then(|p| p.int("containerPort")),
        _ => port.int("port"),
    }
}

fn ports(service: &Json, pod: Option<&Json>) -> Vec<Json> {
    service
        .list("spec.ports")
        .iter()
        .filter_map(|p| {
            let number = match pod {
                Some(pod) => target(p, pod)?,
                None => p.int("targetPort").or(p.int("port"))?,
            };
            let mut out = json!({"port": number, "protocol": p.text("protocol")});
            if p.has("name") {
                out["name"] = p["name"].clone();
            }
            if p.has("appProtocol") {
                out["appProtocol"] = p["appProtocol"].clone();
            }
            Some(out)
        })
        .collect()
}

fn reference(pod: &Json) -> Json {
    json!({"kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": pod.text("metadata.uid")})
}

fn write_endpoints(server: &Server, key: &Key, service: &Json, pods: &[&Arc<Json>]) -> Result<(), Status> {
    let early = service.yes("spec.publishNotReadyAddresses");
    let address = |p: &&Arc<Json>| json!({"ip": p.text("status.podIP"), "nodeName": p.text("spec.nodeName"), "targetRef": reference(p)});
    let (ready, other): (Vec<_>, Vec<_>) = pods.iter().copied().partition(|p| early || is_ready(p));
    let subsets = if pods.is_empty() {
        json!([])
    } else {
        let mut subset = json!({"ports": ports(service, pods.first().map(|p| &***p))});
        if !ready.is_empty() {
            subset["addresses"] = ready.iter().map(address).collect();
        }
        if !other.is_empty() {
            subset["notReadyAddresses"] = other.iter().map(address).collect();
        }
        json!([subset])
    };
    match server.store.get(key) {
        Some(found) if same(found.at("subsets"), &subsets) || (pods.is_empty() && !found.has("subsets")) => Ok(()),
        Some(_) => server.system_update(MANAGER, "", key, |e| set(e, "subsets", subsets.clone())).map(|_| ()),
        None => server
            .system_create(MANAGER, json!({
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": {"name": key.name, "namespace": key.namespace, "labels": service.at("metadata.labels"),
                    "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": super::super::json::now()}},
                "subsets": subsets
            }))
            .map(|_| ()),
    }
}

fn write_slice(server: &Server, key: &Key, service: &Json, pods: &[&Arc<Json>]) -> Result<(), Status> {
    let endpoints: Vec<Json> = pods
        .iter()
        .map(|p| {
            let ready = is_ready(p) || service.yes("spec.publishNotReadyAddresses");
            json!({"addresses": [p.text("status.podIP")], "nodeName": p.text("spec.nodeName"), "targetRef": reference(p),
                "conditions": {"ready": ready, "serving": ready, "terminating": false}})
        })
        .collect();
    let endpoints = json!(endpoints);
    let mut ports = ports(service, pods.first().map(|p| &***p));
    for port in &mut ports {
        super::super::json::default(port, "name", "");
    }
    let ports = json!(ports);
    match server.store.get(key) {
        Some(found) if same(found.at("endpoints"), &endpoints) && same(found.at("ports"), &ports) => Ok(()),
        Some(_) => server
            .system_update("endpointslice-controller", "", key, |s| {
                set(s, "endpoints", endpoints.clone());
                set(s, "ports", ports.clone());
            })
            .map(|_| ()),
        None => server
            .system_create(
                "endpointslice-controller",
                json!({
                    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                    "metadata": {"name": key.name, "namespace": key.namespace, "labels": {
                        "kubernetes.io/service-name": name(service),
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                        "ownerReferences": [owned_by(service)]},
                    "endpoints": endpoints, "ports": ports
                }),
            )
            .map(|_| ()),
    }
}
