//! Every known trap of AWS is named by a test: the table says which, and this says that they are there.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trap {
    trap: String,
    /// Which tests are about it.
    #[serde(default)]
    tests: Vec<String>,
    /// Why none needs to be.
    #[serde(default)]
    because: String,
}

/// Where tests stand, seen from this crate.
const PLACES: [&str; 5] = ["src", "tests", "../kubernetes/tests", "../../stacks/src", "../../tests/cli"];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_trap_is_named_by_a_test() {
    let traps: Vec<Trap> = serde_saphyr::from_str(include_str!("traps.yaml")).unwrap();
    assert!(traps.len() >= 45, "only {}", traps.len());
    let mut found = Vec::new();
    PLACES.iter().for_each(|place| files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place), &mut found));
    let sources: String = found.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut wrong: Vec<String> = Vec::new();
    for Trap { trap, tests, because } in &traps {
        if tests.is_empty() == because.is_empty() {
            wrong.push(format!("{trap}: tests, or a reason why there are none"));
        }
        let missing = tests.iter().filter(|test| !sources.contains(&format!("fn {test}(")));
        wrong.extend(missing.map(|test| format!("{trap}: there is no test `{test}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
