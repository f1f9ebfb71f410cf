//! Who owns which field: applying, updating, and the `managedFields` list.

use std::sync::OnceLock;

use super::super::json::{Json, Look, json, remove as remove_at, same as same_in_order};
use super::super::schema::TypeRef;
use super::set::{Fields, show};
use super::typed::{Comparison, compare, field_set, merge, remove, with_named};

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub manager: String,
    pub apply: bool,
    pub api_version: String,
    pub subresource: String,
    pub time: Option<String>,
    pub fields: Fields,
}

/// Who is writing, and through which door.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer<'a> {
    pub manager: &'a str,
    pub api_version: &'a str,
    pub subresource: &'a str,
}

/// A field that somebody else owns and that an apply would change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conflict {
    pub with: String,
    pub path: String,
}

impl Entry {
    fn is(&self, writer: &Writer<'_>, apply: bool) -> bool {
        self.manager == writer.manager
            && self.apply == apply
            && self.subresource == writer.subresource
            && (apply || self.api_version == writer.api_version)
    }

    fn shown(&self) -> String {
        let mut out = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.apply {
            out.push_str(&format!(" using {}", self.api_version));
        }
        out
    }
}

/// Reads `metadata.managedFields`.
pub(crate) fn decode(object: &Json) -> Vec<Entry> {
    object
        .list("metadata.managedFields")
        .iter()
        .filter(|e| !e.text("operation").is_empty())
        .map(|e| Entry {
            manager: e.text("manager").into(),
            apply: e.text("operation") == "Apply",
            api_version: e.text("apiVersion").into(),
            subresource: e.text("subresource").into(),
            time: e.at("time").as_str().map(Into::into),
            fields: Fields::decode(e.at("fieldsV1")),
        })
        .collect()
}

/// Writes `metadata.managedFields`, in the order the real server keeps.
pub(crate) fn encode(object: &mut Json, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |e: &Entry| {
            (!e.apply, e.time.clone(), e.manager.clone(), e.api_version.clone(), e.subresource.clone())
        };
        key(a).cmp(&key(b))
    });
    if entries.is_empty() {
        remove_at(object, "metadata.managedFields");
        return;
    }
    let list: Vec<Json> = entries
        .into_iter()
        .map(|e| {
            let mut out =
                json!({"manager": e.manager, "operation": if e.apply { "Apply" } else { "Update" }});
            out["apiVersion"] = json!(e.api_version);
            if let Some(time) = e.time {
                out["time"] = json!(time);
            }
            out["fieldsType"] = json!("FieldsV1");
            out["fieldsV1"] = e.fields.encode();
            if !e.subresource.is_empty() {
                out["subresource"] = json!(e.subresource);
            }
            out
        })
        .collect();
    super::super::json::set(object, "metadata.managedFields", list);
}

/// What is never owned: identity and bookkeeping.
fn bookkeeping() -> &'static Fields {
    static SET: OnceLock<Fields> = OnceLock::new();
    SET.get_or_init(|| {
        let mut set = Fields::default();
        for top in ["f:apiVersion", "f:kind"] {
            set.insert(&[top.to_owned()]);
        }
        for field in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ] {
            set.insert(&["f:metadata".to_owned(), format!("f:{field}")]);
        }
        set
    })
}

fn strip(set: &Fields, ignored: &Fields) -> Fields {
    let mut out = set.without_subtrees(bookkeeping()).without_subtrees(ignored);
    if let Some(meta) = out.children.get_mut("f:metadata") {
        meta.here = false;
        if meta.is_empty() {
            out.children.remove("f:metadata");
        }
    }
    out
}

