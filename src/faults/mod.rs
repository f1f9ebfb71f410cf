//! What a rehearsal makes go wrong beside what the embedded cloud does by itself: this process dies at a chosen point,
//! state storage loses replies, the clock is wrong. All of it sits in decorators of the provider and of the storage, so
//! that the engine knows nothing of it, and all of it is told in one option, so that a failing run can be had again.
//!
//! What must not live here: how requests to the embedded cloud go wrong (`plinth_local`), and anything that a run
//! without `--faults` passes through.

mod points;
mod provider;
mod spec;
mod storage;

use std::sync::Arc;

use plinth_provider::Provider;
use plinth_state::Backend;

pub use self::points::Points;
pub use self::spec::{Crash, Spec, SpecError};

/// The faults of one process.
#[derive(Debug, Clone)]
pub struct Injector {
    spec: Spec,
    points: Arc<Points>,
}

impl Injector {
    /// Prepares what a spec asks for.
    ///
    /// # Errors
    /// When the audit file cannot be opened.
    pub fn new(spec: Spec) -> std::io::Result<Self> {
        let points = Arc::new(Points::new(spec.crash.clone(), spec.audit.as_deref())?);
        Ok(Self { spec, points })
    }

    /// What was asked for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// A provider whose calls are points to die at.
    pub fn provider(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(provider::Pointed { inner, points: Arc::clone(&self.points) })
    }

    /// Storage whose writes are points to die at, and some of whose replies are lost.
    pub fn storage(&self, inner: Arc<dyn Backend>) -> Arc<dyn Backend> {
        Arc::new(storage::Shaky::new(inner, Arc::clone(&self.points), &self.spec))
    }

    /// How the embedded cloud and cluster are served.
    pub fn place(&self) -> plinth_local::Options {
        let usual = plinth_local::Options::default();
        plinth_local::Options {
            faults: Some(self.spec.requests),
            latency_scale: usual.latency_scale * self.spec.latency,
            distance: self.spec.distance,
            audit: self.spec.audit.clone(),
            ..usual
        }
    }
}
