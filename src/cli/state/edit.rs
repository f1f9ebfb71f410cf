//! `plinth state mv`, `rm`, `import`, `undo`: changes of what is recorded, each one entry of the log.

use plinth_provider::Urn;
use plinth_state::{Edit, EditError, Event, State, Writer};

use super::super::failure::{Code, Failure};
use super::super::lookup::find;
use super::super::session::Session;
use super::super::stack_args::{DEFAULT_STACK, StackArgs};
use super::{LEASE, LockArgs, holder};
use crate::present;

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Self::new(error.what).help(error.help)
    }
}

/// Forgets resources without touching any system.
pub async fn remove(
    args: &StackArgs,
    wanted: &[String],
    force: bool,
    lock: LockArgs,
) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    let urns = wanted.iter().map(|wanted| recorded(&session.state, wanted)).collect::<Result<Vec<_>, _>>()?;
    let command = format!("state rm {}", urns.iter().map(Urn::as_str).collect::<Vec<_>>().join(" "));
    let edit = |state: &State| Ok(state.forgetting(&urns, force, command.clone())?);
    let entry = commit(&session, "state rm", lock, edit).await?;
    tell(args, &session, entry, |edit| {
        let names: Vec<&str> = edit
            .changes
            .iter()
            .filter(|change| change.after.present.is_none())
            .map(|change| change.urn.short())
            .collect();
        format!(
            "Forgot {}. Nothing was deleted: what exists goes on existing, and Plinth no longer looks after it.",
            names.join(", ")
        )
    });
    Ok(Code::Done)
}

/// Gives a resource another name.
pub async fn rename(args: &StackArgs, from: &str, to: &str, lock: LockArgs) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    let from = recorded(&session.state, from)?;
    let to = new_name(&session.name, &from, to)?;
    let command = format!("state mv {from} {to}");
    let edit = |state: &State| Ok(state.renaming(&from, &to, command.clone())?);
    let entry = commit(&session, "state mv", lock, edit).await?;
    tell(args, &session, entry, |_| format!("{from} is now {to}. Give it that name in the stack file too."));
    Ok(Code::Done)
}

/// A new name as the user writes it: a URN, `kind::name`, or the name alone.
fn new_name(stack: &str, from: &Urn, to: &str) -> Result<Urn, Failure> {
    let parsed = if to.starts_with("plinth:") {
        Urn::parse(to)
    } else if let Some((kind, name)) = to.split_once("::") {
        Urn::new(stack, kind, name)
    } else {
        Urn::new(stack, from.kind(), to)
    };
    parsed.map_err(|error| Failure::new(format!("`{to}` cannot be a resource's name: {error}")))
}

/// Records resources from an export.
pub async fn import(
    args: &StackArgs,
    session: &Session,
    given: Vec<plinth_state::Tracked>,
    force: bool,
    lock: LockArgs,
) -> Result<Code, Failure> {
    let edit = |state: &State| Ok(state.recording(given.clone(), force, "state import".to_owned())?);
    let entry = commit(session, "state import", lock, edit).await?;
    tell(args, session, entry, |edit| {
        format!(
            "Recorded {}. No system was asked or touched.",
            present::count(edit.changes.len() as u64, "resource")
        )
    });
    Ok(Code::Done)
}

/// Takes the last edit back, or a given one.
pub async fn undo(args: &StackArgs, entry: Option<u64>, lock: LockArgs) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    let (seq, undone) = find_edit(&session, entry).await?;
    let edit = |state: &State| Ok(state.undoing(&undone, seq)?);
    let entry = commit(&session, "state undo", lock, edit).await?;
    tell(args, &session, entry, |_| format!("Took back `{}` of entry {seq}.", undone.command));
    Ok(Code::Done)
}