/// Takes changed fields away from the others; without force, what they lose is a conflict.
fn hand_over(entries: &mut [Entry], change: &Comparison, me: Option<usize>, force: bool) -> Vec<Conflict> {
    let changed = change.modified.union(&change.added);
    let mut conflicts = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        if Some(index) == me {
            continue;
        }
        let lost = entry.fields.intersection(&changed);
        if !lost.is_empty() {
            let with = entry.shown();
            conflicts.extend(lost.paths().iter().map(|p| Conflict { with: with.clone(), path: show(p) }));
            if force {
                entry.fields = entry.fields.difference(&lost);
            }
        }
        entry.fields = entry.fields.difference(&change.removed);
    }
    if force {
        conflicts.clear();
    }
    conflicts
}

/// Applies a configuration. The answer holds the new object, or none when nothing but perhaps ownership changes.
pub(crate) fn apply(
    live: &Json,
    config: &Json,
    of: &TypeRef,
    entries: &mut Vec<Entry>,
    writer: &Writer<'_>,
    ignored: &Fields,
    force: bool,
) -> Result<Option<Json>, Vec<Conflict>> {
    let merged = merge(Some(live), Some(config), of).unwrap_or(Json::Null);
    let set = strip(&field_set(config, of), ignored);
    let me = match entries.iter().position(|e| e.is(writer, true)) {
        Some(index) => index,
        None => {
            entries.push(Entry {
                manager: writer.manager.into(),
                apply: true,
                api_version: writer.api_version.into(),
                subresource: writer.subresource.into(),
                time: None,
                fields: Fields::default(),
            });
            entries.len() - 1
        }
    };
    let last = std::mem::replace(&mut entries[me].fields, set);
    writer.api_version.clone_into(&mut entries[me].api_version);
    let pruned = prune(&merged, of, &last, entries);
    let change = compare(live, &pruned, of);
    let conflicts = hand_over(entries, &strip_change(&change), Some(me), force);
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    // The order of items is no difference between sets of paths, but it is one between objects. Who only joins the
    // owners of what is there anyway has no time.
    let changed = !same_in_order(live, &pruned);
    if changed {
        entries[me].time = Some(super::super::json::now());
    }
    Ok(changed.then_some(pruned))
}

fn strip_change(change: &Comparison) -> Comparison {
    let nothing = Fields::default();
    Comparison {
        added: strip(&change.added, &nothing),
        modified: strip(&change.modified, &nothing),
        removed: strip(&change.removed, &nothing),
    }
}

/// Removes what the applier owned before and mentions no more, unless somebody else owns it.
fn prune(merged: &Json, of: &TypeRef, last: &Fields, entries: &[Entry]) -> Json {
    if last.is_empty() {
        return merged.clone();
    }
    let last = with_named(last, of);
    let all = with_named(&field_set(merged, of), of);
    let bare = remove(merged, of, &last).unwrap_or_else(|| json!({}));
    let owned = entries.iter().fold(Fields::default(), |acc, e| acc.union(&with_named(&e.fields, of)));
    let keep = with_named(&field_set(&bare, of), of).union(&owned);
    let owned_back = remove(merged, of, &all.difference(&keep)).unwrap_or_else(|| json!({}));
    let present = with_named(&field_set(&owned_back, of), of);
    let gone = all.difference(&present).intersection(&last);
    remove(merged, of, &gone).unwrap_or_else(|| json!({}))
}

/// Records a write that is not an apply: whoever changed a field owns it from now on.
pub(crate) fn update(
    live: &Json,
    new: &Json,
    of: &TypeRef,
    entries: &mut Vec<Entry>,
    writer: &Writer<'_>,
    ignored: &Fields,
) {
    let change = compare(live, new, of);
    let clean = strip_change(&change);
    hand_over(entries, &clean, None, true);
    let took = strip(&change.modified.union(&change.added), ignored);
    if took.is_empty() {
        entries.retain(|e| !e.fields.is_empty());
        return;
    }
    // Ownership that comes through the scale subresource is recorded without a time.
    let now = (writer.subresource != "scale").then(super::super::json::now);
    match entries.iter_mut().find(|e| e.is(writer, false)) {
        Some(entry) => {
            entry.fields = entry.fields.union(&took);
            entry.time = now;
        }
        None => entries.push(Entry {
            manager: writer.manager.into(),
            apply: false,
            api_version: writer.api_version.into(),
            subresource: writer.subresource.into(),
            time: now,
            fields: took,
        }),
    }
    entries.retain(|e| !e.fields.is_empty());
}

