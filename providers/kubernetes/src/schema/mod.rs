//! What is known of the built-in kinds without a cluster: names, scopes, and the shape of every field.
//!
//! The shapes come from the structs of `k8s-openapi` at run time and are kept in a small form of our own. A kind that
//! is not here is a custom resource, about which only its API server knows more.

mod known;
mod lists;
mod shape;
mod validate;

pub(crate) use known::{built_in, is_built_in_group, nearest};
pub(crate) use lists::default_key;
pub(crate) use shape::{Shape, object, shape_of};
pub(crate) use validate::{bytes, conform};

use crate::kind::Gvk;

/// Whether objects of a kind live in namespaces; `None` when only the API server knows.
pub(crate) fn namespaced(gvk: &Gvk) -> Option<bool> {
    if let Some(known) = built_in(gvk) {
        return Some(known.namespaced);
    }
    // Custom resources that the platform itself declares.
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("cert-manager.io", "ClusterIssuer") => Some(false),
        ("cert-manager.io" | "acme.cert-manager.io", _) => Some(true),
        _ => None,
    }
}
