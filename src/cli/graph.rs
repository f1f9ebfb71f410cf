//! `plinth graph`

use clap::{Args, ValueEnum};
use plinth_provider::{Providers, builtin::Builtin};
use plinth_stacks::model::Cloud;
use plinth_stacks::program::Target as ProgramTarget;
use plinth_state::{Action, State};

use super::failure::{Code, Failure};
use super::own;
use super::session::{Session, load};
use super::stack_args::StackArgs;
use crate::engine::{Facts, Plan, Schedule, Scope, Target, plan, usual, weights};
use crate::present;
use crate::present::graph::Drawing;

/// Draw what apply would do, with its critical path marked; needs no cluster and no credentials
#[derive(Debug, Args)]
pub struct Graph {
    #[command(flatten)]
    stack: StackArgs,
    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    #[default]
    Dot,
    Mermaid,
    Svg,
}

impl Graph {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let loaded = load(&self.stack.file(), &self.stack.stack)?;
        let rehearse = self.stack.place.rehearse;
        // What the stack would really have, where this build can make it.
        let offline = !matches!(loaded.stack.cloud, Cloud::Aws(_));
        let resources = own::resources(&loaded, &ProgramTarget { rehearse, offline })?;
        // Planning needs the providers, and these need no systems for it.
        let nowhere = plinth_local::Place::new(std::path::Path::new(""), plinth_local::Options::default());
        let providers = Providers::new()
            .with(std::sync::Arc::new(Builtin))
            .with(std::sync::Arc::new(plinth_aws::Aws::new(plinth_aws::Settings::new(""))))
            .with(std::sync::Arc::new(plinth_local::LocalCloud::new(nowhere)))
            .with(std::sync::Arc::new(plinth_kubernetes::Kubernetes::new(std::sync::Arc::new(
                plinth_kubernetes::KubeconfigConnector::new(Vec::new(), None),
            ))));
        let own = own::providers(&loaded, rehearse, std::path::Path::new(""))?;
        let providers = own.into_iter().fold(providers, Providers::with);
        let target = Target::new("graph", resources, &providers)?;
        let drawing = self.drawing(loaded.stack.name.as_str(), &target, &providers).await;
        if self.stack.output.json {
            for node in &drawing.nodes {
                let dependencies = target.desired.position(&node.urn);
                let event = serde_json::json!({
                    "event": "resource", "urn": node.urn, "phase": node.phase, "op": node.op,
                    "critical": node.critical,
                    "dependencies": dependencies.map(|at| target.desired.dependency_urns(at)),
                });
                present::out(&format!("{event}\n"));
            }
            return Ok(Code::Done);
        }
        present::out(&match self.format {
            Format::Dot => present::graph::dot(&drawing),
            Format::Mermaid => present::graph::mermaid(&drawing),
            Format::Svg => present::graph::svg(&drawing),
        });
        Ok(Code::Done)
    }

    /// What an apply would do now, with its critical path by what was learned; by what is recorded, without asking any
    /// system. Where there is nothing to do, or nothing recorded can be read: a first apply.
    async fn drawing(&self, stack: &str, target: &Target, providers: &Providers) -> Drawing {
        let state = match Session::open(&self.stack).await {
            Ok(session) => session.state,
            Err(_) => State::default(),
        };
        match plan(&target.desired, &state, &Facts::default(), providers, &Scope::default()) {
            Ok(plan) if plan.has_changes() => {
                let plan = Plan { stack: stack.to_owned(), ..plan };
                let schedule = Schedule::build(&plan, weights(&plan, &state, providers));
                Drawing::of_plan(&plan, Some(&schedule))
            }
            _ => Drawing::of(stack, &target.desired, |urn| usual(urn, Action::Create, &state, providers)),
        }
    }
}