async fn find_edit(session: &Session, entry: Option<u64>) -> Result<(u64, Edit), Failure> {
    let edit_of = async |seq: u64| -> Result<Option<Edit>, Failure> {
        let entry = session.log.entry(seq).await?;
        let mut events = entry.map(|entry| entry.events).unwrap_or_default().into_iter();
        Ok(events.find_map(|event| match event {
            Event::Edited(edit) => Some(*edit),
            _ => None,
        }))
    };
    if let Some(seq) = entry {
        return edit_of(seq).await?.map(|edit| (seq, edit)).ok_or_else(|| {
            Failure::new(format!("entry {seq} is not an edit"))
                .help("`plinth state mv`, `rm`, `import` and `undo` say which entry they made")
        });
    }
    let mut taken_back = Vec::new();
    let begin = session.state.bases.first().map_or(0, |base| base.seq);
    for seq in (begin + 1..=session.state.seq).rev() {
        let Some(edit) = edit_of(seq).await? else { continue };
        match edit.undoes {
            Some(undone) => taken_back.push(undone),
            None if taken_back.contains(&seq) => {}
            None => return Ok((seq, edit)),
        }
    }
    Err(Failure::new("there is no edit to take back").help(
        "`plinth state mv`, `rm` and `import` are edits; an apply is taken back with `plinth rollback`",
    ))
}

fn recorded(state: &State, wanted: &str) -> Result<Urn, Failure> {
    let superseded = state.superseded.iter().map(|old| &old.urn);
    let (urn, path) = find(
        wanted,
        state.resources.keys().chain(superseded.filter(|urn| !state.resources.contains_key(urn))),
    )?;
    if path.is_root() {
        return Ok(urn);
    }
    Err(Failure::new(format!("`{wanted}` names a value of {urn}, not a resource"))
        .help("`plinth state list` lists the resources"))
}

/// Makes an edit under the lease, against the state that holds then; gives its entry, or nothing when it changes nothing.
async fn commit(
    session: &Session,
    command: &str,
    lock: LockArgs,
    edit: impl Fn(&State) -> Result<Edit, Failure>,
) -> Result<Option<(u64, Edit)>, Failure> {
    // Refused before anything is written, where that is clear already.
    edit(&session.state)?;
    let writer = session.log.acquire(session.state.clone(), holder(command), LEASE, lock.timeout()).await?;
    let result = append(&writer, edit).await;
    let released = writer.release().await;
    let done = result?;
    released?;
    Ok(done)
}

async fn append(
    writer: &Writer,
    edit: impl Fn(&State) -> Result<Edit, Failure>,
) -> Result<Option<(u64, Edit)>, Failure> {
    let edit = edit(&writer.state())?;
    if edit.changes.is_empty() {
        return Ok(None);
    }
    writer.append(vec![Event::Edited(Box::new(edit.clone()))]).await?;
    Ok(Some((writer.state().seq, edit)))
}

fn tell(args: &StackArgs, session: &Session, entry: Option<(u64, Edit)>, what: impl Fn(&Edit) -> String) {
    let Some((seq, edit)) = entry else {
        return super::note(args, "There was nothing to change.");
    };
    let undo = undo_command(args, seq);
    present::out(&if args.output.json {
        let urns: Vec<&Urn> = edit.changes.iter().map(|change| &change.urn).collect();
        let event = serde_json::json!({
            "event": "edited", "stack": session.name, "command": edit.command, "entry": seq, "urns": urns, "undo": undo,
        });
        format!("{event}\n")
    } else {
        format!("{}\nTo take it back: {undo}\n", present::clean(&what(&edit)))
    });
}

/// The command that takes an edit back, as it is to be typed here.
fn undo_command(args: &StackArgs, seq: u64) -> String {
    command(format!("plinth state undo {seq}"), args)
}

/// A command on a stack, as it is to be typed here.
pub(super) fn command(mut command: String, args: &StackArgs) -> String {
    let mut option = |name: &str, value: &str| {
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:%@".contains(c));
        let value = if plain { value.to_owned() } else { format!("'{}'", value.replace('\'', "'\\''")) };
        command.push_str(&format!(" {name} {value}"));
    };
    if args.stack != DEFAULT_STACK {
        option("--stack", &args.stack);
    }
    if let Some(state) = &args.place.state {
        option("--state", state);
    }
    if args.place.rehearse {
        command.push_str(" --rehearse");
    }
    command
}
