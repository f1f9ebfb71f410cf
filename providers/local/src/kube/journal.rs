//! Where committed changes go before they are answered: one JSON line each.
//!
//! The file is a journal and nothing else: state is what replaying it gives. A line that was cut off by a kill
//! in the middle of a write is dropped, everything before it counts.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::json::{Json, Look, json};

/// One committed change.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The version the change was given.
    pub version: u64,
    /// The resource, like `deployments.apps`.
    pub resource: String,
    /// The namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The object after the change; none when it was deleted.
    pub object: Option<Json>,
}

impl Record {
    fn to_line(&self) -> String {
        let mut line = match &self.object {
            // The object is written as it is, without cloning it into a wrapper first.
            Some(object) => format!(
                "{{\"v\":{},\"r\":{},\"ns\":{},\"n\":{},\"o\":{object}}}",
                self.version,
                json!(self.resource),
                json!(self.namespace),
                json!(self.name)
            ),
            None => json!({"v": self.version, "r": self.resource, "ns": self.namespace, "n": self.name})
                .to_string(),
        };
        line.push('\n');
        line
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut value: Json = serde_json::from_str(line).ok()?;
        let object = value.as_object_mut()?.shift_remove("o");
        Some(Self {
            version: value.get("v")?.as_u64()?,
            resource: value.text("r").into(),
            namespace: value.text("ns").into(),
            name: value.text("n").into(),
            object,
        })
    }
}

/// Takes committed changes. What has been taken must survive the process being killed.
pub trait Journal: Send + Sync {
    /// Writes one change down.
    ///
    /// # Errors
    /// When it could not be written; the change is then not made at all.
    fn append(&self, record: &Record) -> io::Result<()>;
}

/// A journal that forgets: for servers that live in memory only.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn append(&self, _: &Record) -> io::Result<()> {
        Ok(())
    }
}

/// A journal in one file, held under an exclusive lock for as long as it is open.
#[derive(Debug)]
pub struct FileJournal {
    file: Mutex<File>,
    _lock: File,
}

impl FileJournal {
    /// Opens the journal in a directory and hands every recorded change to `replay`, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be used, another process has the journal open, or a line in the middle is damaged.
    pub fn open(dir: &Path, mut replay: impl FnMut(Record)) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("kubernetes.lock"))?;
        lock.try_lock().map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("{} is in use by another process", dir.display()),
            )
        })?;
        let path = dir.join("kubernetes.jsonl");
        let (records, good) = read(&path)?;
        let lines = records.len();
        let live = live(records, &mut replay);
        if lines > 2000 && lines > live.len() * 4 {
            rewrite(&path, &live)?;
        } else if path.exists() {
            OpenOptions::new().write(true).open(&path)?.set_len(good)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Self { file: Mutex::new(file), _lock: lock })
    }
}

impl Journal for FileJournal {
    fn append(&self, record: &Record) -> io::Result<()> {
        let line = record.to_line();
        let mut file = self.file.lock().map_err(|_| io::Error::other("journal lock poisoned"))?;
        file.write_all(line.as_bytes())
    }
}

/// Reads all records and the length of the part of the file that is whole.
fn read(path: &PathBuf) -> io::Result<(Vec<Record>, u64)> {
    let mut records = Vec::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((records, 0)),
        Err(e) => return Err(e),
    };
    let mut reader = BufReader::new(file);
    let (mut good, mut line, mut number) = (0_u64, Vec::new(), 0_u64);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 || line.last() != Some(&b'\n') {
            return Ok((records, good));
        }
        number += 1;
        let record = std::str::from_utf8(&line).ok().and_then(Record::from_line).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: line {number} is damaged", path.display()),
            )
        })?;
        records.push(record);
        good += length as u64;
    }
}

/// Hands the records on and keeps the last one of each live object, plus the newest version.
fn live(records: Vec<Record>, replay: &mut impl FnMut(Record)) -> Vec<Record> {
    let mut last: std::collections::HashMap<(String, String, String), Record> =
        std::collections::HashMap::new();
    let mut newest = None;
    for record in records {
        let key = (record.resource.clone(), record.namespace.clone(), record.name.clone());
        if record.object.is_some() {
            last.insert(key, record.clone());
        } else {
            last.remove(&key);
        }
        newest = Some(Record { object: None, ..record.clone() });
        replay(record);
    }
    let mut live: Vec<Record> = last.into_values().collect();
    live.sort_by_key(|r| r.version);
    // The newest version must not be forgotten when its object is gone: versions never go back.
    if live.last().map(|r| r.version) != newest.as_ref().map(|r| r.version) {
        live.extend(newest);
    }
    live
}

fn rewrite(path: &PathBuf, live: &[Record]) -> io::Result<()> {
    let fresh = path.with_extension("jsonl.new");
    let mut file = File::create(&fresh)?;
    let mut out = io::BufWriter::new(&mut file);
    for record in live {
        out.write_all(record.to_line().as_bytes())?;
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u64, name: &str, object: Option<Json>) -> Record {
        Record {
            version,
            resource: "configmaps".into(),
            namespace: "default".into(),
            name: name.into(),
            object,
        }
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_writing_goes_on() {
        let dir = tempfile::tempdir().expect("dir");
        let journal = FileJournal::open(dir.path(), |_| {}).expect("opens");
        journal.append(&record(1, "a", Some(json!({"x": 1})))).expect("writes");
        journal.append(&record(2, "b", Some(json!({"x": 2})))).expect("writes");
        drop(journal);
        let path = dir.path().join("kubernetes.jsonl");
        let whole = std::fs::read(&path).expect("reads");
        std::fs::write(&path, &whole[..whole.len() - 3]).expect("cuts");
        let mut seen = Vec::new();
        let journal = FileJournal::open(dir.path(), |r| seen.push(r.name)).expect("opens");
        assert_eq!(seen, ["a"]);
        journal.append(&record(2, "c", None)).expect("writes");
        drop(journal);
        let mut seen = Vec::new();
        drop(FileJournal::open(dir.path(), |r| seen.push((r.version, r.name))).expect("opens"));
        assert_eq!(seen, [(1, "a".to_owned()), (2, "c".to_owned())]);
    }

    #[test]
    fn damage_in_the_middle_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("kubernetes.jsonl"), "{\"v\":1}\nrubbish\n{\"v\":2}\n")
            .expect("writes");
        let error = FileJournal::open(dir.path(), |_| {}).expect_err("damaged");
        assert!(error.to_string().contains("line 2 is damaged"), "{error}");
    }

    #[test]
    fn a_second_opener_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let first = FileJournal::open(dir.path(), |_| {}).expect("opens");
        assert!(FileJournal::open(dir.path(), |_| {}).is_err());
        drop(first);
        assert!(FileJournal::open(dir.path(), |_| {}).is_ok());
    }

    #[test]
    fn compaction_keeps_live_objects_and_the_newest_version() {
        let dir = tempfile::tempdir().expect("dir");
        let journal = FileJournal::open(dir.path(), |_| {}).expect("opens");
        for version in 1..=3000 {
            journal.append(&record(version, "a", Some(json!({"n": version})))).expect("writes");
        }
        journal.append(&record(3001, "b", None)).expect("writes");
        drop(journal);
        drop(FileJournal::open(dir.path(), |_| {}).expect("opens"));
        let mut seen = Vec::new();
        drop(FileJournal::open(dir.path(), |r| seen.push((r.version, r.object.is_some()))).expect("opens"));
        assert_eq!(seen, [(3000, true), (3001, false)]);
    }
}
