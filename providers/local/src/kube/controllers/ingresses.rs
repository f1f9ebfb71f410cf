//! Addresses for Ingresses: that of their controller's Service where one can be told, else one of their own.

use super::super::json::{Json, Look, annotation, deleting, json, label, name, same, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::{Again, Controller};

const INGRESSES: &str = "ingresses.networking.k8s.io";

/// The controller.
pub(super) struct Ingresses;

impl Controller for Ingresses {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        let all = || {
            let (found, _) = server.store.list(INGRESSES, None);
            found.iter().map(|i| Key::new(INGRESSES, i.text("metadata.namespace"), name(i))).collect()
        };
        match key.resource.as_str() {
            INGRESSES if !deleted => vec![key.clone()],
            "ingressclasses.networking.k8s.io" => all(),
            "services" if object.text("spec.type") == "LoadBalancer" => all(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(ingress) = server.store.get(key) else { return Ok(None) };
        if deleting(&ingress) {
            return Ok(None);
        }
        let class_name = match ingress.text("spec.ingressClassName") {
            "" => annotation(&ingress, "kubernetes.io/ingress.class").unwrap_or_default(),
            given => given,
        };
        let class = server.store.get(&Key::new("ingressclasses.networking.k8s.io", "", class_name));
        if class.is_none() {
            // Nobody serves a class that is not there.
            return Ok(None);
        }
        let controller = class.as_ref().map(|c| c.text("spec.controller").to_owned()).unwrap_or_default();
        let Some(address) = published(server, class_name, &controller) else { return Ok(None) };
        if same(ingress.at("status.loadBalancer.ingress"), &address) {
            return Ok(None);
        }
        server.system_update(class_name, "status", key, |i| {
            set(i, "status.loadBalancer.ingress", address.clone())
        })?;
        Ok(None)
    }
}

/// What the controller of a class publishes; none while its Service waits for an address.
fn published(server: &Server, class: &str, controller: &str) -> Option<Json> {
    let (services, _) = server.store.list("services", None);
    let vendor = controller.split(['.', '/']).next().unwrap_or_default();
    let serves = |s: &Json| {
        s.text("spec.type") == "LoadBalancer"
            && [label(s, "app.kubernetes.io/name"), label(s, "app"), Some(name(s))]
                .into_iter()
                .flatten()
                .any(|text| text == class || (!vendor.is_empty() && text.contains(vendor)))
    };
    match services.iter().find(|s| serves(s)) {
        Some(service) => {
            let list: Vec<Json> = service
                .list("status.loadBalancer.ingress")
                .iter()
                .map(|i| match i.text("ip") {
                    "" => json!({"hostname": i.text("hostname")}),
                    ip => json!({ "ip": ip }),
                })
                .collect();
            (!list.is_empty()).then(|| json!(list))
        }
        None => Some(json!([{"ip": "203.0.113.254"}])),
    }
}
