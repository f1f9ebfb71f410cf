//! What an entry of the log tells. Tags and fields are the format: they may be added to, never renamed.

use std::collections::BTreeMap;
use std::fmt;

use plinth_provider::{Class, Options, Recorded, Resource, Urn, Value, exposed};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::seal::Masked;
use crate::{Holder, Tracked, WrappedKey};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// A run took the lease; earlier epochs may no longer append.
    LeaseAcquired {
        /// The lease's epoch.
        epoch: u64,
        /// Who.
        holder: Holder,
        /// When it may be taken over.
        expires: jiff::Timestamp,
    },
    /// The holder is still alive.
    LeaseRenewed {
        /// When it may be taken over now.
        expires: jiff::Timestamp,
    },
    /// The holder is done.
    LeaseReleased,
    /// A person ended another run's lease by force.
    LeaseBroken {
        /// The epoch that begins with it.
        epoch: u64,
        /// Who.
        by: Holder,
    },
    /// The stack's data key from now on, wrapped, with the earlier ones sealed in it. (In format version 1 a later one
    /// wrapped the same key anew.)
    KeyInstalled {
        /// The wrapped key.
        key: WrappedKey,
    },
    /// An apply begins.
    RevisionStarted(Box<RevisionStarted>),
    /// A side effect is about to be caused.
    Intent(Box<Intent>),
    /// A long operation has begun.
    Started {
        /// The intent's number.
        op: u64,
        /// What the system calls the operation.
        handle: String,
    },
    /// What came of an intent.
    Outcome {
        /// The intent's number.
        op: u64,
        /// What came of it.
        result: OutcomeResult,
        /// How long it took.
        duration_ms: u64,
    },
    /// An apply has ended.
    RevisionFinished {
        /// Its number.
        revision: u64,
        /// How it ended.
        result: Finish,
        /// Steps by what they did: `create`, `update`, `replace`, `delete`, `same`, `failed`, ….
        #[serde(default)]
        counts: BTreeMap<String, u64>,
    },
    /// A resource is now recorded thus, without a side effect: import, adoption, repair.
    Recorded {
        /// What is recorded.
        recorded: Box<Recorded>,
    },
    /// A resource is no longer recorded; the system was not touched.
    Forgot {
        /// Which one.
        urn: Urn,
        /// The instance, when it is not the present one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// A resource has a new name; references to it in what others depend on follow.
    Moved {
        /// The old name.
        from: Urn,
        /// The new name.
        to: Urn,
    },
    /// A secret of the stack has this value from now on.
    SecretSet {
        /// Its name.
        name: String,
        /// Its value; always a secret.
        #[serde(with = "exposed")]
        value: Value,
    },
    /// The stack no longer has this secret.
    SecretRemoved {
        /// Its name.
        name: String,
    },
    /// A read brought other outputs than the recorded ones.
    Refreshed {
        /// Whose.
        urn: Urn,
        /// The outputs now.
        #[serde(with = "exposed")]
        outputs: Value,
    },
    /// A person changed what is recorded, without touching any system: `state mv`, `rm`, `import`, `undo`.
    Edited(Box<Edit>),
    /// Another stack's resources are on their way here. They are this stack's once the other one's log says
    /// [`Event::Sent`].
    Incoming(Box<Incoming>),
    /// What was on its way is this stack's.
    Received {
        /// Which transfer.
        transfer: Uuid,
    },
    /// What was on its way never left the other stack, and will not any more.
    Declined {
        /// Which transfer.
        transfer: Uuid,
    },
    /// Resources are another stack's from here on.
    Sent {
        /// Which transfer.
        transfer: Uuid,
        /// The stack that has them now.
        to: String,
        /// What is recorded otherwise here.
        #[serde(default)]
        edit: Box<Edit>,
    },
    /// The entries before the base's are no longer needed and may be gone.
    Compacted {
        /// What state begins with now.
        base: Base,
        /// The oldest revision that can still be returned to.
        #[serde(default)]
        revisions_from: u64,
    },
    /// The entry that stood here was lost. State goes on with the base at `resume`.
    Lost {
        /// The position of the base.
        resume: u64,
    },
    /// A damaged log was mended; everything about it that is not as it was written.
    Repaired(Box<Repaired>),
    /// The log has ended: it goes on elsewhere.
    Migrated {
        /// The state URL where it goes on.
        to: String,
    },
}

/// Resources on their way from another stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incoming {
    /// Which transfer.
    pub transfer: Uuid,
    /// What was run.
    pub command: String,
    /// The stack that they come from.
    pub from: String,
    /// The URL of its state, without secrets.
    pub from_url: String,
    /// The epoch of the lease of that stack under which they are sent: once it has ended, they are sent or never will be.
    pub epoch: u64,
    /// What becomes recorded here.
    pub resources: Vec<Tracked>,
}

/// A checkpoint that is more than a cache: entries before it are gone or do not lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    /// The position whose state it is.
    pub seq: u64,
    /// The hash of the entry there.
    pub hash: String,
    /// The hash of the checkpoint's bytes.
    pub object: String,
}

/// What stands in the place of a lost entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placeholder {
    /// Its position.
    pub seq: u64,
    /// The hash of its bytes.
    pub object: String,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repaired {
    /// The placeholders in the positions whose entries were lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Placeholder>,
    /// What state goes on with after the lost ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
    /// Entries were lost that no checkpoint makes up for: what they told is not known, and what is declared has to be
    /// looked for before it is created.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
    /// The folder below the stack's that holds what was damaged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
}

