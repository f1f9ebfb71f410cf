//! Every known trap is named by a test, here or in the embedded server: the table says which, and this says that they are
//! there.

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
const PLACES: [&str; 7] =
    ["src", "tests", "../local/src", "../local/tests", "../../src", "../../stacks/src", "../../tests/cli"];
const RECORDED: &str = "../local/tests/recorded";
const TRANSCRIPT: &str = "../local/tests/kubectl.transcript";

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn all(places: &[&str], ending: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    places.iter().for_each(|place| files(&root.join(place), ending, &mut found));
    found.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_trap_is_named_by_a_test() {
    let traps: Vec<Trap> = serde_saphyr::from_str(include_str!("traps.yaml")).unwrap();
    assert!(traps.len() >= 100, "only {}", traps.len());
    let sources = all(&PLACES, "rs");
    let recorded = all(&[RECORDED], "yaml");
    let transcript = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(TRANSCRIPT)).unwrap();
    let is_there = |test: &str| match test.split_once(": ") {
        Some(("recorded", trap)) => recorded.contains(&format!("trap: {trap:?}")),
        Some(("kubectl", command)) => {
            transcript.lines().any(|line| line.get(2..).is_some_and(|line| line == command))
        }
        _ => [format!("fn {test}("), format!("\n    {test} => ")].iter().any(|form| sources.contains(form)),
    };
    let mut wrong: Vec<String> = Vec::new();
    for Trap { trap, tests, because } in &traps {
        if tests.is_empty() == because.is_empty() {
            wrong.push(format!("{trap}: tests, or a reason why there are none"));
        }
        let missing = tests.iter().filter(|test| !is_there(test));
        wrong.extend(missing.map(|test| format!("{trap}: there is no test `{test}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
