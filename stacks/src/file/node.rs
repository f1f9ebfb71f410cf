//! A YAML document as plain JSON, beside a tree of places that has the same form. Keys are kept once per file set, places
//! are small: a stack may hold a hundred thousand resources.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::diagnostic::{Diagnostic, Location, Snippet};

/// A place: which file, line and column (both from 1; a column of 0 means no place at all).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
    pub file: u16,
    /// The number of characters, for marking; saturating.
    pub length: u16,
}

/// An index into [`Sources::keys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Key(u32);

/// The files that a stack was read from, and the keys used in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    files: Vec<(PathBuf, Arc<str>)>,
    keys: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, Key>,
}

impl Sources {
    pub fn add_file(&mut self, path: &Path, text: Arc<str>) -> Result<u16, Box<Diagnostic>> {
        let number = u16::try_from(self.files.len()).map_err(|_| {
            Box::new(Diagnostic::new("more than 65,535 files take part in this stack").in_file(path))
        })?;
        self.files.push((path.to_owned(), text));
        Ok(number)
    }

    pub fn key(&mut self, text: &str) -> Key {
        if let Some(key) = self.numbers.get(text) {
            return *key;
        }
        let key = Key(u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
        let shared: Arc<str> = text.into();
        self.keys.push(shared.clone());
        self.numbers.insert(shared, key);
        key
    }

    pub fn known_key(&self, text: &str) -> Option<Key> {
        self.numbers.get(text).copied()
    }

    pub fn text_of(&self, key: Key) -> &str {
        self.keys.get(key.0 as usize).map_or("", |text| text)
    }

    pub fn location(&self, place: Place) -> Option<Location> {
        if place.column == 0 {
            return None;
        }
        let (file, _) = self.files.get(usize::from(place.file))?;
        Some(Location { file: file.clone(), line: place.line, column: place.column })
    }

    /// A diagnostic at a place, with the line that stands there.
    pub fn diagnostic(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(message);
        diagnostic.location = self.location(place);
        diagnostic.snippet = diagnostic.location.as_ref().and_then(|_| self.snippet(place));
        diagnostic
    }

    fn snippet(&self, place: Place) -> Option<Snippet> {
        const WIDTH: usize = 120;
        let (_, text) = self.files.get(usize::from(place.file))?;
        let line = text.lines().nth(place.line.checked_sub(1)? as usize)?;
        let offset = (place.column - 1) as usize;
        // Of a very long line, show what stands around the place.
        let first = if offset > WIDTH - 20 { offset - 40 } else { 0 };
        let mut shown: String = line
            .chars()
            .skip(first)
            .take(WIDTH)
            .map(|character| if character.is_control() { ' ' } else { character })
            .collect();
        let mut offset = offset - first;
        let length = usize::from(place.length).min(shown.chars().count().saturating_sub(offset));
        if first > 0 {
            shown.insert_str(0, "… ");
            offset += 2;
        }
        if line.chars().nth(first + WIDTH).is_some() {
            shown.push_str(" …");
        }
        Some(Snippet { text: shown.trim_end().to_owned(), offset, length })
    }
}

/// A node of a document: plain JSON, and where its parts stand. The keys of a map and their places are in the same order.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub value: Value,
    pub places: Places,
}

/// Where the nodes of a tree stand, beside the tree itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub place: Place,
    pub children: Children,
}

/// Places of a node's children.
#[derive(Debug, Clone, Default)]
pub(crate) enum Children {
    #[default]
    None,
    List(Vec<Places>),
    Map(Vec<KeyPlaces>),
}

/// The places of a key and of its value.
#[derive(Debug, Clone)]
pub(crate) struct KeyPlaces {
    pub key: Key,
    pub place: Place,
    pub value: Places,
}

impl Node {
    /// A map or list of such parts, or a value that has none.
    pub fn new(place: Place, value: Value, children: Children) -> Self {
        Self { value, places: Places { place, children } }
    }
}
