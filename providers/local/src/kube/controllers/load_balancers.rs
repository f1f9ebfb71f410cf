//! Addresses for Services of type LoadBalancer, as a cloud would give them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::super::json::{Json, Look, deleting, json, remove, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::event;
use super::{Again, Controller, faults};

/// The controller.
#[derive(Default)]
pub(super) struct LoadBalancers {
    due: Mutex<HashMap<String, Instant>>,
}

impl Controller for LoadBalancers {
    fn concerns(&self, _: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        if key.resource == "services" && !deleted { vec![key.clone()] } else { Vec::new() }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(service) = server.store.get(key) else { return Ok(None) };
        let balanced = service.text("spec.type") == "LoadBalancer" && !deleting(&service);
        let has = !service.list("status.loadBalancer.ingress").is_empty();
        if balanced == has || faults::of(&service) == Some(faults::Fault::Pending) {
            return Ok(None);
        }
        if !balanced {
            server.system_update("cloud-controller-manager", "status", key, |s| {
                remove(s, "status.loadBalancer.ingress");
            })?;
            return Ok(None);
        }
        let uid = service.text("metadata.uid").to_owned();
        let left = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let delay = server.options.delay(server.options.load_balancer, &format!("address {key:?}"));
            let at = *due.entry(uid.clone()).or_insert_with(|| Instant::now() + delay);
            at.saturating_duration_since(Instant::now())
        };
        if !left.is_zero() {
            return Ok(Some(left));
        }
        self.due.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
        let number = u32::from_str_radix(uid.get(..6).unwrap_or("1"), 16).unwrap_or(1);
        let address = format!("203.0.113.{}", number % 253 + 1);
        server.system_update("cloud-controller-manager", "status", key, |s| {
            set(s, "status.loadBalancer.ingress", json!([{"ip": address, "ipMode": "VIP"}]));
        })?;
        event(
            server,
            &service,
            "service-controller",
            "Normal",
            "EnsuredLoadBalancer",
            "Ensured load balancer",
        );
        Ok(None)
    }
}
