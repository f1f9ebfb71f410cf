//! Whether a change is allowed, given everything else there is: references, quotas, locks, versions, ownership. Pure.

use plinth_provider::{Diff, Value};
use serde_json::Value as Json;

use super::error::{Code, Refusal};
use super::record::{Owner, Record, Status};
use super::state::State;
use super::{CloudKind, names};

type Verdict = Result<(), Refusal>;

/// Whether a resource may be made.
pub fn may_create(state: &State, kind: CloudKind, inputs: &Value) -> Verdict {
    let spec = kind.spec();
    let have = state.list(kind).count();
    if have >= spec.quota {
        let message = format!("the quota of {} {} resources is used up", spec.quota, spec.noun);
        return Err(
            Refusal::new(Code::QuotaExceeded, message).help("delete some that are not needed any more")
        );
    }
    references(state, kind, inputs)?;
    locks(state, kind, inputs)?;
    versions(state, kind, inputs, None)
}

/// Whether a resource may become `inputs`.
pub fn may_update(state: &State, record: &Record, inputs: &Value) -> Verdict {
    let kind = record.kind;
    let before = Value::from_json(record.inputs.clone());
    if let Diff::Replace { forced_by, .. } = Diff::structural(&kind.schema(), &before, inputs) {
        let path = forced_by.first().map(ToString::to_string).unwrap_or_default();
        let message = format!("`{path}` of {} `{}` cannot change", kind.spec().noun, record.name);
        return Err(Refusal::new(Code::Invalid, message).at(path).help("replace the resource"));
    }
    references(state, kind, inputs)?;
    locks(state, kind, inputs)?;
    versions(state, kind, inputs, Some(record))
}

/// Whether a resource may go.
pub fn may_delete(state: &State, record: &Record) -> Verdict {
    let noun = record.kind.spec().noun;
    if record.inputs.get("deletionProtection") == Some(&Json::Bool(true)) {
        let message = format!("{noun} `{}` is protected against deletion", record.name);
        return Err(Refusal::new(Code::Invalid, message)
            .at("deletionProtection")
            .help("set `deletionProtection: false` and apply that first"));
    }
    let users = users_of(state, record);
    if !users.is_empty() {
        let all: Vec<String> = users.iter().map(|user| described(user)).collect();
        let message = format!("{noun} `{}` is still used by {}", record.name, all.join(", "));
        return Err(match users.iter().find(|user| user.status == Status::Deleting) {
            Some(going) => Refusal::busy(message, going.operation.as_deref().unwrap_or_default()),
            None => Refusal::new(Code::InUse, message).help("delete those first"),
        });
    }
    locks(state, record.kind, &Value::from_json(record.inputs.clone()))
}

/// Whether a request on behalf of `owner` may touch a resource. What carries no tags yet (it was imported) gets them with
/// the first change; requests that name no owner come from outside of any stack, as from a cloud's console, and may.
/// Nor is a resource kept from the stack that its former one handed it to.
pub fn may_touch(record: &Record, owner: Option<&Owner>, takes_over: Option<&str>) -> Verdict {
    match (&record.tags, owner) {
        (Some(has), Some(owner)) if has.stack != owner.stack && takes_over != Some(record.id()) => Err(
            Refusal::new(Code::NotOwner, format!("{} belongs to stack `{}`", described(record), has.stack))
                .help("only that stack may change it"),
        ),
        _ => Ok(()),
    }
}

/// Kind and name.
pub fn described(record: &Record) -> String {
    format!("{} `{}`", record.kind.spec().noun, record.name)
}

/// The name is taken.
pub fn taken(record: &Record) -> Refusal {
    let owner = match &record.tags {
        Some(owner) => format!("it belongs to stack `{}` as {}", owner.stack, owner.urn),
        None => "it carries no stack's tags".to_owned(),
    };
    Refusal::new(Code::AlreadyExists, format!("{} exists already: {owner}", described(record)))
        .help("choose another name, or import it")
}

