//! `plinth schema`

use clap::Args;

use super::failure::{Code, Failure};
use crate::present;

/// Print the JSON Schema of stack files, for editors
#[derive(Debug, Args)]
pub struct Schema {
    /// Accepted by every command; the schema is JSON anyway
    #[arg(long)]
    json: bool,
}

impl Schema {
    /// Runs the command.
    pub fn run(self) -> Result<Code, Failure> {
        let schema = plinth_stacks::file::schema();
        let text = if self.json { Ok(schema.to_string()) } else { serde_json::to_string_pretty(&schema) };
        present::out(&(text.map_err(|error| Failure::new(error.to_string()))? + "\n"));
        Ok(Code::Done)
    }
}
