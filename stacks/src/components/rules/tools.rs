//! Finding the tools that judge what is written here.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The tool that an environment variable names. Without it a test has nothing to say, and says that; where tools are
/// required, it fails.
pub(crate) fn tool(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var_os("PLINTH_REQUIRE_TOOLS").is_some_and(|value| value == "1");
        assert!(!required, "{variable} must name the tool: tools are required here");
        eprintln!("skipped: {variable} names no tool");
    }
    found
}

/// Runs a tool in a folder, and fails with what it says when it does not succeed.
pub(crate) fn run(tool: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).current_dir(directory).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}:\n{said}", tool.display());
    said
}
