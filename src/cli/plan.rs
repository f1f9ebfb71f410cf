//! `plinth plan`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::failure::{Code, Failure};
use super::run::presenter;
use super::session::{RefreshChoice, Session};
use super::stack_args::{StackArgs, style};
use crate::engine::{Events, SavedPlan};
use crate::present::{self, Pump};

/// Show what apply would do; exits with 2 when there are changes
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    stack: StackArgs,
    /// Write the plan to a file that `plinth apply FILE` takes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which facts to read from live systems
    #[arg(long, value_enum, default_value_t)]
    refresh: RefreshChoice,
    /// Show the inputs of what is created in full
    #[arg(long)]
    verbose: bool,
    /// Write the plan as Markdown, for a merge request
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

impl Plan {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let started = Instant::now();
        let session = Session::open(&self.stack).await?;
        let target = session.target("apply")?;
        let (events, receiver) = Events::channel();
        let json = self.stack.output.json;
        let quiet = !json;
        let pump = json.then(|| Pump::start(receiver, presenter(self.stack.output)));
        let engine = session.engine(events.clone(), self.refresh, Duration::ZERO);
        let planned = engine.plan(&target, &session.state).await;
        let result = match planned {
            Ok((plan, _)) => {
                engine.tell(&plan, started);
                Ok(plan)
            }
            Err(error) => Err(session.located(error)),
        };
        drop((engine, events));
        if let Some(pump) = pump {
            pump.finish().await;
        }
        session.close().await;
        let plan = result?;
        if quiet {
            let text = match (self.markdown, self.verbose) {
                (true, _) => present::plan_markdown(&plan),
                (false, true) => present::plan_text_verbose(&plan, &style()),
                (false, false) => present::plan_text(&plan, &style()),
            };
            present::out(&text);
        }
        if let Some(out) = &self.out {
            let saved = SavedPlan {
                version: SavedPlan::VERSION,
                stack: session.name.clone(),
                stack_file: session.file.display().to_string(),
                rehearse: session.rehearse,
                base_seq: plan.base_seq,
                base_hash: plan.base_hash.clone(),
                digest: plan.digest(),
                declared: target.desired.resources().to_vec(),
                settings: target.settings.clone(),
                provenance: None,
                stack_file_digest: target.stack_file_digest.clone(),
            };
            super::apply::write_plan(&session, &saved, out).await?;
            if quiet {
                present::out(&format!("The plan is saved; apply it with: plinth apply {}\n", out.display()));
            }
        }
        Ok(if plan.has_changes() { Code::Pending } else { Code::Done })
    }
}
