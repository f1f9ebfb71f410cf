//! Plinth's state: an append-only log of numbered entries, one object each, and what is computed from it.
//!
//! [`Log::open`] reads a stack's [`State`] from the newest checkpoint and the log's tail; [`Log::acquire`] takes the
//! lease and gives the [`Writer`], the only way to append; [`verify`] walks hashes and checksums.
//!
//! Lives here: entries, events, their fold into state, lease, checkpoints, sealing of secrets, storage backends.
//! Must not live here: planning, providers' calls, the terminal, anything that decides what should exist.
#![forbid(unsafe_code)]

mod acquire;
mod append;
mod backend;
mod checkpoint;
mod clock;
mod declared;
mod edit;
mod entry;
mod error;
mod event;
mod fold;
mod head;
mod keys;
mod learned;
mod lease;
mod lines;
mod log;
mod migrate;
mod reader;
mod repair;
mod retention;
mod ring;
mod seal;
mod secrets;
mod state;
mod survey;
mod transfer;
mod verify;
mod writer;

pub use acquire::Ask;
pub use backend::{
    AwsCredentials, AwsKeys, Backend, Created, Options, folder_of, open as open_backend,
    open_with as open_backend_with, shown_url,
};
pub use clock::Clock;
pub use declared::Declared;
pub use edit::EditError;
pub use entry::Entry;
pub use error::{Error, Result};
pub use event::{
    Action, Base, Change, Delta, Edit, Event, Finish, Incoming, Intent, OutcomeResult, Placeholder,
    Provenance, ProvenanceKind, Repaired, RevisionStarted, Slot, class_name,
};
pub use keys::{AwsKms, AzureCredentials, AzureKeyVault, Former, GcpKms, Keys, WrappedKey};
pub use learned::Learned;
pub use lease::{Holder, Lease};
pub use log::Log;
pub use migrate::{Migration, Moved, stacks};
pub use repair::{Mending, Repair, plan_repair};
pub use retention::Retention;
pub use seal::{DataKey, DataKeys, holds_secret, open_tree, seal_tree};
pub use secrets::StackSecret;
pub use state::{PendingOp, Revision, State, Tracked};
pub use transfer::{Parcel, Transfer, settle};
pub use verify::{Problem, Report, verify};
pub use writer::{Cork, Receipt, Writer};
