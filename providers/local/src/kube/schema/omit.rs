//! What Go's encoder leaves out: empty strings, lists and maps, `false` and `0` in fields that are not pointers.
//!
//! Clients see the effect: `env: [{name: A, value: ""}]` reads back without `value`.

use super::super::json::Json;
use super::{Scalar, Shape, TypeRef};

/// Strings behind pointers: an empty one is data.
const POINTER_STRINGS: &[&str] = &[
    "storageClassName",
    "ingressClassName",
    "volumeMode",
    "loadBalancerClass",
    "runtimeClassName",
    "appProtocol",
    "hostname",
    "nodeName",
    "zone",
    "volumeAttributesClassName",
    "apiGroup",
    "pathType",
    "localhostProfile",
    "service",
    "type",
    "preemptionPolicy",
    "path",
    "url",
    "gmsaCredentialSpec",
    "runAsUserName",
    "fsGroupPolicy",
    "reason",
    "message",
    "policyName",
];

/// Booleans that are not pointers: `false` is not written.
const PLAIN_BOOLS: &[&str] = &[
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "tty",
    "stdin",
    "stdinOnce",
    "readOnly",
    "paused",
    "unschedulable",
    "publishNotReadyAddresses",
    "preserveUnknownFields",
    "deprecated",
];

/// Integers that are not pointers: `0` is not written.
const PLAIN_INTEGERS: &[&str] = &[
    "minReadySeconds",
    "nodePort",
    "healthCheckNodePort",
    "hostPort",
    "initialDelaySeconds",
    "updatedReplicas",
    "unavailableReplicas",
    "availableReplicas",
    "readyReplicas",
    "fullyLabeledReplicas",
    "currentReplicas",
    "active",
    "succeeded",
    "failed",
    "observedGeneration",
    "numberAvailable",
    "numberUnavailable",
    "updatedNumberScheduled",
    "generation",
];

/// Drops what would not be written.
pub(crate) fn omit_empty(value: &mut Json, of: &TypeRef) {
    match value {
        Json::Object(map) => {
            let node = of.node();
            let Shape::Object { fields, .. } = &node.shape else { return };
            map.retain(|key, inner| {
                let Some(t) = of.field(key) else { return true };
                omit_empty(inner, &t);
                let declared = fields.contains_key(key);
                if !declared || node.required.iter().any(|r| r == key) {
                    return true;
                }
                !empty(inner, &t, key, &node.name)
            });
        }
        Json::Array(items) => {
            if let (Some(t), Shape::List { .. }) = (of.item(), &of.node().shape) {
                items.iter_mut().for_each(|i| omit_empty(i, &t));
            }
        }
        _ => {}
    }
}

fn empty(value: &Json, of: &TypeRef, key: &str, owner: &str) -> bool {
    match (value, &of.node().shape) {
        (Json::Array(items), Shape::List { .. }) => items.is_empty(),
        (Json::Object(map), Shape::Object { fields, extra }) => {
            map.is_empty() && fields.is_empty() && extra.is_some()
        }
        (Json::String(text), Shape::Scalar(Scalar::String)) => {
            // A host path's type and an event's type differ in just this.
            let written = POINTER_STRINGS.contains(&key) || (owner == "EndpointPort" && key == "name");
            text.is_empty() && (!written || owner == "Event")
        }
        (Json::Bool(false), Shape::Scalar(Scalar::Boolean)) => PLAIN_BOOLS.contains(&key),
        (Json::Number(n), Shape::Scalar(Scalar::Integer { .. })) => {
            let written = owner == "StatefulSetStatus" && key == "availableReplicas";
            n.as_i64() == Some(0) && PLAIN_INTEGERS.contains(&key) && !written
        }
        _ => false,
    }
}
