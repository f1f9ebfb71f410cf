//! Applying a target, whatever it came from: events to a presenter, the plan to the user, the result to an exit code.

use std::time::Duration;

use clap::Args;

use super::approve::ApproveArgs;
use super::failure::{Code, Failure};
use super::session::{RefreshChoice, Session};
use super::stack_args::{OutputArgs, can_be_drawn_on, style};
use crate::engine::{Ended, Events, Plan, Target};
use crate::present::{self, Presenter, Pump};

/// How a run goes about it.
#[derive(Debug, Clone, Copy, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub approve: ApproveArgs,
    /// Which facts to read from live systems before planning
    #[arg(long, value_enum, default_value_t)]
    pub refresh: RefreshChoice,
    /// How long to wait for another run of the stack to end, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub lock_timeout: u64,
}

/// The presenter that fits: NDJSON, a live view, or plain lines.
pub fn presenter(output: OutputArgs) -> Box<dyn Presenter> {
    if output.json {
        present::json(Box::new(present::Out))
    } else if can_be_drawn_on() {
        present::live(style())
    } else {
        present::plain(Box::new(present::Out), style())
    }
}

/// Plans, asks, applies.
///
/// # Errors
/// When nothing could be done. Failures of steps are told by the presenter and give exit code 1.
pub async fn run(
    session: &Session,
    target: Target,
    args: RunArgs,
    output: OutputArgs,
    expected: Option<&str>,
    question: &str,
) -> Result<Code, Failure> {
    args.approve.can_ask(&target.command)?;
    session.preflight(&target).await?;
    let (events, receiver) = Events::channel();
    let pump = Pump::start(receiver, presenter(output));
    let lock_timeout = Duration::from_secs(args.lock_timeout);
    let engine = session.engine(events.clone(), args.refresh, lock_timeout);
    let approve = async |plan: &Plan| {
        if output.json {
            return args.approve.yes;
        }
        let _held = pump.hold().await;
        present::out(&present::plan_text(plan, &style()));
        args.approve.ask(question).await
    };
    let closing = async |ended: &Ended| {
        let is_whole = target.command == "destroy" && !target.scope.is_partial();
        let is_gone = matches!(ended, Ended::Executed(report) if report.is_whole());
        if is_whole && is_gone {
            session.leftovers().await.into_iter().for_each(|event| events.send(event));
        }
    };
    let state = session.state.clone();
    let result = engine.apply_telling(&target, state, expected, approve, closing).await;
    drop((engine, events));
    pump.finish().await;
    session.close().await;
    match result {
        Err(error) => Err(session.located(error)),
        Ok(Ended::Declined) => Err(Failure::new("nothing was changed: the plan was not approved")),
        Ok(Ended::NoChanges) => {
            if !output.json {
                let partial = target.scope.is_partial();
                let text = if partial { present::NO_CHANGES_IN_PART } else { present::NO_CHANGES };
                present::out(&format!("{text}\n"));
            }
            Ok(Code::Done)
        }
        Ok(Ended::Executed(report)) if report.interrupted => Ok(Code::Interrupted),
        Ok(Ended::Executed(report)) if report.counts.failed > 0 => Ok(Code::Error),
        Ok(Ended::Executed(_)) => Ok(Code::Done),
    }
}
