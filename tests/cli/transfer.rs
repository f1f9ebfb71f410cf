//! Moving resources from one stack to another, killed at every write on the way.

use std::path::Path;

use crate::support::Sandbox;

const HEAD: &str = "apiVersion: plinth.dev/v1\nkind: Stack\ncloud: { provider: local }\n";
const STAYS: &str = "  - { kind: \"plinth:Data\", name: stays, inputs: { value: here } }\n";
const MOVED: &str = r#"  - { kind: "plinth:Password", name: word, inputs: { length: 20 } }
  - { kind: "plinth:Data", name: base, inputs: { value: v } }
  - { kind: "plinth:Data", name: upon, inputs: { value: "on ${base.value}" } }
  - { kind: "local:cloud/Bucket", name: store, inputs: { name: the-store, location: local-1 } }
"#;
const OBJECTS: &str = r#"  - { kind: "k8s:v1/Namespace", name: app, inputs: { metadata: { name: app } } }
  - { kind: "k8s:v1/ConfigMap", name: note, inputs: { metadata: { name: note, namespace: app }, data: { a: "1" } } }
  - { kind: "k8s:v1/Secret", name: login, inputs: { metadata: { name: login, namespace: app }, stringData: { p: "${word.value}" } } }
"#;

fn declare(sandbox: &Sandbox, stack: &str, resources: &[&str]) {
    let list = if resources.is_empty() { " []\n".to_owned() } else { format!("\n{}", resources.concat()) };
    sandbox.write(&format!("stacks/{stack}.yaml"), format!("{HEAD}name: {stack}\nresources:{list}"));
}

/// Stack `one` with everything, stack `two` with one resource of its own.
fn two_stacks(moved: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let all: Vec<&str> = [STAYS].iter().chain(moved).copied().collect();
    declare(&sandbox, "one", &all);
    declare(&sandbox, "two", &["  - { kind: \"plinth:Data\", name: own, inputs: { value: o } }\n"]);
    for stack in ["one", "two"] {
        sandbox.plinth(&["apply", "-s", stack, "--yes"]).expect(0);
    }
    sandbox
}

/// What belongs to whom after the move.
fn redeclare(sandbox: &Sandbox, moved: &[&str]) {
    declare(sandbox, "one", &[STAYS]);
    let own = "  - { kind: \"plinth:Data\", name: own, inputs: { value: o } }\n";
    let all: Vec<&str> = [own].iter().chain(moved).copied().collect();
    declare(sandbox, "two", &all);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_file() => drop(std::fs::copy(entry.path(), target).unwrap()),
            _ => {}
        }
    }
}

fn names(sandbox: &Sandbox, stack: &str) -> Vec<String> {
    let ran = sandbox.plinth(&["state", "list", "-s", stack]).expect(0);
    ran.out.lines().map(|urn| urn.split_once("::").unwrap().1.to_owned()).collect()
}

fn plan(sandbox: &Sandbox, stack: &str) -> [u64; 5] {
    let ran = sandbox.plinth(&["plan", "-s", stack, "--json", "--refresh", "always"]);
    assert!(matches!(ran.code, 0 | 2), "{}", ran.err);
    ran.counts()
}

fn mv<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut command =
        vec!["state", "mv", "-s", "one", "--to-stack", "two", "word", "base", "Data/up*", "store"];
    command.extend(more);
    command
}

#[test]
fn what_exists_goes_over_to_another_stack_and_is_marked_anew() {
    let sandbox = two_stacks(&[MOVED, OBJECTS]);
    let move_all = mv(&["app", "note", "login"]);
    let ran = sandbox.plinth(&move_all).expect(0);
    assert!(ran.out.contains("Moved 7 resources from one to two"), "{}", ran.out);
    assert_eq!(names(&sandbox, "one").len(), 1);
    redeclare(&sandbox, &[MOVED, OBJECTS]);
    assert_eq!(plan(&sandbox, "one"), [0; 5]);
    assert_eq!(plan(&sandbox, "two"), [0, 7, 0, 0, 0]);
    sandbox.plinth(&["apply", "-s", "two", "--yes"]).expect(0);
    assert_eq!(plan(&sandbox, "two"), [0; 5]);
    assert_eq!(plan(&sandbox, "one"), [0; 5]);
    sandbox.plinth(&["drift", "-s", "two"]).expect(0);
    sandbox.plinth(&["state", "verify", "-s", "two"]).expect(0);
    let again = sandbox.plinth(&move_all).expect(0);
    assert!(again.out.contains("nothing to change"), "{}", again.out);
    // And back again, before anything was marked, by the command that it names; then all goes from there.
    let there =
        sandbox.plinth(&["state", "mv", "-s", "two", "--to-stack", "one", "note", "--json"]).expect(0);
    let undo = there.events()[0]["undo"].as_str().unwrap().to_owned();
    let undo: Vec<&str> = undo.split(' ').skip(1).collect();
    sandbox.plinth(&undo).expect(0);
    assert!(names(&sandbox, "two").contains(&"k8s:v1/ConfigMap::note".to_owned()));
    sandbox.plinth(&["destroy", "-s", "two", "--yes"]).expect(0);
    assert!(names(&sandbox, "two").is_empty());
}