/// A change of what is recorded that no run made. Holds all that undoing it takes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// What was run.
    pub command: String,
    /// What is recorded otherwise now, by name.
    pub changes: Vec<Change>,
    /// The entry whose edit this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

/// What is recorded under one name, before and after an edit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The name.
    pub urn: Urn,
    /// What was recorded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub before: Slot,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after: Slot,
}

/// Everything that is recorded under one name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// What exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<Box<Tracked>>,
    /// Old instances that are still to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Recorded>,
    /// What the newest revision declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Box<Resource>>,
}

/// The beginning of an apply: everything that explains it and that returning to it takes.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStarted {
    /// Its number: one more than the last.
    pub revision: u64,
    /// What was run: `apply`, `destroy`, `rollback`, ….
    pub command: String,
    /// How the desired graph differs from the previous revision's.
    #[serde(default)]
    pub declared: Delta,
    /// The promotable settings that it proves.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub settings: Json,
    /// Where its desired graph or settings come from, when not from the stack file alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Digest of the stack file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stack_file_digest: String,
}

impl fmt::Debug for RevisionStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevisionStarted")
            .field("revision", &self.revision)
            .field("command", &self.command)
            .field("declared", &self.declared)
            .field("settings", &Masked(&self.settings))
            .field("provenance", &self.provenance)
            .field("stack_file_digest", &self.stack_file_digest)
            .finish()
    }
}

/// How one desired graph differs from another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// New or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Resource>,
    /// No longer declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Urn>,
}

/// Where a revision comes from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// Which way it came.
    pub kind: ProvenanceKind,
    /// From which stack; this one, for a rollback.
    pub from_stack: String,
    /// From which revision of that stack.
    pub revision: u64,
    /// The settings that the two sides had in common.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub base: Json,
    /// What lies over this stack's own file from then on.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub overlay: Json,
}

impl fmt::Debug for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provenance")
            .field("kind", &self.kind)
            .field("from_stack", &self.from_stack)
            .field("revision", &self.revision)
            .field("base", &Masked(&self.base))
            .field("overlay", &Masked(&self.overlay))
            .finish()
    }
}

/// Which way a revision came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ProvenanceKind {
    /// Returned to an older revision of the same stack.
    Rollback,
    /// Carried over from another stack.
    Promotion,
}

/// What is about to be done, with all that recovery needs to find out whether it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Its number, unique in the log; from [`Writer::next_op`](crate::Writer::next_op).
    pub op: u64,
    /// What is done.
    pub action: Action,
    /// To which resource.
    pub urn: Urn,
    /// The inputs, resolved and checked.
    #[serde(with = "exposed", default, skip_serializing_if = "is_null")]
    pub inputs: Value,
    /// How it is reached, resolved.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Value>,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Urn>,
    /// How the engine treats it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: Options,
    /// The idempotency token of every try.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// Of a create: the present instance becomes superseded when it succeeds.
    /// Of a delete: it is a superseded instance that goes, not the present one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// The recorded id of the instance that it is done to; absent for a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// It goes on with a long operation that an earlier run began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

impl Intent {
    /// An intent with nothing but its number, action and resource.
    pub fn new(op: u64, action: Action, urn: Urn) -> Self {
        Self {
            op,
            action,
            urn,
            inputs: Value::Null,
            connection: None,
            dependencies: Vec::new(),
            options: Options::default(),
            token: String::new(),
            replaces: false,
            id: None,
            resumed: false,
        }
    }
}

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Action {
    /// Create it.
    Create,
    /// Change it in place.
    Update,
    /// Delete it.
    Delete,
    /// Read it.
    Read,
    /// Take over what exists.
    Import,
    /// Stop managing it.
    Forget,
}

impl Action {
    /// The word of it, as in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Read => "read",
            Self::Import => "import",
            Self::Forget => "forget",
        }
    }
}

/// What came of an intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum OutcomeResult {
    /// It exists thus.
    Succeeded {
        /// What is recorded of it.
        recorded: Box<Recorded>,
    },
    /// It is gone.
    Deleted,
    /// It failed.
    Failed {
        /// The class of the error, as [`class_name`] spells it.
        class: String,
        /// What the provider said, without secrets.
        message: String,
        /// What exists nevertheless, if something does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recorded: Option<Box<Recorded>>,
    },
    /// It was found out that it never took effect.
    NotHappened,
}

/// How an apply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Finish {
    /// Everything was done.
    Succeeded,
    /// Something failed.
    Failed,
    /// It was interrupted.
    Interrupted,
}

/// How the log spells an error's class.
pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::NotFound => "notFound",
        Class::AlreadyExists => "alreadyExists",
        Class::Invalid => "invalid",
        Class::Denied => "denied",
        Class::Throttled { .. } => "throttled",
        Class::Unavailable => "unavailable",
        Class::UnknownOutcome => "unknownOutcome",
        Class::Conflict => "conflict",
        Class::Timeout => "timeout",
        Class::Cancelled => "cancelled",
    }
}

fn is_null(value: &Value) -> bool {
    *value == Value::Null
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