/// The message of a conflict.
pub(crate) fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.with, one.path);
    }
    let mut managers: Vec<&str> = conflicts.iter().map(|c| c.with.as_str()).collect();
    managers.sort_unstable();
    managers.dedup();
    let mut lines = Vec::new();
    for manager in managers {
        lines.push(format!("conflicts with {manager}:"));
        lines.extend(conflicts.iter().filter(|c| c.with == manager).map(|c| format!("- {}", c.path)));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::schema::builtin::builtin;
    use super::*;

    fn deployment() -> TypeRef {
        builtin().by_name("io.k8s.api.apps.v1.Deployment").expect("known")
    }

    /// Something an applier might want: labels, replicas, containers with environment. Nothing is empty, since what
    /// is empty is left out when it is stored and so differs from itself until then.
    fn config() -> impl Strategy<Value = Json> {
        let word = prop::sample::select(vec!["a", "b", "c"]);
        let labels = prop::collection::btree_map(word.clone(), prop::sample::select(vec!["1", "2"]), 1..3);
        let env = prop::collection::btree_map(word.clone(), prop::sample::select(vec!["x", "y"]), 1..3);
        let containers = prop::collection::btree_map(word, env, 1..3);
        (labels, prop::option::of(0..3_i64), containers).prop_map(|(labels, replicas, containers)| {
            let list: Vec<Json> = containers
                .into_iter()
                .map(|(name, env)| {
                    let env: Vec<Json> =
                        env.into_iter().map(|(n, v)| json!({"name": n, "value": v})).collect();
                    json!({"name": name, "env": env})
                })
                .collect();
            let mut out =
                json!({"metadata": {"labels": labels}, "spec": {"template": {"spec": {"containers": list}}}});
            if let Some(replicas) = replicas {
                out["spec"]["replicas"] = json!(replicas);
            }
            out
        })
    }

    fn act(live: &mut Json, entries: &mut Vec<Entry>, manager: &str, config: &Json) -> bool {
        let writer = Writer { manager, api_version: "apps/v1", subresource: "" };
        let done =
            apply(live, config, &deployment(), entries, &writer, &Fields::default(), true).expect("forced");
        let changed = done.is_some();
        if let Some(new) = done {
            *live = new;
        }
        entries.retain(|e| !e.fields.is_empty());
        changed
    }

    proptest! {
        #[test]
        fn what_was_applied_is_there_and_applying_it_again_changes_nothing(
            steps in prop::collection::vec((prop::sample::select(vec!["one", "two"]), config()), 1..8)
        ) {
            let (mut live, mut entries) = (json!({}), Vec::new());
            let t = deployment();
            for (manager, config) in &steps {
                act(&mut live, &mut entries, manager, config);
                let wanted = field_set(config, &t);
                let present = field_set(&live, &t);
                prop_assert!(wanted.difference(&present).is_empty(), "{live:#}");
                prop_assert!(!act(&mut live, &mut entries, manager, config), "{live:#}");
            }
        }

        #[test]
        fn a_sole_applier_leaves_nothing_of_its_past(first in config(), second in config()) {
            let (mut live, mut entries) = (json!({}), Vec::new());
            act(&mut live, &mut entries, "one", &first);
            act(&mut live, &mut entries, "one", &second);
            let (mut fresh, mut none) = (json!({}), Vec::new());
            act(&mut fresh, &mut none, "one", &second);
            let t = deployment();
            prop_assert!(field_set(&live, &t).difference(&field_set(&fresh, &t)).is_empty(), "{live:#}");
        }
    }
}
