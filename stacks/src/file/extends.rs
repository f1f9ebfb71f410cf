//! From a path to one merged tree of nodes: reads a file and the files it extends. Maps merge, lists and values replace,
//! and `null` takes an inherited value away.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::diagnostic::{Diagnostic, listed};
use super::node::{Children, Key, KeyPlaces, Node, Place, Places, Sources};
use super::parse::parse;

/// Files larger than this are refused. A hundred thousand resources, written by a program, take about 15 MB.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Longer chains of `extends` are refused.
const MOST_FILES_DEEP: usize = 16;

/// Reads a stack file with everything it extends.
pub(crate) fn read(path: &Path, sources: &mut Sources) -> Result<Node, Vec<Diagnostic>> {
    let mut reader = Reader { sources, chain: Vec::new(), opened: 0 };
    reader.file(path, None).map_err(|diagnostic| vec![*diagnostic])
}

/// The same for a text that does not stand in the file whose path it goes by.
pub(crate) fn read_text(path: &Path, text: &str, sources: &mut Sources) -> Result<Node, Vec<Diagnostic>> {
    let mut reader = Reader { sources, chain: Vec::new(), opened: 0 };
    reader.text(path, path.to_owned(), text, None).map_err(|diagnostic| vec![*diagnostic])
}

struct Reader<'a> {
    sources: &'a mut Sources,
    /// The files being read, outermost first: their canonical paths and the paths to show.
    chain: Vec<(PathBuf, PathBuf)>,
    opened: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, from: Option<Place>) -> Result<Node, Box<Diagnostic>> {
        let text = read_to_text(path).map_err(|failure| Box::new(self.unreadable(path, failure, from)))?;
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.text(path, canonical, &text, from)
    }

    fn text(
        &mut self,
        path: &Path,
        canonical: PathBuf,
        text: &str,
        from: Option<Place>,
    ) -> Result<Node, Box<Diagnostic>> {
        if let Some(start) = self.chain.iter().position(|(known, _)| *known == canonical) {
            let mut names: Vec<String> =
                self.chain[start..].iter().map(|(_, shown)| shown.display().to_string()).collect();
            names.push(path.display().to_string());
            return Err(Box::new(
                self.at(from, path, format!("`extends` goes in a circle: {}", names.join(" → ")))
                    .help("remove one of these `extends`"),
            ));
        }
        self.opened += 1;
        if self.chain.len() >= MOST_FILES_DEEP || self.opened > 256 {
            return Err(Box::new(self.at(
                from,
                path,
                format!("`extends` leads through more than {MOST_FILES_DEEP} levels or 256 files"),
            )));
        }
        printable(path, text)?;
        let file = self.sources.add_file(path, text.into())?;
        let mut node = parse(text, file, self.sources)?;
        let bases = self.take_extends(&mut node)?;
        if bases.is_empty() {
            return Ok(node);
        }
        self.chain.push((canonical, path.to_owned()));
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let mut merged: Option<Node> = None;
        for (base, place) in bases {
            let base = self.file(&tidy(&folder.join(base)), Some(place))?;
            merged = Some(match merged {
                None => base,
                Some(earlier) => merge(earlier, base),
            });
        }
        self.chain.pop();
        Ok(match merged {
            None => node,
            Some(base) => merge(base, node),
        })
    }

    /// Takes `extends` out of a document: its paths and their places.
    fn take_extends(&mut self, node: &mut Node) -> Result<Vec<(String, Place)>, Box<Diagnostic>> {
        let (Value::Object(map), Children::Map(entries)) = (&mut node.value, &mut node.places.children)
        else {
            return Ok(Vec::new());
        };
        let Some(value) = map.shift_remove("extends") else { return Ok(Vec::new()) };
        let key = self.sources.known_key("extends");
        let Some(position) = entries.iter().position(|entry| Some(entry.key) == key) else {
            return Ok(Vec::new());
        };
        let places = entries.remove(position).value;
        let wrong = |place| {
            Box::new(
                self.sources
                    .diagnostic(place, "`extends` must be a file's path, or a list of them")
                    .help("for example `extends: base.yaml`"),
            )
        };
        match (value, places.children) {
            (Value::Null, _) => Ok(Vec::new()),
            (Value::String(path), _) if !path.is_empty() => Ok(vec![(path, places.place)]),
            (Value::Array(values), Children::List(each)) => values
                .into_iter()
                .zip(each)
                .map(|(value, places)| match value {
                    Value::String(path) if !path.is_empty() => Ok((path, places.place)),
                    _ => Err(wrong(places.place)),
                })
                .collect(),
            _ => Err(wrong(places.place)),
        }
    }

    fn at(&self, from: Option<Place>, path: &Path, message: String) -> Diagnostic {
        match from {
            Some(place) => self.sources.diagnostic(place, message),
            None => Diagnostic::new(message).in_file(path),
        }
    }

    fn unreadable(&self, path: &Path, failure: Unreadable, from: Option<Place>) -> Diagnostic {
        let shown = path.display();
        match failure {
            Unreadable::Missing => {
                let near = stack_files_beside(path);
                let diagnostic = match from {
                    Some(place) => {
                        self.sources.diagnostic(place, format!("the file `{shown}` does not exist"))
                    }
                    None => Diagnostic::new(format!("the stack file `{shown}` does not exist")),
                };
                if near.is_empty() {
                    diagnostic.help("name a stack file, or make one there")
                } else {
                    diagnostic.help(format!("beside it are {}", listed(near.iter().map(String::as_str))))
                }
            }
            Unreadable::NotAFile => self
                .at(from, path, format!("`{shown}` is a folder, not a stack file"))
                .help("name the YAML file itself"),
            Unreadable::TooLarge => self
                .at(from, path, format!("`{shown}` is larger than {} MB", MOST_BYTES / 1024 / 1024))
                .why("even a hundred thousand resources take less; something else is in there")
                .help("split it with `extends`, or name the right file"),
            Unreadable::NotText(offset) => self
                .at(from, path, format!("`{shown}` is not text: byte {offset} is not UTF-8"))
                .help("name a YAML file in UTF-8"),
            Unreadable::Other(error) => self
                .at(from, path, format!("`{shown}` cannot be read: {error}"))
                .help("check the file's permissions"),
        }
    }
}

