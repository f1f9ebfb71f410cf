//! From text to nodes: YAML 1.2 with its core schema, minus what has no place in a stack file (several documents,
//! tags, merge keys, keys that are not text, duplicate keys). Never recursive, so depth cannot exhaust the stack.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use super::diagnostic::Diagnostic;
use super::node::{Children, Key, KeyPlaces, Node, Place, Places, Sources};

/// Deeper nesting than this is refused.
const MOST_DEPTH: usize = 64;
/// More nodes than this, made by repeating anchors, are refused.
const MOST_REPEATED_NODES: usize = 200_000;

/// A collection whose end has not been seen yet.
struct Open {
    place: Place,
    anchor: usize,
    items: Items,
}

enum Items {
    List {
        values: Vec<Value>,
        places: Vec<Places>,
    },
    Map {
        map: Map<String, Value>,
        places: Vec<KeyPlaces>,
        pending: Option<(Key, Place)>,
        seen: HashMap<Key, Place>,
    },
}

/// Small maps are searched for duplicates one by one; only bigger ones keep an index.
const INDEX_FROM: usize = 16;

/// Reads one document.
pub(crate) fn parse(text: &str, file: u16, sources: &mut Sources) -> Result<Node, Box<Diagnostic>> {
    Reader { file, sources, open: Vec::new(), root: None, documents: 0, anchors: HashMap::new(), repeated: 0 }
        .read(text)
}

struct Reader<'a> {
    file: u16,
    sources: &'a mut Sources,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, (Node, usize)>,
    repeated: usize,
}

