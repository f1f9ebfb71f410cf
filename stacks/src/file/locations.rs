//! Where the parts of a merged stack file stand.

use std::path::PathBuf;

use plinth_provider::{Path, Segment};

use super::diagnostic::{Diagnostic, Location};
use super::environment::Environment;
use super::node::{Children, Place, Places, Sources};
use super::secrets::StackSecrets;

/// Where the parts of a merged stack file stand, and what was passed in for it. Cheap to look up, compact to keep.
#[derive(Debug, Clone, Default)]
pub struct Locations {
    pub(crate) sources: Sources,
    pub(crate) root: Places,
    pub(crate) environment: Environment,
    pub(crate) secrets: StackSecrets,
    pub(crate) directory: PathBuf,
}

impl Locations {
    /// With the stack's own secrets, for what `{ fromStack: NAME }` and `${secret.NAME}` refer to.
    #[must_use]
    pub fn with_secrets(self, secrets: StackSecrets) -> Self {
        Self { secrets, ..self }
    }

    /// Where the part at a path (such as `platform.loki.ingester.replicas`) stands. For what is not written in any
    /// file, the place of the nearest part around it that is.
    pub fn find(&self, path: &Path) -> Option<Location> {
        self.sources.location(self.place(path))
    }

    /// A diagnostic about the part at a path.
    pub fn diagnostic(&self, path: &Path, message: impl Into<String>) -> Diagnostic {
        self.sources.diagnostic(self.place(path), message)
    }

    /// The place to point at for a path: of a map's key rather than of its value.
    pub(crate) fn place(&self, path: &Path) -> Place {
        let mut places = &self.root;
        let mut best = places.place;
        for segment in path.segments() {
            let Some((place, child)) = self.child(places, segment) else { break };
            if place.column > 0 {
                best = place;
            }
            places = child;
        }
        best
    }

    fn child<'a>(&self, places: &'a Places, segment: &Segment) -> Option<(Place, &'a Places)> {
        match (segment, &places.children) {
            (Segment::Index(index), Children::List(list)) => {
                list.get(*index).map(|child| (child.place, child))
            }
            (Segment::Key(key), Children::Map(entries)) => {
                let key = self.sources.known_key(key)?;
                entries.iter().find(|entry| entry.key == key).map(|entry| (entry.place, &entry.value))
            }
            _ => None,
        }
    }
}
