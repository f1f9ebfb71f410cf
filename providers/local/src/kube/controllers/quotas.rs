//! What ResourceQuotas say is used.

use super::super::json::{Json, Look, json, name, namespace, set};
use super::super::quantity::Quantity;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, is_active};
use super::{Again, Controller};

/// The controller.
pub(super) struct Quotas;

impl Controller for Quotas {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "resourcequotas" if !deleted => vec![key.clone()],
            "pods" | "services" | "configmaps" | "secrets" | "persistentvolumeclaims" => {
                let (quotas, _) = server.store.list("resourcequotas", Some(&key.namespace));
                quotas.iter().map(|q| Key::new("resourcequotas", namespace(q), name(q))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(quota) = server.store.get(key) else { return Ok(None) };
        let hard = quota.at("spec.hard").clone();
        let mut used = json!({});
        for (what, _) in hard.as_object().into_iter().flatten() {
            used[what] = json!(amount(server, &key.namespace, what));
        }
        server.system_update(MANAGER, "status", key, |q| {
            set(q, "status.hard", hard.clone());
            set(q, "status.used", used.clone());
        })?;
        Ok(None)
    }
}

fn amount(server: &Server, ns: &str, what: &str) -> String {
    let plain = what.strip_prefix("count/").unwrap_or(what);
    let sum = |kind: &str, resource: &str| {
        let (pods, _) = server.store.list("pods", Some(ns));
        pods.iter()
            .filter(|p| is_active(p))
            .flat_map(|p| p.list("spec.containers"))
            .filter_map(|c| {
                c.at("resources").at(kind).get(resource).and_then(Json::as_str).and_then(Quantity::parse)
            })
            .reduce(Quantity::plus)
            .map_or("0".to_owned(), |q| q.to_string())
    };
    match plain {
        "cpu" | "requests.cpu" => sum("requests", "cpu"),
        "memory" | "requests.memory" => sum("requests", "memory"),
        "limits.cpu" => sum("limits", "cpu"),
        "limits.memory" => sum("limits", "memory"),
        other => {
            let (found, _) = server.store.list(other, Some(ns));
            let counted = found.iter().filter(|o| other != "pods" || is_active(o)).count();
            counted.to_string()
        }
    }
}
