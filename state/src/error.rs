//! What can go wrong with state: what, where, and what to do.

use crate::Lease;

/// What this crate's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with state.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state URL cannot be used.
    #[error("the state URL `{url}` cannot be used: {why}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it and what works.
        why: String,
    },
    /// The stack's name cannot name a folder of objects.
    #[error("`{stack}` cannot be a stack's name: {why}")]
    StackName {
        /// The name as given.
        stack: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Storage refuses, and will again until something is changed.
    #[error("state storage at {place} refused to {doing}: {why}; {help}")]
    Refused {
        /// Where the storage is, without secrets.
        place: String,
        /// What was being done, with the object's key.
        doing: String,
        /// What the storage said.
        why: String,
        /// What to do.
        help: String,
    },
    /// Storage failed or is not reachable; it may work again later.
    #[error("state storage failed to {doing}: {why}")]
    Storage {
        /// What was being done, with the object's key.
        doing: String,
        /// What the storage said.
        why: String,
    },
    /// An object of the log is not what was written.
    #[error(
        "state entry {seq} ({file}) is damaged: {what}; `plinth state verify` gives the whole picture; restore the object \
         from a backup or an older version of it, or run `plinth state repair`"
    )]
    Damaged {
        /// The entry's position.
        seq: u64,
        /// The object's key.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// An entry that must exist does not.
    #[error(
        "state entry {seq} ({file}) is missing: {what}; restore the object from a backup, or run `plinth state repair`"
    )]
    Missing {
        /// The entry's position.
        seq: u64,
        /// The object's key.
        file: String,
        /// Why it must exist.
        what: String,
    },
    /// A checkpoint that state rests on is not what was written.
    #[error(
        "the state checkpoint at entry {seq} ({file}), with which the log goes on after a gap, cannot be used: {what}; restore \
         the object from a backup, or run `plinth state repair`"
    )]
    Base {
        /// Its position.
        seq: u64,
        /// The object's key.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The log was moved to another state URL.
    #[error(
        "the state of stack `{stack}` was moved to {to}: set `settings.state` in the stack file or `--state` to that URL"
    )]
    Migrated {
        /// The stack.
        stack: String,
        /// Where to.
        to: String,
    },
    /// What is on its way from another stack can neither be taken in nor be given up.
    #[error(
        "resources are on their way from the stack `{from}`, and what became of them cannot be told: {why}"
    )]
    Transfer {
        /// The stack that they come from.
        from: String,
        /// Why not.
        why: String,
    },
    /// A log cannot be moved.
    #[error("the state cannot be moved: {why}")]
    Migration {
        /// Why not.
        why: String,
    },
    /// The history does not reach back to this revision any more.
    #[error(
        "revision {revision} of stack `{stack}` is no longer kept, so that its desired graph is not known{}",
        match from { Some(from) => format!("; the history reaches back to revision {from}"), None => String::new() }
    )]
    NotKept {
        /// The stack.
        stack: String,
        /// The revision that was asked for.
        revision: u64,
        /// The oldest one after it that is.
        from: Option<u64>,
    },
    /// Written by a newer Plinth.
    #[error(
        "{file} has format version {version}, this Plinth reads up to {supported}: use the Plinth that wrote it, or a newer one"
    )]
    NewerVersion {
        /// The object's key.
        file: String,
        /// Its version.
        version: u64,
        /// The newest version that is understood.
        supported: u64,
    },
    /// Somebody appended meanwhile.
    #[error(
        "the state log has moved: entry {seq} was written by somebody else meanwhile; read the state again and plan anew"
    )]
    Moved {
        /// The position that was taken.
        seq: u64,
    },
    /// Another run holds the lease.
    #[error(
        "another run holds the lease of stack `{stack}`: {lease}; wait for it, or, if it is certainly gone, end its lease with \
         `plinth state unlock`"
    )]
    Held {
        /// The stack.
        stack: String,
        /// Who, since when, until when.
        lease: Box<Lease>,
    },
    /// Another run has taken the lease over; this one must stop.
    #[error(
        "this run's lease of stack `{stack}` was taken over by {by}: it stops here, and what was in flight is found out by the run \
         that took over"
    )]
    Fenced {
        /// The stack.
        stack: String,
        /// Who took over.
        by: String,
    },
    /// The writer has released its lease, or its runtime is gone.
    #[error("the state's writer is closed: {why}")]
    Closed {
        /// How that came about.
        why: String,
    },
    /// The key does not open this stack's secrets.
    #[error("{why}")]
    Key {
        /// What is wrong with it and what to do.
        why: String,
    },
    /// An event cannot be recorded.
    #[error("this cannot be recorded in state: {why}")]
    Unrecordable {
        /// Why.
        why: String,
    },
    /// There is no such revision.
    #[error(
        "stack `{stack}` has no revision {revision}; `plinth history` lists them (the newest is {newest})"
    )]
    NoRevision {
        /// The stack.
        stack: String,
        /// The revision that was asked for.
        revision: u64,
        /// The newest there is; 0 when there is none.
        newest: u64,
    },
}

impl Error {
    /// Whether the stack is merely in use by another run (exit code 3).
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Whether the same call may succeed later with nothing changed.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Storage { .. })
    }

    /// Whether this run has lost the right to append and must stop.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }
}
