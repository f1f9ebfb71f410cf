//! Looking at what is recorded, changing, mending and moving it, as a user does.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;

use crate::place::Place;
use crate::support::Sandbox;

fn stack(count: usize, changed: &str) -> String {
    let mut text =
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: bench\ncloud: { provider: local }\nresources:\n"
            .to_owned();
    for n in 0..count {
        let value = if n == 0 { changed } else { "v" };
        let needs = if n == 1 { ", dependsOn: [r0]" } else { "" };
        text.push_str(&format!(
            "  - {{ kind: \"plinth:Data\", name: r{n}, inputs: {{ value: \"{value}\" }}{needs} }}\n"
        ));
    }
    text
}

fn sandbox(count: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("stacks/bench.yaml", stack(count, "v0"));
    sandbox.plinth(&["apply", "-s", "bench", "--yes"]).expect(0);
    sandbox
}

/// The command that an edit names for taking it back.
fn undo(ran: &crate::support::Ran) -> Vec<String> {
    let line =
        ran.out.lines().find_map(|line| line.strip_prefix("To take it back: plinth ")).expect("an undo");
    line.split(' ').map(str::to_owned).collect()
}

fn urns(sandbox: &Sandbox) -> Vec<String> {
    let ran = sandbox.plinth(&["state", "list", "-s", "bench"]).expect(0);
    ran.out.lines().map(str::to_owned).collect()
}

