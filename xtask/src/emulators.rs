//! `cargo xtask emulators`: the tools that tests judge by, at the versions pinned in `tools`.

use std::path::PathBuf;

use anyhow::Result;

use crate::tools::{EMULATORS, Store, TEST_TOOLS};

/// Options of `cargo xtask emulators`.
#[derive(clap::Args)]
pub struct Args {
    /// Print `export NAME=PATH` lines, to be evaluated by a shell that will run tests without xtask
    #[arg(long)]
    env: bool,
}

/// Installs the tools and says where they are.
pub fn run(args: &Args) -> Result<()> {
    for (variable, path) in install()? {
        if args.env {
            println!("export {variable}='{}'", path.display());
        } else {
            println!("{variable:<28} {}", path.display());
        }
    }
    Ok(())
}

/// Installs the tools and returns the variables that tell tests where they are.
pub fn install() -> Result<Vec<(&'static str, PathBuf)>> {
    let store = Store::open()?;
    let mut variables = Vec::new();
    for package in TEST_TOOLS.iter().chain(EMULATORS) {
        let paths = store.install(package)?;
        variables.extend(
            package.programs.iter().zip(paths).filter_map(|(program, path)| Some((program.env?, path))),
        );
    }
    Ok(variables)
}
