//! Stack files on disk: reading, merging, checking, and telling what is wrong with them and where. The model itself is
//! in `model`; nothing here knows what a component needs.

mod diagnostic;
mod environment;
mod extends;
mod interpolation;
mod locations;
mod meaning;
mod node;
mod parse;
mod patterns;
mod promotion;
mod references;
mod secrets;
#[cfg(test)]
mod tests;
mod validate;

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub use diagnostic::{Diagnostic, Location, Snippet};
pub(crate) use interpolation::{Piece, pieces, split};
pub use locations::Locations;
pub use promotion::{overlay, promotable};
pub use secrets::{SecretUse, StackSecrets, check_secret_name};

use crate::model::Stack;
use node::{Node, Sources};

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
    let mut sources = Sources::default();
    let root = extends::read(path, &mut sources)?;
    finish(root, sources, path, environment)
}

/// Reads a stack file's text as if it stood in a file of that path.
///
/// # Errors
/// As [`load`].
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let root = extends::read_text(path, text, &mut sources)?;
    finish(root, sources, path, &|_| None)
}

/// Makes a stack of a tree that was changed after loading, such as by `overlay`.
///
/// # Errors
/// As [`load`]; places are those of the nearest parts that stand in a file.
pub fn load_from_tree(tree: Value, locations: Locations) -> Result<Loaded, Vec<Diagnostic>> {
    let mut found = Vec::new();
    validate::validate(&SCHEMA, &tree, &locations.root, &locations.sources, &mut found);
    references::check(&tree, &locations.root, &locations.sources, &mut found);
    let (resolved, mut missing) = environment::resolve(&tree, &locations);
    let secret_uses = secrets::uses(&tree);
    let resolved = secrets::resolve(resolved, &tree, &secret_uses, &locations, &mut missing);
    let resolved = resolved.as_ref().unwrap_or(&tree);
    let stack = match Stack::deserialize(resolved) {
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

fn finish(
    mut root: Node,
    sources: Sources,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Vec<Diagnostic>> {
    extends::drop_nulls(&mut root, &sources);
    let (tree, places) = root.split(&sources);
    let environment = environment::gather(&tree, environment);
    let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
    load_from_tree(tree, Locations { sources, root: places, environment, directory, ..Locations::default() })
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Stack);
    schema.insert("$id".to_owned(), "https://plinth.dev/schemas/stack/v1.json".into());
    schema.insert("title".to_owned(), "Plinth stack file".into());
    let mut schema = schema.to_value();
    environment::extend_schema(&mut schema);
    secrets::extend_schema(&mut schema);
    schema
});

/// The JSON Schema (draft 2020-12) of stack files.
pub fn schema() -> Value {
    SCHEMA.clone()
}
