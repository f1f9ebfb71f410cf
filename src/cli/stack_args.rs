//! The options of every command that touches a stack.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::faults::Spec;
use crate::present::Style;

/// The stack when none is named.
pub const DEFAULT_STACK: &str = "local";

/// Which stack, where its state lives, and how to tell about it.
#[derive(Debug, Clone, Args)]
pub struct StackArgs {
    /// The stack: a name (`stacks/<NAME>.yaml`) or the path of a stack file
    #[arg(short, long, env = "PLINTH_STACK", default_value = DEFAULT_STACK, value_name = "STACK")]
    pub stack: String,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Where state and the embedded cloud live.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Where state lives: file:///folder, s3://bucket/prefix, gs://…, az://… or postgres://… [default: .plinth in this folder]
    #[arg(long, env = "PLINTH_STATE", value_name = "URL")]
    pub state: Option<String>,
    /// Run against the embedded cloud and cluster, with a state of its own and no credentials
    #[arg(long)]
    pub rehearse: bool,
    /// With --rehearse or on the embedded cloud: inject faults (delays, throttling, errors, lost replies), replayable by
    /// seed
    ///
    /// Further settings follow, with commas: `crash=POINT` kills this process at its POINTth point (there is one before
    /// and one after each write to state storage and each call of a provider), or at the point of that name;
    /// `storage=RATE` is the share of writes to state storage that go wrong; `clock=SECONDS` puts this process's clock
    /// ahead, or behind; `lease=SECONDS` is how long its lease lasts; `latency=FACTOR` multiplies simulated latencies;
    /// `distance=MILLISECONDS` is how long every request to the embedded Kubernetes API takes at least;
    /// `audit=FILE` appends every point that is reached to a file, as JSON lines. Example: 7:0.2,crash=183
    #[arg(long, value_name = "SEED[:RATE][,SETTING…]", value_parser = Spec::from_str)]
    pub faults: Option<Spec>,
    /// The passphrase that protects secrets in state; without one, an identity file beside the state does
    #[arg(long, env = "PLINTH_PASSPHRASE", hide_env_values = true, hide = true)]
    pub passphrase: Option<String>,
    /// The age identity file that opens secrets in state [default: one beside the state]
    #[arg(long, env = "PLINTH_IDENTITY", hide = true, value_name = "FILE")]
    pub identity: Option<PathBuf>,
}

/// How to tell what happens.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// Write events as one JSON object per line; diagnostics go to standard error
    #[arg(long)]
    pub json: bool,
}

impl StackArgs {
    /// The stack file. A name is looked for under `stacks/`; what looks like a path is one.
    pub fn file(&self) -> PathBuf {
        let looks_like_a_path = self.stack.contains(['/', '\\'])
            || self.stack.ends_with(".yaml")
            || self.stack.ends_with(".yml")
            || self.stack == ".";
        if looks_like_a_path { PathBuf::from(&self.stack) } else { named(&self.stack) }
    }
}

/// The file of a stack that is given by name.
pub fn named(stack: &str) -> PathBuf {
    PathBuf::from("stacks").join(format!("{stack}.yaml"))
}

/// Whether a person sits in front of it.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether it can be drawn on: a person sits in front of it, and it knows how to move its cursor.
pub fn can_be_drawn_on() -> bool {
    is_terminal() && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// How to write to standard output.
pub fn style() -> Style {
    style_of(is_terminal())
}

/// How to write to standard error.
pub fn error_style() -> Style {
    style_of(std::io::stderr().is_terminal())
}

const PIPE_WIDTH: usize = 400;

fn style_of(terminal: bool) -> Style {
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb();
    // Files and pipes have no edge to respect; values are still cut where nobody would read on.
    let width = if terminal { usize::from(console::Term::stdout().size().1) } else { PIPE_WIDTH };
    Style { colour, width }
}
