//! A tree against the published JSON Schema: every mistake in one go, in words for people. It reads just those
//! keywords that the model's own schema uses.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, closest, listed};
use super::node::{Children, Place, Places, Sources};
use crate::model::forms;

/// So many mistakes are told at once.
pub(crate) const MOST_DIAGNOSTICS: usize = 50;

/// Tells everything in which a tree differs from a schema.
pub(crate) fn validate(
    schema: &Value,
    tree: &Value,
    places: &Places,
    sources: &Sources,
    found: &mut Vec<Diagnostic>,
) {
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let nowhere = Places::default();
    let mut walk =
        Walk { definitions, sources, found, nowhere: &nowhere, trail: Vec::new(), known: HashMap::new() };
    walk.value(schema, tree, places, places.place);
}

struct Walk<'a, 'f> {
    definitions: Option<&'a Map<String, Value>>,
    sources: &'a Sources,
    found: &'f mut Vec<Diagnostic>,
    nowhere: &'a Places,
    /// The names of the keys from the root, for messages about places.
    trail: Vec<&'a str>,
    /// What was looked up in schemas, by their addresses.
    known: HashMap<usize, Rc<Keywords<'a>>>,
}

/// What a schema says, looked up once: a long list meets the same few schemas again and again.
struct Keywords<'a> {
    /// The schema, references followed.
    schema: &'a Value,
    branches: Option<&'a [Value]>,
    words: Option<Vec<&'a str>>,
    kinds: Option<&'a Value>,
    secret: bool,
    properties: Option<&'a Map<String, Value>>,
    additional: Option<&'a Value>,
    required: Vec<&'a str>,
    items: Option<&'a Value>,
    least_items: u64,
    form: Option<&'a str>,
    least_length: Option<u64>,
    pattern: Option<&'a str>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

impl<'a> Keywords<'a> {
    fn of(schema: &'a Value) -> Self {
        let texts = |name: &str| -> Option<Vec<&'a str>> {
            Some(schema.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
        };
        let number = |name: &str| schema.get(name).and_then(Value::as_f64);
        let list = |name: &str| schema.get(name).and_then(Value::as_array).map(Vec::as_slice);
        Self {
            schema,
            branches: list("oneOf").or_else(|| list("anyOf")),
            words: texts("enum")
                .or_else(|| schema.get("const").and_then(Value::as_str).map(|word| vec![word])),
            kinds: schema.get("type"),
            secret: schema.get("writeOnly").and_then(Value::as_bool) == Some(true),
            properties: schema.get("properties").and_then(Value::as_object),
            additional: schema.get("additionalProperties"),
            required: texts("required").unwrap_or_default(),
            items: schema.get("items"),
            least_items: schema.get("minItems").and_then(Value::as_u64).unwrap_or(0),
            form: schema.get("format").and_then(Value::as_str).and_then(|form| form.strip_prefix("plinth-")),
            least_length: schema.get("minLength").and_then(Value::as_u64),
            pattern: schema.get("pattern").and_then(Value::as_str),
            minimum: number("minimum"),
            maximum: number("maximum"),
        }
    }
}