enum Unreadable {
    Missing,
    NotAFile,
    TooLarge,
    NotText(usize),
    Other(std::io::Error),
}

fn read_to_text(path: &Path) -> Result<String, Unreadable> {
    let other = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Missing,
        std::io::ErrorKind::IsADirectory => Unreadable::NotAFile,
        _ => Unreadable::Other(error),
    };
    let file = std::fs::File::open(path).map_err(other)?;
    if file.metadata().map_err(other)?.is_dir() {
        return Err(Unreadable::NotAFile);
    }
    let size = file.metadata().map_or(0, |data| data.len().min(MOST_BYTES));
    let mut bytes = Vec::with_capacity(size as usize + 1);
    // One byte more than allowed tells a file that is too large, whatever its metadata say (a pipe has none).
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(other)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| Unreadable::NotText(error.utf8_error().valid_up_to()))
}

/// Refuses control characters, which mean that the file is not a text that a person wrote.
fn printable(path: &Path, text: &str) -> Result<(), Box<Diagnostic>> {
    // Most files are plain from end to end, which is seen many characters at a time as long as nothing stops at the first.
    let is_plain =
        |byte: u8| (b' '..=b'~').contains(&byte) | (byte == b'\n') | (byte == b'\r') | (byte == b'\t');
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return Ok(());
    }
    let odd = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\u{85}');
    let Some(position) = text.find(odd) else { return Ok(()) };
    let before = &text[..position];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let code = text[position..].chars().next().map_or(0, u32::from);
    let mut diagnostic = Diagnostic::new(format!("a control character (U+{code:04X}) stands here"));
    diagnostic.location = Some(super::diagnostic::Location {
        file: path.to_owned(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    });
    let diagnostic = diagnostic.why("YAML holds printable text only");
    Err(Box::new(diagnostic.help("name a YAML file, or remove the character")))
}

fn stack_files_beside(path: &Path) -> Vec<String> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
        .collect();
    names.sort();
    names.truncate(10);
    names
}

/// Removes `.` and what `..` takes back, so that messages show short paths.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}

/// Lays `over` on `base`.
fn merge(base: Node, over: Node) -> Node {
    let Node { value: base, places: base_places } = base;
    let Node { value: over, places: Places { place, children } } = over;
    match (base, base_places.children, over, children) {
        (
            Value::Object(mut map),
            Children::Map(mut entries),
            Value::Object(changes),
            Children::Map(change_places),
        ) => {
            let positions: HashMap<Key, usize> =
                entries.iter().enumerate().map(|(position, entry)| (entry.key, position)).collect();
            for ((name, value), change) in changes.into_iter().zip(change_places) {
                match positions.get(&change.key) {
                    None => {
                        map.insert(name, value);
                        entries.push(change);
                    }
                    Some(position) => {
                        let entry = &mut entries[*position];
                        let inherited = Node {
                            value: map.get_mut(&name).map(Value::take).unwrap_or_default(),
                            places: std::mem::take(&mut entry.value),
                        };
                        let merged = merge(inherited, Node { value, places: change.value });
                        map.insert(name, merged.value);
                        *entry = KeyPlaces { value: merged.places, ..change };
                    }
                }
            }
            Node::new(place, Value::Object(map), Children::Map(entries))
        }
        (_, _, value, children) => Node::new(place, value, children),
    }
}

/// Takes `null` away wherever it means "not given": everywhere but inside the inputs of resources.
pub(crate) fn drop_nulls(root: &mut Node) {
    without_nulls(&mut root.value, &mut root.places);
    let (Value::Object(map), Children::Map(entries)) = (&mut root.value, &mut root.places.children) else {
        return;
    };
    for ((name, value), entry) in map.iter_mut().zip(entries) {
        if name != "resources" {
            drop_nulls_below(value, &mut entry.value);
        } else if let (Value::Array(values), Children::List(each)) = (value, &mut entry.value.children) {
            values.iter_mut().zip(each).for_each(|(value, places)| without_nulls(value, places));
        }
    }
}

fn drop_nulls_below(value: &mut Value, places: &mut Places) {
    without_nulls(value, places);
    match (value, &mut places.children) {
        (Value::Object(map), Children::Map(entries)) => {
            map.values_mut()
                .zip(entries)
                .for_each(|(value, entry)| drop_nulls_below(value, &mut entry.value));
        }
        (Value::Array(values), Children::List(each)) => {
            values.iter_mut().zip(each).for_each(|(value, places)| drop_nulls_below(value, places));
        }
        _ => {}
    }
}

/// Takes the keys of a map away that have no value.
fn without_nulls(value: &mut Value, places: &mut Places) {
    let (Value::Object(map), Children::Map(entries)) = (value, &mut places.children) else { return };
    if !map.values().any(Value::is_null) {
        return;
    }
    let mut kept = map.values().map(|value| !value.is_null()).collect::<Vec<_>>().into_iter();
    entries.retain(|_| kept.next().unwrap_or(true));
    map.retain(|_, value| !value.is_null());
}
