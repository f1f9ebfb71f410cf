//! Moving ownership of fields: from what wrote the object before it was adopted, from our own writes of another kind,
//! and to nobody when dropping a field must not reset it.

use http::Method;
use plinth_provider::{Path, Result, Value};
use serde_json::{Map, Value as Json, json};

use super::{APPLY, Writer, operation, uid};
use crate::cluster::Conflict;
use crate::drift::fields::{self, Owners, Step};
use crate::owner::MANAGER;
use crate::read::Target;
use crate::tree;

/// Keeps a value that we stop setting, so that the server does not fall back to its default.
const KEEPER: &str = "plinth-replicas";
/// Client-side appliers: their entries are not theirs any more once the object was adopted. What else may be taken
/// over is the user's to say.
const CLIENT_SIDE: [&str; 3] = [MANAGER, "kubectl-client-side-apply", "before-first-apply"];
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a manager is one of our own names.
pub(super) fn is_ours(manager: &str) -> bool {
    manager == MANAGER || manager == KEEPER
}

/// Whether a manager's fields become ours before the object is written.
pub(super) fn is_absorbed(live: &Json, manager: &str) -> bool {
    own_entry(live).is_none() && CLIENT_SIDE.contains(&manager)
}

/// Whether an entry of `managedFields` becomes ours when the object is adopted.
pub(crate) fn is_handed_over(entry: &Json) -> bool {
    moves(entry, &CLIENT_SIDE)
}

fn moves(entry: &Json, managers: &[&str]) -> bool {
    tree::text(entry, "operation") == Some("Update")
        && tree::text(entry, "subresource").is_none_or(str::is_empty)
        && tree::text(entry, "manager").is_some_and(|manager| managers.contains(&manager))
}

/// Whether the dispute is only about the replicas that an autoscaler decides.
pub(super) fn is_scaled(live: &Json, conflicts: &[Conflict]) -> bool {
    let steps = [Step::Field("spec".into()), Step::Field("replicas".into())];
    conflicts.iter().all(|conflict| conflict.field == "spec.replicas")
        && Owners::of(tree::at(live, "metadata.managedFields").unwrap_or(&Json::Null))
            .last_writer(&steps)
            .is_some_and(|owner| owner.is_autoscaler())
}

/// Makes ownership such that an apply does what the plan says.
pub(super) async fn prepare(writer: &Writer<'_>, target: &Target, live: Json) -> Result<Json> {
    let live = if own_entry(&live).is_none() {
        // Adopted, or somebody wiped the record of who owns what.
        absorb(writer, target, live, &CLIENT_SIDE).await?
    } else {
        live
    };
    keep_replicas(writer, target, &live).await?;
    Ok(live)
}

pub(crate) fn own_entry(object: &Json) -> Option<&Json> {
    tree::items(object, "metadata.managedFields").find(|entry| is_own(entry))
}

/// Somebody has wiped the record of who owns what in an object of ours: what was recorded is ours again, so that what is
/// dropped of it goes. What the server takes for somebody's before the first apply is nobody's.
pub(super) async fn reclaim(
    writer: &Writer<'_>,
    target: &Target,
    mut live: Json,
    recorded: &Value,
) -> Result<Json> {
    for _ in 0..5 {
        let Some(ours) = writer.entry_of(target, &live, recorded).await? else { return Ok(live) };
        let others = tree::items(&live, "metadata.managedFields").filter(|entry| !is_handed_over(entry));
        let entries: Vec<Json> = others.cloned().chain([ours]).collect();
        let version = tree::at(&live, "metadata.resourceVersion").cloned().unwrap_or_default();
        let patch = vec![
            operation("add", "/metadata/managedFields", entries.into()),
            operation("replace", "/metadata/resourceVersion", version),
        ];
        match writer.json_patch(target, &patch.into(), MANAGER).await? {
            Ok(object) => return Ok(object),
            Err(status) if status.is_version_conflict() => {
                match writer.cluster.get(writer.context, &target.path()).await? {
                    Some(now) => live = now,
                    None => return Ok(live),
                }
            }
            Err(status) => return Err(status.into_error(false)),
        }
    }
    Ok(live)
}

/// Whether an entry of `managedFields` is what we have applied.
pub(crate) fn is_own(entry: &Json) -> bool {
    tree::text(entry, "manager") == Some(MANAGER) && tree::text(entry, "operation") == Some("Apply")
}

/// Moves the entries of these managers' plain updates into our apply entry, as kubectl does when it migrates. Without
/// it a field that we drop would stay, owned by them.
pub(super) async fn absorb(
    writer: &Writer<'_>,
    target: &Target,
    mut live: Json,
    managers: &[&str],
) -> Result<Json> {
    for _ in 0..5 {
        let Some(patch) = absorbing(&live, managers, writer.inputs) else { return Ok(live) };
        match writer.json_patch(target, &patch, MANAGER).await? {
            Ok(object) => return Ok(object),
            Err(status) if status.is_version_conflict() => {
                match writer.cluster.get(writer.context, &target.path()).await? {
                    Some(now) => live = now,
                    None => return Ok(live),
                }
            }
            Err(status) => return Err(status.into_error(false)),
        }
    }
    Ok(live)
}

