//! Changes of what is recorded that no run makes: forgetting, renaming, putting back, taking back.
//!
//! Each is one event that holds what was before and what is after, name by name: folding it is setting, undoing it is
//! the same with the two exchanged. Nothing here touches a system.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plinth_provider::{Recorded, Resource, Urn, Value};

use crate::{Change, Edit, Slot, State, Tracked};

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct EditError {
    /// What stands in the way.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

pub(crate) fn refuse<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, EditError> {
    Err(EditError { what: what.into(), help: help.into() })
}

/// Builds an edit: what each name holds is taken from the state when it is first asked for.
struct Editing<'a> {
    state: &'a State,
    after: BTreeMap<Urn, Slot>,
}

impl<'a> Editing<'a> {
    fn new(state: &'a State) -> Self {
        Self { state, after: BTreeMap::new() }
    }

    fn slot(&mut self, urn: &Urn) -> &mut Slot {
        self.after.entry(urn.clone()).or_insert_with(|| self.state.slot(urn))
    }

    fn finish(self, command: String, undoes: Option<u64>) -> Result<Edit, EditError> {
        let busy: BTreeSet<&Urn> = self.state.pending.values().map(|pending| &pending.intent.urn).collect();
        if let Some(urn) = self.after.keys().find(|urn| busy.contains(urn)) {
            return refuse(
                format!("an interrupted run was working on {urn}, and what came of that is not known yet"),
                "run `plinth apply` first: it finds that out",
            );
        }
        let changes = self.after.into_iter().map(|(urn, after)| {
            let before = self.state.slot(&urn);
            Change { urn, before, after }
        });
        let changes = changes.filter(|change| change.before != change.after).collect();
        Ok(Edit { command, changes, undoes })
    }
}

impl State {
    /// The recorded resources that need one of the given ones and are none of them.
    pub fn dependents(&self, urns: &[Urn]) -> Vec<Urn> {
        let others = self.resources.values().filter(|tracked| !urns.contains(&tracked.urn));
        let needing = others.filter(|tracked| tracked.dependencies.iter().any(|urn| urns.contains(urn)));
        needing.map(|tracked| tracked.urn.clone()).collect()
    }

    /// Forgets resources. Refused while others need them, unless `force` is given: then these need them no more.
    ///
    /// # Errors
    /// When one is not recorded, is needed, or is being worked on.
    pub fn forgetting(&self, urns: &[Urn], force: bool, command: String) -> Result<Edit, EditError> {
        let dependents = self.dependents(urns);
        if !dependents.is_empty() && !force {
            let list: Vec<&str> = dependents.iter().map(Urn::as_str).collect();
            return refuse(
                format!("other resources need what is to be forgotten: {}", list.join(", ")),
                "forget these too, or give `--force`",
            );
        }
        let mut editing = Editing::new(self);
        for urn in urns {
            let slot = editing.slot(urn);
            if slot.present.is_none() && slot.superseded.is_empty() {
                return refuse(format!("{urn} is not recorded"), "`plinth state list` lists what is");
            }
            slot.present = None;
            slot.superseded.clear();
        }
        for dependent in dependents {
            if let Some(tracked) = &mut editing.slot(&dependent).present {
                Arc::make_mut(&mut tracked.recorded).dependencies.retain(|urn| !urns.contains(urn));
            }
        }
        editing.finish(command, None)
    }

