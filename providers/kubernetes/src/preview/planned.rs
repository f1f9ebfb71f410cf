//! What a plan is about to change, as far as that decides whether another change can be tried already.

use std::collections::{HashMap, HashSet};

use plinth_provider::{PreviewRequest, Urn};

use crate::kind::Gvk;
use crate::schema;

/// The changes of one plan on one cluster.
pub(super) struct Planned<'a> {
    by_urn: HashMap<&'a Urn, &'a PreviewRequest<'a>>,
    namespaces: HashSet<&'a str>,
    definitions: HashSet<(&'a str, &'a str)>,
}

impl<'a> Planned<'a> {
    pub(super) fn of(requests: &'a [PreviewRequest<'a>]) -> Self {
        let of_kind = |group: &'static str, kind: &'static str| {
            requests
                .iter()
                .filter(move |request| Gvk::parse(request.urn.kind()).is_ok_and(|gvk| gvk.is(group, kind)))
        };
        Self {
            by_urn: requests.iter().map(|request| (request.urn, request)).collect(),
            namespaces: of_kind("", "Namespace")
                .filter_map(|request| request.inputs.text_at("metadata.name"))
                .collect(),
            definitions: of_kind("apiextensions.k8s.io", "CustomResourceDefinition")
                .filter_map(|request| {
                    Some((request.inputs.text_at("spec.group")?, request.inputs.text_at("spec.names.kind")?))
                })
                .collect(),
        }
    }

    /// Whether the plan makes (or changes) a namespace.
    pub(super) fn makes_namespace(&self, name: &str) -> bool {
        self.namespaces.contains(name)
    }

    /// Whether the plan makes or changes the definition of a kind.
    pub(super) fn defines(&self, gvk: &Gvk) -> bool {
        self.definitions.contains(&(gvk.group.as_str(), gvk.kind.as_str()))
    }

    /// Whether something that the change needs is itself changed by the plan.
    pub(super) fn changes_a_dependency(&self, request: &PreviewRequest<'_>) -> bool {
        request.dependencies.iter().any(|urn| self.by_urn.contains_key(urn))
    }

    /// Whether the change comes after something that runs code, which may make what is missing now.
    pub(super) fn comes_after_code(&self, request: &PreviewRequest<'_>) -> bool {
        let mut seen: HashSet<&Urn> = HashSet::new();
        let mut left: Vec<&Urn> = request.dependencies.iter().collect();
        while let Some(urn) = left.pop() {
            let Some((urn, needed)) = self.by_urn.get_key_value(urn) else { continue };
            if !seen.insert(urn) {
                continue;
            }
            if Gvk::parse(urn.kind()).is_ok_and(|gvk| runs_code(&gvk)) {
                return true;
            }
            left.extend(needed.dependencies);
        }
        false
    }
}

fn runs_code(gvk: &Gvk) -> bool {
    matches!(gvk.group.as_str(), "apps" | "batch") || gvk.is("", "Pod") || schema::built_in(gvk).is_none()
}
