//! The rules that a stack adds to the platform's own, from a folder beside the stack file.

use std::path::Path;

use serde_json::Value as Json;

use crate::kit::Build;

/// The most text that one ConfigMap takes, with room for the platform's own rules beside it.
const LARGEST: usize = 800_000;

/// The files, by names that do not meet those of the platform.
pub(super) fn rules(b: &mut Build<'_>) -> Vec<(String, String)> {
    let Some(directory) = b.platform.prometheus.rules_directory.clone() else { return Vec::new() };
    let path = b.stack.directory.join(&directory);
    let files = match read(&path) {
        Ok(files) => files,
        Err(error) => {
            b.error(
                format!("the rules in `{}` cannot be read: {error}", path.display()),
                "correct `platform.prometheus.rulesDirectory`, which is relative to the stack file",
            );
            return Vec::new();
        }
    };
    for (name, text) in &files {
        if let Err(reason) = check(text) {
            b.error(
                format!("the rule file `{directory}/{name}` {reason}"),
                "write `groups:` with a list of groups, and prove it with `promtool check rules`",
            );
        }
    }
    let size: usize = files.iter().map(|(_, text)| text.len()).sum();
    if size > LARGEST {
        b.error(
            format!("the rules in `{directory}` have {size} bytes, more than the {LARGEST} that fit"),
            "leave out comments, or rules that nobody needs",
        );
    }
    files
        .into_iter()
        .map(|(name, text)| {
            let stem = name.trim_end_matches(".yaml").trim_end_matches(".yml");
            (format!("own-{stem}.yaml"), text)
        })
        .collect()
}

fn read(path: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yaml") || name.ends_with(".yml") {
            files.push((name, std::fs::read_to_string(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

/// Enough to tell a rule file from any other; Prometheus itself judges expressions.
fn check(text: &str) -> Result<(), String> {
    let json: Json = serde_saphyr::from_str(text).map_err(|error| format!("is not YAML: {error}"))?;
    let groups = json["groups"].as_array().ok_or("has no list `groups`")?;
    for group in groups {
        let name = group["name"].as_str().ok_or("has a group without a name")?;
        let rules = group["rules"].as_array().ok_or_else(|| format!("has no rules in the group `{name}`"))?;
        for rule in rules {
            let what = rule["alert"].as_str().or(rule["record"].as_str());
            let what =
                what.ok_or_else(|| format!("has neither `alert` nor `record` in a rule of `{name}`"))?;
            if !rule["expr"].is_string() && !rule["expr"].is_number() {
                return Err(format!("has no `expr` in the rule `{what}`"));
            }
        }
    }
    Ok(())
}
