//! Controllers of pods, and Jobs.

use serde_json::Value as Json;

use super::{State, is_observed};
use crate::tree;

const UNOBSERVED: &str = "its controller has not seen the change yet";

fn replicas(object: &Json) -> i64 {
    tree::at(object, "spec.replicas").and_then(Json::as_i64).unwrap_or(1)
}

/// What keeps a controller from making pods: a quota, an admission.
fn replica_failure(object: &Json) -> Option<State> {
    let condition = tree::condition(object, "ReplicaFailure")?;
    (tree::text(condition, "status") == Some("True")).then(|| State::waiting(tree::explain(condition)))
}

pub(super) fn deployment(object: &Json) -> State {
    if !is_observed(object) {
        return State::waiting(UNOBSERVED);
    }
    if tree::at(object, "spec.paused") == Some(&Json::Bool(true)) {
        return State::noted("paused: its rollout waits to be resumed");
    }
    let want = replicas(object);
    let (updated, total, available) = (
        tree::count(object, "status.updatedReplicas"),
        tree::count(object, "status.replicas"),
        tree::count(object, "status.availableReplicas"),
    );
    if updated >= want && total <= updated && available >= want {
        return State::ready();
    }
    if let Some(failure) = replica_failure(object) {
        return failure;
    }
    // Not final: a rollout past its deadline still completes once its pods become ready.
    let late = tree::condition(object, "Progressing")
        .filter(|condition| tree::text(condition, "reason") == Some("ProgressDeadlineExceeded"))
        .map(|_| ", past its progress deadline")
        .unwrap_or("");
    State::waiting(if updated < want {
        format!("{updated}/{want} updated{late}")
    } else if total > updated {
        format!("{} old pods are still there{late}", total - updated)
    } else {
        format!("{available}/{want} ready{late}")
    })
}

pub(super) fn stateful_set(object: &Json) -> State {
    if !is_observed(object) {
        return State::waiting(UNOBSERVED);
    }
    let want = replicas(object);
    let ready = tree::count(object, "status.readyReplicas");
    let ready = match tree::at(object, "status.availableReplicas").and_then(Json::as_i64) {
        Some(available) => ready.min(available),
        None if tree::count(object, "spec.minReadySeconds") > 0 => 0,
        None => ready,
    };
    if tree::text(object, "spec.updateStrategy.type") == Some("OnDelete") {
        if tree::count(object, "metadata.generation") > 1 || ready >= want {
            return State::noted("pods are updated when they are deleted");
        }
        return State::waiting(format!("{ready}/{want} ready"));
    }
    let partition = tree::count(object, "spec.updateStrategy.rollingUpdate.partition");
    let expected = (want - partition).max(0);
    let updated = tree::count(object, "status.updatedReplicas");
    if ready < want {
        return State::waiting(format!("{ready}/{want} ready"));
    }
    if updated < expected {
        return State::waiting(format!("{updated}/{expected} updated"));
    }
    if tree::count(object, "status.replicas") > want {
        return State::waiting(format!("{} pods too many", tree::count(object, "status.replicas") - want));
    }
    if partition > 0 {
        State::noted(format!("pods below ordinal {partition} keep the old revision"))
    } else {
        State::ready()
    }
}

pub(super) fn daemon_set(object: &Json) -> State {
    // The reply to a create has zeros everywhere and would look ready.
    if tree::at(object, "status.observedGeneration").is_none() || !is_observed(object) {
        return State::waiting(UNOBSERVED);
    }
    let want = tree::count(object, "status.desiredNumberScheduled");
    if want == 0 {
        return State::noted("no node matches");
    }
    let (updated, available) =
        (tree::count(object, "status.updatedNumberScheduled"), tree::count(object, "status.numberAvailable"));
    let rolls = tree::text(object, "spec.updateStrategy.type") != Some("OnDelete");
    if rolls && updated < want {
        return State::waiting(format!("{updated}/{want} updated"));
    }
    if available < want {
        return State::waiting(format!("{available}/{want} ready"));
    }
    State::ready()
}

pub(super) fn replica_set(object: &Json) -> State {
    if !is_observed(object) {
        return State::waiting(UNOBSERVED);
    }
    let (want, available) = (replicas(object), tree::count(object, "status.availableReplicas"));
    if available >= want && tree::count(object, "status.replicas") <= want {
        return State::ready();
    }
    replica_failure(object).unwrap_or_else(|| State::waiting(format!("{available}/{want} ready")))
}

pub(super) fn job(object: &Json) -> State {
    if tree::condition_is(object, "Complete", "True") {
        return State::ready();
    }
    if let Some(condition) = tree::condition(object, "Failed")
        && tree::text(condition, "status") == Some("True")
    {
        return State::Failed(tree::explain(condition));
    }
    if tree::at(object, "spec.suspend") == Some(&Json::Bool(true)) {
        return State::noted("suspended: not started");
    }
    let want = tree::at(object, "spec.completions").and_then(Json::as_i64).unwrap_or(1);
    let (done, failed) = (tree::count(object, "status.succeeded"), tree::count(object, "status.failed"));
    let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    State::waiting(format!("{done}/{want} complete{failures}"))
}
