//! Simulated controllers: what makes objects come to life. One file per controller.

use std::sync::Weak;

use super::json::{Json, Look, json, list_mut, place};
use super::server::Server;

/// Runs all controllers until the server is gone.
pub(crate) async fn run(_server: Weak<Server>) {}

/// Sets a condition; its transition time moves only when its status does.
pub(crate) fn set_condition(
    object: &mut Json,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let conditions = place(object, "status.conditions");
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let fresh = json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now});
    let Some(list) = list_mut(object, "status.conditions") else { return };
    match list.iter_mut().find(|c| c.text("type") == kind) {
        Some(found) => {
            if found.text("status") != status {
                found["lastTransitionTime"] = json!(now);
            }
            for field in ["status", "reason", "message"] {
                found[field] = fresh[field].clone();
            }
        }
        None => list.push(fresh),
    }
}
