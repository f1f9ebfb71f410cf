//! ClusterRoles that gather the rules of others, and API services.

use super::super::json::{Json, Look, json, name, now, same, set};
use super::super::selector::LabelSelector;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, set_condition};
use super::{Again, Controller};

const ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const SERVICES: &str = "apiservices.apiregistration.k8s.io";

/// The controller.
pub(super) struct Aggregation;

impl Controller for Aggregation {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            ROLES => {
                let (roles, _) = server.store.list(ROLES, None);
                let gathering = roles.iter().filter(|r| r.has("aggregationRule"));
                gathering.map(|r| Key::new(ROLES, "", name(r))).collect()
            }
            SERVICES if !deleted => vec![key.clone()],
            "services" | "endpoints" => {
                let (found, _) = server.store.list(SERVICES, None);
                let behind = found.iter().filter(|a| a.text("spec.service.name") == key.name);
                behind.map(|a| Key::new(SERVICES, "", name(a))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(object) = server.store.get(key) else { return Ok(None) };
        if key.resource == SERVICES {
            return available(server, key, &object);
        }
        let (roles, _) = server.store.list(ROLES, None);
        let mut rules: Vec<Json> = Vec::new();
        for selector in object.list("aggregationRule.clusterRoleSelectors") {
            let selector = LabelSelector::of(selector);
            for role in
                roles.iter().filter(|r| name(r) != key.name && selector.matches(r.at("metadata.labels")))
            {
                for rule in role.list("rules") {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
        }
        let settled =
            same(object.at("rules"), &json!(rules)) || (rules.is_empty() && object.list("rules").is_empty());
        if !settled {
            server.system_update("clusterrole-aggregation-controller", "", key, |r| {
                set(r, "rules", rules.clone())
            })?;
        }
        Ok(None)
    }
}

fn available(server: &Server, key: &Key, service: &Json) -> Result<Again, Status> {
    let (ns, target) = (service.text("spec.service.namespace"), service.text("spec.service.name"));
    let (state, reason, message) = if target.is_empty() {
        ("True", "Local", "Local APIServices are always available".to_owned())
    } else if server.store.get(&Key::new("services", ns, target)).is_some() {
        let endpoints = server.store.get(&Key::new("endpoints", ns, target));
        let ready =
            endpoints.is_some_and(|e| e.list("subsets").iter().any(|s| !s.list("addresses").is_empty()));
        if ready {
            ("True", "Passed", "all checks passed".to_owned())
        } else {
            let why = format!("endpoints for service/{target} in \"{ns}\" have no addresses");
            ("False", "MissingEndpoints", why)
        }
    } else {
        ("False", "ServiceNotFound", format!("service/{target} in \"{ns}\" is not present"))
    };
    server.system_update(MANAGER, "status", key, |s| {
        set_condition(s, "Available", state, reason, &message, &now());
    })?;
    Ok(None)
}