impl Reader<'_> {
    fn read(mut self, text: &str) -> Result<Node, Box<Diagnostic>> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Box::new(self.scan_error(text, &error)))?;
            self.event(event, span)?;
        }
        self.root.ok_or_else(|| {
            let place = Place { line: 1, column: 1, file: self.file, length: 0 };
            let mut diagnostic = self.sources.diagnostic(place, "the file holds nothing");
            diagnostic.snippet = None;
            Box::new(
                diagnostic
                    .help("a stack file starts with `apiVersion: plinth.dev/v1`, `kind: Stack` and a `name`"),
            )
        })
    }

    fn place(&self, span: Span) -> Place {
        let length = if span.start.line() == span.end.line() {
            u16::try_from(span.end.col().saturating_sub(span.start.col())).unwrap_or(u16::MAX)
        } else {
            1
        };
        Place {
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
            file: self.file,
            length,
        }
    }

    fn scan_error(&self, text: &str, error: &saphyr_parser::ScanError) -> Diagnostic {
        let marker = error.marker();
        let place = Place {
            line: u32::try_from(marker.line().max(1)).unwrap_or(u32::MAX),
            column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
            file: self.file,
            length: 1,
        };
        let line = text.lines().nth(place.line as usize - 1).unwrap_or("");
        let indentation: String = line.chars().take_while(|character| character.is_whitespace()).collect();
        let diagnostic = self.sources.diagnostic(place, format!("this is not valid YAML: {}", error.info()));
        if indentation.contains('\t') {
            diagnostic.why("YAML does not allow tabs in indentation").help("indent with spaces")
        } else {
            diagnostic
                .help("check the indentation, the quotes and the brackets on this line and the one before it")
        }
    }

    fn fail<T>(&self, place: Place, message: impl Into<String>) -> Result<T, Box<Diagnostic>> {
        Err(Box::new(self.sources.diagnostic(place, message)))
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Diagnostic>> {
        let place = self.place(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Box::new(
                        self.sources
                            .diagnostic(place, "a second document starts here")
                            .why("a stack file holds one stack")
                            .help("put each stack in a file of its own"),
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = match tag {
                    None => None,
                    Some(tag) if tag.is_yaml_core_schema() => Some(tag.suffix.clone()),
                    Some(tag) => return self.unknown_tag(place, &tag.handle, &tag.suffix),
                };
                if self.expects_key() {
                    return self.key(&text, style, place);
                }
                let value = self.scalar(text, style, tag.as_deref(), place)?;
                self.add(Node::new(place, value, Children::None), anchor)
            }
            Event::SequenceStart(_, Some(tag)) | Event::MappingStart(_, Some(tag))
                if !tag.is_yaml_core_schema() =>
            {
                self.unknown_tag(place, &tag.handle, &tag.suffix)
            }
            Event::SequenceStart(anchor, _) => self.start(
                Place { length: 1, ..place },
                anchor,
                Items::List { values: Vec::new(), places: Vec::new() },
            ),
            Event::MappingStart(anchor, _) => self.start(
                Place { length: 1, ..place },
                anchor,
                Items::Map { map: Map::new(), places: Vec::new(), pending: None, seen: HashMap::new() },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                if self.expects_key() {
                    return self.fail(place, "a key must be text, not an alias");
                }
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return self.fail(place, "this alias refers to an anchor around it");
                };
                let (node, size) = (node.clone(), *size);
                self.repeated += size;
                if self.repeated > MOST_REPEATED_NODES {
                    return self.fail(place, format!("aliases repeat more than {MOST_REPEATED_NODES} nodes"));
                }
                self.add(node, 0)
            }
        }
    }

    fn unknown_tag<T>(&self, place: Place, handle: &str, suffix: &str) -> Result<T, Box<Diagnostic>> {
        Err(Box::new(
            self.sources
                .diagnostic(place, format!("the tag `{handle}{suffix}` is not supported"))
                .help("write the plain value"),
        ))
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Map { pending: None, .. }, .. }))
    }

    fn start(&mut self, place: Place, anchor: usize, items: Items) -> Result<(), Box<Diagnostic>> {
        if self.expects_key() {
            return Err(Box::new(
                self.sources
                    .diagnostic(place, "a key must be text, not a list or a map")
                    .help("braces start a map: put text that begins with `{` or `[` in quotes"),
            ));
        }
        if self.open.len() >= MOST_DEPTH {
            return self.fail(place, format!("nested more than {MOST_DEPTH} levels deep"));
        }
        self.open.push(Open { place, anchor, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Diagnostic>> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (value, children) = match open.items {
            Items::List { values, places } => (Value::Array(values), Children::List(places)),
            Items::Map { map, places, .. } => (Value::Object(map), Children::Map(places)),
        };
        self.add(Node::new(open.place, value, children), open.anchor)
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) -> Result<(), Box<Diagnostic>> {
        if style == ScalarStyle::Plain {
            if text == "<<" {
                return Err(Box::new(
                    self.sources
                        .diagnostic(place, "merge keys are not supported")
                        .help("use `extends` to share parts between stack files"),
                ));
            }
            let value = self.scalar(Cow::Borrowed(text), style, None, place)?;
            if !value.is_string() {
                let found = super::validate::kind(&value);
                return Err(Box::new(
                    self.sources
                        .diagnostic(place, format!("a key must be text, and this is {found}"))
                        .help(format!("put it in quotes: \"{text}\"")),
                ));
            }
        }
        let key = self.sources.key(text);
        let Some(Open { items: Items::Map { places, pending, seen, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        let first = if places.len() < INDEX_FROM {
            places.iter().find(|entry| entry.key == key).map(|entry| entry.place)
        } else {
            if seen.is_empty() {
                seen.extend(places.iter().map(|entry| (entry.key, entry.place)));
            }
            seen.insert(key, place)
        };
        if let Some(first) = first {
            let first = first.line;
            return Err(Box::new(
                self.sources
                    .diagnostic(place, format!("the key `{text}` stands here a second time"))
                    .why(format!("the first is on line {first}; it is not clear which of them is meant"))
                    .help("remove one of them"),
            ));
        }
        *pending = Some((key, place));
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Box<Diagnostic>> {
        if anchor > 0 {
            let size = count(&node.value);
            self.repeated += size;
            if self.repeated > MOST_REPEATED_NODES {
                return self
                    .fail(node.places.place, format!("anchors hold more than {MOST_REPEATED_NODES} nodes"));
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { items: Items::List { values, places }, .. }) => {
                values.push(node.value);
                places.push(node.places);
            }
            Some(Open { items: Items::Map { map, places, pending, .. }, .. }) => {
                if let Some((key, place)) = pending.take() {
                    map.insert(self.sources.text_of(key).to_owned(), node.value);
                    places.push(KeyPlaces { key, place, value: node.places });
                }
            }
        }
        Ok(())
    }

    fn scalar(
        &self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&str>,
        place: Place,
    ) -> Result<Value, Box<Diagnostic>> {
        if tag == Some("str") || (style != ScalarStyle::Plain && tag.is_none()) {
            return Ok(Value::String(text.into_owned()));
        }
        match (plain(&text), tag) {
            (Plain::Unrepresentable, _) => Err(Box::new(
                self.sources
                    .diagnostic(place, format!("the number `{text}` does not fit"))
                    .help("put it in quotes if it is meant as text"),
            )),
            (Plain::Words, Some(tag @ ("int" | "float" | "bool" | "null"))) => {
                self.fail(place, format!("`{text}` is not a value of the type `{tag}`"))
            }
            (Plain::Words, _) => Ok(Value::String(text.into_owned())),
            (Plain::Value(value), _) => Ok(value),
        }
    }
}

enum Plain {
    /// Nothing, a truth value or a number.
    Value(Value),
    /// Text.
    Words,
    Unrepresentable,
}

/// What an unquoted scalar means in YAML 1.2's core schema.
fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(Value::Null),
        "true" | "True" | "TRUE" => return Plain::Value(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Value(Value::Bool(false)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN" | ".NAN" => {
            return Plain::Unrepresentable;
        }
        _ => {}
    }
    let number =
        |number: Option<Number>| number.map_or(Plain::Unrepresentable, |n| Plain::Value(Value::Number(n)));
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
                return Plain::Words;
            }
            return number(u64::from_str_radix(digits, radix).ok().map(Number::from));
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some(first) = unsigned.bytes().next() else { return Plain::Words };
    if !(first.is_ascii_digit() || first == b'.') {
        return Plain::Words;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        return number(
            signed.parse::<u64>().map(Number::from).or_else(|_| signed.parse::<i64>().map(Number::from)).ok(),
        );
    }
    if is_float(unsigned) {
        return number(text.parse::<f64>().ok().filter(|value| value.is_finite()).and_then(Number::from_f64));
    }
    Plain::Words
}

/// `digits [. digits] [e [sign] digits]` or `. digits …`.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_right = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_right
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}
