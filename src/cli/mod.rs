//! The command line: one file per command. Each parses, calls the engine and chooses a presenter; no logic lives
//! here, and nothing but `present` prints.
//!
//! Environment variables are read here and nowhere below: providers and state get configuration passed in.

mod account;
mod apply;
mod approve;
mod check;
mod cloud;
mod completions;
mod destroy;
mod digest;
mod drift;
mod eks;
mod embedded;
mod failure;
mod graph;
mod history;
mod import;
mod interrupt;
mod local;
mod lookup;
mod opening;
mod output;
mod own;
mod pace;
mod permissions;
mod plan;
mod promote;
mod render;
mod rollback;
mod run;
mod schema;
mod scope;
mod secrets;
mod session;
mod stack_args;
mod state;
mod storage;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::Instrument;

use self::failure::{Code, Failure};
use crate::present;

/// Provisions a production-grade observability platform and keeps it that way.
#[derive(Debug, Parser)]
#[command(name = "plinth", version, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done or nothing to do, 1 error, 2 changes pending (plan) or drift found (drift), \
                        3 another run holds the lease, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Write a trace of what takes how long, for Perfetto (ui.perfetto.dev) or chrome://tracing
    #[arg(long, global = true, value_name = "FILE")]
    trace: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::Plan),
    Apply(apply::Apply),
    Destroy(destroy::Destroy),
    Drift(drift::Drift),
    History(history::History),
    Rollback(rollback::Rollback),
    Promote(promote::Promote),
    Render(render::Render),
    Graph(graph::Graph),
    Check(check::Check),
    Output(output::Output),
    Import(import::Import),
    State(state::State),
    Secrets(secrets::Secrets),
    Local(local::Local),
    Schema(schema::Schema),
    Completions(completions::Completions),
}

impl Command {
    /// Its word, as in traces.
    fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Apply(_) => "apply",
            Self::Destroy(_) => "destroy",
            Self::Drift(_) => "drift",
            Self::History(_) => "history",
            Self::Rollback(_) => "rollback",
            Self::Promote(_) => "promote",
            Self::Render(_) => "render",
            Self::Graph(_) => "graph",
            Self::Check(_) => "check",
            Self::Output(_) => "output",
            Self::Import(_) => "import",
            Self::State(_) => "state",
            Self::Secrets(_) => "secrets",
            Self::Local(_) => "local",
            Self::Schema(_) => "schema",
            Self::Completions(_) => "completions",
        }
    }

    /// Whether it changes nothing anywhere, and what it does beside its own thread is to read.
    fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Plan(_)
                | Self::History(_)
                | Self::Render(_)
                | Self::Graph(_)
                | Self::Output(_)
                | Self::Schema(_)
                | Self::Completions(_)
        )
    }

    /// Whether a run of another one that is in its way is told as an event: of those that take a lease.
    fn writes_events(&self) -> bool {
        match self {
            Self::Apply(command) => command.stack.output.json,
            Self::Destroy(command) => command.stack.output.json,
            Self::Rollback(command) => command.stack.output.json,
            Self::Promote(command) => command.output.json,
            Self::Import(command) => command.stack.output.json,
            Self::State(command) => command.writes_events(),
            _ => false,
        }
    }
}

/// Runs the command line with the process's arguments; [`crate::run`] has said what a crate adds to it.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; everything else is one of ours, with our exit code.
            let code = if error.use_stderr() { Code::Error } else { Code::Done };
            let _ = error.print();
            return code.into();
        }
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if cli.command.only_looks() {
        // The thread that runs the command is at work too, and every thread more takes time to start.
        builder.worker_threads(1);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(format!("the runtime cannot start: {error}")).report(false),
    };
    let tracing = match trace::begin(cli.trace.as_deref()) {
        Ok(tracing) => tracing,
        Err(failure) => return failure.report(false),
    };
    let span = tracing::info_span!("plinth", command = cli.command.name());
    let json = cli.command.writes_events();
    let result = runtime.block_on(run(cli.command).instrument(span));
    if let Some(lost) = tracing.finish() {
        present::err(&format!("note: {lost}\n"));
    }
    // Whatever still waits in the background waits for nothing that matters any more, and the process ends here.
    std::mem::forget(runtime);
    // What is still held back is written now, while somebody can hear that it cannot be.
    present::out("");
    match (result, present::unwritten()) {
        (Ok(_), Some(why)) => {
            let failure = Failure::new(format!("standard output cannot be written: {why}"));
            failure
                .help("what the command did besides is done; only what it had to say is not whole")
                .report(false)
        }
        (Ok(code), None) => code.into(),
        (Err(failure), _) => failure.report(json),
    }
}

async fn run(command: Command) -> Result<Code, Failure> {
    match command {
        Command::Plan(command) => command.run().await,
        Command::Apply(command) => command.run().await,
        Command::Destroy(command) => command.run().await,
        Command::Drift(command) => command.run().await,
        Command::History(command) => command.run().await,
        Command::Rollback(command) => command.run().await,
        Command::Promote(command) => command.run().await,
        Command::Render(command) => command.run(),
        Command::Graph(command) => command.run().await,
        Command::Check(command) => command.run().await,
        Command::Output(command) => command.run().await,
        Command::Import(command) => command.run().await,
        Command::State(command) => command.run().await,
        Command::Secrets(command) => command.run().await,
        Command::Local(command) => command.run().await,
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
