//! How entries and checkpoints stand on disk: one JSON object, laid out by lines, that ends with its own checksum.
//!
//! The first line holds the plain fields; every section is a list with one item per line. A person reads it, `jq` reads
//! it, and we check and take it apart by lines, so that a flaw is found before anything is parsed and large objects
//! are parsed on every core.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::{DataKeys, Error, Result, open_tree, seal_tree};

/// The newest format version that is written and understood.
pub(crate) const VERSION: u64 = 2;

const TRAILER: &str = "\"checksum\":\"sha256:";
const TRAILER_LEN: usize = TRAILER.len() + 64 + "\"}\n".len();

/// How a hash is spelled.
fn spell(hash: &[u8]) -> String {
    format!("sha256:{}", hex(hash))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Whether an item's text may hold a secret or the mark of a sealed one; decided by a cheap search.
pub(crate) fn may_need_sealing(text: &str) -> bool {
    text.contains("\"$se")
}

/// Text of an item with its secrets sealed.
pub(crate) fn seal_text<'a>(text: &'a str, keys: &DataKeys) -> Result<Cow<'a, str>> {
    if !may_need_sealing(text) {
        return Ok(Cow::Borrowed(text));
    }
    let malformed = |error: serde_json::Error| Error::Unrecordable { why: error.to_string() };
    let mut tree: Json = serde_json::from_str(text).map_err(malformed)?;
    seal_tree(keys, &mut tree)?;
    Ok(Cow::Owned(serde_json::to_string(&tree).map_err(malformed)?))
}

/// Builds such an object.
pub(crate) struct Builder {
    text: String,
    items: usize,
    open: bool,
}

impl Builder {
    /// Begins with the plain fields.
    pub fn new(header: &impl Serialize) -> Result<Self> {
        let mut text = item_text(header)?;
        if text.pop() != Some('}') {
            return Err(Error::Unrecordable { why: "the header is not an object".to_owned() });
        }
        Ok(Self { text, items: 0, open: false })
    }

    fn close(&mut self) {
        if self.open {
            self.text.push_str("\n]");
        }
        self.open = false;
    }

    /// Begins a list.
    pub fn section(&mut self, name: &str) {
        self.close();
        self.text.push_str(",\n\"");
        self.text.push_str(name);
        self.text.push_str("\":[");
        self.open = true;
        self.items = 0;
    }

    /// How long the text is so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Sets room aside for more text.
    pub fn reserve(&mut self, more: usize) {
        self.text.reserve_exact(more);
    }

    /// Adds an item to the list, already as text and sealed.
    pub fn item(&mut self, text: &str) {
        self.text.push_str(if self.items == 0 { "\n" } else { ",\n" });
        self.text.push_str(text);
        self.items += 1;
    }

    /// The bytes, and the hash of all of them.
    pub fn finish(mut self) -> (Vec<u8>, String) {
        self.close();
        self.text.push_str(",\n");
        let mut hasher = Sha256::new();
        hasher.update(&self.text);
        let at = self.text.len();
        let checksum = spell(&hasher.clone().finalize());
        self.text.push_str("\"checksum\":\"");
        self.text.push_str(&checksum);
        self.text.push_str("\"}\n");
        hasher.update(&self.text.as_bytes()[at..]);
        let hash = spell(&hasher.finalize());
        (self.text.into_bytes(), hash)
    }
}

/// JSON text of an item, secrets in the clear: for [`seal_text`] and nothing else.
pub(crate) fn item_text(item: &impl Serialize) -> Result<String> {
    serde_json::to_string(item).map_err(|error| Error::Unrecordable { why: error.to_string() })
}

/// What is wrong with an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Written by a newer Plinth.
    Newer(u64),
    /// Anything else, in words.
    Damage(String),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newer(version) => write!(f, "it has the newer format version {version}"),
            Self::Damage(what) => f.write_str(what),
        }
    }
}

impl Flaw {
    fn damage(what: impl Into<String>) -> Self {
        Self::Damage(what.into())
    }

    /// The error of an entry.
    pub fn into_error(self, seq: u64, file: &str) -> Error {
        match self {
            Self::Newer(version) => {
                Error::NewerVersion { file: file.to_owned(), version, supported: VERSION }
            }
            Self::Damage(what) => Error::Damaged { seq, file: file.to_owned(), what },
        }
    }
}

/// An object taken apart.
#[derive(Debug)]
pub(crate) struct Parsed<T> {
    bytes: T,
    header: String,
    sections: Vec<Section>,
    /// Hash of all bytes.
    pub hash: String,
}

/// Where a list stands: its name, and its items.
#[derive(Debug)]
struct Section {
    name: Range<usize>,
    items: Vec<Range<usize>>,
}

impl<T: AsRef<[u8]>> Parsed<T> {
    /// Checks version and checksum and takes the bytes apart.
    pub fn new(bytes: T) -> Result<Self, Flaw> {
        let (header, sections, hash) = take_apart(bytes.as_ref())?;
        Ok(Self { bytes, header, sections, hash })
    }

    fn text(&self, range: &Range<usize>) -> &str {
        // Of bytes that were text when they were taken apart.
        self.bytes
            .as_ref()
            .get(range.clone())
            .and_then(|part| std::str::from_utf8(part).ok())
            .unwrap_or_default()
    }

