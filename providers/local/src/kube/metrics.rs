//! Counters of requests, so that tests can assert what a client did not do.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts of requests by verb and resource, like `PATCH deployments.apps`.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Requests {
    /// Counts one request.
    pub fn count(&self, verb: &str, what: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(format!("{verb} {what}")).or_default() += 1;
    }

    /// All counts.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests wanted to change something; dry runs and reviews do not count.
    pub fn writes(&self) -> u64 {
        let all = self.all();
        let writes = all.iter().filter(|(k, _)| {
            let verb = k.split(' ').next().unwrap_or_default();
            matches!(verb, "create" | "update" | "patch" | "apply" | "delete" | "deletecollection")
        });
        writes.map(|(_, n)| n).sum()
    }
}
