//! The comparison of what was applied with what is there: on the applied paths only, in the server's own terms.

use plinth_provider::{Map, Path, Value};

use super::fields::{self, Owners, Step};
use crate::kind::Gvk;
use crate::quantity;
use crate::schema::{self, Shape};

/// One place where they differ.
#[derive(Debug, Clone)]
pub(super) struct Difference {
    pub path: Path,
    pub steps: Vec<Step>,
    pub recorded: Value,
    pub live: Option<Value>,
}

pub(super) struct Compare<'a> {
    gvk: &'a Gvk,
    owners: &'a Owners<'a>,
    steps: Vec<Step>,
    found: Vec<Difference>,
}

fn peel(value: &Value) -> &Value {
    match value {
        Value::Secret(inner) => peel(inner),
        other => other,
    }
}

impl<'a> Compare<'a> {
    pub(super) fn new(gvk: &'a Gvk, owners: &'a Owners<'a>) -> Self {
        Self { gvk, owners, steps: Vec::new(), found: Vec::new() }
    }

    pub(super) fn run(mut self, recorded: &Value, live: &Value) -> Vec<Difference> {
        let shape = schema::shape_of(self.gvk);
        self.value(shape.as_ref(), recorded, Some(live), &Path::root());
        self.found
    }

    fn differs(&mut self, path: &Path, recorded: &Value, live: Option<&Value>) {
        self.found.push(Difference {
            path: path.clone(),
            steps: self.steps.clone(),
            recorded: recorded.clone(),
            // What is there in the place of a secret may be one too.
            live: live
                .map(|live| if recorded.has_secret() { Value::secret(live.clone()) } else { live.clone() }),
        });
    }

    fn value(&mut self, shape: Option<&Shape>, recorded: &Value, live: Option<&Value>, path: &Path) {
        if recorded.has_unknown() {
            return;
        }
        let Some(live) = live else {
            match (shape, peel(recorded)) {
                _ if self.is_left_out(recorded) => {}
                // The map went with the last of its keys: name the keys that are missed.
                (Some(Shape::Map(_)), Value::Map(old)) => {
                    self.map(shape, old, &Map::new(), path);
                }
                _ => self.differs(path, recorded, None),
            }
            return;
        };
        match (peel(recorded), peel(live)) {
            (Value::Map(old), Value::Map(new)) => self.map(shape, old, new, path),
            (Value::List(old), Value::List(new)) => self.list(shape, old, new, (recorded, live), path),
            (old, new) => {
                if !same_scalar(shape, old, new) {
                    self.differs(path, recorded, Some(live));
                }
            }
        }
    }

    fn map(&mut self, shape: Option<&Shape>, old: &Map, new: &Map, path: &Path) {
        for (key, value) in old {
            let inner = child_shape(shape, key);
            self.steps.push(Step::Field(key.clone()));
            if !self.is_injected(key, new.get(key)) {
                self.value(inner.as_ref(), value, new.get(key), &path.key(key.as_str()));
            }
            self.steps.pop();
        }
    }

    /// The server leaves out what is empty or false. It is there as long as we are recorded as its owner; without any
    /// record, an empty value counts as there.
    fn is_left_out(&self, recorded: &Value) -> bool {
        is_zero(peel(recorded)) && (self.owners.is_empty() || self.owners.is_ours(&self.steps))
    }

    /// A CA that somebody injects in the place of ours.
    fn is_injected(&self, key: &str, live: Option<&Value>) -> bool {
        key == "caBundle" && live.is_some() && !self.owners.is_ours(&self.steps)
    }

    fn list(
        &mut self,
        shape: Option<&Shape>,
        old: &[Value],
        new: &[Value],
        whole: (&Value, &Value),
        path: &Path,
    ) {
        let (item, keys) = self.keys(shape);
        let node = self.owners.our_node(&self.steps);
        if keys.is_empty()
            && (node.is_some_and(fields::is_set) || *path == Path::parse("metadata.finalizers"))
        {
            for (at, value) in old.iter().enumerate() {
                if !new.contains(value) {
                    self.steps.push(Step::Item(value.clone()));
                    self.differs(&path.index(at), value, None);
                    self.steps.pop();
                }
            }
            return;
        }
        if keys.is_empty() {
            if old.len() != new.len() {
                self.differs(path, whole.0, Some(whole.1));
                return;
            }
            // Owned as a whole: whoever changed one item owns the list.
            let before = self.found.len();
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                self.value(item.as_ref(), old, Some(new), &path.index(at));
            }
            for difference in &mut self.found[before..] {
                difference.steps.clone_from(&self.steps);
            }
            return;
        }
        let mut places = Vec::new();
        for (at, value) in old.iter().enumerate() {
            self.steps.push(Step::Item(value.clone()));
            match new.iter().position(|other| same_item(&keys, value, other)) {
                Some(place) => {
                    places.push(place);
                    self.value(item.as_ref(), value, Some(&new[place]), &path.index(at));
                }
                None => self.differs(&path.index(at), value, None),
            }
            self.steps.pop();
        }
        // Items of others may stand between ours, but ours keep their order.
        if !places.is_sorted() {
            self.differs(path, whole.0, Some(whole.1));
        }
    }

    /// The shape of a list's items, and what they are told apart by.
    fn keys(&self, shape: Option<&Shape>) -> (Option<Shape>, Vec<String>) {
        match shape {
            Some(Shape::List { item, keys }) => {
                (Some((**item).clone()), keys.iter().map(|key| (*key).to_owned()).collect())
            }
            _ => (None, self.owners.our_node(&self.steps).map(fields::keys_of).unwrap_or_default()),
        }
    }
}

fn child_shape(shape: Option<&Shape>, key: &str) -> Option<Shape> {
    match shape? {
        Shape::Object(name) => schema::object(name)?.fields.get(key).cloned(),
        Shape::Map(item) => Some((**item).clone()),
        _ => None,
    }
}

fn same_item(keys: &[String], a: &Value, b: &Value) -> bool {
    keys.iter().all(|key| {
        let of = |item: &Value| match item.get(key) {
            Some(value) => Some(value.expose()),
            None => schema::default_key(key).map(Into::into),
        };
        of(a) == of(b)
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.values().all(is_zero),
        _ => false,
    }
}

fn same_scalar(shape: Option<&Shape>, old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => old == new || old.as_f64() == new.as_f64(),
        (Value::String(old), Value::String(new)) if old != new => match shape {
            Some(Shape::Quantity) => quantity::same(old, new),
            Some(Shape::Time) => same_time(old, new),
            // Controllers of custom resources rewrite what means the same: 8760h becomes 8760h0m0s.
            None => same_duration(old, new) || (ends_in_letter(old) && quantity::same(old, new)),
            _ => false,
        },
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            shape.is_none() && number.to_string() == *text
        }
        _ => old == new,
    }
}

fn ends_in_letter(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphabetic())
}

fn same_time(old: &str, new: &str) -> bool {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    time(old).is_some() && time(old) == time(new)
}

/// Whether two texts are the same duration as Go writes them.
fn same_duration(old: &str, new: &str) -> bool {
    matches!((duration(old), duration(new)), (Some(old), Some(new)) if old == new)
}

/// A duration in nanoseconds: `1h30m`, `8760h0m0s`, `1.5s`.
fn duration(text: &str) -> Option<i128> {
    let mut total: i128 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() > 12 || fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        total += whole * scale + part * scale / 10i128.pow(fraction.len() as u32);
        rest = tail;
    }
    Some(total)
}
