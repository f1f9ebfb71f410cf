//! `managedFields`: who owns which path.

use jiff::Timestamp;
use plinth_provider::Value;
use serde_json::Value as Json;

use crate::owner::MANAGER;
use crate::schema;
use crate::tree;

/// Kubernetes' own controllers.
const CONTROLLERS: [&str; 4] =
    ["kube-controller-manager", "kube-scheduler", "cloud-controller-manager", "kubelet"];

/// One step into an object, as `fieldsV1` spells them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A key of a struct or map.
    Field(String),
    /// An item of a list, told apart by its own keys or, in a set, its value.
    Item(Value),
}

/// A manager that holds something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub manager: &'a str,
    pub subresource: Option<&'a str>,
    pub time: Option<Timestamp>,
    fields: &'a Json,
    ours: bool,
}

impl Owner<'_> {
    /// Whether it scales by itself: it writes through the scale subresource and is no person's tool.
    pub(crate) fn is_autoscaler(&self) -> bool {
        self.subresource == Some("scale") && !self.manager.starts_with("kubectl")
    }
}

/// Every manager of an object.
#[derive(Debug)]
pub(crate) struct Owners<'a>(Vec<Owner<'a>>);

impl<'a> Owners<'a> {
    pub(crate) fn of(managed_fields: &'a Json) -> Self {
        static NOTHING: Json = Json::Null;
        let entries = managed_fields.as_array().map(Vec::as_slice).unwrap_or_default();
        Self(
            entries
                .iter()
                .map(|entry| {
                    let manager = tree::text(entry, "manager").unwrap_or("an unknown manager");
                    Owner {
                        manager,
                        subresource: tree::text(entry, "subresource").filter(|text| !text.is_empty()),
                        time: tree::text(entry, "time").and_then(|text| text.parse().ok()),
                        fields: entry.get("fieldsV1").unwrap_or(&NOTHING),
                        ours: manager == MANAGER && tree::text(entry, "operation") == Some("Apply"),
                    }
                })
                .collect(),
        )
    }

    /// Whether the server told anything at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether our apply entry holds the path.
    pub(crate) fn is_ours(&self, steps: &[Step]) -> bool {
        self.0.iter().any(|owner| owner.ours && holds(owner.fields, steps))
    }

    /// The node of our apply entry at a path.
    pub(crate) fn our_node(&self, steps: &[Step]) -> Option<&'a Json> {
        self.0.iter().filter(|owner| owner.ours).find_map(|owner| node(owner.fields, steps))
    }

    /// Who but us wrote the path last.
    pub(crate) fn last_writer(&self, steps: &[Step]) -> Option<Owner<'a>> {
        self.0
            .iter()
            .filter(|owner| !owner.ours && holds(owner.fields, steps))
            .max_by_key(|owner| owner.time)
            .copied()
    }

    /// Who may have removed something of ours: the last to write since we did. Kubernetes' own controllers write
    /// their annotations at any time and remove nothing.
    pub(crate) fn suspect(&self) -> Option<Owner<'a>> {
        let since = self.0.iter().filter(|owner| owner.ours).filter_map(|owner| owner.time).max();
        self.0
            .iter()
            .filter(|owner| {
                !owner.ours && owner.subresource.is_none() && !CONTROLLERS.contains(&owner.manager)
            })
            .filter(|owner| owner.time >= since)
            .max_by_key(|owner| owner.time)
            .copied()
    }

    /// Who wrote first what is there now.
    pub(crate) fn first(&self) -> Option<Owner<'a>> {
        self.0.iter().filter(|owner| owner.subresource.is_none()).min_by_key(|owner| owner.time).copied()
    }
}

/// Whether a set of fields holds a path, or something below it.
pub(crate) fn holds(fields: &Json, steps: &[Step]) -> bool {
    let Json::Object(map) = fields else { return false };
    match steps.split_first() {
        None => true,
        // A leaf owns everything below it.
        Some(_) if map.is_empty() => true,
        Some((step, rest)) => child(fields, step).is_some_and(|child| holds(child, rest)),
    }
}

fn node<'a>(fields: &'a Json, steps: &[Step]) -> Option<&'a Json> {
    match steps.split_first() {
        None => Some(fields),
        Some((step, rest)) => node(child(fields, step)?, rest),
    }
}

fn child<'a>(fields: &'a Json, step: &Step) -> Option<&'a Json> {
    match step {
        Step::Field(name) => fields.get(format!("f:{name}")),
        Step::Item(item) => {
            fields.as_object()?.iter().find(|(key, _)| is_item(key, item)).map(|(_, value)| value)
        }
    }
}

pub(crate) fn is_item(key: &str, item: &Value) -> bool {
    if let Some(keys) = key.strip_prefix("k:") {
        let Ok(Json::Object(keys)) = serde_json::from_str::<Json>(keys) else { return false };
        return keys.iter().all(|(key, want)| match item.get(key) {
            Some(have) => have.expose() == *want,
            None => schema::default_key(key).is_some_and(|default| want == default),
        });
    }
    match key.strip_prefix("v:").map(serde_json::from_str::<Json>) {
        Some(Ok(want)) => item.expose() == want,
        _ => false,
    }
}

/// The keys by which the items of a list are told apart, as the server's own record shows them; what it takes for
/// custom resources, whose schema is not known here.
pub(super) fn keys_of(node: &Json) -> Vec<String> {
    let first = node.as_object().and_then(|map| map.keys().find_map(|key| key.strip_prefix("k:")));
    match first.map(serde_json::from_str::<Json>) {
        Some(Ok(Json::Object(keys))) => keys.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

/// Whether the record shows a set: items told apart by their values.
pub(super) fn is_set(node: &Json) -> bool {
    node.as_object().is_some_and(|map| map.keys().any(|key| key.starts_with("v:")))
}
