//! ReplicaSets and ReplicationControllers: as many pods as asked for.

use std::sync::Arc;

use super::super::json::{Json, Look, deleting, json, name, now, remove, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::random_suffix;
use super::kit::{
    MANAGER, delete, drop_condition, event, is_active, is_ready, owned, owner_key, pod_of, set_condition,
};
use super::{Again, Controller};

/// The controller.
pub(super) struct ReplicaSets;

impl Controller for ReplicaSets {
    fn concerns(&self, _: &Server, key: &Key, object: &Json, _: bool) -> Vec<Key> {
        match key.resource.as_str() {
            "replicasets.apps" | "replicationcontrollers" => vec![key.clone()],
            "pods" => {
                let mut keys = owner_key(object, "ReplicaSet", "replicasets.apps");
                keys.extend(owner_key(object, "ReplicationController", "replicationcontrollers"));
                keys
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(owner) = server.store.get(key) else { return Ok(None) };
        let pods = owned(server, "pods", &owner);
        let mut active: Vec<&Arc<Json>> = pods.iter().filter(|p| is_active(p)).collect();
        let wanted = usize::try_from(owner.int("spec.replicas").unwrap_or(1)).unwrap_or(0);
        let mut failure = None;
        if !deleting(&owner) {
            for _ in active.len()..wanted {
                let pod_name = format!("{}-{}", name(&owner), random_suffix());
                let mut pod = pod_of(owner.at("spec.template"), &owner, &pod_name);
                set(&mut pod, "metadata.generateName", format!("{}-", name(&owner)));
                match server.system_create(MANAGER, pod) {
                    Ok(_) => event(
                        server,
                        &owner,
                        "replicaset-controller",
                        "Normal",
                        "SuccessfulCreate",
                        &format!("Created pod: {pod_name}"),
                    ),
                    Err(status) => {
                        event(
                            server,
                            &owner,
                            "replicaset-controller",
                            "Warning",
                            "FailedCreate",
                            &format!("Error creating: {}", status.message),
                        );
                        failure = Some(status.message);
                        break;
                    }
                }
            }
            if active.len() > wanted {
                // What is least useful goes first: not placed, not ready, youngest.
                active.sort_by_key(|p| {
                    (
                        !p.text("spec.nodeName").is_empty(),
                        is_ready(p),
                        std::cmp::Reverse(p.text("metadata.creationTimestamp").to_owned()),
                    )
                });
                for pod in &active[..active.len() - wanted] {
                    delete(server, pod)?;
                    event(
                        server,
                        &owner,
                        "replicaset-controller",
                        "Normal",
                        "SuccessfulDelete",
                        &format!("Deleted pod: {}", name(pod)),
                    );
                }
            }
        }
        status(server, key, &owner, failure.as_deref())?;
        Ok(failure.map(|_| std::time::Duration::from_millis(500)))
    }
}

fn status(server: &Server, key: &Key, owner: &Json, failure: Option<&str>) -> Result<(), Status> {
    let pods = owned(server, "pods", owner);
    let active: Vec<&Arc<Json>> = pods.iter().filter(|p| is_active(p)).collect();
    let ready = active.iter().filter(|p| is_ready(p)).count();
    let generation = owner.int("metadata.generation").unwrap_or(0);
    let total = active.len();
    server.system_update(MANAGER, "status", key, |o| {
        set(o, "status.replicas", total);
        set(o, "status.observedGeneration", generation);
        for (field, value) in
            [("fullyLabeledReplicas", total), ("readyReplicas", ready), ("availableReplicas", ready)]
        {
            if value == 0 {
                remove(o, &format!("status.{field}"));
            } else {
                set(o, &format!("status.{field}"), value);
            }
        }
        match failure {
            Some(message) => set_condition(o, "ReplicaFailure", "True", "FailedCreate", message, &now()),
            None => drop_condition(o, "ReplicaFailure"),
        }
        if o.at("status.conditions") == &json!([]) {
            remove(o, "status.conditions");
        }
    })?;
    Ok(())
}