    /// The plain fields.
    pub fn header<H: DeserializeOwned>(&self) -> Result<H, Flaw> {
        serde_json::from_str(&self.header).map_err(|error| Flaw::damage(format!("its first line: {error}")))
    }

    /// The lines of a list; none when it has no such list.
    pub fn section(&self, name: &str) -> Vec<&str> {
        let found = self.sections.iter().find(|section| self.text(&section.name) == name);
        found.map(|section| section.items.iter().map(|item| self.text(item)).collect()).unwrap_or_default()
    }
}

fn take_apart(bytes: &[u8]) -> Result<(String, Vec<Section>, String), Flaw> {
    if bytes.is_empty() {
        return Err(Flaw::damage("it is empty"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Flaw::damage(format!("it is not text from byte {} on", error.valid_up_to())))?;
    let split = text.len().checked_sub(TRAILER_LEN).and_then(|at| text.split_at_checked(at));
    let said = split.and_then(|(_, trailer)| trailer.strip_prefix(TRAILER)?.strip_suffix("\"}\n"));
    let (Some((body, trailer)), Some(said)) = (split, said) else {
        // A newer format may be laid out differently; what has our layout has to match its checksum first.
        return Err(newer_version(bytes)
            .map_or_else(|| Flaw::damage("it ends too early or with other than its checksum"), Flaw::Newer));
    };
    let mut hasher = Sha256::new();
    hasher.update(body);
    if hex(&hasher.clone().finalize()) != said {
        return Err(Flaw::damage("its content does not match its checksum"));
    }
    hasher.update(trailer);
    let hash = spell(&hasher.finalize());

    let mut lines = body.lines();
    let first = lines.next().and_then(|line| line.strip_suffix(','));
    let header =
        format!("{}}}", first.ok_or_else(|| Flaw::damage("its first line is not that of a record"))?);
    let version = serde_json::from_str::<Version>(&header)
        .map_err(|error| Flaw::damage(format!("its first line: {error}")))?
        .version;
    if version > VERSION {
        return Err(Flaw::Newer(version));
    }
    let start = body.as_ptr().addr();
    let place = |part: &str| {
        let from = part.as_ptr().addr() - start;
        from..from + part.len()
    };
    let mut sections: Vec<Section> = Vec::new();
    for line in lines {
        if let Some(name) = line.strip_prefix('"').and_then(|line| line.strip_suffix("\":[")) {
            sections.push(Section { name: place(name), items: Vec::new() });
        } else if !matches!(line, "]" | "],") {
            let section =
                sections.last_mut().ok_or_else(|| Flaw::damage("it has a line outside of any list"))?;
            section.items.push(place(line.strip_suffix(',').unwrap_or(line)));
        }
    }
    Ok((header, sections, hash))
}

/// Reads one item, its secrets opened.
pub(crate) fn item<T: DeserializeOwned>(line: &str, keys: &DataKeys) -> Result<T, Flaw> {
    let malformed = |error: serde_json::Error| Flaw::damage(format!("an item cannot be read: {error}"));
    if !line.contains("\"$sealed\"") {
        return serde_json::from_str(line).map_err(malformed);
    }
    if keys.is_empty() {
        return Err(Flaw::damage("it holds a sealed secret, yet no key was installed before it"));
    }
    let mut tree: Json = serde_json::from_str(line).map_err(malformed)?;
    open_tree(keys, &mut tree).map_err(|error| Flaw::damage(error.to_string()))?;
    serde_json::from_value(tree)
        .map_err(|error| Flaw::damage(format!("an item cannot be read: {}", without_values(&error))))
}

/// What a parser's error says of an opened secret, without the text that it found there.
fn without_values(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "it has another form than it must have",
        _ => "it is not JSON",
    }
}

/// Reads many items, on every core when that pays.
pub(crate) fn items<T: DeserializeOwned + Send>(lines: &[&str], keys: &DataKeys) -> Result<Vec<T>, Flaw> {
    const WORTH_A_THREAD: usize = 4096;
    if lines.len() <= WORTH_A_THREAD {
        // Without asking how many cores there are: that reads a dozen files of the system.
        return lines.iter().map(|line| item(line, keys)).collect();
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(cores).max(WORTH_A_THREAD);
    std::thread::scope(|scope| {
        let parts: Vec<_> = lines
            .chunks(share)
            .map(|part| {
                scope.spawn(move || part.iter().map(|line| item(line, keys)).collect::<Result<Vec<T>, _>>())
            })
            .collect();
        let mut all = Vec::with_capacity(lines.len());
        for part in parts {
            let part = part.join().map_err(|_| Flaw::damage("an item cannot be read"))?;
            all.append(&mut part?);
        }
        Ok(all)
    })
}

#[derive(serde::Deserialize)]
struct Version {
    version: u64,
}

/// The version that bytes of another layout claim to have, if it is newer than ours.
fn newer_version(bytes: &[u8]) -> Option<u64> {
    let Version { version } = serde_json::from_slice(bytes).ok()?;
    (version > VERSION).then_some(version)
}
