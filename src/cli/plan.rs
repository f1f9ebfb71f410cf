//! `plinth plan`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use plinth_provider::Urn;

use super::failure::{Code, Failure};
use super::lookup::select;
use super::run::presenter;
use super::scope::ScopeArgs;
use super::session::{RefreshChoice, Session};
use super::stack_args::{StackArgs, style};
use crate::engine::{self, Event, Events, Explanation, Facts, RunError, SavedPlan, Scope, Target};
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
    #[command(flatten)]
    scope: ScopeArgs,
    /// Say why this resource's step is there, back to the first cause; may be repeated, `*` matches
    #[arg(long, value_name = "URN", conflicts_with = "markdown")]
    explain: Vec<String>,
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
        if self.refresh != RefreshChoice::Never {
            session.check_account(true).await?;
        }
        session.read_ahead(self.refresh);
        let target = self.scope.narrow(session.target_to_look("apply")?, &session)?;
        let (events, receiver) = Events::channel();
        let json = self.stack.output.json;
        let quiet = !json;
        let pump = json.then(|| Pump::start(receiver, presenter(self.stack.output)));
        let engine = session.engine(events.clone(), self.refresh, Duration::ZERO);
        let planned = engine.plan(&target, &session.state).await;
        let result = match planned {
            Ok((plan, facts)) => match self.explanations(&session, &target, &plan, &facts) {
                Ok(explanations) => {
                    for explanation in &explanations {
                        events.send(Event::Explanation(Box::new(explanation.clone())));
                    }
                    engine.tell(&plan, started);
                    Ok((plan, facts, explanations))
                }
                Err(failure) => Err(failure),
            },
            Err(error) => Err(session.located(error)),
        };
        drop((engine, events));
        if let Some(pump) = pump {
            pump.finish().await;
        }
        session.close().await;
        let (plan, facts, explanations) = result?;
        if quiet && !explanations.is_empty() {
            let texts: Vec<String> =
                explanations.iter().map(|one| present::explanation(one, &style())).collect();
            present::out(&texts.join("\n"));
        } else if quiet {
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
                scope: target.scope.clone(),
                declared: target.desired.resources().to_vec(),
                settings: target.settings.clone(),
                provenance: None,
                stack_file_digest: session.digest().to_owned(),
            };
            super::apply::write_plan(&session, &saved, out).await?;
            if quiet {
                present::out(&format!("The plan is saved; apply it with: plinth apply {}\n", out.display()));
            }
        }
        let code = if plan.has_work() { Code::Pending } else { Code::Done };
        // The process ends here. Taking apart what was read piece by piece would take a tenth of a short command's time.
        std::mem::forget((session, target, plan, facts));
        Ok(code)
    }

    /// Why each of the named steps is there. What the scope leaves out is explained by a plan of the whole stack.
    fn explanations(
        &self,
        session: &Session,
        target: &Target,
        planned: &engine::Plan,
        facts: &Facts,
    ) -> Result<Vec<Explanation>, Failure> {
        if self.explain.is_empty() {
            return Ok(Vec::new());
        }
        let providers = &session.providers;
        let whole = if target.scope.is_partial() {
            let scope = Scope { replaces: target.scope.replaces.clone(), ..Scope::default() };
            engine::plan(&target.desired, &session.state, facts, providers, &scope)
                .map_err(|errors| session.located(RunError::Plan(errors)))?
        } else {
            planned.clone()
        };
        let urns: Vec<&Urn> = whole.steps.iter().map(|step| &step.urn).collect();
        let wanted = select(&self.explain, &urns)?;
        let explained = wanted.iter().filter_map(|urn| {
            let mut explanation = engine::explain(urn, &whole, &target.desired, facts, providers)?;
            explanation.left_out = !planned.steps.iter().any(|step| step.urn == *urn);
            for link in &mut explanation.chain {
                for change in link.changes.iter_mut().filter(|change| change.changed_by.is_none()) {
                    change.declared_at = session.declared_at(&link.urn, &change.path);
                }
            }
            Some(explanation)
        });
        Ok(explained.collect())
    }
}
