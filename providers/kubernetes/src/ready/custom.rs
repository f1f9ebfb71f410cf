//! Custom resources: their conditions, by the conventions that most controllers follow.

use serde_json::Value as Json;

use super::State;
use crate::kind::Gvk;
use crate::tree;

/// Whether the definition of a kind says that something reports on its objects.
pub(crate) fn is_reported(definition: &Json, version: &str) -> bool {
    tree::items(definition, "spec.versions")
        .filter(|one| tree::text(one, "name") == Some(version))
        .any(|one| tree::at(one, "schema.openAPIV3Schema.properties.status.properties.conditions").is_some())
}

pub(super) fn assess(gvk: &Gvk, object: &Json) -> State {
    // These are known to get a condition, so its absence means that the controller has not come to them yet.
    let expected = gvk.group == "cert-manager.io"
        && matches!(gvk.kind.as_str(), "Certificate" | "Issuer" | "ClusterIssuer" | "CertificateRequest");
    let generation = tree::count(object, "metadata.generation");
    if tree::at(object, "status.observedGeneration")
        .and_then(Json::as_i64)
        .is_some_and(|observed| observed < generation)
    {
        return State::waiting("its controller has not seen the change yet");
    }
    if let Some(condition) = tree::condition(object, "Stalled")
        && tree::text(condition, "status") == Some("True")
    {
        return State::waiting(tree::explain(condition));
    }
    let condition = tree::condition(object, "Ready").or_else(|| tree::condition(object, "Available"));
    let Some(condition) = condition else {
        return if expected {
            State::waiting("its controller has not come to it yet")
        } else {
            State::ready()
        };
    };
    let is_old = tree::at(condition, "observedGeneration")
        .and_then(Json::as_i64)
        .is_some_and(|observed| observed < generation);
    if is_old {
        return State::waiting("its controller has not seen the change yet");
    }
    match tree::text(condition, "status") {
        Some("True") => State::ready(),
        _ => State::waiting(tree::explain(condition)),
    }
}
