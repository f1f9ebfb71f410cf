//! `plinth local`

use clap::{Args, Subcommand};
use plinth_local::{Options, Place};

use super::failure::{Code, Failure};
use super::interrupt;
use super::session::{Home, load};
use super::stack_args::StackArgs;
use crate::faults::Injector;
use crate::present;

/// The embedded cloud and its Kubernetes API
#[derive(Debug, Args)]
pub struct Local {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep the embedded cloud and its Kubernetes API up; other commands then go through it
    Serve {
        #[command(flatten)]
        stack: StackArgs,
        /// The port to listen on, at 127.0.0.1 [default: the one of the last time, or a free one]
        #[arg(long, value_name = "PORT")]
        port: Option<u16>,
    },
    /// Print a kubeconfig for the Kubernetes API that `serve` keeps up
    Kubeconfig {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Forget everything that lives in the embedded cloud and cluster
    Reset {
        #[command(flatten)]
        stack: StackArgs,
        #[command(flatten)]
        approve: super::approve::ApproveArgs,
    },
}

impl Local {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        match self.command {
            Command::Serve { stack, port } => {
                let faults = stack.place.faults.clone().map(Injector::new).transpose();
                let faults = faults.map_err(|error| {
                    Failure::new(format!("the audit file of --faults cannot be opened: {error}"))
                })?;
                let options = faults.as_ref().map(Injector::place).unwrap_or_default();
                let place = Place::new(&home(&stack)?.place, options);
                let stop = interrupt::on_signals().stop;
                let json = stack.output.json;
                let dir = place.dir().display().to_string();
                let ready = |endpoint: &plinth_local::Endpoint| {
                    present::out(&if json {
                        format!(
                            "{}\n",
                            serde_json::json!({"event": "serving", "url": endpoint.url, "pid": endpoint.pid})
                        )
                    } else {
                        format!(
                            "Serving the embedded cloud and Kubernetes API of {dir} at {}.\n\
                             In another terminal: plinth local kubeconfig > kubeconfig; kubectl --kubeconfig kubeconfig get pods -A\n\
                             Ctrl-C stops it; nothing is lost.\n",
                            endpoint.url
                        )
                    });
                };
                place.serve(port, stop, ready).await?;
                Ok(Code::Done)
            }
            Command::Kubeconfig { stack } => {
                let place = Place::new(&home(&stack)?.place, Options::default());
                let kubeconfig = place.kubeconfig()?;
                present::out(&if stack.output.json {
                    format!("{}\n", serde_json::json!({"event": "kubeconfig", "kubeconfig": kubeconfig}))
                } else {
                    kubeconfig
                });
                Ok(Code::Done)
            }
            Command::Reset { stack, approve } => {
                approve.can_ask("local reset")?;
                let place = home(&stack)?.place;
                let tell = |text: &str| {
                    present::out(&if stack.output.json {
                        format!("{}\n", serde_json::json!({"event": "note", "message": text}))
                    } else {
                        format!("{text}\n")
                    });
                };
                if !place.exists() {
                    tell("There is nothing to forget.");
                    return Ok(Code::Done);
                }
                let question = format!(
                    "Everything in {} is forgotten. What stacks have recorded of it stays, and will be missing.",
                    place.display()
                );
                if !approve.ask(&question).await {
                    return Err(Failure::new("nothing was changed"));
                }
                Place::reset(&place)?;
                tell("The embedded cloud and cluster are empty.");
                Ok(Code::Done)
            }
        }
    }
}

/// Where the embedded cloud lives. Only a rehearsal's belongs to one stack, and only then must there be a stack file.
fn home(args: &StackArgs) -> Result<Home, Failure> {
    let file = args.file();
    if !args.place.rehearse && !file.exists() {
        return Home::of(&args.place, None, "");
    }
    let loaded = load(&file, &args.stack)?;
    Home::of(&args.place, loaded.stack.settings.state.as_deref(), loaded.stack.name.as_str())
}
