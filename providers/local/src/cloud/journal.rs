//! The journal of the simulated cloud: one JSON line per change, written before the change is answered.
//!
//! A line that a kill cut short was never answered, so it is dropped; any other damage is named and nothing is opened.
//! A write that the operating system has taken survives the death of this process; to survive the death of the machine,
//! the journal is synced when it is rewritten and when it is closed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// How many entries were appended since the journal was rewritten.
    appended: usize,
}

impl Journal {
    /// Opens the journal at `path`, hands every entry to `replay`, then rewrites the journal with what `snapshot` gives.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a line before the last is damaged.
    pub fn open<E: Serialize + DeserializeOwned>(
        path: &Path,
        mut replay: impl FnMut(E),
        snapshot: impl FnOnce() -> Vec<E>,
    ) -> io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        // What follows the last line break was being written when the writer died.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for (at, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let entry = serde_json::from_slice(line).map_err(|error| {
                let place = format!("{}, line {}: {error}", path.display(), at + 1);
                io::Error::new(io::ErrorKind::InvalidData, place)
            })?;
            replay(entry);
        }
        Self::rewrite(path, &snapshot())
    }

    /// Writes the entries into a new file that takes the place of the old one in one step.
    fn rewrite<E: Serialize>(path: &Path, entries: &[E]) -> io::Result<Self> {
        let fresh = with_suffix(path, ".new");
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        let mut file = File::create(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, appended: 0 })
    }

    /// Appends one entry.
    ///
    /// # Errors
    /// When it could not be written whole; then it does not count.
    pub fn append<E: Serialize>(&mut self, entry: &E) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let before = self.file.metadata()?.len();
        self.file.write_all(&line).inspect_err(|_| {
            // Half a line in the middle would be damage; if even this fails, opening reports it.
            let _ = self.file.set_len(before);
        })?;
        self.appended += 1;
        Ok(())
    }

    /// How many entries were appended since the journal was last rewritten.
    pub fn appended(&self) -> usize {
        self.appended
    }

    /// Rewrites the open journal with these entries.
    ///
    /// # Errors
    /// When they could not be written; the journal then stays as it was.
    pub fn compact<E: Serialize>(&mut self, entries: &[E]) -> io::Result<()> {
        *self = Self::rewrite(&self.path, entries)?;
        Ok(())
    }

    /// Makes everything written survive the machine.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> io::Result<Vec<u32>> {
        let mut seen = Vec::new();
        Journal::open(path, |entry: u32| seen.push(entry), Vec::new)?;
        Ok(seen)
    }

    fn journal_of(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn a_torn_last_line_is_dropped_wherever_it_is_torn() {
        let whole = b"1\n22\n333\n";
        for cut in 0..=whole.len() {
            let (_dir, path) = journal_of(&whole[..cut]);
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(read(&path).unwrap(), [1, 22, 333][..lines]);
        }
    }

    #[test]
    fn damage_in_the_middle_is_named() {
        let (_dir, path) = journal_of(b"1\n{\n3\n");
        assert!(read(&path).unwrap_err().to_string().contains("line 2"));
        assert_eq!(std::fs::read(&path).unwrap(), b"1\n{\n3\n", "nothing is overwritten");
    }

    #[test]
    fn compacting_keeps_what_it_is_given_and_goes_on() {
        let (_dir, path) = journal_of(b"1\n2\n");
        let mut journal = Journal::open(&path, |_: u32| {}, || vec![1, 2]).unwrap();
        journal.append(&3).unwrap();
        journal.compact(&[6]).unwrap();
        journal.append(&7).unwrap();
        assert_eq!(journal.appended(), 1);
        assert_eq!(read(&path).unwrap(), [6, 7]);
    }

    #[test]
    fn what_is_appended_is_there_without_closing() {
        let (_dir, path) = journal_of(b"");
        let mut journal = Journal::open(&path, |_: u32| {}, Vec::new).unwrap();
        journal.append(&7).unwrap();
        std::mem::forget(journal);
        assert_eq!(read(&path).unwrap(), [7]);
    }
}
