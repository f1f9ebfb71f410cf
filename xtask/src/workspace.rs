//! The folders that tasks work in.

use std::path::{Path, PathBuf};

/// The workspace's root: tasks give the same result from whatever folder they are started in.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where tools are installed: `$PLINTH_TOOLS`, else `target/tools` of this checkout.
///
/// `CARGO_TARGET_DIR` has no say: it may be shared by several checkouts whose pins differ, and cleaning build
/// output there should not cost them their tools.
pub fn tools_dir() -> PathBuf {
    tools_dir_from(std::env::var_os("PLINTH_TOOLS").map(PathBuf::from))
}

fn tools_dir_from(setting: Option<PathBuf>) -> PathBuf {
    match setting {
        // Joining keeps an absolute setting as it is; tests get absolute paths either way.
        Some(dir) if !dir.as_os_str().is_empty() => root().join(dir),
        _ => root().join("target").join("tools"),
    }
}

/// Whether this is an unattended run, by the variable that CI systems agree on.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_workspace_manifest() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("root manifest");
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn tools_live_under_target_unless_set() {
        assert_eq!(tools_dir_from(None), root().join("target/tools"));
        assert_eq!(tools_dir_from(Some(PathBuf::new())), root().join("target/tools"));
        assert_eq!(tools_dir_from(Some(PathBuf::from("/opt/tools"))), PathBuf::from("/opt/tools"));
        assert_eq!(tools_dir_from(Some(PathBuf::from("cache"))), root().join("cache"));
    }
}
