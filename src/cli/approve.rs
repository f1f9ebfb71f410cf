//! Asking the user.

use std::io::{BufRead, IsTerminal};

use clap::Args;

use super::failure::Failure;
use crate::present;

/// Whether to ask.
#[derive(Debug, Clone, Copy, Args)]
pub struct ApproveArgs {
    /// Do not ask for approval
    #[arg(short, long)]
    pub yes: bool,
}

impl ApproveArgs {
    /// Refuses early where nobody could answer.
    ///
    /// # Errors
    /// When there is no `--yes` and no terminal.
    pub fn can_ask(self, command: &str) -> Result<(), Failure> {
        if self.yes || (std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(());
        }
        Err(Failure::new(format!("`plinth {command}` asks for approval, and this is not a terminal"))
            .help(format!("look at `plinth plan` first, then run `plinth {command} --yes`")))
    }

    /// Asks a question that only `yes` answers with yes.
    pub fn ask(self, question: &str) -> bool {
        if self.yes {
            return true;
        }
        present::prompt(&format!("{question} Only `yes` is taken as approval: "));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
    }
}
