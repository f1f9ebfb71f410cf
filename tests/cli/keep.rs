//! What the user wants to keep is kept, whatever name it gets and however a run ended.

use crate::support::Sandbox;

const HEAD: &str =
    "apiVersion: plinth.dev/v1\nkind: Stack\nname: t\ncloud: { provider: local }\nresources:\n";

fn stack(sandbox: &Sandbox, resources: &str) {
    sandbox.write("s.yaml", format!("{HEAD}{resources}"));
}

fn applied(resources: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    stack(&sandbox, resources);
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    sandbox
}

fn buckets(sandbox: &Sandbox) -> Vec<String> {
    let folder = sandbox.path(".plinth/_local/cloud/buckets");
    let names = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

const BUCKET: &str =
    "  - { kind: \"local:cloud/Bucket\", name: a, inputs: { location: local-1, forceDestroy: true } }\n";

#[test]
fn a_plan_of_the_real_stack_is_not_applied_by_a_rehearsal() {
    let sandbox = applied("  - { kind: \"plinth:Data\", name: a, inputs: { v: 1 } }\n");
    sandbox.edit("s.yaml", "v: 1", "v: 2");
    sandbox.plinth(&["plan", "-s", "s.yaml", "--out", "plan.json"]).expect(2);
    let refused = sandbox.plinth(&["apply", "-s", "s.yaml", "plan.json", "--yes", "--rehearse"]).expect(1);
    assert!(refused.err.contains("plan.json is a plan of the real stack"), "{}", refused.err);
    let shown = sandbox.plinth(&["state", "show", "a", "-s", "s.yaml"]).expect(0);
    assert!(shown.out.contains("v: 1"), "{}", shown.out);
    sandbox.plinth(&["apply", "-s", "s.yaml", "plan.json", "--yes"]).expect(0);
}

#[test]
fn what_the_file_newly_keeps_is_kept_by_destroy() {
    let sandbox = applied(BUCKET);
    for (option, code) in [("protect", 1), ("retainOnDelete", 0)] {
        stack(&sandbox, &BUCKET.replace("name: a,", &format!("name: a, {option}: true,")));
        let planned = sandbox.plinth(&["plan", "-s", "s.yaml"]).expect(0);
        assert!(planned.out.contains("the options of local:cloud/Bucket::a have changed"), "{}", planned.out);
        sandbox.plinth(&["destroy", "-s", "s.yaml", "--yes"]).expect(code);
        assert_eq!(buckets(&sandbox), ["t-a"], "{option}");
    }
}

#[test]
fn a_replaced_bucket_that_is_to_be_retained_stays_with_its_content() {
    let sandbox = applied(&BUCKET.replace("name: a,", "name: a, retainOnDelete: true,"));
    sandbox.write(".plinth/_local/cloud/buckets/t-a/file", "kept");
    sandbox.edit("s.yaml", "local-1", "local-2");
    let planned = sandbox.plinth(&["plan", "-s", "s.yaml"]).expect(2);
    assert!(planned.out.contains("the old one is to be retained: it is left where it is"), "{}", planned.out);
    let applied = sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    assert!(applied.out.contains("left the old local:cloud/Bucket::a"), "{}", applied.out);
    assert_eq!(buckets(&sandbox), ["t-a", "t-a-2"]);
    assert!(sandbox.path(".plinth/_local/cloud/buckets/t-a/file").exists());
    sandbox.plinth(&["plan", "-s", "s.yaml", "--refresh", "always"]).expect(0);
}

#[test]
fn an_object_under_another_name_is_not_made_and_deleted_at_once() {
    let sandbox = applied(BUCKET);
    sandbox.plinth(&["state", "mv", "-s", "s.yaml", "a", "q"]).expect(0);
    let refused = sandbox.plinth(&["plan", "-s", "s.yaml"]).expect(1);
    let said =
        "it is the object that is recorded as plinth:t::local:cloud/Bucket::q, which this plan would delete";
    assert!(refused.err.contains(said) && refused.err.contains("`aliases: [q]`"), "{}", refused.err);
    sandbox.edit("s.yaml", "name: a,", "name: a, aliases: [q],");
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    assert_eq!(buckets(&sandbox), ["t-a"]);
}

#[test]
fn a_part_is_also_found_by_a_former_name() {
    let data =
        |name: &str, v: u32| format!("  - {{ kind: \"plinth:Data\", {name}, inputs: {{ v: {v} }} }}\n");
    let sandbox = applied(&(data("name: a", 1) + &data("name: b", 1)));
    stack(&sandbox, &(data("name: a", 2) + &data("name: y, aliases: [b]", 2)));
    let part = |args: &[&str]| {
        let all = [&["plan", "-s", "s.yaml", "--json"], args].concat();
        let planned = sandbox.plinth(&all).expect(2);
        let steps = planned.events().into_iter().filter(|event| event["event"] == "step");
        steps.map(|step| step["urn"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(part(&["--exclude", "b"]), ["plinth:t::plinth:Data::a"]);
    assert_eq!(part(&["--target", "b"]), ["plinth:t::plinth:Data::y"]);
}

#[test]
fn a_replacement_that_was_killed_goes_on_under_a_name_that_is_now_given() {
    let user = "  - { kind: \"plinth:Data\", name: c, inputs: { v: \"${a.url}\" } }\n";
    for point in (6..=30).step_by(3) {
        let sandbox = applied(&format!("{BUCKET}{user}"));
        sandbox.edit("s.yaml", "local-1", "local-2");
        let faults = format!("1:0,crash={point}");
        let _ = sandbox.plinth(&["apply", "-s", "s.yaml", "--yes", "--faults", &faults]);
        sandbox.edit("s.yaml", "forceDestroy: true", "forceDestroy: true, name: t-a");
        sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
        assert_eq!(buckets(&sandbox), ["t-a"], "{point}");
        sandbox.plinth(&["plan", "-s", "s.yaml", "--refresh", "always"]).expect(0);
    }
}

#[test]
fn an_old_bucket_with_content_goes_when_the_file_says_so() {
    let bucket = BUCKET.replace(", forceDestroy: true", "");
    let sandbox = applied(&bucket);
    sandbox.write(".plinth/_local/cloud/buckets/t-a/file", "content");
    sandbox.edit("s.yaml", "local-1", "local-2");
    let failed = sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(1);
    assert!(failed.out.contains("set `forceDestroy: true` and apply that"), "{}{}", failed.out, failed.err);
    assert_eq!(buckets(&sandbox), ["t-a", "t-a-2"]);
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(1);
    sandbox.edit("s.yaml", "location: local-2", "location: local-2, forceDestroy: true");
    sandbox.plinth(&["apply", "-s", "s.yaml", "--yes"]).expect(0);
    assert_eq!(buckets(&sandbox), ["t-a-2"]);
    sandbox.plinth(&["plan", "-s", "s.yaml"]).expect(0);
}