/// The patch that does it; `None` when there is nothing to move.
fn absorbing(live: &Json, managers: &[&str], inputs: &Value) -> Option<Json> {
    let entries: Vec<&Json> = tree::items(live, "metadata.managedFields").collect();
    // Without its annotation nobody can tell what a client-side applier has set and what was defaulted: what we do not
    // declare becomes nobody's, and stays.
    let is_told = tree::annotation(live, LAST_APPLIED).is_some();
    let moves = |entry: &Json| moves(entry, managers);
    let moved = |entry: &Json| match tree::text(entry, "manager") == Some(CLIENT_SIDE[1]) && !is_told {
        true => declared(&entry["fieldsV1"], inputs),
        false => entry["fieldsV1"].clone(),
    };
    if !entries.iter().any(|entry| moves(entry)) {
        return None;
    }
    let mut ours = own_entry(live).cloned();
    for entry in entries.iter().filter(|entry| moves(entry)) {
        match &mut ours {
            None => {
                let mut adopted = (*entry).clone();
                adopted["manager"] = MANAGER.into();
                adopted["operation"] = "Apply".into();
                adopted["fieldsV1"] = moved(entry);
                ours = Some(adopted);
            }
            Some(ours) => {
                let mut union = ours["fieldsV1"].take();
                merge(&mut union, &moved(entry));
                ours["fieldsV1"] = union;
            }
        }
    }
    let mut after: Vec<Json> = entries
        .iter()
        .filter(|entry| !moves(entry) && own_entry(live) != Some(entry))
        .map(|entry| (*entry).clone())
        .collect();
    after.extend(ours);
    // The annotation goes with the apply, to whose entry it belongs now: until then it tells what was its owner's.
    let patch = vec![
        operation("replace", "/metadata/managedFields", after.into()),
        operation(
            "replace",
            "/metadata/resourceVersion",
            tree::at(live, "metadata.resourceVersion")?.clone(),
        ),
    ];
    Some(patch.into())
}

/// What of a set of fields the inputs speak of.
fn declared(fields: &Json, inputs: &Value) -> Json {
    let kept = fields.as_object().into_iter().flatten().filter_map(|(key, below)| {
        let inner = match key.strip_prefix("f:") {
            Some(name) => inputs.get(name),
            None => inputs.as_list().and_then(|list| list.iter().find(|item| fields::is_item(key, item))),
        };
        match inner {
            Some(inner) => Some((key.clone(), declared(below, inner))),
            None => (key == ".").then(|| (key.clone(), below.clone())),
        }
    });
    Json::Object(kept.collect())
}

fn merge(into: &mut Json, from: &Json) {
    let Json::Object(from) = from else { return };
    if !into.is_object() {
        *into = Json::Object(Map::new());
    }
    for (key, value) in from {
        match into.get_mut(key) {
            Some(inner) => merge(inner, value),
            None => into[key] = value.clone(),
        }
    }
}

/// Dropping `replicas` as its only owner resets it to one. A second manager that holds the live value prevents that.
async fn keep_replicas(writer: &Writer<'_>, target: &Target, live: &Json) -> Result<()> {
    let replicas = tree::at(live, "spec.replicas");
    let dropped = writer.gvk.group == "apps" && writer.inputs.at(&Path::parse("spec.replicas")).is_none();
    let (true, Some(replicas)) = (dropped, replicas) else { return Ok(()) };
    let steps = [Step::Field("spec".into()), Step::Field("replicas".into())];
    let owners: Vec<&Json> = tree::items(live, "metadata.managedFields")
        .filter(|entry| fields::holds(entry.get("fieldsV1").unwrap_or(&Json::Null), &steps))
        .collect();
    let only_ours = owners.len() == 1 && tree::text(owners[0], "manager") == Some(MANAGER);
    if !only_ours {
        return Ok(());
    }
    let body = json!({
        "apiVersion": target.resource.api_version(),
        "kind": writer.gvk.kind,
        "metadata": {"name": target.name, "namespace": target.namespace, "uid": uid(live)},
        "spec": {"replicas": replicas},
    });
    let path = format!("{}?fieldManager={KEEPER}&force=true", target.path());
    let reply = writer.cluster.send_again(writer.context, Method::PATCH, &path, Some((APPLY, &body))).await?;
    reply.success().map(drop).map_err(|status| status.into_error(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_side_entries_become_ours() {
        let live = json!({"metadata": {
        "resourceVersion": "7",
        "annotations": {LAST_APPLIED: "{}"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            {"manager": "before-first-apply", "operation": "Update", "fieldsV1": {"f:data": {"f:b": {}}}},
        ]}});
        let inputs = Value::from([("data", Value::from([("b", "2")]))]);
        let patch = absorbing(&live, &CLIENT_SIDE, &inputs).unwrap();
        let after = &patch[0]["value"];
        assert_eq!(after.as_array().unwrap().len(), 2);
        assert_eq!(after[1]["manager"], "plinth");
        assert_eq!(after[1]["operation"], "Apply");
        assert_eq!(after[1]["fieldsV1"], json!({"f:data": {"f:a": {}, "f:b": {}}}));
        assert_eq!(patch[1]["value"], "7");
        assert_eq!(patch.as_array().unwrap().len(), 2, "the annotation goes with the apply");
        assert!(absorbing(&json!({"metadata": {"managedFields": []}}), &CLIENT_SIDE, &inputs).is_none());
        // Without the annotation only what is declared.
        let mut untold = live.clone();
        untold["metadata"]["annotations"] = json!({});
        untold["metadata"]["managedFields"][0]["fieldsV1"] =
            json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}});
        let patch = absorbing(&untold, &CLIENT_SIDE, &inputs).unwrap();
        assert_eq!(patch[0]["value"][1]["fieldsV1"], json!({"f:data": {".": {}, "f:b": {}}}));
    }
}
