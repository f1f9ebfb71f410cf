//! Stack files on disk: reading, merging, checking, and telling what is wrong with them and where. The model itself is
//! in `model`; nothing here knows what a component needs.

mod diagnostic;
mod environment;
mod extends;
mod interpolation;
mod locations;
mod meaning;
mod node;
mod outline;
mod parse;
mod patterns;
mod promotion;
mod references;
mod secrets;
#[cfg(test)]
mod tests;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub use diagnostic::{Diagnostic, Location, Snippet};
pub(crate) use interpolation::{Piece, pieces, split};
pub use locations::Locations;
pub use outline::outline;
pub use promotion::{overlay, promotable};
pub use secrets::{SecretUse, StackSecrets, check_secret_name};

use crate::model::{Settings, Stack};
use node::{Node, Places, Sources};

/// A stack file that was read and found right.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The stack.
    pub stack: Stack,
    /// The merged file as plain JSON, as `promotable` and `overlay` want it.
    pub tree: Value,
    /// Where the parts of the tree stand.
    pub locations: Locations,
    /// Secrets that the file expects from the environment, or that are to be set for the stack, and that were not passed
    /// in. The stack holds made-up ones in their place, which is right for looking at it and for rehearsing it, and wrong for
    /// applying it.
    pub missing: Vec<Diagnostic>,
    /// Where the file refers to the stack's own secrets.
    pub secret_uses: Vec<SecretUse>,
}

impl Loaded {
    /// Where the entry of `resources:` with this name stands.
    pub fn resource_location(&self, name: &str) -> Option<Location> {
        let position = self.stack.resources.iter().position(|entry| entry.name == name)?;
        self.locations.find(&plinth_provider::Path::parse("resources").index(position).key("name"))
    }
}

/// Reads a stack file and everything it extends, with nothing passed in for secrets from the environment.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be told in one go, in the order of the file.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    load_with(path, &|_| None)
}

/// Reads a stack file and everything it extends. `environment` gives the values of `{ fromEnvironment: NAME }`.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Vec<Diagnostic>> {
    read(path)?.judged(environment)
}

/// A stack file that was read, with everything it extends, and not judged yet.
#[derive(Debug)]
pub struct Draft {
    tree: Value,
    sources: Sources,
    places: Places,
    directory: PathBuf,
}

/// Reads a stack file and everything it extends, and judges nothing but its form.
///
/// # Errors
/// When it is no YAML, or cannot be read.
pub fn read(path: &Path) -> Result<Draft, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let root = extends::read(path, &mut sources)?;
    Ok(Draft::new(root, sources, path))
}

impl Draft {
    fn new(mut root: Node, sources: Sources, path: &Path) -> Self {
        extends::drop_nulls(&mut root);
        let Node { value: tree, places } = root;
        let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self { tree, sources, places, directory }
    }

    /// The name and the settings that the stack will have if nothing is wrong with them: enough to look for its state
    /// while the rest is judged.
    pub fn outline(&self) -> Option<(String, Settings)> {
        let name = self.tree.get("name")?.as_str()?.to_owned();
        let settings =
            self.tree.get("settings").map_or_else(|| Ok(Settings::default()), Settings::deserialize);
        Some((name, settings.ok()?))
    }

    /// The stack, if nothing is wrong with it. `environment` gives the values of `{ fromEnvironment: NAME }`.
    ///
    /// # Errors
    /// As [`load`].
    pub fn judged(self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Vec<Diagnostic>> {
        let Self { tree, sources, places, directory } = self;
        let environment = environment::gather(&tree, environment);
        load_from_tree(
            tree,
            Locations { sources, root: places, environment, directory, ..Locations::default() },
        )
    }
}

/// Reads a stack file's text as if it stood in a file of that path.
///
/// # Errors
/// As [`load`].
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let root = extends::read_text(path, text, &mut sources)?;
    Draft::new(root, sources, path).judged(&|_| None)
}

/// Makes a stack of a tree that was changed after loading, such as by `overlay`.
///
/// # Errors
/// As [`load`]; places are those of the nearest parts that stand in a file.
pub fn load_from_tree(tree: Value, locations: Locations) -> Result<Loaded, Vec<Diagnostic>> {
    let judge = || {
        let mut found = Vec::new();
        validate::validate(&SCHEMA, &tree, &locations.root, &locations.sources, &mut found);
        found
    };
    let make = || {
        let mut found = Vec::new();
        references::check(&tree, &locations.root, &locations.sources, &mut found);
        let (resolved, mut missing) = environment::resolve(&tree, &locations);
        let secret_uses = secrets::uses(&tree);
        let resolved = secrets::resolve(resolved, &tree, &secret_uses, &locations, &mut missing);
        (Stack::deserialize(resolved.as_ref().unwrap_or(&tree)), found, resolved, missing, secret_uses)
    };
    let entries = tree.get("resources").and_then(Value::as_array).map_or(0, Vec::len);
    let (mut found, (stack, more, resolved, missing, secret_uses)) = match entries < MANY {
        true => (judge(), make()),
        false => std::thread::scope(|scope| {
            let judging = scope.spawn(judge);
            let made = make();
            (judging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), made)
        }),
    };
    found.extend(more);
    found.truncate(validate::MOST_DIAGNOSTICS);
    let resolved = resolved.as_ref().unwrap_or(&tree);
    let stack = match stack {
        Ok(mut stack) => {
            stack.directory.clone_from(&locations.directory);
            stack.secrets.clone_from(&locations.secrets.values);
            meaning::check(&stack, &tree, &locations, &mut found);
            Some(stack)
        }
        Err(_) if !found.is_empty() => None,
        // The schema and the types disagree: say at least what and where.
        Err(_) => {
            if let Err(error) = serde_path_to_error::deserialize::<_, Stack>(resolved) {
                let path = plinth_provider::Path::parse(&error.path().to_string());
                found.push(locations.diagnostic(&path, error.into_inner().to_string()));
            }
            None
        }
    };
    match stack {
        Some(stack) if found.is_empty() => Ok(Loaded { stack, tree, locations, missing, secret_uses }),
        _ => {
            found.sort_by(|one, other| one.location.cmp(&other.location));
            found.dedup();
            if found.len() >= validate::MOST_DIAGNOSTICS {
                let more = Diagnostic::new("there may be more mistakes; these are the first");
                found.push(more.help("correct them and try again"));
            }
            Err(found)
        }
    }
}

/// From so many resources on, judging the tree and making the stack of it are worth a thread each.
const MANY: usize = 4096;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Stack);
    schema.insert("$id".to_owned(), "https://plinth.dev/schemas/stack/v1.json".into());
    schema.insert("title".to_owned(), "Plinth stack file".into());
    let mut schema = schema.to_value();
    environment::extend_schema(&mut schema);
    secrets::extend_schema(&mut schema);
    schema
});

/// Makes ready what every stack file is judged by, so that whoever reads a large one need not wait for it afterwards.
pub fn prepare() {
    LazyLock::force(&SCHEMA);
}

/// The JSON Schema (draft 2020-12) of stack files.
pub fn schema() -> Value {
    SCHEMA.clone()
}
