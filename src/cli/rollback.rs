//! `plinth rollback`

use clap::Args;
use plinth_state::{Provenance, ProvenanceKind};

use super::failure::{Code, Failure};
use super::run::{RunArgs, run};
use super::session::Session;
use super::stack_args::StackArgs;
use crate::engine::Target;

/// Return to the desired graph of an older revision, as a new revision
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    pub(super) stack: StackArgs,
    /// The revision to return to; `plinth history` lists them
    #[arg(long, value_name = "REVISION")]
    to: u64,
    #[command(flatten)]
    run: RunArgs,
}

impl Rollback {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        self.run.approve.can_ask("rollback")?;
        let session = Session::open(&self.stack).await?;
        let declared = session.log.declared_at(&session.state, self.to).await?;
        let revision = session.state.revision(self.to).cloned();
        let resources = declared.values().map(|resource| (**resource).clone()).collect();
        let target =
            Target::new("rollback", resources, &session.providers).map_err(|error| session.located(error))?;
        let target = Target {
            settings: revision.as_ref().map(|revision| revision.settings.clone()).unwrap_or_default(),
            stack_file_digest: revision
                .map(|revision| revision.stack_file_digest.clone())
                .unwrap_or_default(),
            provenance: Some(Provenance {
                kind: ProvenanceKind::Rollback,
                from_stack: session.name.clone(),
                revision: self.to,
                base: serde_json::Value::Null,
                overlay: serde_json::Value::Null,
            }),
            ..target
        };
        run(&session, target, self.run, self.stack.output, None, "Roll back?").await
    }
}
