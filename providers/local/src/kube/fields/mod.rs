//! Server-side apply: sets of fields, what they mean on typed objects, and who owns them.
//!
//! The algorithms are those of Kubernetes' structured merge: a set of paths per manager, conflicts where an
//! applied change touches what another manager owns, and removal of what an applier stops mentioning.

pub(crate) mod manager;
pub(crate) mod set;
pub(crate) mod typed;
