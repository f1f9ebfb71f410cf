//! Everything the simulated cloud knows, in memory, with a journal in front of every change.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CloudKind;
use super::journal::Journal;
use super::record::{Operation, Progress, Record};

/// How many ended operations can still be asked about.
const REMEMBERED: usize = 2000;

/// After how many changes the journal is rewritten, however little there is to keep.
const COMPACT_AFTER: usize = 10_000;

/// One change: resources as they are after it, what is gone, and the operation it belongs to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Change {
    /// The number of changes so far: operation ids are made of it.
    pub serial: u64,
    /// Resources as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put: Vec<Record>,
    /// Resources that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<(CloudKind, String)>,
    /// Operations as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// The resources and operations.
#[derive(Debug, Default)]
pub struct State {
    serial: u64,
    records: BTreeMap<(CloudKind, String), Record>,
    operations: BTreeMap<String, Operation>,
}

impl State {
    /// A resource.
    pub fn get(&self, kind: CloudKind, name: &str) -> Option<&Record> {
        self.records.get(&(kind, name.to_owned()))
    }

    /// The resources of a kind, by name.
    pub fn list(&self, kind: CloudKind) -> impl Iterator<Item = &Record> {
        self.records
            .range((kind, String::new())..)
            .take_while(move |((of, _), _)| *of == kind)
            .map(|(_, record)| record)
    }

    /// An operation.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.get(id)
    }

    /// The operations that run.
    pub fn running(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values().filter(|operation| operation.progress == Progress::Running)
    }

    /// The number of the next change.
    pub fn next_serial(&self) -> u64 {
        self.serial + 1
    }

    fn apply(&mut self, change: Change) {
        self.serial = self.serial.max(change.serial);
        for record in change.put {
            self.records.insert((record.kind, record.name.clone()), record);
        }
        for key in change.gone {
            self.records.remove(&key);
        }
        for operation in change.operations {
            self.operations.insert(operation.id.clone(), operation);
        }
        if self.operations.len() > REMEMBERED * 2 {
            self.forget_old();
        }
    }

    fn forget_old(&mut self) {
        let ended: Vec<String> = self
            .operations
            .values()
            .filter(|operation| operation.progress != Progress::Running)
            .map(|operation| operation.id.clone())
            .collect();
        for id in ended.iter().take(ended.len().saturating_sub(REMEMBERED)) {
            self.operations.remove(id);
        }
    }

    fn snapshot(&self) -> Change {
        Change {
            serial: self.serial,
            put: self.records.values().cloned().collect(),
            gone: Vec::new(),
            operations: self.operations.values().cloned().collect(),
        }
    }
}

/// The state with its journal.
#[derive(Debug)]
pub struct Store {
    state: State,
    journal: Journal,
}

impl Store {
    /// Opens the store in a directory.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let state = std::cell::RefCell::new(State::default());
        let journal = Journal::open(
            &dir.join("journal.jsonl"),
            |change| state.borrow_mut().apply(change),
            || vec![state.borrow().snapshot()],
        )?;
        Ok(Self { state: state.into_inner(), journal })
    }

    /// What is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Writes a change down, then makes it.
    ///
    /// # Errors
    /// When it could not be written; then nothing has changed.
    pub fn commit(&mut self, mut change: Change) -> io::Result<()> {
        change.serial = self.state.next_serial();
        self.journal.append(&change)?;
        self.state.apply(change);
        if self.journal.appended() >= COMPACT_AFTER
            && let Err(error) = self.journal.compact(&[self.state.snapshot()])
        {
            // The long journal is as good as the short one.
            tracing::warn!(%error, "the journal of the simulated cloud could not be shortened");
        }
        Ok(())
    }

    /// Makes everything survive the machine.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&self) -> io::Result<()> {
        self.journal.sync()
    }
}
