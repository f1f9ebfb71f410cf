//! Development tasks, run as `cargo xtask <task>`.
//!
//! One file per task (`test`, `crash`, `bench`, `emulators`, `deny`); what several of them share lives beside them: `process`
//! starts programs, `workspace` knows the folders, `tools` installs pinned programs. Nothing here is part of what users
//! run, and nothing that users run may depend on it.

mod bench;
mod crash;
mod deny;
mod emulators;
mod process;
mod test;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Development tasks of this repository")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install the pinned tools that tests need, then run every test of the workspace
    Test(test::Args),
    /// Install the pinned tools that tests need
    Emulators(emulators::Args),
    /// Kill, mislead and race the real binary, many times, and check what is left each time
    Crash(crash::Args),
    /// Measure the release binary, beside Terraform where it is installed, and write docs/performance.md
    Bench(bench::Args),
    /// Check licences, bans and sources of every dependency (deny.toml)
    Deny(deny::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Args::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Emulators(args) => emulators::run(&args),
        Task::Crash(args) => crash::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Deny(args) => deny::run(&args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
