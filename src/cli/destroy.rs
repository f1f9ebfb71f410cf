//! `plinth destroy`

use clap::Args;

use super::failure::{Code, Failure};
use super::run::{RunArgs, run};
use super::scope::PartArgs;
use super::session::Session;
use super::stack_args::StackArgs;
use crate::engine::{Scope, Target};

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

/// What the stack file protects and retains counts as soon as it is written there. A file whose resources cannot be told
/// is no reason to keep everything: then what was applied counts.
fn spare(scope: &mut Scope, session: &Session) {
    for resource in session.resources().unwrap_or_default() {
        let names = || std::iter::once(&resource.urn).chain(&resource.options.aliases).cloned();
        if resource.options.protect {
            scope.protects.extend(names());
        }
        if resource.options.retain_on_delete {
            scope.retains.extend(names());
        }
    }
}

impl Destroy {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        self.run.approve.can_ask("destroy")?;
        let session = Session::open(&self.stack).await?;
        session.read_ahead(self.run.refresh);
        let target =
            Target::new("destroy", Vec::new(), &session.providers).map_err(|error| session.located(error))?;
        let mut target = self.part.narrow(target, &session)?;
        spare(&mut target.scope, &session);
        run(&session, target, self.run, self.stack.output, None, "Delete all of this?").await
    }
}
