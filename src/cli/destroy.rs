//! `plinth destroy`

use clap::Args;

use super::failure::{Code, Failure};
use super::run::{RunArgs, run};
use super::scope::PartArgs;
use super::session::Session;
use super::stack_args::StackArgs;
use crate::engine::Target;

/// Delete everything that the stack made, except what is to be retained
#[derive(Debug, Args)]
pub struct Destroy {
    #[command(flatten)]
    pub(super) stack: StackArgs,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Destroy {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        self.run.approve.can_ask("destroy")?;
        let session = Session::open(&self.stack).await?;
        session.read_ahead(self.run.refresh);
        let target =
            Target::new("destroy", Vec::new(), &session.providers).map_err(|error| session.located(error))?;
        let target = self.part.narrow(target, &session)?;
        run(&session, target, self.run, self.stack.output, None, "Delete all of this?").await
    }
}
