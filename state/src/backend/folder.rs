//! `file://`: a folder of this machine. Objects and the names of new ones are on disk before a call returns.

use std::path::PathBuf;
use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use super::objects::{self, Judge};
use super::{Backend, Created};
use crate::{Error, Result};

/// What file systems say that have no hard links: not permitted, not supported, too many of them, not implemented.
const NO_LINKS: [i32; 5] = [1, 95, 45, 31, 38];

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    store: OnceLock<LocalFileSystem>,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, store: OnceLock::new() }
    }

    fn failed(&self, doing: &str, why: impl std::fmt::Display) -> Error {
        Error::Refused {
            place: self.root.display().to_string(),
            doing: doing.to_owned(),
            why: why.to_string(),
            help:
                "see that it is a folder which this user may write to, on a disk with room and without errors"
                    .to_owned(),
        }
    }

    /// The store for reading; `None` when its folder does not exist, and so holds nothing.
    fn readable(&self) -> Result<Option<&dyn ObjectStore>> {
        if let Some(store) = self.store.get() {
            return Ok(Some(store));
        }
        match self.root.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("open it", error)),
            Ok(data) if !data.is_dir() => Err(self.failed("open it", "it is not a folder")),
            Ok(_) => {
                let opened = LocalFileSystem::new_with_prefix(&self.root)
                    .map_err(|error| self.failed("open it", error))?
                    .with_fsync(true);
                Ok(Some(self.store.get_or_init(|| opened)))
            }
        }
    }

    /// The store for writing; makes its folder.
    fn writable(&self) -> Result<&dyn ObjectStore> {
        if self.store.get().is_none() {
            make_folder(&self.root).map_err(|error| self.failed("make it", error))?;
        }
        self.readable()?.ok_or_else(|| self.failed("open it", "it was removed"))
    }
}

impl Judge for Folder {
    fn judge(&self, doing: &str, error: object_store::Error) -> Error {
        if doing.starts_with("create")
            && objects::io_error(&error).is_some_and(|code| NO_LINKS.contains(&code))
        {
            return Error::Refused {
                place: self.root.display().to_string(),
                doing: doing.to_owned(),
                why: format!("{error}; the file system seems to have no hard links, without which nothing there is \
                              created by one writer alone"),
                help: "keep state on another file system (not FAT, exFAT or most network mounts of clouds), or in \
                       s3://, gs://, az:// or postgres://".to_owned(),
            };
        }
        self.failed(doing, error)
    }
}

/// Makes a folder and those above it, durably.
pub(crate) fn make_folder(folder: &std::path::Path) -> std::io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    std::fs::create_dir_all(folder)?;
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(sync_folder)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &std::path::Path) -> std::io::Result<()> {
    // The parent of a relative path of one part is the empty path.
    let folder = if folder.as_os_str().is_empty() { std::path::Path::new(".") } else { folder };
    // Only Unix can, and only Unix has to.
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

#[async_trait]
impl Backend for Folder {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        objects::create(self.writable()?, self, key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let Some(store) = self.readable()? else { return Ok(None) };
        objects::get(store, self, key).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let Some(store) = self.readable()? else { return Ok(Vec::new()) };
        objects::list(store, self, folder, None).await
    }

    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        let Some(store) = self.readable()? else { return Ok(Vec::new()) };
        objects::list(store, self, folder, Some(start)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        objects::put(self.writable()?, self, key, bytes).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let Some(store) = self.readable()? else { return Ok(()) };
        objects::delete(store, self, key).await
    }
}
