//! `plinth completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::failure::{Code, Failure};
use crate::present;

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// What this program was called by: a program of one's own has its own name.
fn program() -> String {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = called.as_ref().and_then(|path| path.file_stem());
    name.map_or_else(|| "plinth".to_owned(), |name| name.to_string_lossy().into_owned())
}

impl Completions {
    /// Runs the command.
    pub fn run(self) -> Result<Code, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), program(), &mut script);
        present::out(&String::from_utf8_lossy(&script));
        Ok(Code::Done)
    }
}
