//! `plinth check`

use clap::Args;

use plinth_stacks::check::Severity;

use super::failure::{Code, Failure};
use super::own;
use super::session::load;
use super::stack_args::{StackArgs, style};
use crate::present;

/// Check the stack file and its readiness for production, before anything is touched
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    stack: StackArgs,
    /// Print instead the policy that whoever applies the stack needs in its account, and what is missing of it
    #[arg(long)]
    permissions: bool,
}

impl Check {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let loaded = load(&self.stack.file(), &self.stack.stack)?;
        if self.permissions {
            return super::permissions::run(&loaded, self.stack.output).await;
        }
        let target = plinth_stacks::program::Target { rehearse: self.stack.place.rehearse, offline: true };
        own::resources(&loaded, &target)?;
        let report = plinth_stacks::check::check(&loaded.stack, &loaded.locations);
        if self.stack.output.json {
            for event in present::check::events(&report) {
                present::out(&format!("{event}\n"));
            }
        } else {
            present::out(&present::check::text(loaded.stack.name.as_str(), &report, &style()));
        }
        Ok(if report.iter().any(|finding| finding.severity == Severity::Error) {
            Code::Error
        } else {
            Code::Done
        })
    }
}
