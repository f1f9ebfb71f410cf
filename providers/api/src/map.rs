//! Maps of values: sorted pairs in one piece of memory.
//!
//! Most maps of a stack have a handful of keys and there are several per resource. A balanced tree sets aside room for
//! eleven pairs from the first one on, which at a hundred thousand resources is most of the memory of a run.

use std::fmt;

use crate::Value;

/// A map from text to values, sorted by key, so that equal maps have one form.
#[derive(Clone, PartialEq, Default)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// An empty map.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        // What arrives in order goes to the end.
        match self.0.last() {
            Some((last, _)) if last.as_str() < key => Err(self.0.len()),
            _ => self.0.binary_search_by(|(found, _)| found.as_str().cmp(key)),
        }
    }

    /// The value at a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// The value at a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether it has a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Sets the value at a key and gives the one before.
    pub fn insert(&mut self, key: String, value: Value) -> Option<Value> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Removes a key and gives its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The place of a key, taken or not.
    pub fn entry(&mut self, key: String) -> Entry<'_> {
        let at = self.find(&key);
        Entry { map: self, key, at }
    }

    /// Keeps the pairs for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut Value) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &String> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values, in order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The values by themselves.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.0.into_iter().map(|(_, value)| value)
    }

    /// The pairs, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(pair)
    }

    /// The pairs, the values to be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        self.0.iter_mut().map(pair_mut)
    }
}

fn pair(entry: &(String, Value)) -> (&String, &Value) {
    (&entry.0, &entry.1)
}

fn pair_mut(entry: &mut (String, Value)) -> (&String, &mut Value) {
    (&entry.0, &mut entry.1)
}

type Pairs<'a> = std::slice::Iter<'a, (String, Value)>;
type PairsMut<'a> = std::slice::IterMut<'a, (String, Value)>;
/// The pairs of a [`Map`].
pub type Iter<'a> = std::iter::Map<Pairs<'a>, fn(&'a (String, Value)) -> (&'a String, &'a Value)>;
/// The pairs of a [`Map`], the values to be changed.
pub type IterMut<'a> =
    std::iter::Map<PairsMut<'a>, fn(&'a mut (String, Value)) -> (&'a String, &'a mut Value)>;

/// The place of a key in a [`Map`].
pub struct Entry<'a> {
    map: &'a mut Map,
    key: String,
    at: Result<usize, usize>,
}

impl<'a> Entry<'a> {
    /// The value there; if there is none, first the given one is put there.
    pub fn or_insert_with(self, make: impl FnOnce() -> Value) -> &'a mut Value {
        let at = match self.at {
            Ok(at) => at,
            Err(at) => {
                self.map.0.insert(at, (self.key, make()));
                at
            }
        };
        &mut self.map.0[at].1
    }

    /// The value there; if there is none, first the given one is put there.
    pub fn or_insert(self, value: Value) -> &'a mut Value {
        self.or_insert_with(|| value)
    }

    /// The value there; if there is none, null.
    pub fn or_default(self) -> &'a mut Value {
        self.or_insert_with(Value::default)
    }
}

impl<K: AsRef<str> + ?Sized> std::ops::Index<&K> for Map {
    type Output = Value;

    /// The value at a key that is known to be there.
    fn index(&self, key: &K) -> &Value {
        match self.get(key.as_ref()) {
            Some(value) => value,
            None => panic!("there is no key `{}`", key.as_ref()),
        }
    }
}

impl FromIterator<(String, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let mut all = Vec::with_capacity(pairs.size_hint().0);
        all.extend(pairs);
        let sorted = all.is_sorted_by(|(one, _), (next, _)| one < next);
        if !sorted {
            // Of equal keys the last one counts: stable sorting keeps it last.
            all.sort_by(|(one, _), (other, _)| one.cmp(other));
            all.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(&mut later.1, &mut earlier.1);
                }
                same
            });
        }
        Self(all)
    }
}

impl Extend<(String, Value)> for Map {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a String, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a String, &'a mut Value);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<const N: usize> From<[(String, Value); N]> for Map {
    fn from(pairs: [(String, Value); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map(pairs in proptest::collection::vec(("[a-f]{0,2}", 0i64..9), 0..20), gone in "[a-f]{0,2}") {
            let pairs: Vec<(String, Value)> =
                pairs.into_iter().map(|(key, number)| (key, Value::from(number))).collect();
            let mut model: BTreeMap<String, Value> = pairs.iter().cloned().collect();
            let collected: Map = pairs.iter().cloned().collect();
            let mut inserted = Map::new();
            for (key, value) in pairs {
                inserted.insert(key, value);
            }
            prop_assert_eq!(&collected, &inserted);
            prop_assert_eq!(inserted.remove(&gone), model.remove(&gone));
            prop_assert_eq!(inserted.contains_key(&gone), false);
            inserted.entry(gone.clone()).or_insert(7.into());
            model.entry(gone).or_insert(7.into());
            let ours: Vec<_> = inserted.iter().collect();
            let theirs: Vec<_> = model.iter().collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
