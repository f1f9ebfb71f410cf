//! The files of a place: the lock, the token, where it is served, and the directories of its stores.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tls::Identity;
use super::{Endpoint, PlaceError};

/// The lock of a place. Held by its owner for as long as a store is open; the operating system takes it back when the
/// owner dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// The files of one place.
#[derive(Debug, Clone)]
pub struct Files {
    pub dir: PathBuf,
}

impl Files {
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn cloud(&self) -> PathBuf {
        self.dir.join("cloud")
    }

    pub fn kubernetes(&self) -> PathBuf {
        self.dir.join("kubernetes")
    }

    fn lock_file(&self) -> PathBuf {
        self.dir.join("lock")
    }

    fn endpoint_file(&self) -> PathBuf {
        self.dir.join("endpoint.json")
    }

    fn port_file(&self) -> PathBuf {
        self.dir.join("port")
    }

    fn identity_file(&self) -> PathBuf {
        self.dir.join("certificate.json")
    }

    fn token_file(&self) -> PathBuf {
        self.dir.join("token")
    }

    /// The lock, unless another has it.
    pub fn try_lock(&self) -> Result<Option<Lock>, PlaceError> {
        let path = self.lock_file();
        let failed = |source| PlaceError::Files { what: format!("lock {}", path.display()), source };
        create_private(&self.dir).map_err(failed)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The lock, unless another keeps it: who only looks whether the place is owned has it for a moment.
    pub async fn lock_soon(&self) -> Result<Lock, PlaceError> {
        for _ in 0..10 {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(PlaceError::Busy { dir: self.dir.clone(), pid: self.owner_pid() })
    }

    /// Whether a process has the lock, without taking it from those who want it.
    pub fn is_owned(&self) -> Result<bool, PlaceError> {
        if !self.lock_file().exists() {
            return Ok(false);
        }
        Ok(self.try_lock()?.is_none())
    }

    /// The process that wrote itself into the lock last.
    pub fn owner_pid(&self) -> String {
        let text = std::fs::read_to_string(self.lock_file()).unwrap_or_default();
        let text = text.trim();
        if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
    }

    /// Where the place was served last.
    pub fn endpoint(&self) -> Option<Endpoint> {
        serde_json::from_slice(&std::fs::read(self.endpoint_file()).ok()?).ok()
    }

    /// Lets the others know where the place is served.
    pub fn announce(&self, endpoint: &Endpoint) -> Result<(), PlaceError> {
        let failed = PlaceError::files(format!("write {}", self.endpoint_file().display()));
        let text = serde_json::to_vec_pretty(endpoint).map_err(io::Error::other);
        text.and_then(|text| write_private(&self.endpoint_file(), &text)).map_err(failed)
    }

    /// Takes back where the place was served.
    pub fn withdraw(&self) {
        let _ = std::fs::remove_file(self.endpoint_file());
    }

    /// The port that the place was served on last: taken again, so that kubeconfigs stay valid.
    pub fn remembered_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.port_file()).ok()?.trim().parse().ok()
    }

    /// Remembers the port.
    pub fn remember_port(&self, port: u16) {
        // Only comfort is lost when this fails.
        let _ = std::fs::write(self.port_file(), port.to_string());
    }

    /// The place's token; made when the place is new.
    pub fn token(&self) -> Result<String, PlaceError> {
        if let Ok(token) = std::fs::read_to_string(self.token_file())
            && token.len() == 64
        {
            return Ok(token);
        }
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let token = random() + &random();
        let failed = PlaceError::files(format!("write {}", self.token_file().display()));
        write_private(&self.token_file(), token.as_bytes()).map_err(failed)?;
        Ok(token)
    }

    /// The place's certificate; made when the place is new, kept so that kubeconfigs stay valid.
    pub fn identity(&self) -> Result<Identity, PlaceError> {
        let kept = std::fs::read(self.identity_file()).ok();
        if let Some(identity) = kept.and_then(|text| serde_json::from_slice::<Identity>(&text).ok()) {
            return Ok(identity);
        }
        let identity = Identity::make()?;
        let failed = PlaceError::files(format!("write {}", self.identity_file().display()));
        let text = serde_json::to_vec(&identity).map_err(io::Error::other);
        text.and_then(|text| write_private(&self.identity_file(), &text)).map_err(failed)?;
        Ok(identity)
    }

    /// Removes everything but the lock. Only names that a place has are touched.
    pub fn wipe(&self, _lock: &Lock) -> Result<(), PlaceError> {
        let gone = |path: PathBuf, result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(PlaceError::Files { what: format!("remove {}", path.display()), source: error })
            }
            _ => Ok(()),
        };
        for dir in [self.cloud(), self.kubernetes()] {
            let result = std::fs::remove_dir_all(&dir);
            gone(dir, result)?;
        }
        for file in [self.endpoint_file(), self.port_file(), self.token_file(), self.identity_file()] {
            let result = std::fs::remove_file(&file);
            gone(file, result)?;
        }
        Ok(())
    }
}

impl Lock {
    /// Writes this process into the lock, for those who wait for it.
    pub fn sign(&mut self) {
        use std::io::Seek;
        // The lock holds without a signature; it only helps people.
        let _ = self.file.set_len(0);
        let _ = self.file.rewind();
        let _ = write!(self.file, "{}", std::process::id());
    }
}

/// Makes a directory that only its owner may enter: it holds what the cluster's secrets say.
fn create_private(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    // Another process may make it at the same moment.
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir)
}

/// Writes a file that only its owner may read, in one step.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let _ = std::fs::remove_file(&fresh);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(&fresh)?.write_all(content)?;
    std::fs::rename(&fresh, path)
}
