//! Where the log's objects are stored: any object store that creates only what is absent.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::{Error, Result};

/// What came of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is now stored, durably.
    Created,
    /// Something was there already, or was just put there; it was left alone.
    Exists,
}

/// Storage of objects. Keys are relative, with `/` between their parts.
///
/// An error of [`Backend::create`] leaves open whether the object was stored; whoever calls reads it back.
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

/// Opens the storage that a URL names: `file:///absolute/folder` or `memory://`.
///
/// A folder is made with the first thing that is written to it.
///
/// # Errors
/// When the URL is malformed or its scheme is not known; says what works.
pub fn open(url: &str) -> Result<Arc<dyn Backend>> {
    let bad = |why: String| Error::Url { url: url.to_owned(), why };
    let works = "file:///absolute/folder and memory:// work";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad(format!("it has no scheme; {works}")))?;
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(Objects::Memory(InMemory::new()))),
        "memory" => Err(bad("memory:// takes no path".to_owned())),
        "file" => {
            let path = without_host(rest);
            if !path.starts_with('/') {
                return Err(bad(format!(
                    "a file URL takes an absolute path, with three slashes: file:///absolute/folder, not file://{rest}"
                )));
            }
            let path = percent_decode(path).ok_or_else(|| {
                bad("a `%` must be followed by two hexadecimal digits and the path be UTF-8; write %25 for a percent sign"
                    .to_owned())
            })?;
            if path.contains(['\0', '\n', '\r']) {
                return Err(bad("the path holds a control character".to_owned()));
            }
            Ok(Arc::new(Objects::Folder { root: PathBuf::from(path), store: OnceLock::new() }))
        }
        other => Err(bad(format!("`{other}://` is not supported; {works}"))),
    }
}

/// The folder that a `file://` URL names; `None` for other URLs and malformed ones.
pub fn folder_of(url: &str) -> Option<PathBuf> {
    Some(PathBuf::from(percent_decode(without_host(url.strip_prefix("file://")?))?))
}

fn without_host(rest: &str) -> &str {
    rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[derive(Debug)]
enum Objects {
    Folder { root: PathBuf, store: OnceLock<LocalFileSystem> },
    Memory(InMemory),
}

impl Objects {
    /// The store for reading; `None` when its folder does not exist, and so holds nothing.
    fn readable(&self) -> Result<Option<&dyn ObjectStore>> {
        match self {
            Self::Memory(store) => Ok(Some(store)),
            Self::Folder { root, store } => {
                if let Some(store) = store.get() {
                    return Ok(Some(store));
                }
                match root.metadata() {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(failed(&format!("open {}", root.display()), error)),
                    Ok(data) if !data.is_dir() => {
                        Err(failed(&format!("open {}", root.display()), "it is not a folder"))
                    }
                    Ok(_) => {
                        let opened = LocalFileSystem::new_with_prefix(root)
                            .map_err(|error| failed(&format!("open {}", root.display()), error))?
                            .with_fsync(true);
                        Ok(Some(store.get_or_init(|| opened)))
                    }
                }
            }
        }
    }

    /// The store for writing; makes its folder.
    fn writable(&self) -> Result<&dyn ObjectStore> {
        if let Self::Folder { root, store } = self
            && store.get().is_none()
        {
            make_folder(root)
                .map_err(|error| failed(&format!("make the folder {}", root.display()), error))?;
        }
        self.readable()?.ok_or_else(|| failed("open the store", "its folder was removed"))
    }

    async fn listed(&self, folder: &str, start: Option<&str>) -> Result<Vec<String>> {
        let Some(store) = self.readable()? else { return Ok(Vec::new()) };
        let prefix = path(folder)?;
        let stream = match start {
            None => store.list(Some(&prefix)),
            Some(start) => store.list_with_offset(Some(&prefix), &path(start)?),
        };
        let mut keys: Vec<String> =
            stream.map(|meta| meta.map(|meta| meta.location.to_string())).try_collect().await.or_else(
                |error| match error {
                    object_store::Error::NotFound { .. } => Ok(Vec::new()),
                    error => Err(failed(&format!("list {folder}"), error)),
                },
            )?;
        keys.sort_unstable();
        Ok(keys)
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

fn failed(doing: &str, why: impl fmt::Display) -> Error {
    Error::Storage { doing: doing.to_owned(), why: why.to_string() }
}

fn path(key: &str) -> Result<Path> {
    Path::parse(key).map_err(|error| failed(&format!("name {key}"), error))
}

#[async_trait]
impl Backend for Objects {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.writable()?.put_opts(&path(key)?, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(Created::Created),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Exists)
            }
            Err(error) => Err(failed(&format!("create {key}"), error)),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let Some(store) = self.readable()? else { return Ok(None) };
        let read = match store.get(&path(key)?).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&format!("read {key}"), error)),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.listed(folder, None).await
    }

    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        self.listed(folder, Some(start)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let put = self.writable()?.put(&path(key)?, PutPayload::from_bytes(bytes)).await;
        put.map(drop).map_err(|error| failed(&format!("write {key}"), error))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let Some(store) = self.readable()? else { return Ok(()) };
        match store.delete(&path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(&format!("delete {key}"), error)),
        }
    }
}
