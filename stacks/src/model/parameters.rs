//! A stack's own parameters: what a program of one's own is told by the stack file.

use plinth_provider::{Error, Path, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::Stack;

impl Stack {
    /// What the file says under `parameters`, as a type of the caller's.
    ///
    /// # Errors
    /// When it is not of that type, at the path of what is wrong; whoever knows the file adds line and column.
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T> {
        serde_path_to_error::deserialize(Value::Object(self.parameters.clone())).map_err(|error| {
            let root = Path::root().key("parameters");
            let path = error.path().iter().fold(root, |path, segment| match segment {
                Segment::Seq { index } => path.index(*index),
                Segment::Map { key } => path.key(key),
                Segment::Enum { .. } | Segment::Unknown => path,
            });
            Error::invalid(format!("`{path}`: {}", error.into_inner())).at(path)
        })
    }
}
