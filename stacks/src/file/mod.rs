//! Stack files on disk: reading, merging, checking, and telling what is wrong with them and where. The model itself is
//! in `model`; nothing here knows what a component needs.

mod diagnostic;
mod extends;
mod interpolation;
mod locations;
mod meaning;
mod node;
mod parse;
mod patterns;
mod promotion;
mod references;
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
}

/// Reads a stack file and everything it extends.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be told in one go, in the order of the file.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let root = extends::read(path, &mut sources)?;
    finish(root, sources, path)
}

/// Reads a stack file's text as if it stood in a file of that path.
///
/// # Errors
/// As [`load`].
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let root = extends::read_text(path, text, &mut sources)?;
    finish(root, sources, path)
}

/// Makes a stack of a tree that was changed after loading, such as by `overlay`.
///
/// # Errors
/// As [`load`]; places are those of the nearest parts that stand in a file.
pub fn load_from_tree(
    tree: Value,
    locations: Locations,
    directory: &Path,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut found = Vec::new();
    validate::validate(&SCHEMA, &tree, &locations.root, &locations.sources, &mut found);
    references::check(&tree, &locations.root, &locations.sources, &mut found);
    let stack = match Stack::deserialize(&tree) {
        Ok(mut stack) => {
            stack.directory = directory.to_owned();
            meaning::check(&stack, &tree, &locations, &mut found);
            Some(stack)
        }
        Err(_) if !found.is_empty() => None,
        // The schema and the types disagree: say at least what and where.
        Err(_) => {
            if let Err(error) = serde_path_to_error::deserialize::<_, Stack>(&tree) {
                let path = plinth_provider::Path::parse(&error.path().to_string());
                found.push(locations.diagnostic(&path, error.into_inner().to_string()));
            }
            None
        }
    };
    match stack {
        Some(stack) if found.is_empty() => Ok(Loaded { stack, tree, locations }),
        _ => {
            found.sort_by(|one, other| one.location.cmp(&other.location));
            found.dedup();
            if found.len() >= validate::MOST_DIAGNOSTICS {
                found.push(
                    Diagnostic::new("there may be more mistakes; these are the first")
                        .help("correct them and try again"),
                );
            }
            Err(found)
        }
    }
}

fn finish(mut root: Node, sources: Sources, path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    extends::drop_nulls(&mut root, &sources);
    let (tree, places) = root.split(&sources);
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    load_from_tree(tree, Locations { sources, root: places }, directory)
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Stack);
    schema.insert("$id".to_owned(), "https://plinth.dev/schemas/stack/v1.json".into());
    schema.insert("title".to_owned(), "Plinth stack file".into());
    schema.to_value()
});

/// The JSON Schema (draft 2020-12) of stack files.
pub fn schema() -> Value {
    SCHEMA.clone()
}