    /// Gives a resource another name; references to it follow.
    ///
    /// # Errors
    /// When it is not recorded, the name is taken or of another stack or kind, or either is being worked on.
    pub fn renaming(&self, from: &Urn, to: &Urn, command: String) -> Result<Edit, EditError> {
        if from.kind() != to.kind() {
            return refuse(
                format!("{from} is a `{}`, and {to} would be a `{}`", from.kind(), to.kind()),
                "a resource keeps its kind",
            );
        }
        if from.stack() != to.stack() {
            return refuse(
                format!("{to} belongs to another stack than {from}"),
                "a resource stays in its stack here",
            );
        }
        let mut editing = Editing::new(self);
        let moved = std::mem::take(editing.slot(from));
        if moved.present.is_none() {
            return refuse(format!("{from} is not recorded"), "`plinth state list` lists what is");
        }
        if *editing.slot(to) != Slot::default() {
            return refuse(
                format!("{to} is recorded or declared already"),
                "choose another name, or forget that one first",
            );
        }
        let rename = |mut recorded: Recorded| {
            recorded.urn = to.clone();
            recorded
        };
        *editing.slot(to) = Slot {
            present: moved.present.map(|tracked| {
                let recorded = rename(Arc::unwrap_or_clone(tracked.recorded));
                Box::new(Tracked { recorded: Arc::new(recorded), ..*tracked })
            }),
            superseded: moved.superseded.into_iter().map(rename).collect(),
            declared: moved.declared.map(|declared| Box::new(Resource { urn: to.clone(), ..*declared })),
        };
        let needing: BTreeSet<Urn> = self
            .resources
            .values()
            .filter(|tracked| {
                tracked.dependencies.contains(from) || tracked.options.depends_on.contains(from)
            })
            .map(|tracked| tracked.urn.clone())
            .chain(
                self.declared
                    .values()
                    .filter(|declared| refers(declared, from))
                    .map(|found| found.urn.clone()),
            )
            .collect();
        for urn in needing {
            let slot = editing.slot(if urn == *from { to } else { &urn });
            let follow = |urns: &mut Vec<Urn>| {
                urns.iter_mut().filter(|urn| *urn == from).for_each(|urn| *urn = to.clone())
            };
            if let Some(tracked) = &mut slot.present {
                let recorded = Arc::make_mut(&mut tracked.recorded);
                follow(&mut recorded.dependencies);
                follow(&mut recorded.options.depends_on);
            }
            if let Some(declared) = &mut slot.declared {
                follow(&mut declared.options.depends_on);
                rename_references(&mut declared.inputs, from, to);
                if let Some(connection) = &mut declared.connection {
                    rename_references(connection, from, to);
                }
            }
        }
        editing.finish(command, None)
    }

    /// Records resources as they are given, from an export. What is recorded otherwise is refused, unless `force` is given.
    ///
    /// # Errors
    /// When something is recorded otherwise, needs what is not recorded, or is being worked on.
    pub fn recording(&self, given: Vec<Tracked>, force: bool, command: String) -> Result<Edit, EditError> {
        let mut editing = Editing::new(self);
        let names: BTreeSet<Urn> = given.iter().map(|tracked| tracked.urn.clone()).collect();
        if names.len() < given.len() {
            return refuse("one resource is given twice", "leave one of the two out");
        }
        for tracked in given {
            let urn = tracked.urn.clone();
            let known = |needed: &&Urn| !names.contains(*needed) && !self.resources.contains_key(*needed);
            if let Some(missing) = tracked.dependencies.iter().find(known) {
                return refuse(
                    format!("{urn} needs {missing}, which is neither recorded nor given"),
                    "import that one too",
                );
            }
            let slot = editing.slot(&urn);
            if slot.present.as_ref().is_some_and(|present| present.recorded != tracked.recorded) && !force {
                return refuse(
                    format!("{urn} is recorded otherwise than it is given"),
                    "leave it out, or give `--force` to record it as it is given",
                );
            }
            if slot.present.as_ref().is_none_or(|present| present.recorded != tracked.recorded) {
                slot.present = Some(Box::new(tracked));
            }
        }
        editing.finish(command, None)
    }

    /// Takes an edit back that entry `seq` holds.
    ///
    /// # Errors
    /// When what it changed has been changed since, or is being worked on.
    pub fn undoing(&self, edit: &Edit, seq: u64) -> Result<Edit, EditError> {
        let mut editing = Editing::new(self);
        for change in &edit.changes {
            let slot = editing.slot(&change.urn);
            if *slot != change.after {
                return refuse(
                    format!("{} has changed since entry {seq} (`{}`)", change.urn, edit.command),
                    "`plinth state export` shows what is recorded; change that with `state rm`, `mv` and `import`",
                );
            }
            *slot = change.before.clone();
        }
        editing.finish(format!("undo of `{}`", edit.command), Some(seq))
    }
}

fn refers(resource: &Resource, to: &Urn) -> bool {
    let mut found = resource.options.depends_on.contains(to);
    let mut visit = |reference: &plinth_provider::OutputRef| found |= reference.urn == *to;
    resource.inputs.references(&mut visit);
    if let Some(connection) = &resource.connection {
        connection.references(&mut visit);
    }
    found
}

fn rename_references(value: &mut Value, from: &Urn, to: &Urn) {
    match value {
        Value::Output(reference) if reference.urn == *from => reference.urn = to.clone(),
        Value::List(list) | Value::Concat(list) => {
            list.iter_mut().for_each(|value| rename_references(value, from, to));
        }
        Value::Map(map) => map.values_mut().for_each(|value| rename_references(value, from, to)),
        Value::Secret(inner) => rename_references(inner, from, to),
        _ => {}
    }
}
