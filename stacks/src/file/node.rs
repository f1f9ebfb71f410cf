//! A YAML document as a tree in which every node knows its place. Keys are kept once per file set, places are small:
//! a stack may hold a hundred thousand resources.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Number, Value};

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
    numbers: HashMap<Arc<str>, Key>,
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

/// A node of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub place: Place,
    pub content: Content,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map, with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: Key,
    pub place: Place,
    pub value: Node,
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
    /// Takes the tree apart into plain JSON and the places of its nodes.
    pub fn split(self, sources: &Sources) -> (Value, Places) {
        let place = self.place;
        let (value, children) = match self.content {
            Content::Null => (Value::Null, Children::None),
            Content::Bool(value) => (Value::Bool(value), Children::None),
            Content::Number(value) => (Value::Number(value), Children::None),
            Content::Text(value) => (Value::String(value), Children::None),
            Content::List(nodes) => {
                let (values, places) = nodes.into_iter().map(|node| node.split(sources)).unzip();
                (Value::Array(values), Children::List(places))
            }
            Content::Map(entries) => {
                let mut map = serde_json::Map::with_capacity(entries.len());
                let mut places = Vec::with_capacity(entries.len());
                for entry in entries {
                    let (value, value_places) = entry.value.split(sources);
                    map.insert(sources.text_of(entry.key).to_owned(), value);
                    places.push(KeyPlaces { key: entry.key, place: entry.place, value: value_places });
                }
                (Value::Object(map), Children::Map(places))
            }
        };
        (value, Places { place, children })
    }
}
