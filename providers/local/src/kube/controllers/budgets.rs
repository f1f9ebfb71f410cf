//! What PodDisruptionBudgets allow right now.

use std::sync::Arc;

use super::super::json::{Json, Look, name, namespace, now, set};
use super::super::selector::LabelSelector;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{MANAGER, is_active, is_ready, set_condition, share};
use super::{Again, Controller};

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// The controller.
pub(super) struct Budgets;

impl Controller for Budgets {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            BUDGETS if !deleted => vec![key.clone()],
            "pods" => {
                let (budgets, _) = server.store.list(BUDGETS, Some(&key.namespace));
                let guards =
                    |b: &Json| LabelSelector::of(b.at("spec.selector")).matches(object.at("metadata.labels"));
                budgets
                    .iter()
                    .filter(|b| guards(b))
                    .map(|b| Key::new(BUDGETS, namespace(b), name(b)))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(budget) = server.store.get(key) else { return Ok(None) };
        let selector = LabelSelector::of(budget.at("spec.selector"));
        let (pods, _) = server.store.list("pods", Some(&key.namespace));
        let guarded: Vec<&Arc<Json>> = pods
            .iter()
            .filter(|p| {
                budget.has("spec.selector") && selector.matches(p.at("metadata.labels")) && is_active(p)
            })
            .collect();
        let total = guarded.len() as i64;
        let healthy = guarded.iter().filter(|p| is_ready(p)).count() as i64;
        let desired = if budget.has("spec.maxUnavailable") {
            (total - share(budget.at("spec.maxUnavailable"), total, true).unwrap_or(0)).max(0)
        } else {
            share(budget.at("spec.minAvailable"), total, true).unwrap_or(1)
        };
        let allowed = (healthy - desired).max(0);
        let generation = budget.int("metadata.generation").unwrap_or(0);
        server.system_update(MANAGER, "status", key, |b| {
            for (field, value) in [
                ("observedGeneration", generation),
                ("currentHealthy", healthy),
                ("desiredHealthy", desired),
                ("disruptionsAllowed", allowed),
                ("expectedPods", total),
            ] {
                set(b, &format!("status.{field}"), value);
            }
            let (state, reason) =
                if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
            set_condition(b, "DisruptionAllowed", state, reason, "", &now());
            for c in super::super::json::list_mut(b, "status.conditions").into_iter().flatten() {
                c["observedGeneration"] = generation.into();
            }
        })?;
        Ok(None)
    }
}
