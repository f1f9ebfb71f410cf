//! What can be told of a large stack file before it is read whole: enough to begin looking for its state. A guess, made by
//! the file's lines: whoever uses it compares it with what the whole file says.

use std::path::Path;

use super::node::Sources;
use super::{Draft, extends};
use crate::model::Settings;

/// Smaller files are read whole before anybody could use the guess.
const LARGE: u64 = 16 * 1024;

/// The name and the settings that a stack file seems to give, by everything in it but its list of resources; `None` when
/// the file is small, extends others, or is not as it must be.
pub fn outline(path: &Path) -> Option<(String, Settings)> {
    if std::fs::metadata(path).ok()?.len() < LARGE {
        return None;
    }
    let head = without_resources(&std::fs::read_to_string(path).ok()?)?;
    let mut sources = Sources::default();
    let root = extends::read_text(path, &head, &mut sources).ok()?;
    Draft::new(root, sources, path).outline()
}

/// The lines of a file that do not belong to its list of resources.
fn without_resources(text: &str) -> Option<String> {
    let mut kept = String::new();
    let mut skips = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '"' | '\'')) {
            let key = line.trim_start_matches(['"', '\'']);
            if key.starts_with("extends") {
                return None;
            }
            skips = key.starts_with("resources");
        }
        if !skips {
            kept.push_str(line);
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rest: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.yaml");
        let entries: String = (0..500)
            .map(|at| format!("  - {{ kind: \"plinth:Data\", name: r{at}, inputs: {{}} }}\n"))
            .collect();
        let text =
            format!("apiVersion: plinth.dev/v1\nkind: Stack\nname: large\nresources:\n{entries}{rest}");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_name_and_the_settings_are_seen_around_the_resources() {
        let (_folder, path) = written("# afterwards\nsettings: { state: \"s3://bucket/prefix\" }\n");
        let (name, settings) = outline(&path).unwrap();
        assert_eq!(name, "large");
        assert_eq!(settings.state.as_deref(), Some("s3://bucket/prefix"));
        let whole = super::super::read(&path).unwrap().outline().unwrap();
        assert_eq!((whole.0, whole.1.state), (name, settings.state));
    }

    #[test]
    fn nothing_is_guessed_of_what_other_files_may_change() {
        let (_folder, path) = written("extends: base.yaml\n");
        assert!(outline(&path).is_none());
    }

    #[test]
    fn nothing_is_guessed_of_what_is_no_yaml() {
        let (_folder, path) = written("settings: { state: [\n");
        assert!(outline(&path).is_none());
    }
}
