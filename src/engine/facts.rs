//! What live systems said, as far as planning is concerned.

use std::collections::BTreeMap;

use plinth_provider::{Drift, Live, Occupant, Path, Urn};
use serde::Serialize;

/// What is known of one resource's live side.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// It is gone.
    Gone,
    /// It is there, and differs thus from what was recorded.
    There {
        /// What the system says.
        live: Box<Live>,
        /// Where it differs on the recorded paths.
        drift: Vec<Drift>,
    },
}

/// How fresh what a plan rests on is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Resources that were read for it.
    pub read: usize,
    /// Resources that are taken as they were recorded.
    pub trusted: usize,
    /// How long ago the oldest of these was recorded, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<u64>,
    /// Resources that were to be read and could not be.
    pub unread: usize,
}

/// What was read, by resource. A resource that is not in it was not read: what is recorded is trusted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// By resource.
    pub by_urn: BTreeMap<Urn, Fact>,
    /// Inputs that a system refuses to change in place, by resource: what a dry run of the change said.
    pub replaces: BTreeMap<Urn, Vec<Path>>,
    /// What already stands where something is to be made, and what is to be imported.
    pub existing: BTreeMap<Urn, Occupant>,
}

impl Facts {
    /// What was read of a resource.
    pub fn get(&self, urn: &Urn) -> Option<&Fact> {
        self.by_urn.get(urn)
    }

    /// How many resources were read.
    pub fn len(&self) -> usize {
        self.by_urn.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.by_urn.is_empty()
    }
}
