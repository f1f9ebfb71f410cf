//! What a kind declares about itself.

use std::time::Duration;

use crate::{Path, Pattern, Segment, Value};

/// The properties of a kind that the engine plans with.
#[derive(Debug, Clone)]
pub struct KindSchema {
    /// Inputs whose change forces a replacement.
    pub immutable: Vec<Pattern>,
    /// Inputs whose change forces a replacement that `update` carries out by itself, since something that belongs to
    /// the old one must outlive it (a StatefulSet's pods and volumes).
    pub recreated: Vec<Pattern>,
    /// Inputs and outputs that are secret whoever sets them.
    pub secret: Vec<Pattern>,
    /// What the system computes: nobody may set it.
    pub computed: Vec<Pattern>,
    /// Inputs by which the provider marks what is its own.
    pub marks: Vec<Pattern>,
    /// Inputs that say how it is deleted: an old instance goes by what they say of the present one.
    pub at_delete: Vec<Path>,
    /// Lists whose order means nothing.
    pub set_like: Vec<Pattern>,
    /// The physical name is fixed, so the old one must go before the new one can come.
    pub delete_before_replace: bool,
    /// How long a create usually takes; the scheduler's weight until the log knows better.
    pub usual_duration: Duration,
    /// How long one operation may take unless the resource says otherwise.
    pub default_timeout: Duration,
}

impl Default for KindSchema {
    fn default() -> Self {
        Self {
            immutable: Vec::new(),
            recreated: Vec::new(),
            secret: Vec::new(),
            computed: Vec::new(),
            marks: Vec::new(),
            at_delete: Vec::new(),
            set_like: Vec::new(),
            delete_before_replace: false,
            usual_duration: Duration::from_millis(500),
            default_timeout: Duration::from_secs(600),
        }
    }
}

impl KindSchema {
    /// Patterns from their texts.
    pub fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text)).collect()
    }
    /// Inputs or outputs with everything wrapped that the kind calls secret.
    pub fn seal(&self, mut value: Value) -> Value {
        for pattern in &self.secret {
            pattern.each(&mut value, &mut |place| *place = Value::secret(std::mem::take(place)));
        }
        value
    }

    /// The first input that is set although the system computes it.
    pub fn computed_in(&self, inputs: &Value) -> Option<Path> {
        if self.computed.is_empty() {
            return None;
        }
        let mut open = vec![(Path::root(), inputs)];
        while let Some((path, value)) = open.pop() {
            if !path.is_root() && self.computed.iter().any(|pattern| pattern.covers(&path)) {
                return Some(path);
            }
            // Only below what a pattern may still reach.
            if !self.computed.iter().any(|pattern| pattern.touches(&path)) {
                continue;
            }
            match value {
                Value::Map(map) => open.extend(map.iter().rev().map(|(key, value)| (path.key(key), value))),
                Value::List(list) => {
                    open.extend(list.iter().enumerate().rev().map(|(at, value)| (path.index(at), value)));
                }
                _ => {}
            }
        }
        None
    }
}

impl Pattern {
    /// Calls `visit` with every place of `value` that the pattern names.
    fn each(&self, value: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
        fn walk(rest: &[Option<Segment>], value: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
            let Some((first, rest)) = rest.split_first() else { return visit(value) };
            match (first, value) {
                // What is secret as a whole needs no more wrapping inside.
                (_, Value::Secret(_)) => {}
                (None, Value::Map(map)) => map.values_mut().for_each(|value| walk(rest, value, visit)),
                (None, Value::List(list)) => list.iter_mut().for_each(|value| walk(rest, value, visit)),
                (Some(Segment::Key(key)), Value::Map(map)) => {
                    if let Some(value) = map.get_mut(key) {
                        walk(rest, value, visit);
                    }
                }
                (Some(Segment::Index(index)), Value::List(list)) => {
                    if let Some(value) = list.get_mut(*index) {
                        walk(rest, value, visit);
                    }
                }
                _ => {}
            }
        }
        walk(self.segments(), value, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kind_calls_secret_is_wrapped_and_what_it_computes_is_found() {
        let schema = KindSchema {
            secret: KindSchema::patterns(&["users[*].password", "token"]),
            computed: KindSchema::patterns(&["status.id", "uid"]),
            ..KindSchema::default()
        };
        let user = Value::from([("name", "a"), ("password", "hush")]);
        let sealed =
            schema.seal(Value::from([("token", Value::from("t")), ("users", Value::List(vec![user]))]));
        assert_eq!(sealed.get("token"), Some(&Value::secret("t")));
        assert_eq!(sealed.at(&"users[0].password".into()), Some(&Value::secret("hush")));
        assert_eq!(sealed.at(&"users[0].name".into()), Some(&Value::from("a")));
        assert_eq!(schema.seal(sealed.clone()), sealed);
        let status = |key: &str| Value::from([("status", Value::from([(key, "x")]))]);
        assert_eq!(schema.computed_in(&status("id")), Some("status.id".into()));
        assert_eq!(schema.computed_in(&status("phase")), None);
    }
}
