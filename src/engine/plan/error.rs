//! Why there is no plan.

use plinth_provider::{Path, Urn};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A provider refused the inputs.
    #[error("{urn}: {message}")]
    Invalid {
        /// Whose.
        urn: Urn,
        /// Which input.
        path: Option<Path>,
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// An output that its resource does not have.
    #[error("{urn} refers to the output `{output}` of {of}, which does not exist; it has: {known}")]
    NoSuchOutput {
        /// Who refers.
        urn: Urn,
        /// To which output.
        output: Path,
        /// Of which resource.
        of: Urn,
        /// What there is.
        known: String,
    },
    /// A protected resource would go.
    #[error("{urn} is protected and this plan would {op} it{why}")]
    Protected {
        /// Which.
        urn: Urn,
        /// What would happen.
        op: &'static str,
        /// Because of what.
        why: String,
    },
    /// What is to be retained would have to go, since its replacement has the same name.
    #[error("{urn} is to be retained, and this plan would replace it by another one of the same name")]
    Retained {
        /// Which.
        urn: Urn,
    },
    /// One former name, several resources that claim it.
    #[error("{urn} cannot take over the former name {alias}: {why}")]
    Alias {
        /// Who claims it.
        urn: Urn,
        /// The name.
        alias: Urn,
        /// Why not.
        why: String,
    },
    /// What would be made is there already, and not ours.
    #[error("{what} exists already, and {owner}")]
    Exists {
        /// Which resource would make it.
        urn: Urn,
        /// Its kind and id.
        what: String,
        /// The id alone.
        id: String,
        /// Whose it is.
        owner: String,
        /// Whether it may be taken over.
        free: bool,
    },
    /// Two declared resources that are one object.
    #[error("{urn}: it is the same object as {other} ({what})")]
    SameObject {
        /// The one.
        urn: Urn,
        /// The other.
        other: Urn,
        /// What the system knows it by.
        what: String,
    },
    /// What would be made is what the same plan would delete under its former name.
    #[error("{urn}: it is the object that is recorded as {recorded}, which this plan would delete ({what})")]
    Renamed {
        /// The declared one.
        urn: Urn,
        /// The recorded one.
        recorded: Urn,
        /// What the system knows it by.
        what: String,
    },
    /// A resource that is left out uses another one that is replaced.
    #[error("{urn} is left out, but it uses {dependency}, which is replaced, and changes with it")]
    LeftOut {
        /// Which.
        urn: Urn,
        /// What it uses.
        dependency: Urn,
    },
}

impl PlanError {
    /// The resource that it is about.
    pub fn urn(&self) -> &Urn {
        match self {
            Self::Invalid { urn, .. }
            | Self::NoSuchOutput { urn, .. }
            | Self::Protected { urn, .. }
            | Self::Retained { urn }
            | Self::Alias { urn, .. }
            | Self::Exists { urn, .. }
            | Self::SameObject { urn, .. }
            | Self::Renamed { urn, .. }
            | Self::LeftOut { urn, .. } => urn,
        }
    }

    /// What to do about it, if there is more to say than the message does.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Invalid { help, .. } => help.clone(),
            Self::NoSuchOutput { .. } => None,
            Self::Protected { .. } => Some(
                "if it really may go, take the protection away (`protect: false` on the resource, \
                 `cluster.deletionProtection: false` for the platform's cluster) and apply that first; to work on the \
                 rest of the stack meanwhile, `--exclude` it"
                    .to_owned(),
            ),
            Self::Retained { .. } => Some(
                "give it another name with this change; or, if the old one may go, take `retainOnDelete` away and apply \
                 that first"
                    .to_owned(),
            ),
            Self::Alias { .. } => Some(
                "a former name belongs to one resource: take it out of `aliases` of the others, or apply the renaming \
                 before the name is used anew"
                    .to_owned(),
            ),
            Self::Exists { urn, id, free: true, .. } => Some(format!(
                "to take it over: set `adopt: true` (or `import: {id}`) on the resource, or run `plinth import {} {id}`; \
                 otherwise give one of the two another name",
                urn.short()
            )),
            Self::Exists { .. } => Some(
                "give one of the two another name, or move it here from its stack: `plinth state mv -s THAT-STACK RESOURCE --to-stack THIS-STACK`".to_owned(),
            ),
            Self::SameObject { .. } => Some(
                "each object is declared once: remove one of the two, or give one another name".to_owned(),
            ),
            Self::Renamed { urn, recorded, .. } if urn.kind() == recorded.kind() => Some(format!(
                "to keep it under the new name, set `aliases: [{}]` on {}; to make another one, give that another name",
                recorded.name(),
                urn.short()
            )),
            Self::Renamed { recorded, .. } => {
                Some(format!("keep declaring it as {}, or let it be deleted first", recorded.short()))
            }
            Self::LeftOut { urn, dependency } => Some(format!(
                "take both or neither: add `--target {}`, or `--exclude {}`",
                urn.short(),
                dependency.short()
            )),
        }
    }
}

pub(super) fn invalid(urn: &Urn, error: plinth_provider::Error) -> PlanError {
    PlanError::Invalid { urn: urn.clone(), path: error.path, message: error.message, help: error.help }
}
