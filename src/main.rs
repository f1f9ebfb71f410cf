//! The `plinth` binary: hands over to the command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    plinth::run(plinth::Setup::new())
}
