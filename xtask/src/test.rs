//! `cargo xtask test`: the one command that runs every test of the workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::tools::{CARGO_NEXTEST, Store};
use crate::{emulators, workspace};

/// Settings of the person's own shell that must not steer a test, least of all towards a real cluster or cloud.
const FOREIGN: &[&str] =
    &["KUBECONFIG", "PLINTH_STACK", "PLINTH_STATE", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"];

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Test only this package, without its documentation tests (may be repeated)
    #[arg(short, long)]
    package: Vec<String>,
    /// Further arguments for `cargo nextest run`: name filters, `--no-capture` …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<String>,
}

/// Installs what tests need and runs them. Documentation tests come first, so that the output closes with the
/// summary of the tests proper.
pub fn run(args: &Args) -> Result<()> {
    let tools = emulators::install()?;
    let path = path_with_nextest()?;
    // Who asks for a part means nextest's tests: cargo refuses `--doc` for a package without a library, and name
    // filters mean something else to it.
    if args.package.is_empty() && args.nextest.is_empty() {
        process::stream(cargo(&["test", "--doc", "--quiet", "--workspace"]).args(locked()))?;
    }
    let mut nextest = cargo(&["nextest", "run"]);
    nextest.args(scope(args)).args(locked());
    if workspace::in_ci() {
        nextest.args(["--profile", "ci"]);
    }
    nextest.args(&args.nextest).envs(tools).env("PLINTH_REQUIRE_TOOLS", "1");
    if let Some(path) = path {
        nextest.env("PATH", path);
    }
    process::stream(&mut nextest)
}

/// Cargo, without the settings of the person's own shell.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace::root());
    for variable in FOREIGN {
        command.env_remove(variable);
    }
    command
}

fn scope(args: &Args) -> Vec<String> {
    if args.package.is_empty() {
        return vec!["--workspace".into()];
    }
    args.package.iter().flat_map(|package| ["--package".into(), package.clone()]).collect()
}

/// Unattended runs refuse a `Cargo.lock` that does not fit the manifests; a person's run mends it.
fn locked() -> Option<&'static str> {
    workspace::in_ci().then_some("--locked")
}

/// A search path that finds nextest, when the one in force does not.
fn path_with_nextest() -> Result<Option<std::ffi::OsString>> {
    if process::capture(&mut cargo(&["nextest", "--version"])).is_ok() {
        return Ok(None);
    }
    let programs = Store::open()?.install(&CARGO_NEXTEST)?;
    let dir =
        programs.first().and_then(|program| program.parent()).context("the package brings one program")?;
    let current = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(PathBuf::from(dir)).chain(std::env::split_paths(&current));
    Ok(Some(std::env::join_paths(dirs)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(package: &[&str]) -> Args {
        Args { package: package.iter().map(ToString::to_string).collect(), nextest: Vec::new() }
    }

    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_named() {
        assert_eq!(scope(&args(&[])), ["--workspace"]);
        assert_eq!(scope(&args(&["a", "b"])), ["--package", "a", "--package", "b"]);
    }

    #[test]
    fn no_setting_of_the_shell_reaches_a_test() {
        let command = cargo(&["test"]);
        for name in FOREIGN {
            assert!(command.get_envs().any(|(key, value)| key == *name && value.is_none()), "{name}");
        }
    }
}
