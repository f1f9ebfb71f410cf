//! `plinth graph`

use clap::{Args, ValueEnum};
use plinth_provider::{Providers, builtin::Builtin};
use plinth_stacks::program::{Target as ProgramTarget, program};

use super::failure::{Code, Failure};
use super::session::load;
use super::stack_args::StackArgs;
use crate::engine::Target;
use crate::present;

/// Draw the stack's resources and their dependencies; needs no cluster and no credentials
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
        let resources =
            program(&loaded.stack, &ProgramTarget { rehearse: self.stack.place.rehearse, offline: true })?;
        // Inferred dependencies need the providers, and these need no systems for it.
        let nowhere = plinth_local::Place::new(std::path::Path::new(""), plinth_local::Options::default());
        let providers = Providers::new()
            .with(std::sync::Arc::new(Builtin))
            .with(std::sync::Arc::new(plinth_local::LocalCloud::new(nowhere)))
            .with(std::sync::Arc::new(plinth_kubernetes::Kubernetes::new(std::sync::Arc::new(
                plinth_kubernetes::KubeconfigConnector::new(Vec::new(), None),
            ))));
        let target = Target::new("graph", resources, &providers)?;
        if self.stack.output.json {
            for (at, resource) in target.desired.resources().iter().enumerate() {
                let event = serde_json::json!({
                    "event": "resource", "urn": resource.urn, "phase": resource.options.phase,
                    "dependencies": target.desired.dependency_urns(at),
                });
                present::out(&format!("{event}\n"));
            }
            return Ok(Code::Done);
        }
        let drawing = present::graph::Drawing::of(loaded.stack.name.as_str(), &target.desired, &providers);
        present::out(&match self.format {
            Format::Dot => present::graph::dot(&drawing),
            Format::Mermaid => present::graph::mermaid(&drawing),
            Format::Svg => present::graph::svg(&drawing),
        });
        Ok(Code::Done)
    }
}