/// A branch of a schema that a value may take, told from the others by something written in it.
enum Branch<'s> {
    /// A text that is the whole value.
    Word(&'s str),
    /// A map with this one key.
    OneKey(&'s str, &'s Value),
    /// A map in which `tag` has this value.
    Tagged(&'s str, &'s str, &'s Value),
    /// Told by its type alone.
    Typed(&'s Value),
}

impl<'a> Walk<'a, '_> {
    fn tell(&mut self, place: Place, message: impl Into<String>) -> Option<&mut Diagnostic> {
        if self.found.len() >= MOST_DIAGNOSTICS {
            return None;
        }
        self.found.push(self.sources.diagnostic(place, message));
        self.found.last_mut()
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // References of the model's schema are one or two steps long; the bound keeps a circle from hanging us.
        for _ in 0..8 {
            let Some(name) = schema.get("$ref").and_then(Value::as_str) else { break };
            let name = name.strip_prefix("#/$defs/").unwrap_or(name);
            let Some(next) = self.definitions.and_then(|definitions| definitions.get(name)) else { break };
            schema = next;
        }
        schema
    }

    fn value(&mut self, schema: &'a Value, value: &'a Value, places: &'a Places, place: Place) {
        if self.found.len() >= MOST_DIAGNOSTICS {
            return;
        }
        let known = self.keywords(schema);
        if let Some(branches) = known.branches {
            return self.branches(branches, value, places, place);
        }
        if let Some(words) = &known.words {
            return self.word(words, value, place);
        }
        if let Some(kinds) = known.kinds
            && !allows(kinds, value)
        {
            return self.wrong_type(known.schema, kinds, value, place, known.secret);
        }
        match value {
            Value::Object(map) => self.map(&known, map, places, place),
            Value::Array(list) => self.list(&known, list, places, place),
            Value::String(text) => self.text(&known, text, place),
            Value::Number(_) => self.number(&known, value, place),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn keywords(&mut self, schema: &'a Value) -> Rc<Keywords<'a>> {
        let address = std::ptr::from_ref(schema).addr();
        if let Some(known) = self.known.get(&address) {
            return Rc::clone(known);
        }
        let known = Rc::new(Keywords::of(self.resolve(schema)));
        self.known.insert(address, Rc::clone(&known));
        known
    }

    fn map(&mut self, known: &Keywords<'a>, map: &'a Map<String, Value>, places: &'a Places, place: Place) {
        let Keywords { properties, additional, .. } = *known;
        let entries: &[_] = match &places.children {
            Children::Map(entries) => entries,
            _ => &[],
        };
        for (position, (key, value)) in map.iter().enumerate() {
            let entry = match entries.get(position) {
                Some(entry) if self.sources.text_of(entry.key) == key => Some(entry),
                _ => entries.iter().find(|entry| self.sources.text_of(entry.key) == key),
            };
            let key_place = entry.map_or(place, |entry| entry.place);
            let below = entry.map_or(self.nowhere, |entry| &entry.value);
            let value_place = if below.place.column > 0 { below.place } else { key_place };
            self.trail.push(key);
            if let Some(property) = properties.and_then(|properties| properties.get(key)) {
                self.value(property, value, below, value_place);
            } else {
                match additional {
                    Some(Value::Bool(false)) => self.unknown_key(key, properties, key_place),
                    Some(schema @ Value::Object(_)) => self.value(schema, value, below, value_place),
                    _ => {}
                }
            }
            self.trail.pop();
        }
        for name in &known.required {
            if !map.contains_key(*name) {
                let about = self.around();
                let help = properties
                    .and_then(|properties| properties.get(*name))
                    .and_then(|property| self.description(property))
                    .map(|description| format!("`{name}`: {description}"));
                if let Some(diagnostic) = self.tell(place, format!("{about}`{name}` is missing")) {
                    diagnostic.help = help;
                }
            }
        }
    }

    fn unknown_key(&mut self, key: &str, properties: Option<&'a Map<String, Value>>, place: Place) {
        let known: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let near = closest(key, known.iter().copied());
        let allowed = match known.len() {
            0 => "nothing may stand here".to_owned(),
            _ => format!("allowed are {}", listed(known)),
        };
        if let Some(diagnostic) = self.tell(place, format!("unknown key `{key}`")) {
            diagnostic.help = Some(match near {
                Some(near) => format!("did you mean `{near}`? {allowed}"),
                None => allowed,
            });
        }
    }

    fn list(&mut self, known: &Keywords<'a>, list: &'a [Value], places: &'a Places, place: Place) {
        let least = known.least_items;
        if (list.len() as u64) < least {
            let name = self.name();
            self.tell(
                place,
                format!("{name} needs at least {least} {}", if least == 1 { "entry" } else { "entries" }),
            );
        }
        let Some(items) = known.items else { return };
        let children: &[Places] = match &places.children {
            Children::List(children) => children,
            _ => &[],
        };
        for (position, value) in list.iter().enumerate() {
            let below = children.get(position).unwrap_or(self.nowhere);
            let at = if below.place.column > 0 { below.place } else { place };
            self.value(items, value, below, at);
        }
    }

    fn text(&mut self, known: &Keywords<'a>, text: &str, place: Place) {
        if known.secret {
            return;
        }
        if let Some(form) = known.form
            && let Err(message) = forms::check(form, text)
        {
            let name = self.name();
            if let Some(diagnostic) = self.tell(place, message) {
                diagnostic.why = Some(format!("{name} must be {}", form_in_words(form)));
            }
        }
        if known.least_length.is_some_and(|least| text.chars().count() < least as usize) {
            let name = self.name();
            self.tell(place, format!("{name} must not be empty"));
        }
        if let Some(pattern) = known.pattern
            && !super::patterns::matches(pattern, text)
        {
            let name = self.name();
            let wanted = super::patterns::in_words(pattern);
            self.tell(place, format!("{name} is `{text}`, and must be {wanted}"));
        }
    }

    fn number(&mut self, known: &Keywords<'a>, value: &Value, place: Place) {
        let Some(number) = value.as_f64() else { return };
        let (least, most) = (known.minimum, known.maximum);
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (Some(least), None) => format!("at least {least}"),
                (None, Some(most)) => format!("at most {most}"),
                (None, None) => String::new(),
            };
            let name = self.name();
            self.tell(place, format!("{name} is {value}, and must be {range}"));
        }
    }

    fn wrong_type(&mut self, schema: &'a Value, kinds: &Value, value: &Value, place: Place, secret: bool) {
        let wanted = in_words(kinds);
        let name = self.name();
        let text_wanted = kinds.as_str() == Some("string")
            || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"));
        let (shown, quotable) = match value {
            _ if secret => (kind(value).to_owned(), false),
            Value::Number(number) => (format!("the number {number}"), true),
            Value::Bool(value) => (format!("the truth value {value}"), true),
            Value::String(text) if text.chars().count() <= 40 => (format!("the text \"{text}\""), false),
            other => (kind(other).to_owned(), false),
        };
        let example = schema.get("examples").and_then(|examples| examples.get(0)).and_then(Value::as_str);
        let help = if secret && text_wanted {
            Some("put it in quotes".to_owned())
        } else if text_wanted && quotable {
            match value {
                // `1.30` reads as the number 1.3: only the file's own text would tell, so do not repeat the number.
                Value::Number(number) if number.is_f64() => {
                    Some(format!("put it in quotes, as in \"{}\"", example.unwrap_or("1.0")))
                }
                other => Some(format!("put it in quotes: \"{other}\"")),
            }
        } else {
            example.filter(|_| text_wanted).map(|example| format!("for example \"{example}\""))
        };
        if let Some(diagnostic) = self.tell(place, format!("{name} must be {wanted}, and this is {shown}")) {
            diagnostic.help = help;
            if secret {
                diagnostic.snippet = None;
            }
        }
    }

    fn word(&mut self, words: &[&str], value: &Value, place: Place) {
        if value.as_str().is_some_and(|text| words.contains(&text)) {
            return;
        }
        let name = self.name();
        let shown = match value {
            Value::String(text) if text.chars().count() <= 60 => format!("`{text}`"),
            Value::Number(number) => format!("the number {number}"),
            Value::Bool(value) => format!("the truth value {value}"),
            other => kind(other).to_owned(),
        };
        let near = value.as_str().and_then(|text| closest(text, words.iter().copied()));
        let wanted = listed(words.iter().copied());
        if let Some(diagnostic) =
            self.tell(place, format!("{name} is {shown}, and must be {}{wanted}", one_of(words.len())))
        {
            diagnostic.help = near.map(|near| format!("did you mean `{near}`?"));
        }
    }

    fn branches(&mut self, branches: &'a [Value], value: &'a Value, places: &'a Places, place: Place) {
        let branches: Vec<Branch<'a>> = branches.iter().flat_map(|branch| self.branch(branch)).collect();
        let tag = branches.iter().find_map(|branch| match branch {
            Branch::Tagged(tag, ..) => Some(*tag),
            _ => None,
        });
        if let (Some(tag), Value::Object(map)) = (tag, value) {
            return self.tagged(tag, &branches, map, value, places, place);
        }
        let keys: Vec<&str> = branches
            .iter()
            .filter_map(|branch| match branch {
                Branch::OneKey(key, _) => Some(*key),
                _ => None,
            })
            .collect();
        if let (false, Value::Object(map)) = (keys.is_empty(), value) {
            return self.one_key(&keys, &branches, map, value, places, place);
        }
        let words: Vec<&str> = branches
            .iter()
            .filter_map(|branch| match branch {
                Branch::Word(word) => Some(*word),
                _ => None,
            })
            .collect();
        let typed = branches.iter().find_map(|branch| match branch {
            Branch::Typed(schema) if schema.get("type").is_none_or(|kinds| allows(kinds, value)) => {
                Some(*schema)
            }
            _ => None,
        });
        let possible: Vec<&'a Value> = branches
            .iter()
            .filter_map(|branch| match branch {
                Branch::Typed(schema) if schema.get("type").is_none_or(|kinds| kinds != "null") => {
                    Some(*schema)
                }
                _ => None,
            })
            .collect();
        let only = (possible.len() == 1 && words.is_empty() && keys.is_empty() && tag.is_none())
            .then(|| possible[0]);
        match typed.or(only) {
            Some(schema) => self.value(schema, value, places, place),
            None if !words.is_empty() => self.word(&words, value, place),
            None => {
                let name = self.name();
                let mut wanted: Vec<String> = branches
                    .iter()
                    .filter_map(|branch| match branch {
                        Branch::Typed(schema) => {
                            schema.get("type").filter(|kinds| *kinds != "null").map(in_words)
                        }
                        Branch::OneKey(..) | Branch::Tagged(..) => Some("a map".to_owned()),
                        Branch::Word(_) => None,
                    })
                    .collect();
                wanted.dedup();
                let wanted = wanted.join(" or ");
                let found = kind(value);
                let keys = (!keys.is_empty())
                    .then(|| format!("with {}{}", one_of(keys.len()), listed(keys.iter().copied())));
                if let Some(diagnostic) =
                    self.tell(place, format!("{name} must be {wanted}, and this is {found}"))
                {
                    diagnostic.help = keys.map(|keys| format!("write a map {keys}"));
                    // Where a map with keys is expected, the value may be a secret without its wrapping.
                    if diagnostic.help.as_ref().is_some_and(|help| help.contains("`generate`")) {
                        diagnostic.snippet = None;
                    }
                }
            }
        }
    }

    fn branch(&self, schema: &'a Value) -> Vec<Branch<'a>> {
        // The variants of an enum stand in place; what is referred to is a type of its own.
        let referred = schema.get("$ref").is_some();
        let schema = self.resolve(schema);
        if let Some(inner) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            return inner.iter().flat_map(|branch| self.branch(branch)).collect();
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return vec![Branch::Word(word)];
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return words.iter().filter_map(Value::as_str).map(Branch::Word).collect();
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array).and_then(|required| required.first());
        if let (Some(properties), Some(first)) = (properties, required.and_then(Value::as_str))
            && let Some(property) = properties.get(first)
            && !referred
        {
            if let Some(word) = property.get("const").and_then(Value::as_str) {
                return vec![Branch::Tagged(first, word, schema)];
            }
            if properties.len() == 1 && schema.get("additionalProperties") == Some(&Value::Bool(false)) {
                return vec![Branch::OneKey(first, schema)];
            }
        }
        vec![Branch::Typed(schema)]
    }

    fn tagged(
        &mut self,
        tag: &'a str,
        branches: &[Branch<'a>],
        map: &'a Map<String, Value>,
        value: &'a Value,
        places: &'a Places,
        place: Place,
    ) {
        let words: Vec<&str> = branches
            .iter()
            .filter_map(|branch| match branch {
                Branch::Tagged(_, word, _) => Some(*word),
                _ => None,
            })
            .collect();
        let Some(given) = map.get(tag) else {
            let about = self.around();
            if let Some(diagnostic) = self.tell(place, format!("{about}`{tag}` is missing")) {
                diagnostic.help = Some(format!("`{tag}` must be {}{}", one_of(words.len()), listed(words)));
            }
            return;
        };
        let chosen = branches.iter().find_map(|branch| match branch {
            Branch::Tagged(_, word, schema) if given.as_str() == Some(word) => Some(*schema),
            _ => None,
        });
        match chosen {
            Some(schema) => self.value(schema, value, places, place),
            None => {
                let at = self.key_place(places, tag).unwrap_or(place);
                self.trail.push(tag);
                self.word(&words, given, at);
                self.trail.pop();
            }
        }
    }

    fn one_key(
        &mut self,
        keys: &[&'a str],
        branches: &[Branch<'a>],
        map: &'a Map<String, Value>,
        value: &'a Value,
        places: &'a Places,
        place: Place,
    ) {
        let mut unknown = false;
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            unknown = true;
            let at = self.key_place(places, key).unwrap_or(place);
            let near = closest(key, keys.iter().copied());
            let allowed = format!("allowed are {}", listed(keys.iter().copied()));
            if let Some(diagnostic) = self.tell(at, format!("unknown key `{key}`")) {
                diagnostic.help = Some(match near {
                    Some(near) => format!("did you mean `{near}`? {allowed}"),
                    None => allowed,
                });
                // `secret: { vlaue: hunter2 }` must not be repeated.
                if keys.contains(&"generate") {
                    diagnostic.snippet = None;
                }
            }
        }
        if unknown {
            return;
        }
        if map.len() != 1 {
            let name = self.name();
            let wanted = listed(keys.iter().copied());
            if let Some(diagnostic) =
                self.tell(place, format!("{name} needs exactly one of {wanted}, and has {}", map.len()))
                && keys.contains(&"generate")
            {
                diagnostic.snippet = None;
            }
            return;
        }
        let chosen = branches.iter().find_map(|branch| match branch {
            Branch::OneKey(key, schema) if map.contains_key(*key) => Some(*schema),
            _ => None,
        });
        if let Some(schema) = chosen {
            self.value(schema, value, places, place);
        }
    }

    fn key_place(&self, places: &Places, key: &str) -> Option<Place> {
        let Children::Map(entries) = &places.children else { return None };
        entries.iter().find(|entry| self.sources.text_of(entry.key) == key).map(|entry| entry.place)
    }

    fn description(&self, schema: &'a Value) -> Option<String> {
        let text = schema
            .get("description")
            .or_else(|| self.resolve(schema).get("description"))
            .and_then(Value::as_str)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What the value at hand is called.
    fn name(&self) -> String {
        self.trail.last().map_or_else(|| "a stack file".to_owned(), |name| format!("`{name}`"))
    }

    /// Whose key is spoken about, as the beginning of a sentence.
    fn around(&self) -> String {
        self.trail.last().map_or_else(String::new, |name| format!("in `{name}`, "))
    }
}

fn allows(kinds: &Value, value: &Value) -> bool {
    let one = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        _ => true,
    };
    match kinds {
        Value::String(kind) => one(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(one),
        _ => true,
    }
}

fn in_words(kinds: &Value) -> String {
    let word = |kind: &str| match kind {
        "boolean" => "true or false",
        "object" => "a map",
        "array" => "a list",
        "number" => "a number",
        "integer" => "a whole number",
        "string" => "text",
        _ => "a value",
    };
    match kinds {
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .map(word)
            .collect::<Vec<_>>()
            .join(" or "),
        kind => word(kind.as_str().unwrap_or("")).to_owned(),
    }
}

/// What a value is called.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn one_of(count: usize) -> &'static str {
    if count == 1 { "" } else { "one of " }
}

fn form_in_words(form: &str) -> &'static str {
    match form {
        "cidr" => "a network range, as in `10.0.0.0/16`",
        "duration" => "a duration, as in `30s`, `1h30m` or `15d`",
        "quantity" => "a quantity, as in `500m` or `512Mi`",
        "dns-name" => "a DNS name",
        "dns-label" => "a DNS label",
        "url" => "an absolute address",
        "cron" => "a cron schedule, as in `17 2 * * *`",
        "kubernetes-version" => "a minor version of Kubernetes, as in `\"1.35\"`",
        _ => "of another form",
    }
}
