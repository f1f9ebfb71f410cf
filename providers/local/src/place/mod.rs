//! The place: one directory in which a simulated cloud and its Kubernetes API live, shared by any number of processes.
//!
//! At any time one process owns the place: it holds the lock, has the stores open, and serves them on a loopback port.
//! Every other process talks to it. When the owner ends, however it ends, the next call of any other process takes over;
//! port and token stay the same where possible, so that even clients that know nothing of this find the place again.
//!
//! What must not live here: what the cloud or the Kubernetes API do. This is about who serves them, and how to reach them.

mod call;
mod files;
mod gate;
mod kubeconfig;
mod kubernetes;
mod owner;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use files::Files;
use owner::Owner;

pub use call::CallError;
pub use gate::Requests;

/// How long a process waits for the owner of the place to begin to serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the owner of a place serves it. Who is not the owner gets what the owner has chosen.
#[derive(Debug, Clone)]
pub struct Options {
    /// Multiplies every simulated latency; 0 makes everything immediate.
    pub latency_scale: f64,
    /// How long creating takes, before scaling, by kind (`local:cloud/Cluster`): learned from a real cloud, for
    /// instance. Kinds that are not named take their usual time.
    pub latencies: BTreeMap<String, Duration>,
    /// How long every request to the Kubernetes API takes at least, reads included: how far away it is.
    pub distance: Duration,
    /// What goes wrong on purpose.
    pub faults: Option<Faults>,
    /// A file that every changing request is appended to, with what it came to.
    pub audit: Option<PathBuf>,
    /// Offers a node to Kubernetes while no node pool does.
    pub virtual_node: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            latency_scale: 1.0,
            latencies: BTreeMap::new(),
            distance: Duration::ZERO,
            faults: None,
            audit: None,
            virtual_node: true,
        }
    }
}

/// Where a place is served, and the token that every request must carry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The bearer token.
    pub token: String,
    /// The certificate, as PEM, that vouches for the place to clients who come over TLS: on the same port.
    #[serde(default)]
    pub authority: String,
    /// The process that serves.
    pub pid: u32,
    /// When it began to.
    pub started: jiff::Timestamp,
    /// Tells one time of serving from another.
    pub instance: String,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// What can go wrong with a place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Files {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process owns the place.
    #[error("{} is in use by process {pid}; wait for it to end, or stop it", dir.display())]
    Busy {
        /// The place.
        dir: PathBuf,
        /// The owner, as far as it can be told.
        pid: String,
    },
    /// Nobody serves the place.
    #[error("nobody serves {}; start `plinth local serve` and keep it running", dir.display())]
    Unserved {
        /// The place.
        dir: PathBuf,
    },
    /// The owner holds the lock and does not serve.
    #[error("process {pid} owns {} and does not answer; stop it and try again", dir.display())]
    Silent {
        /// The place.
        dir: PathBuf,
        /// The owner, as far as it can be told.
        pid: String,
    },
}

impl PlaceError {
    fn files(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Files { what, source }
    }
}

/// A place, as one process sees it. Cheap to clone; nothing happens until it is used.
#[derive(Debug, Clone)]
pub struct Place {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    options: Options,
    /// Serving, while this process is the one that does.
    owner: Mutex<Option<Owner>>,
    http: call::Http,
}

impl Place {
    /// The place in a directory. Nothing is touched yet.
    pub fn new(dir: &Path, options: Options) -> Self {
        let inner = Inner { files: Files::of(dir), options, owner: Mutex::new(None), http: call::client() };
        Self { inner: Arc::new(inner) }
    }

    /// The place in a directory, reached: served by this process, or by the one that serves it already.
    ///
    /// # Errors
    /// When the directory cannot be used, or its owner does not answer.
    pub async fn attach(dir: &Path, options: Options) -> Result<Self, PlaceError> {
        let place = Self::new(dir, options);
        place.endpoint().await?;
        Ok(place)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.inner.files.dir
    }

    /// The directory that holds a bucket's objects.
    pub fn bucket_dir(&self, bucket: &str) -> PathBuf {
        self.inner.files.cloud().join("buckets").join(bucket)
    }

    /// Where the place is served now. Takes over when its owner has ended.
    ///
    /// # Errors
    /// When the directory cannot be used, or its owner does not answer.
    pub async fn endpoint(&self) -> Result<Endpoint, PlaceError> {
        let mut owning = self.inner.owner.lock().await;
        if let Some(owner) = &*owning
            && !owner.has_ended()
        {
            return Ok(owner.endpoint.clone());
        }
        *owning = None;
        let files = &self.inner.files;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(lock) = files.try_lock()? {
                let owner = Owner::start(files.clone(), lock, &self.inner.options, None).await?;
                let endpoint = owner.endpoint.clone();
                *owning = Some(owner);
                return Ok(endpoint);
            }
            if let Some(endpoint) = files.endpoint() {
                return Ok(endpoint);
            }
            if Instant::now() > deadline {
                return Err(PlaceError::Silent { dir: files.dir.clone(), pid: files.owner_pid() });
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Whether this process serves the place.
    pub async fn is_owner(&self) -> bool {
        self.inner.owner.lock().await.as_ref().is_some_and(|owner| !owner.has_ended())
    }

    /// Serves the place until `stop` is cancelled, on `port` when one is given. `ready` is told where.
    ///
    /// # Errors
    /// When another process owns the place, or the port is taken.
    pub async fn serve(
        &self,
        port: Option<u16>,
        stop: CancellationToken,
        ready: impl FnOnce(&Endpoint),
    ) -> Result<(), PlaceError> {
        {
            let mut owning = self.inner.owner.lock().await;
            if let Some(owner) = owning.take() {
                owner.stop().await;
            }
            let files = &self.inner.files;
            let lock = files.lock_soon().await?;
            let owner = Owner::start(files.clone(), lock, &self.inner.options, port).await?;
            ready(&owner.endpoint);
            *owning = Some(owner);
        }
        stop.cancelled().await;
        self.shutdown().await;
        Ok(())
    }

    /// Ends serving, if this process does: answers what has been asked, writes everything down, lets go of the lock.
    pub async fn shutdown(&self) {
        if let Some(owner) = self.inner.owner.lock().await.take() {
            owner.stop().await;
        }
    }

    /// What a Kubernetes client needs to reach the place, as YAML.
    ///
    /// # Errors
    /// When nobody serves the place.
    pub fn kubeconfig(&self) -> Result<String, PlaceError> {
        let files = &self.inner.files;
        match files.endpoint() {
            Some(endpoint) if files.is_owned()? => Ok(kubeconfig::render(&endpoint)),
            _ => Err(PlaceError::Unserved { dir: files.dir.clone() }),
        }
    }

    /// Forgets everything that lives in a place.
    ///
    /// # Errors
    /// When a process serves it.
    pub fn reset(dir: &Path) -> Result<(), PlaceError> {
        let files = Files::of(dir);
        if !dir.exists() {
            return Ok(());
        }
        match files.try_lock()? {
            Some(lock) => files.wipe(&lock),
            None => Err(PlaceError::Busy { dir: files.dir.clone(), pid: files.owner_pid() }),
        }
    }
}
