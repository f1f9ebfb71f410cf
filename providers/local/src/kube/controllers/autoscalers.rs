//! HorizontalPodAutoscalers. There are no metrics here, so all they do is keep a target within its bounds.

use super::super::json::{Json, Look, deleting, name, namespace, now, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, set_condition};
use super::{Again, Controller};

const AUTOSCALERS: &str = "horizontalpodautoscalers.autoscaling";

/// The controller.
pub(super) struct Autoscalers;

impl Controller for Autoscalers {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            AUTOSCALERS if !deleted => vec![key.clone()],
            "deployments.apps" | "statefulsets.apps" => {
                let (found, _) = server.store.list(AUTOSCALERS, Some(&key.namespace));
                found
                    .iter()
                    .filter(|a| a.text("spec.scaleTargetRef.name") == key.name)
                    .map(|a| Key::new(AUTOSCALERS, namespace(a), name(a)))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(scaler) = server.store.get(key) else { return Ok(None) };
        if deleting(&scaler) {
            return Ok(None);
        }
        let reference = scaler.at("spec.scaleTargetRef");
        let resource = match reference.text("kind") {
            "StatefulSet" => "statefulsets.apps",
            _ => "deployments.apps",
        };
        let target = Key::new(resource, &key.namespace, reference.text("name"));
        let found = server.store.get(&target);
        let current = found.as_ref().map_or(0, |t| t.int("spec.replicas").unwrap_or(1));
        let (min, max) =
            (scaler.int("spec.minReplicas").unwrap_or(1), scaler.int("spec.maxReplicas").unwrap_or(1));
        // A target at zero is switched off, not in need of help.
        let desired = if current == 0 { 0 } else { current.clamp(min, max.max(min)) };
        if found.is_some() && desired != current {
            server.system_update(MANAGER, "scale", &target, |t| set(t, "spec.replicas", desired))?;
        }
        server.system_update(MANAGER, "status", key, |a| {
            let time = now();
            set(a, "status.currentReplicas", current);
            set(a, "status.desiredReplicas", desired);
            if found.is_none() {
                let text = format!("the HPA controller was unable to get the target's current scale: {resource} \"{}\" not found", reference.text("name"));
                set_condition(a, "AbleToScale", "False", "FailedGetScale", &text, &time);
                return;
            }
            set_condition(a, "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale", &time);
            set_condition(a, "ScalingActive", "False", "FailedGetResourceMetric", "the HPA was unable to compute the replica count: there are no metrics in an embedded cluster", &time);
        })?;
        Ok(None)
    }
}