#[test]
fn every_edit_names_the_command_that_takes_it_back() {
    let sandbox = sandbox(3);
    let before = urns(&sandbox);
    let refused = sandbox.plinth(&["state", "rm", "r0", "-s", "bench"]).expect(1);
    assert!(refused.err.contains("r1") && refused.err.contains("--force"), "{}", refused.err);
    for edit in [
        ["state", "rm", "r0", "--force", "-s", "bench"].as_slice(),
        &["state", "rm", "r1", "r2", "-s", "bench"],
        &["state", "mv", "r0", "other", "-s", "bench"],
    ] {
        let ran = sandbox.plinth(edit).expect(0);
        assert_ne!(urns(&sandbox), before, "{edit:?}");
        let undo = undo(&ran);
        sandbox.plinth(&undo.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
        assert_eq!(urns(&sandbox), before, "{edit:?}");
    }
    assert_eq!(sandbox.plinth(&["plan", "-s", "bench", "--json"]).expect(0).counts(), [0; 5]);
    let ran = sandbox.plinth(&["state", "mv", "r0", "other", "-s", "bench", "--json"]).expect(0);
    assert!(ran.events()[0]["undo"].as_str().unwrap().starts_with("plinth state undo "), "{}", ran.out);
}

#[test]
fn what_was_exported_can_be_imported_again() {
    let sandbox = sandbox(3);
    sandbox.plinth(&["state", "export", "-s", "bench", "--out", "state.json"]).expect(0);
    let whole = sandbox.plinth(&["state", "export", "-s", "bench"]).expect(0).out;
    let export: Json = serde_json::from_str(&whole).unwrap();
    assert_eq!((export["resources"].as_array().unwrap().len(), &export["stack"]), (3, &"bench".into()));
    sandbox.plinth(&["state", "rm", "r2", "-s", "bench"]).expect(0);
    sandbox.plinth(&["state", "import", "state.json", "r2", "-s", "bench"]).expect(0);
    assert_eq!(sandbox.plinth(&["plan", "-s", "bench", "--json"]).expect(0).counts(), [0; 5]);
    let ran = sandbox.plinth(&["state", "import", "state.json", "-s", "bench"]).expect(0);
    assert!(ran.out.contains("nothing to change"), "{}", ran.out);
    sandbox.edit("state.json", "\"bench\"", "\"other\"");
    let ran = sandbox.plinth(&["state", "import", "state.json", "-s", "bench"]).expect(1);
    assert!(ran.err.contains("it is of the stack"), "{}", ran.err);
}

#[test]
fn a_damaged_log_is_named_and_mended_and_the_next_apply_converges() {
    mended_and_converged(|entries| (entries.len() / 2, entries[entries.len() / 2].len() / 2));
    // The colon of a kind in what was about to be made: a resource that never was, of a kind that nobody knows.
    mended_and_converged(|entries| {
        let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        let intents = entries.iter().position(|bytes| find(bytes, b"\"intent\"").is_some());
        let at = intents.expect("an intent");
        (at, find(&entries[at], b"plinth:Data").expect("a kind") + "plinth".len())
    });
}

fn mended_and_converged(damaged: impl Fn(&[Vec<u8>]) -> (usize, usize)) {
    let sandbox = sandbox(3);
    let folder = sandbox.path(".plinth/bench/log");
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let mut contents: Vec<_> = entries.iter().map(|entry| std::fs::read(entry).unwrap()).collect();
    let (which, at) = damaged(&contents);
    contents[which][at] ^= 1;
    let torn = &entries[which];
    std::fs::write(torn, &contents[which]).unwrap();
    let name = torn.file_name().unwrap().to_str().unwrap();
    let ran = sandbox.plinth(&["plan", "-s", "bench"]).expect(1);
    assert!(ran.err.contains(name) && ran.err.contains("state repair"), "{}", ran.err);
    let ran = sandbox.plinth(&["state", "verify", "-s", "bench"]).expect(1);
    assert!(ran.out.contains(name), "{}", ran.out);
    let ran = sandbox.plinth(&["state", "repair", "-s", "bench"]).expect(1);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    let ran = sandbox.plinth(&["state", "repair", "-s", "bench", "--yes"]).expect(0);
    assert!(ran.out.contains("give up entry") && ran.out.contains("is mended"), "{}", ran.out);
    sandbox.plinth(&["state", "verify", "-s", "bench"]).expect(0);
    for _ in 0..2 {
        let ran = sandbox.plinth(&["apply", "-s", "bench", "--yes"]).expect(0);
        assert!(
            !ran.err.contains("cannot be found out") && !ran.out.contains("cannot be found out"),
            "{}",
            ran.out
        );
        assert_eq!(sandbox.plinth(&["plan", "-s", "bench", "--json"]).expect(0).counts(), [0; 5]);
    }
    assert_eq!(urns(&sandbox).len(), 3);
}

#[test]
fn state_moves_and_the_old_place_says_where_to() {
    let sandbox = sandbox(3);
    let (from, to) = (sandbox.path(".plinth"), sandbox.path("elsewhere"));
    let (from, to) = (format!("file://{}", from.display()), format!("file://{}", to.display()));
    sandbox.plinth(&["state", "migrate", "--from", &from, "--to", &to]).expect(0);
    let ran = sandbox.plinth(&["plan", "-s", "bench"]).expect(1);
    assert!(ran.err.contains(&to), "{}", ran.err);
    let there = ["plan", "-s", "bench", "--state", &to, "--json"];
    assert_eq!(sandbox.plinth(&there).expect(0).counts(), [0; 5]);
    // Again changes nothing.
    sandbox.plinth(&["state", "migrate", "--from", &from, "--to", &to, "-s", "bench"]).expect(0);
    sandbox.plinth(&["state", "verify", "-s", "bench", "--state", &to]).expect(0);
}

#[test]
fn keys_of_a_bucket_come_from_the_profile_in_force() {
    let Some(place) = Place::find(Some("moto")) else { return };
    let mut sandbox = sandbox(2);
    let process = r#"sh -c 'echo "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}"'"#;
    sandbox.write(
        ".aws/config",
        format!("[profile ops]\nregion = us-east-1\ncredential_process = {process}\n\n[profile empty]\nregion = us-east-1\n"),
    );
    let url = place.url("profile").unwrap();
    sandbox.set("AWS_PROFILE", "empty");
    let ran = sandbox.plinth(&["apply", "-s", "bench", "--yes", "--state", &url]).expect(1);
    assert!(ran.err.contains("profile") && ran.err.contains("aws sso login"), "{}", ran.err);
    sandbox.set("AWS_PROFILE", "ops");
    sandbox.plinth(&["apply", "-s", "bench", "--yes", "--state", &url]).expect(0);
    sandbox.plinth(&["plan", "-s", "bench", "--state", &url]).expect(0);
}

/// The real binary, on storage of every kind, killed on the way.
#[test]
fn state_travels_through_every_storage() {
    let mut sandbox = sandbox(40);
    sandbox.write("stacks/other.yaml", stack(2, "v0").replace("name: bench", "name: other"));
    sandbox.plinth(&["apply", "-s", "other", "--yes"]).expect(0);
    let mut places = Vec::new();
    for name in ["moto", "azurite", "postgres", "ministack"] {
        let Some(place) = Place::find(Some(name)) else { return };
        places.push(place);
    }
    let last = format!("file://{}", sandbox.path("last").display());
    let mut from = format!("file://{}", sandbox.path(".plinth").display());
    let urls = places.iter().map(|place| place.url("travel").unwrap()).chain([last]);
    for (to, place) in urls.zip(places.iter().map(Some).chain([None])) {
        if let Some(place) = place {
            place.equip(&mut sandbox);
        }
        let migrate = ["state", "migrate", "--from", &from, "--to", &to];
        for patience in [20, 120] {
            let mut killed =
                sandbox.command(&migrate).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(patience));
            let _ = killed.kill();
            killed.wait().unwrap();
        }
        sandbox.plinth(&[&migrate[..], &["--lock-timeout", "120"]].concat()).expect(0);
        for stack in ["bench", "other"] {
            let there = sandbox.plinth(&["plan", "-s", stack, "--state", &to, "--json"]).expect(0);
            assert_eq!(there.counts(), [0; 5], "{stack} at {to}");
            sandbox.plinth(&["state", "verify", "-s", stack, "--state", &to]).expect(0);
            let left = sandbox.plinth(&["plan", "-s", stack, "--state", &from]).expect(1);
            assert!(left.err.contains("went to") || left.err.contains("moved"), "{}", left.err);
        }
        from = to;
    }
    sandbox.write("stacks/bench.yaml", stack(41, "v1"));
    sandbox.plinth(&["apply", "-s", "bench", "--state", &from, "--yes"]).expect(0);
}

#[test]
fn a_change_appends_as_much_to_a_large_stack_as_to_a_small_one() {
    let appended = |count: usize| {
        let sandbox = sandbox(count);
        let entries = |sandbox: &Sandbox| -> u64 {
            let folder = std::fs::read_dir(sandbox.path(".plinth/bench/log")).unwrap();
            folder.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
        };
        let before = entries(&sandbox);
        sandbox.write("stacks/bench.yaml", stack(count, "v1"));
        sandbox.plinth(&["apply", "-s", "bench", "--yes"]).expect(0);
        entries(&sandbox) - before
    };
    let (small, large) = (appended(100), appended(1000));
    // Numbers of operations and positions have some digits more, and an operation may share its entry or not.
    assert!(large < small + 1000, "{small} bytes with 100 resources, {large} with 1,000");
}
