//! The `plinth` binary: hands over to the command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Large stacks are many small values, made once and read often: with it a plan of 100,000 resources takes a fifth less
/// time and a tenth less memory than with the system's own allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    plinth::run(plinth::Setup::new())
}