#[test]
fn what_cannot_go_over_is_refused_before_anything_is_written() {
    let sandbox = two_stacks(&[MOVED]);
    let refused = |args: &[&str], why: &str| {
        let logs =
            |stack: &str| std::fs::read_dir(sandbox.path(&format!(".plinth/{stack}/log"))).unwrap().count();
        let before = (logs("one"), logs("two"));
        let ran = sandbox.plinth(args).expect(1);
        assert!(ran.err.contains(why), "{args:?}: {}", ran.err);
        assert_eq!((logs("one"), logs("two")), before, "{args:?}");
    };
    refused(&["state", "mv", "-s", "one", "--to-stack", "two", "base"], "upon");
    refused(&["state", "mv", "-s", "one", "--to-stack", "two", "nothing"], "`nothing`");
    refused(&["state", "mv", "-s", "one", "--to-stack", "one", "base"], "is the stack that they are in");
    refused(&["state", "mv", "-s", "one", "base"], "--to-stack");
    let rehearsed = ["state", "mv", "-s", "one", "--to-stack", "two", "stays", "--rehearse"];
    assert_eq!(sandbox.plinth(&rehearsed).code, 1);
    sandbox.write(
        "stacks/far.yaml",
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: far\ncloud: { provider: existing }\nresources: []\n",
    );
    refused(&["state", "mv", "-s", "one", "--to-stack", "far", "stays"], "do not live in the same cloud");
    declare(&sandbox, "two", &[STAYS]);
    sandbox.plinth(&["apply", "-s", "two", "--yes"]).expect(0);
    refused(&["state", "mv", "-s", "one", "--to-stack", "two", "stays"], "is recorded already");
    sandbox.plinth(&["state", "mv", "-s", "one", "--to-stack", "two", "base", "--force"]).expect(0);
    assert!(names(&sandbox, "two").contains(&"plinth:Data::base".to_owned()));
    let shown = sandbox.plinth(&["state", "show", "-s", "one", "upon", "--json"]).expect(0);
    assert_eq!(shown.events()[0]["dependencies"], serde_json::json!([]));
}

#[test]
fn killed_at_any_write_exactly_one_stack_owns_each_resource() {
    let whole = two_stacks(&[MOVED]);
    let all = names(&whole, "one").len() + names(&whole, "two").len();
    let mut killed = 0;
    // A share that is another one after each change of the number of writes; all of them on demand.
    let step = if std::env::var_os("PLINTH_EVERY_KILL").is_some() { 1 } else { 5 };
    for point in (1..).step_by(step) {
        let sandbox = Sandbox::new();
        copy(&whole.path("."), &sandbox.path("."));
        let faults = format!("1:0,crash={point}");
        let ended = sandbox.plinth(&mv(&["--faults", &faults]));
        if ended.code == 0 {
            break;
        }
        assert_eq!(ended.code, -1, "point {point}: {}", ended.err);
        killed += 1;
        // Killed again while it finds out what became of it.
        let again = format!("1:0,crash={}", 1 + point % 7);
        sandbox.plinth(&["plan", "-s", "two", "--faults", &again]);
        let order = if point % 2 == 0 { ["one", "two"] } else { ["two", "one"] };
        let mut owned: Vec<String> = order.iter().flat_map(|stack| names(&sandbox, stack)).collect();
        owned.sort_unstable();
        owned.dedup();
        let (one, two) = (names(&sandbox, "one").len(), names(&sandbox, "two").len());
        assert_eq!((owned.len(), one + two), (all, all), "point {point}: {one} and {two}");
        assert!((one, two) == (5, 1) || (one, two) == (1, 5), "point {point}: {one} and {two}");
        sandbox.plinth(&mv(&[])).expect(0);
        redeclare(&sandbox, &[MOVED]);
        assert_eq!(plan(&sandbox, "one"), [0; 5], "point {point}");
        assert_eq!(plan(&sandbox, "two"), [0, 4, 0, 0, 0], "point {point}");
        sandbox.plinth(&["apply", "-s", "two", "--yes"]).expect(0);
        assert_eq!(plan(&sandbox, "two"), [0; 5], "point {point}");
        for stack in ["one", "two"] {
            sandbox.plinth(&["state", "verify", "-s", stack]).expect(0);
        }
    }
    println!("killed at {killed} points");
    assert!(killed * step > 14, "{killed} points");
}
