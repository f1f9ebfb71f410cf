//! Choices of which the server has defaulted one branch: apply cannot remove what we never owned, so the other branch
//! is refused. The unowned branch is replaced by a patch first, and what that patch owns is moved to our apply entry.

use plinth_provider::Result;
use serde_json::{Value as Json, json};

use super::{Writer, handover, operation};
use crate::cluster::Status;
use crate::manifest::manifest_exposed;
use crate::owner::MANAGER;
use crate::read::Target;
use crate::tree;

/// Strategies whose defaulted `rollingUpdate` is in the way.
pub(super) async fn prepare(writer: &Writer<'_>, target: &Target, live: Json) -> Result<Json> {
    let wanted = manifest_exposed(writer.urn, writer.inputs);
    let mut patch = Vec::new();
    for field in ["strategy", "updateStrategy"] {
        let path = format!("spec.{field}");
        let (Some(want), Some(have)) = (tree::at(&wanted, &path), tree::at(&live, &path)) else { continue };
        let leaves = tree::text(want, "type").is_some_and(|kind| kind != "RollingUpdate");
        if leaves && want.get("rollingUpdate").is_none() && have.get("rollingUpdate").is_some() {
            patch.push(operation("replace", &format!("/spec/{field}"), json!({"type": want["type"]})));
        }
    }
    if patch.is_empty() { Ok(live) } else { send(writer, target, patch).await }
}

/// Volumes and environment variables whose other branch is in the way.
pub(super) async fn replace_branches(
    writer: &Writer<'_>,
    target: &Target,
    live: Json,
    status: Status,
) -> Result<Json> {
    let wanted = manifest_exposed(writer.urn, writer.inputs);
    let patch = replacements(&wanted, &live);
    if patch.is_empty() {
        return Err(status.into_error(false));
    }
    send(writer, target, patch).await
}

async fn send(writer: &Writer<'_>, target: &Target, patch: Vec<Json>) -> Result<Json> {
    match writer.json_patch(target, &patch.into(), MANAGER).await? {
        Ok(object) => handover::absorb(writer, target, object, &[MANAGER]).await,
        Err(status) => Err(status.into_error(false)),
    }
}

fn replacements(wanted: &Json, live: &Json) -> Vec<Json> {
    let mut patch = Vec::new();
    for place in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"] {
        let (Some(want), Some(have)) = (wanted.pointer(place), live.pointer(place)) else { continue };
        by_name(want, have, "volumes", place, &mut patch);
        for containers in ["containers", "initContainers"] {
            for (at, have) in tree::items(have, containers).enumerate() {
                let same = tree::items(want, containers).find(|want| want["name"] == have["name"]);
                if let Some(want) = same {
                    by_name(want, have, "env", &format!("{place}/{containers}/{at}"), &mut patch);
                }
            }
        }
    }
    patch
}

/// Replaces the items of a list that have a branch which is not wanted.
fn by_name(want: &Json, have: &Json, list: &str, place: &str, patch: &mut Vec<Json>) {
    for (at, have) in tree::items(have, list).enumerate() {
        let Some(want) = tree::items(want, list).find(|want| want["name"] == have["name"]) else { continue };
        let (Some(want_keys), Some(have_keys)) = (want.as_object(), have.as_object()) else { continue };
        if have_keys.keys().any(|key| !want_keys.contains_key(key)) {
            patch.push(operation("replace", &format!("{place}/{list}/{at}"), want.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaulted_branch_goes() {
        let pod = |volume: Json, env: Json| {
            json!({"spec": {"template": {"spec": {
                "volumes": [volume], "containers": [{"name": "c", "env": [env]}]}}}})
        };
        let live = pod(json!({"name": "v", "emptyDir": {}}), json!({"name": "E", "value": "x"}));
        let wanted = pod(
            json!({"name": "v", "configMap": {"name": "m"}}),
            json!({"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}),
        );
        let patch = replacements(&wanted, &live);
        assert_eq!(patch[0]["path"], "/spec/template/spec/volumes/0");
        assert_eq!(patch[1]["path"], "/spec/template/spec/containers/0/env/0");
        assert!(patch[1]["value"].get("value").is_none());
        assert!(replacements(&live, &live).is_empty());
    }
}
