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

impl Completions {
    /// Runs the command.
    pub fn run(self) -> Result<Code, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "plinth", &mut script);
        present::out(&String::from_utf8_lossy(&script));
        Ok(Code::Done)
    }
}
