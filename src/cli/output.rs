//! `plinth output`

use clap::Args;
use plinth_provider::Value;

use super::failure::{Code, Failure};
use super::lookup::find;
use super::session::Session;
use super::stack_args::{StackArgs, style};
use crate::present;

/// What stands for the kubeconfig of the stack's cluster, unless a resource is called so.
const KUBECONFIG: &str = "kubeconfig";

/// Print what resources gave back: all of it, or one value; or the kubeconfig of the stack's cluster
#[derive(Debug, Args)]
pub struct Output {
    #[command(flatten)]
    stack: StackArgs,
    /// A resource, by URN, by kind and name, or by name where that is unique; with `.path` for one value; or `kubeconfig`
    #[arg(value_name = "RESOURCE[.PATH]")]
    what: Option<String>,
    /// Show secrets in the clear
    #[arg(long, requires = "what")]
    show_secrets: bool,
}

impl Output {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let session = Session::open(&self.stack).await?;
        let resources = &session.state.resources;
        let Some(what) = &self.what else {
            for tracked in resources.values() {
                if self.stack.output.json {
                    let event = serde_json::json!({"event": "output", "urn": tracked.urn, "outputs": tracked.outputs});
                    present::out(&format!("{event}\n"));
                } else {
                    present::out(&format!("{}\n", present::state::outputs(&tracked.recorded, &style())));
                }
            }
            return Ok(Code::Done);
        };
        if what == KUBECONFIG && !resources.keys().any(|urn| urn.name() == KUBECONFIG) {
            let kubeconfig = session.kubeconfig_of_clusters()?;
            present::out(&if self.stack.output.json {
                format!("{}\n", serde_json::json!({"event": "kubeconfig", "kubeconfig": kubeconfig}))
            } else {
                kubeconfig
            });
            return Ok(Code::Done);
        }
        let (urn, path) = find(what, resources.keys())?;
        let outputs = resources.get(&urn).map(|tracked| tracked.outputs.clone()).unwrap_or_default();
        let value = outputs.lookup(&path).ok_or_else(|| {
            let known = outputs.as_map().map(|map| map.keys().cloned().collect::<Vec<_>>().join(", "));
            Failure::new(format!("{urn} has no output `{path}`"))
                .help(format!("it has: {}", known.filter(|known| !known.is_empty()).unwrap_or("none".into())))
        })?;
        present::out(&format!("{}\n", self.text(&value)));
        Ok(Code::Done)
    }

    fn text(&self, value: &Value) -> String {
        let masked = value.has_secret() && !self.show_secrets;
        match value {
            _ if masked => value.to_string(),
            // A single text is printed bare, so that a shell can use it.
            value if !self.stack.output.json && value.as_str().is_some() => {
                value.as_str().unwrap_or("").to_owned()
            }
            value => value.expose().to_string(),
        }
    }
}