/// Every resource that inputs name must be there and ready to be used.
fn references(state: &State, kind: CloudKind, inputs: &Value) -> Verdict {
    for (path, of, reference) in named(kind, inputs) {
        let found = state.list(of).find(|record| record.name == reference || record.id() == reference);
        let noun = of.spec().noun;
        match found {
            None => {
                let have: Vec<&str> = state.list(of).map(|record| record.name.as_str()).collect();
                let help = if have.is_empty() {
                    format!("there is no {noun} yet")
                } else {
                    plinth_provider::did_you_mean(&reference, &have)
                };
                let message = format!("there is no {noun} `{reference}`");
                return Err(Refusal::new(Code::Invalid, message).at(path).help(help));
            }
            Some(record) if matches!(record.status, Status::Creating | Status::Deleting) => {
                let message = format!("{noun} `{reference}` is {}", record.status);
                return Err(Refusal::busy(message, record.operation.as_deref().unwrap_or_default()));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The resources that inputs name: where, of which kind, by which name or id.
pub fn named(kind: CloudKind, inputs: &Value) -> Vec<(String, CloudKind, String)> {
    let mut found = Vec::new();
    let mut add = |path: &str, of: CloudKind| {
        if let Some(text) = inputs.text_at(path) {
            found.push((path.to_owned(), of, text.to_owned()));
        }
    };
    match kind {
        CloudKind::Network | CloudKind::Key => {}
        CloudKind::Cluster => {
            add("network", CloudKind::Network);
            add("secretsEncryptionKey", CloudKind::Key);
        }
        CloudKind::NodePool | CloudKind::AddOn => add("cluster", CloudKind::Cluster),
        CloudKind::Bucket => {
            add("encryption.key", CloudKind::Key);
            add("replication.bucket", CloudKind::Bucket);
        }
        CloudKind::Identity => {
            add("cluster", CloudKind::Cluster);
            let buckets = inputs.get("access").and_then(Value::as_list).unwrap_or_default().len();
            for at in 0..buckets {
                add(&format!("access[{at}].bucket"), CloudKind::Bucket);
            }
        }
    }
    found
}

fn users_of<'a>(state: &'a State, record: &Record) -> Vec<&'a Record> {
    CloudKind::ALL
        .into_iter()
        .flat_map(|kind| state.list(kind))
        .filter(|other| {
            // A right to a bucket that goes does not keep it, as in every cloud.
            let binding = record.kind == CloudKind::Bucket && other.kind == CloudKind::Identity;
            let itself = other.kind == record.kind && other.name == record.name;
            !binding
                && !itself
                && named(other.kind, &Value::from_json(other.inputs.clone()))
                    .iter()
                    .any(|(_, of, name)| *of == record.kind && (*name == record.name || name == record.id()))
        })
        .collect()
}

/// One mutation of a cluster at a time, and none while one of its node pools or add-ons changes; the pools and add-ons
/// of a cluster may change side by side.
fn locks(state: &State, kind: CloudKind, inputs: &Value) -> Verdict {
    let cluster = match kind {
        CloudKind::Cluster => inputs.text_at("name"),
        CloudKind::NodePool | CloudKind::AddOn => inputs.text_at("cluster"),
        _ => None,
    };
    let Some(cluster) = cluster else { return Ok(()) };
    let prefix = format!("{cluster}/");
    let in_the_way = state.running().find(|operation| match operation.kind {
        CloudKind::Cluster => operation.name == cluster,
        CloudKind::NodePool | CloudKind::AddOn => {
            kind == CloudKind::Cluster && operation.name.starts_with(&prefix)
        }
        _ => false,
    });
    match in_the_way {
        None => Ok(()),
        Some(operation) => {
            let what = format!("{} of {} `{}`", operation.action, operation.kind.spec().noun, operation.name);
            Err(Refusal::busy(format!("cluster `{cluster}` is busy: {what} runs"), &operation.id))
        }
    }
}

/// A cluster rises one minor version at a time and never falls; nodes never run ahead of their cluster, nor more than
/// three minor versions behind.
fn versions(state: &State, kind: CloudKind, inputs: &Value, before: Option<&Record>) -> Verdict {
    let refuse =
        |message: String, help: String| Err(Refusal::new(Code::Invalid, message).at("version").help(help));
    let Some(version) = inputs.text_at("version") else { return Ok(()) };
    let Some(wanted) = names::minor(version) else { return Ok(()) };
    if kind == CloudKind::Cluster {
        let name = inputs.text_at("name").unwrap_or_default();
        let Some(current) = before.and_then(|record| record.text("version")).and_then(names::minor) else {
            return Ok(());
        };
        if wanted < current {
            let message = format!("cluster `{name}` runs 1.{current}; a cluster cannot go back to {version}");
            return refuse(message, format!("keep 1.{current}, or replace the cluster"));
        }
        if wanted > current + 1 {
            let message =
                format!("cluster `{name}` runs 1.{current}; {version} is more than one minor version away");
            return refuse(message, format!("upgrade to 1.{} first", current + 1));
        }
        for pool in state.list(CloudKind::NodePool).filter(|pool| pool.text("cluster") == Some(name)) {
            if let Some(nodes) = pool.text("version").and_then(names::minor)
                && nodes + 3 < wanted
            {
                let message =
                    format!("nodes of pool `{}` run 1.{nodes}, too far behind {version}", pool.name);
                return refuse(message, "upgrade the node pool first".to_owned());
            }
        }
    }
    if kind == CloudKind::NodePool {
        let cluster = inputs.text_at("cluster").and_then(|name| state.get(CloudKind::Cluster, name));
        let Some(running) = cluster.and_then(|cluster| cluster.text("version")).and_then(names::minor) else {
            return Ok(());
        };
        if wanted > running {
            return refuse(
                format!("nodes cannot run {version} while their cluster runs 1.{running}"),
                "upgrade the cluster first".to_owned(),
            );
        }
        if wanted + 3 < running {
            let message = format!("nodes of {version} are more than three minor versions behind 1.{running}");
            return refuse(message, format!("use 1.{} or newer", running - 3));
        }
    }
    Ok(())
}
