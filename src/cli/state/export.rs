//! `plinth state export` and the reading of what it wrote.

use std::path::{Path, PathBuf};

use plinth_provider::Urn;
use plinth_state::{Tracked, open_tree, seal_tree};
use serde_json::{Value as Json, json};

use super::super::approve::ApproveArgs;
use super::super::failure::{Code, Failure};
use super::super::lookup::find;
use super::super::session::Session;
use super::super::stack_args::StackArgs;
use super::{LockArgs, edit};
use crate::present;

const KIND: &str = "PlinthState";

/// Writes the whole state as one JSON object. Secrets are sealed with the stack's data key, unless they are asked for.
pub async fn export(
    args: &StackArgs,
    file: Option<&Path>,
    show_secrets: bool,
    approve: ApproveArgs,
) -> Result<Code, Failure> {
    if show_secrets {
        approve.can_ask("state export --show-secrets")?;
    }
    let session = Session::open(args).await?;
    if show_secrets
        && !approve.ask("The export will hold every secret of this stack in the clear. Go on?").await
    {
        return Err(Failure::new("nothing was written"));
    }
    let state = &session.state;
    let failed =
        |error: serde_json::Error| Failure::new(format!("the state cannot be written as JSON: {error}"));
    let resources: Vec<&Tracked> = state.resources.values().map(AsRef::as_ref).collect();
    let superseded: Vec<_> = state.superseded.iter().map(AsRef::as_ref).collect();
    let pending: Vec<_> = state.pending.values().map(AsRef::as_ref).collect();
    let mut tree = json!({
        "kind": KIND,
        "version": 1,
        "stack": session.name,
        "seq": state.seq,
        "hash": state.hash,
        "revision": state.revisions.last().map(|revision| revision.number),
        "resources": serde_json::to_value(resources).map_err(failed)?,
        "superseded": serde_json::to_value(superseded).map_err(failed)?,
        "pending": serde_json::to_value(pending).map_err(failed)?,
    });
    if !show_secrets && plinth_state::holds_secret(&tree) {
        let (keys, wrapped) = session.log.sealing_keys(state).await?;
        seal_tree(&keys, &mut tree)?;
        tree["key"] = serde_json::to_value(wrapped).map_err(failed)?;
    }
    let text = serde_json::to_string_pretty(&tree).map_err(failed)? + "\n";
    match file {
        None => present::out(&text),
        Some(file) => write_private(file, &text)?,
    }
    Ok(Code::Done)
}

/// It may hold secrets, sealed or not: for its owner alone.
fn write_private(file: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::new(format!("{} cannot be written: {error}", file.display())))
}

/// Records what an export holds: all of it, or the resources that are named.
pub async fn import(
    args: &StackArgs,
    file: &PathBuf,
    wanted: &[String],
    force: bool,
    lock: LockArgs,
) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    let wrong = |why: String| {
        Failure::new(format!("{}: {why}", file.display()))
            .help("`plinth state export` writes what can be imported")
    };
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    let mut tree: Json =
        serde_json::from_str(&text).map_err(|error| wrong(format!("it is not JSON: {error}")))?;
    if tree["kind"] != KIND {
        return Err(wrong(format!("it is not an export of a state: its `kind` is not `{KIND}`")));
    }
    if tree["version"] != 1 {
        return Err(wrong(format!("it has version {}, and this Plinth reads version 1", tree["version"])));
    }
    if tree["stack"] != session.name.as_str() {
        return Err(wrong(format!("it is of the stack {}, not of `{}`", tree["stack"], session.name)));
    }
    if let Some(wrapped) = tree.as_object_mut().and_then(|map| map.remove("key")) {
        let wrapped = serde_json::from_value(wrapped).map_err(|error| wrong(format!("its key: {error}")))?;
        let keys = session.log.unwrap_keys(&wrapped).await?;
        open_tree(&keys, &mut tree)?;
    }
    let resources: Vec<Tracked> = serde_json::from_value(tree["resources"].take())
        .map_err(|error| wrong(format!("its resources cannot be read: {error}")))?;
    for tracked in &resources {
        if tracked.urn.stack() != session.name {
            return Err(wrong(format!("{} is not of the stack `{}`", tracked.urn, session.name)));
        }
        let kind =
            session.providers.of(tracked.urn.kind()).and_then(|provider| provider.schema(tracked.urn.kind()));
        kind.map_err(|error| wrong(format!("{}: {error}", tracked.urn)))?;
    }
    let chosen = choose(resources, wanted)?;
    edit::import(args, &session, chosen, force, lock).await
}

fn choose(resources: Vec<Tracked>, wanted: &[String]) -> Result<Vec<Tracked>, Failure> {
    if wanted.is_empty() {
        return Ok(resources);
    }
    let names: Vec<Urn> = resources.iter().map(|tracked| tracked.urn.clone()).collect();
    let chosen = wanted
        .iter()
        .map(|wanted| Ok(find(wanted, names.iter())?.0))
        .collect::<Result<Vec<Urn>, Failure>>()?;
    Ok(resources.into_iter().filter(|tracked| chosen.contains(&tracked.urn)).collect())
}
