//! What stands behind custom resources: the webhooks that admit them, and the controllers that serve them.
//!
//! They come after both, so that writing them succeeds at once; and, in reverse, they are deleted while somebody is
//! still there to take their finalizers off.

use std::collections::{BTreeSet, HashMap};

use plinth_provider::{Path, Value};

use super::Weight;
use super::acyclic::Edge;
use super::index::{Index, service_accounts};
use super::rules::{RBAC, backing, list};
use crate::schema;

/// What guards a (cluster, group, plural); `*` stands for every plural.
type Guards = HashMap<(usize, String, String), BTreeSet<usize>>;

/// The edges from custom resources to what guards them.
pub(super) fn edges(index: &Index<'_>, edges: &mut Vec<Edge>) {
    let mut guards = Guards::new();
    for at in 0..index.len() {
        let entry = index.entry(at);
        match (entry.gvk.group.as_str(), entry.gvk.kind.as_str()) {
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
            ) => {
                webhooks(index, at, &mut guards);
            }
            (RBAC, "RoleBinding" | "ClusterRoleBinding") => controllers(index, at, &mut guards, edges),
            _ => {}
        }
    }
    if guards.is_empty() {
        return;
    }
    for at in 0..index.len() {
        let entry = index.entry(at);
        if !is_custom(&entry.gvk.group) {
            continue;
        }
        let defined = index
            .definition(at, &entry.gvk.group, &entry.gvk.kind)
            .and_then(|definition| index.entry(definition).resource.inputs.text_at("spec.names.plural"));
        let plural = defined.map_or_else(|| guess_plural(&entry.gvk.kind), str::to_owned);
        for plural in [plural, "*".to_owned()] {
            let key = (entry.cluster, entry.gvk.group.clone(), plural);
            for to in guards.get(&key).into_iter().flatten() {
                edges.push(Edge { from: at, to: *to, weight: Weight::Guard });
            }
        }
    }
}

/// Built-in kinds must be there before any webhook or controller runs; only custom ones can wait for theirs.
fn is_custom(group: &str) -> bool {
    group.contains('.') && !schema::is_built_in_group(group)
}

fn webhooks(index: &Index<'_>, at: usize, guards: &mut Guards) {
    let entry = index.entry(at);
    for webhook in list(&entry.resource.inputs, "webhooks") {
        let service = webhook.at(&Path::parse("clientConfig.service"));
        let behind = service.map(|service| backing(index, at, service)).unwrap_or_default();
        for rule in list(webhook, "rules") {
            for (group, plural, _) in covered(rule) {
                let guard = guards.entry((entry.cluster, group, plural)).or_default();
                guard.insert(at);
                guard.extend(&behind);
            }
        }
    }
}

/// Who may write the status or the finalizers of a kind is its controller.
fn controllers(index: &Index<'_>, at: usize, guards: &mut Guards, edges: &mut Vec<Edge>) {
    let entry = index.entry(at);
    let inputs = &entry.resource.inputs;
    let (Some(kind), Some(name)) = (inputs.text_at("roleRef.kind"), inputs.text_at("roleRef.name")) else {
        return;
    };
    let place = if kind == "Role" { entry.namespace } else { None };
    let Some(role) = index.named_in(at, RBAC, kind, place, name) else { return };
    let namespace = entry.namespace.unwrap_or_default();
    let running: Vec<usize> = service_accounts(inputs, namespace)
        .iter()
        .flat_map(|(namespace, account)| index.running_as(at, namespace, account))
        .copied()
        .collect();
    if running.is_empty() {
        return;
    }
    let mut groups = BTreeSet::new();
    for rule in list(&index.entry(role).resource.inputs, "rules") {
        let writes = list(rule, "verbs")
            .iter()
            .filter_map(Value::as_str)
            .any(|verb| matches!(verb, "update" | "patch"));
        for (group, plural, part) in covered(rule) {
            if writes && matches!(part.as_deref(), Some("status" | "finalizers")) {
                groups.insert(group.clone());
                guards.entry((entry.cluster, group, plural)).or_default().extend(&running);
            }
        }
    }
    // A controller does not start without the definitions of what it serves.
    for to in groups.iter().flat_map(|group| index.definitions(at, group)) {
        edges.extend(running.iter().map(|from| Edge { from: *from, to: *to, weight: Weight::Guard }));
    }
}

/// The custom (group, plural, subresource)s that a rule of a webhook or a role names.
fn covered(rule: &Value) -> Vec<(String, String, Option<String>)> {
    let mut found = Vec::new();
    for group in list(rule, "apiGroups").iter().filter_map(Value::as_str).filter(|group| is_custom(group)) {
        for resource in list(rule, "resources").iter().filter_map(Value::as_str) {
            let (plural, part) =
                resource.split_once('/').map_or((resource, None), |(p, s)| (p, Some(s.to_owned())));
            found.push((group.to_owned(), plural.to_owned(), part));
        }
    }
    found
}

/// The plural that a kind most likely has, when its definition is not part of the stack.
fn guess_plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.as_bytes() {
        [.., b's' | b'x'] => format!("{lower}es"),
        [.., b'y'] => format!("{}ies", &lower[..lower.len() - 1]),
        _ => format!("{lower}s"),
    }
}
