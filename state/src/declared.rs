//! The desired graph of the newest revision, as a checkpoint holds it: text, until somebody looks at it. Plans never do,
//! and it is as long as what exists.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use plinth_provider::{Resource, Urn};

use crate::DataKeys;
use crate::lines::{Flaw, Parsed, items};

/// The resources that the newest revision declared, by their names.
#[derive(Default)]
pub struct Declared {
    known: OnceLock<BTreeMap<Urn, Arc<Resource>>>,
    /// What `known` is made of; empty once it is.
    unread: Mutex<Option<Unread>>,
}

/// A checkpoint's list, and what entries after it told.
#[derive(Clone)]
struct Unread {
    checkpoint: Arc<Parsed<Bytes>>,
    section: &'static str,
    keys: DataKeys,
    since: Vec<Since>,
}

#[derive(Clone, Debug)]
enum Since {
    Set(Arc<Resource>),
    Removed(Urn),
    Renamed(Urn, Urn),
}

impl Declared {
    /// What a section of a checkpoint lists.
    pub(crate) fn of(checkpoint: Arc<Parsed<Bytes>>, section: &'static str, keys: &DataKeys) -> Self {
        let unread = Unread { checkpoint, section, keys: keys.clone(), since: Vec::new() };
        Self { known: OnceLock::new(), unread: Mutex::new(Some(unread)) }
    }

    fn unread(&self) -> MutexGuard<'_, Option<Unread>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads it, unless that was done. Whoever is about to write to the log does this first, so that a flaw is found
    /// before anything depends on it.
    pub(crate) fn read(&self) -> Result<&BTreeMap<Urn, Arc<Resource>>, Flaw> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let mut unread = self.unread();
        let read = unread.as_ref().map_or_else(|| Ok(BTreeMap::new()), Unread::read)?;
        *unread = None;
        Ok(self.known.get_or_init(|| read))
    }

    pub(crate) fn set(&mut self, resource: Arc<Resource>) {
        self.change(Since::Set(resource));
    }

    pub(crate) fn remove(&mut self, urn: &Urn) {
        self.change(Since::Removed(urn.clone()));
    }

    pub(crate) fn rename(&mut self, from: &Urn, to: &Urn) {
        self.change(Since::Renamed(from.clone(), to.clone()));
    }

    fn change(&mut self, change: Since) {
        let unread = self.unread.get_mut().unwrap_or_else(PoisonError::into_inner);
        match unread {
            Some(unread) => unread.since.push(change),
            None => {
                self.known.get_or_init(BTreeMap::new);
                if let Some(known) = self.known.get_mut() {
                    change.apply(known);
                }
            }
        }
    }
}

impl Unread {
    fn read(&self) -> Result<BTreeMap<Urn, Arc<Resource>>, Flaw> {
        let resources: Vec<Resource> = items(&self.checkpoint.section(self.section), &self.keys)?;
        let named = resources.into_iter().map(|resource| (resource.urn.clone(), Arc::new(resource)));
        let mut read: BTreeMap<_, _> = named.collect();
        self.since.iter().cloned().for_each(|change| change.apply(&mut read));
        Ok(read)
    }
}

impl Since {
    fn apply(self, known: &mut BTreeMap<Urn, Arc<Resource>>) {
        match self {
            Self::Set(resource) => drop(known.insert(resource.urn.clone(), resource)),
            Self::Removed(urn) => drop(known.remove(&urn)),
            Self::Renamed(from, to) => {
                if let Some(mut resource) = known.remove(&from) {
                    Arc::make_mut(&mut resource).urn = to.clone();
                    known.insert(to, resource);
                }
            }
        }
    }
}

/// A graph that cannot be read is taken for an empty one here: the next revision records all of its own.
impl Deref for Declared {
    type Target = BTreeMap<Urn, Arc<Resource>>;

    fn deref(&self) -> &Self::Target {
        static NOTHING: BTreeMap<Urn, Arc<Resource>> = BTreeMap::new();
        match self.read() {
            Ok(known) => known,
            Err(flaw) => {
                tracing::error!("what the newest revision declared cannot be read: {flaw}");
                &NOTHING
            }
        }
    }
}

impl Clone for Declared {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), unread: Mutex::new(self.unread().clone()) }
    }
}

impl PartialEq for Declared {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use plinth_provider::Value;
    use proptest::prelude::*;

    use super::*;
    use crate::lines::Builder;

    const SECTION: &str = "declared";

    fn urn(name: u8) -> Urn {
        Urn::new("s", "plinth:Data", &format!("r{name}")).unwrap()
    }

    fn resource(name: u8, value: u8) -> Arc<Resource> {
        Arc::new(Resource::new(urn(name), Value::from([("value", Value::from(i64::from(value)))])))
    }

    fn checkpoint(lines: impl IntoIterator<Item = String>) -> Arc<Parsed<Bytes>> {
        let mut builder = Builder::new(&serde_json::json!({ "version": 2 })).unwrap();
        builder.section(SECTION);
        lines.into_iter().for_each(|line| builder.item(&line));
        Arc::new(Parsed::new(Bytes::from(builder.finish().0)).unwrap())
    }

    fn changes() -> impl Strategy<Value = Vec<Since>> {
        let one = prop_oneof![
            (0..6u8, any::<u8>()).prop_map(|(name, value)| Since::Set(resource(name, value))),
            (0..6u8).prop_map(|name| Since::Removed(urn(name))),
            (0..6u8, 0..6u8).prop_map(|(from, to)| Since::Renamed(urn(from), urn(to))),
        ];
        proptest::collection::vec(one, 0..12)
    }

    proptest! {
        /// What entries tell before somebody looks comes to the same as what they tell afterwards.
        #[test]
        fn it_makes_no_difference_when_it_is_read(held in 0..6u8, changes in changes(), looked_at in 0..12usize) {
            let line = |name| serde_json::to_string(&*resource(name, 0)).unwrap();
            let declared = || Declared::of(checkpoint((0..held).map(line)), SECTION, &DataKeys::default());
            let (mut late, mut early, mut between) = (declared(), declared(), declared());
            early.read().unwrap();
            for (at, change) in changes.into_iter().enumerate() {
                if at == looked_at {
                    between.read().unwrap();
                }
                for declared in [&mut late, &mut early, &mut between] {
                    declared.change(change.clone());
                }
            }
            prop_assert_eq!(&late.clone(), &early);
            prop_assert_eq!(&between, &early);
            prop_assert_eq!(late.read().unwrap(), &*early);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let declared = Declared::of(checkpoint(["{\"urn\":7}".to_owned()]), SECTION, &DataKeys::default());
        assert!(declared.read().is_err() && declared.clone().read().is_err());
    }

    #[test]
    fn nothing_is_declared_at_first() {
        let mut declared = Declared::default();
        declared.remove(&urn(0));
        assert!(declared.is_empty());
        declared.set(resource(1, 1));
        assert_eq!(declared.keys().collect::<Vec<_>>(), [&urn(1)]);
    }
}
