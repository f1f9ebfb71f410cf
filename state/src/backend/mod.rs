//! Where the log's objects are stored: anything that creates only what is absent.
//!
//! Lives here: the trait, one file per kind of storage, what a URL means (`url`), how errors are told apart (`objects`,
//! `postgres`) and how often something is tried (`retry`). Must not live here: what the objects mean; the process's
//! environment, which the command line reads and hands over as [`Options`].

mod azure;
mod folder;
mod gcs;
mod objects;
mod options;
mod postgres;
pub(crate) mod retry;
mod s3;
mod tls;
mod url;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

pub(crate) use folder::{make_folder, sync_folder};
pub use options::{AwsCredentials, AwsKeys, Options};
use url::Place;
pub use url::{folder_of, shown_url};

/// What came of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is now stored, durably.
    Created,
    /// Something was there already, or was just put there; it was left alone. Shared storage says so, too, of an
    /// object of our own whose first reply was lost, and when two creates met of which neither won.
    Exists,
}

/// Storage of objects. Keys are relative, with `/` between their parts.
///
/// Reads, lists, puts and deletes are tried again after errors that pass. A create is not: its error leaves open whether
/// the object was stored, and so does [`Created::Exists`]; whoever must know reads it back.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// Stores an object if there is none under the key.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created>;
    /// An object's bytes; `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;
    /// The keys below a folder, sorted.
    async fn list(&self, folder: &str) -> Result<Vec<String>>;
    /// The keys below a folder that come after `start`, sorted.
    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>>;
    /// Stores an object, whatever was there.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<()>;
    /// Removes an object; removing what is gone succeeds.
    async fn delete(&self, key: &str) -> Result<()>;
}

/// [`open_with`] without options: for URLs that say everything.
///
/// # Errors
/// As [`open_with`].
pub fn open(url: &str) -> Result<Arc<dyn Backend>> {
    open_with(url, &Options::default())
}

/// Opens the storage that a URL names: `file:///absolute/folder`, `memory://`, `s3://bucket/prefix`, `gs://bucket/prefix`,
/// `az://container/prefix` or `postgres://user@host/database`.
///
/// Nothing is sent yet. A folder or a table is made with the first thing that is written to it; a bucket is not.
///
/// # Errors
/// When the URL is malformed, its scheme is not known, or something is missing or contradicts itself; says what works.
pub fn open_with(url: &str, options: &Options) -> Result<Arc<dyn Backend>> {
    Ok(match url::parse(url)? {
        Place::Folder(root) => Arc::new(folder::Folder::new(root)),
        Place::Memory => Arc::new(objects::memory()),
        Place::S3(bucket) => Arc::new(retry::Patient::new(s3::open(url, &bucket, options)?)),
        Place::Gcs(bucket) => Arc::new(retry::Patient::new(gcs::open(url, &bucket, options)?)),
        Place::Azure(bucket) => Arc::new(retry::Patient::new(azure::open(url, &bucket, options)?)),
        Place::Postgres(database) => Arc::new(retry::Patient::new(postgres::open(url, database, options)?)),
    })
}
