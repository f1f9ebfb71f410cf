//! Asking the user.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use tokio::sync::oneshot;

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

    /// Asks a question that only `yes` answers with yes. Whoever gives up waiting for the answer goes on in a new line.
    pub async fn ask(self, question: &str) -> bool {
        if self.yes {
            return true;
        }
        present::prompt(&format!("{question} Only `yes` is taken as approval: "));
        let (answer, answered) = oneshot::channel();
        // A thread that nobody waits for: an interrupt must not need the Enter key too.
        let read = move || {
            let mut line = String::new();
            let is_read = std::io::stdin().lock().read_line(&mut line).is_ok();
            let _ = answer.send(is_read && line.trim() == "yes");
        };
        if std::thread::Builder::new().name("answer".to_owned()).spawn(read).is_err() {
            return false;
        }
        let mut line = Unfinished(true);
        let approved = answered.await.unwrap_or(false);
        line.0 = false;
        approved
    }
}

/// A line on the terminal that somebody else is still to end.
struct Unfinished(bool);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0 {
            present::out("\n");
        }
    }
}
