//! `plinth promote`

use clap::Args;
use plinth_stacks::file;
use plinth_state::{Finish, Provenance, ProvenanceKind};

use super::failure::{Code, Failure};
use super::run::{RunArgs, run};
use super::session::Session;
use super::stack_args::{OutputArgs, PlaceArgs, StackArgs};
use crate::engine::Target;
use crate::present;

/// Carry what one stack has proved (versions, catalogue, options that suit every environment) over to another
#[derive(Debug, Args)]
pub struct Promote {
    /// The stack whose last successful revision is promoted
    #[arg(long, value_name = "STACK")]
    from: String,
    /// The stack that it is promoted to; its own settings stay
    #[arg(long, value_name = "STACK")]
    to: String,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Promote {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        self.run.approve.can_ask("promote")?;
        let args = |stack: &str| StackArgs {
            stack: stack.to_owned(),
            place: self.place.clone(),
            output: self.output,
        };
        let from = Session::open(&args(&self.from)).await?;
        let mut to = Session::open(&args(&self.to)).await?;
        if from.name == to.name {
            return Err(Failure::new(format!("`{}` cannot be promoted to itself", from.name)));
        }
        let proved = from.state.revisions.iter().rev().find(|revision| {
            revision.result == Some(Finish::Succeeded)
                && revision.command != "destroy"
                && !revision.settings.is_null()
        });
        let Some(proved) = proved else {
            let rehearse = if self.place.rehearse { " --rehearse" } else { "" };
            return Err(Failure::new(format!("stack `{}` has no successful revision to promote", from.name))
                .help(format!("apply it first: plinth apply -s {}{rehearse}", self.from)));
        };
        let own_tree = to.own_tree(&args(&self.to))?;
        let provenance = Provenance {
            kind: ProvenanceKind::Promotion,
            from_stack: from.name.clone(),
            revision: proved.number,
            base: file::promotable(&own_tree),
            overlay: proved.settings.clone(),
        };
        to.use_tree(file::overlay(own_tree, &provenance.overlay, &provenance.base))?;
        if !self.output.json {
            present::out(&format!("Promoting revision {} of {} to {}.\n", proved.number, from.name, to.name));
        }
        let target = Target { provenance: Some(provenance), ..to.target("promote")? };
        run(&to, target, self.run, self.output, None, "Promote?").await
    }
}
