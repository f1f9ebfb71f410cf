//! `plinth import`

use clap::Args;
use plinth_provider::Urn;

use super::approve::ApproveArgs;
use super::failure::{Code, Failure};
use super::lookup::select;
use super::run::{RunArgs, run};
use super::session::{RefreshChoice, Session};
use super::stack_args::StackArgs;
use crate::engine::{Scope, Target};

/// Take over something that exists, as a resource that the stack file declares
///
/// It is recorded as it is and marked as the stack's; nothing else of it changes. What differs from the stack file is
/// shown, and changed by the next apply.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    pub(super) stack: StackArgs,
    /// The resource's URN, or the end of it
    #[arg(value_name = "URN")]
    urn: String,
    /// The system's own id: `namespace/name` (or the name alone) of an object, the id or name of a cloud's resource
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    approve: ApproveArgs,
    /// How long to wait for another run of the stack to end, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    lock_timeout: u64,
}

impl Import {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        self.approve.can_ask("import")?;
        let session = Session::open(&self.stack).await?;
        let target = session.target("import")?;
        let declared: Vec<&Urn> = target.desired.resources().iter().map(|resource| &resource.urn).collect();
        let found: Vec<Urn> = select(std::slice::from_ref(&self.urn), &declared)?.into_iter().collect();
        let [urn] = found.as_slice() else {
            return Err(Failure::new(format!(
                "`{}` names several resources; one is imported at a time",
                self.urn
            )));
        };
        if let Some(recorded) = session.state.resources.get(urn) {
            return Err(Failure::new(format!("{urn} is recorded already, as `{}`", recorded.id)).help(
                "`plinth state rm` forgets it without touching it, after which it can be imported anew",
            ));
        }
        let scope = Scope { imports: [(urn.clone(), self.id.clone())].into(), ..Scope::default() };
        let target = Target { scope, ..target };
        // Nothing else is looked at.
        let args =
            RunArgs { approve: self.approve, refresh: RefreshChoice::Never, lock_timeout: self.lock_timeout };
        run(&session, target, args, self.stack.output, None, "Take this over?").await
    }
}
