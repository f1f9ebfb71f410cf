//! The example's own command line, as a user runs it; and that the documentation quotes what is here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const STACK: &str = include_str!("../stacks/teams.yaml");

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("stacks")).unwrap();
        std::fs::write(folder.path("stacks/teams.yaml"), STACK).unwrap();
        folder
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap()
    }

    #[track_caller]
    fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = self.read(relative);
        assert!(text.contains(from), "{relative} holds `{from}`:\n{text}");
        std::fs::write(self.path(relative), text.replace(from, to)).unwrap();
    }

    /// Runs a command on the stack; it must end with `code`. Gives what it printed.
    #[track_caller]
    fn run(&self, code: i32, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_own-program"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("PLINTH_STACK", "teams")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}:\n{text}");
        text
    }

    /// Create, update, replace, delete of an apply.
    #[track_caller]
    fn apply(&self) -> [u64; 4] {
        let events = self.run(0, &["apply", "--yes", "--json", "--refresh", "always"]);
        let last = events.lines().last().unwrap();
        let summary: serde_json::Value = serde_json::from_str(last).unwrap();
        ["create", "update", "replace", "delete"].map(|key| summary[key].as_u64().unwrap())
    }
}

#[test]
fn a_stack_lives_from_plan_to_destroy() {
    let folder = Folder::new();
    assert!(folder.run(0, &["--help"]).contains("own-program [OPTIONS] <COMMAND>"));
    let plan = folder.run(2, &["plan"]);
    assert!(plan.contains("board:Notice::welcome"), "{plan}");
    assert!(!folder.path("board").exists(), "a plan touches nothing");

    assert_eq!(folder.apply(), [9, 0, 0, 0]);
    let checkout = folder.read("board/checkout.txt");
    assert!(checkout.contains("in local://teams-checkout-reports"), "{checkout}");
    assert!(checkout.contains("for 30 days."), "{checkout}");
    let welcome = folder.read("board/welcome-1.txt");
    assert!(welcome.contains("see checkout and search."), "{welcome}");
    folder.run(0, &["plan", "--refresh", "always"]);
    let config = folder.run(0, &["output", "ConfigMap/checkout/reports"]);
    assert!(config.contains("checkout"), "{config}");

    folder.edit("board/checkout.txt", "30 days", "300 years");
    let drift = folder.run(2, &["drift"]);
    assert!(drift.contains("board:Notice::checkout") && drift.contains("300 years"), "{drift}");
    assert_eq!(folder.apply(), [0, 1, 0, 0]);
    assert_eq!(folder.read("board/checkout.txt"), checkout);

    folder.edit("stacks/teams.yaml", "retentionDays: 30", "retentionDays: 60");
    assert_eq!(folder.apply(), [0, 4, 0, 0], "two buckets and two notices");
    assert!(folder.read("board/search.txt").contains("for 60 days."));

    folder.edit("stacks/teams.yaml", "edition: 1", "edition: 2");
    assert_eq!(folder.apply(), [0, 0, 1, 0]);
    assert!(folder.path("board/welcome-2.txt").exists() && !folder.path("board/welcome-1.txt").exists());

    folder.run(0, &["destroy", "--yes"]);
    assert_eq!(std::fs::read_dir(folder.path("board")).unwrap().count(), 0, "nothing is left on the board");
}

#[test]
fn rehearsals_touch_nothing_real_and_offline_commands_know_the_program() {
    let folder = Folder::new();
    folder.run(0, &["apply", "--yes", "--rehearse"]);
    assert!(!folder.path("board").exists(), "the real board is untouched");
    let stood_in = folder.path(".plinth/_rehearse/teams/_own/board/checkout.txt");
    assert!(stood_in.exists(), "{}", stood_in.display());

    assert!(folder.run(0, &["graph", "--format", "mermaid"]).contains("welcome"));
    folder.run(0, &["check"]);
    folder.run(0, &["render", "--dir", "out"]);
    assert!(folder.read("out/checkout/configmap-reports.yaml").contains("known after apply"));
    assert!(folder.run(0, &["completions", "bash"]).contains("own-program"));
}

#[test]
fn mistakes_are_told_at_their_place() {
    let folder = Folder::new();
    folder.edit("stacks/teams.yaml", "retentionDays: 30", "retentionDays: a month");
    for command in [&["plan"][..], &["check"], &["render", "--dir", "out"], &["graph"]] {
        let said = folder.run(1, command);
        assert!(said.contains("teams.yaml:7:3") && said.contains("`parameters.retentionDays`"), "{said}");
    }
    folder.edit("stacks/teams.yaml", "retentionDays: a month", "retentionDays: 30\n  colour: red");
    let said = folder.run(1, &["plan"]);
    assert!(said.contains("teams.yaml:8:3") && said.contains("unknown field `colour`"), "{said}");

    // Kinds of one's own may stand in the stack file too; two resources cannot be the same thing.
    folder.edit("stacks/teams.yaml", "  colour: red\n", "");
    let more =
        "resources:\n  - { kind: \"board:Notice\", name: extra, inputs: { title: TITLE, text: hi } }\n";
    let text = folder.read("stacks/teams.yaml");
    for (title, said) in
        [("extra", None), ("checkout", Some("board:Notice::checkout")), ("Extra!", Some("12:"))]
    {
        std::fs::write(folder.path("stacks/teams.yaml"), text.clone() + &more.replace("TITLE", title))
            .unwrap();
        let told = folder.run(if said.is_some() { 1 } else { 2 }, &["plan"]);
        assert!(told.contains(said.unwrap_or("board:Notice::extra")), "{told}");
    }
    std::fs::write(folder.path("stacks/teams.yaml"), &text).unwrap();
    std::fs::create_dir(folder.path("board")).unwrap();
    std::fs::write(folder.path("board/search.txt"), "by hand").unwrap();
    let told = folder.run(1, &["plan"]);
    assert!(told.contains("board:Notice::search"), "{told}");
}

/// Every block of Rust or of the stack file that `docs/programs.md` shows is part of a file of this example.
#[test]
fn the_documentation_quotes_this_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files =
        ["src/main.rs", "src/team.rs", "src/notice.rs", "src/board.rs", "stacks/teams.yaml", "Cargo.toml"];
    let sources = files.map(|file| std::fs::read_to_string(root.join(file)).unwrap());
    let text = std::fs::read_to_string(root.join("../../docs/programs.md")).unwrap();
    let mut quoted = 0;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (language, code) = block.split_once('\n').unwrap();
        if matches!(language, "rust" | "yaml" | "toml") {
            assert!(sources.iter().any(|source| source.contains(code)), "not in the example:\n{code}");
            quoted += 1;
        }
    }
    assert!(quoted >= 6, "{quoted} blocks");
}
