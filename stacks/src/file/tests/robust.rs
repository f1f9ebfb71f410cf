//! Garbage never panics, size never hurts, and what is right is read as it was meant.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::{HEAD, complaints, right};
use crate::file::{load_from_tree, load_text, load_with, schema};
use crate::model::{SecretSource, SecretText};

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = load_text(Path::new("x.yaml"), &text);
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([a-z&*!|>%@`'\"#:,?\\-\\[\\]{} \n\t$<]|name|kind|resources|- |: |\\$\\{|\n  ){0,120}") {
        let _ = load_text(Path::new("x.yaml"), &text);
        let _ = load_text(Path::new("x.yaml"), &format!("{HEAD}{text}"));
        let _ = load_text(Path::new("x.yaml"), &format!("{HEAD}resources:\n{text}"));
    }

    #[test]
    fn a_file_with_a_part_replaced_never_panics(start in 0usize..2000, length in 0usize..30, with in ".{0,12}") {
        let text = format!("{HEAD}{FULL}");
        let cut = |position: usize| text.char_indices().map(|(at, _)| at).take_while(|at| *at <= position).last().unwrap_or(0);
        let (first, last) = (cut(start), cut(start + length));
        let _ = load_text(Path::new("x.yaml"), &format!("{}{with}{}", &text[..first], &text[last..]));
    }
}

const FULL: &str = "
cloud: { provider: aws, region: eu-central-1, accountId: \"123456789012\" }
cluster:
  version: \"1.35\"
  nodePools: [ { name: general, instanceType: m7i.2xlarge, taints: [ { key: a, effect: NoSchedule } ] } ]
platform:
  domain: example.com
  database: { external: { host: db.example.com, password: { fromExternalSecret: { key: a, property: b } } } }
  externalSecrets: { storeRef: { name: vault } }
  certManager: { acme: { email: a@example.com, solver: { dns: { route53: { region: eu-central-1 } } } } }
  alertmanager:
    receivers: [ { name: team, slack: [ { apiUrl: { value: \"https://x\" }, channel: \"#a\" } ] } ]
    route: { receiver: team, matchers: [ 'severity=\"critical\"' ], continue: true }
catalogue: { loki: { version: 3.7.7 } }
settings: { encryption: passphrase, refreshMaxAge: 10m }
resources:
  - { kind: \"k8s:v1/ConfigMap\", name: note, inputs: { data: { text: \"$${x} ${other.a[0].b}\", none: null } } }
  - { kind: \"plinth:Data\", name: other, timeouts: { create: 5m }, aliases: [ old ] }
";

#[test]
fn a_full_file_is_read_as_it_was_meant() {
    let loaded = right(&format!("{HEAD}{FULL}"));
    let stack = &loaded.stack;
    assert_eq!(stack.cloud.name(), "aws");
    assert_eq!(stack.bucket_name(crate::model::BucketPurpose::Loki), "plinth-test-123456789012-loki");
    assert_eq!(stack.grafana_host(), "grafana.example.com");
    assert_eq!(stack.catalogue.image(crate::catalogue::Image::Loki), "docker.io/grafana/loki:3.7.7");
    assert_eq!(stack.resources[0].inputs["data"]["none"], json!(null));
    assert_eq!(stack.directory, Path::new("stacks"));
    assert_eq!(loaded.resource_location("other").unwrap().line, 21);
    assert_eq!(loaded.resource_location("nobody"), None);
    let again = load_from_tree(loaded.tree.clone(), loaded.locations.clone()).unwrap();
    assert_eq!(again.stack, *stack);
}

#[test]
fn a_changed_tree_is_checked_with_the_places_it_came_from() {
    let loaded = right(&format!("{HEAD}platform:\n  prometheus:\n    scrapeInterval: 30s\n"));
    let mut tree = loaded.tree;
    tree["platform"]["prometheus"]["scrapeInterval"] = json!("soon");
    tree["cluster"] = json!({ "version": "2" });
    let found = load_from_tree(tree, loaded.locations).unwrap_err();
    let said: Vec<String> = found
        .iter()
        .map(|diagnostic| {
            format!(
                "{}: {}",
                diagnostic.location.as_ref().map(ToString::to_string).unwrap_or_default(),
                diagnostic.message
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "stacks/test.yaml:1:1: `2` is not a minor version of Kubernetes, as in `\"1.35\"`",
            "stacks/test.yaml:6:21: `soon` is not a duration: write numbers with units, as in `30s`, `1h30m` or `15d`",
        ]
    );
}

#[test]
fn yaml_scalars_mean_what_version_1_2_says() {
    let loaded = right(&format!(
        "{HEAD}resources:\n  - kind: plinth:Data\n    name: a\n    inputs: {{ yes: no, hex: 0x1F, octal: 0o17, float: 1e3, text: 1_000, date: 2025-01-01, quoted: \"1\", empty:, tilde: ~, plus: +5, version: 1.2.3, tagged: !!str 5 }}\n"
    ));
    assert_eq!(
        loaded.stack.resources[0].inputs,
        json!({ "yes": "no", "hex": 31, "octal": 15, "float": 1000.0, "text": "1_000", "date": "2025-01-01",
            "quoted": "1", "empty": null, "tilde": null, "plus": 5, "version": "1.2.3", "tagged": "5" })
    );
}

#[test]
fn anchors_repeat_but_not_without_end() {
    let loaded = right(&format!(
        "{HEAD}resources:\n  - {{ kind: &k plinth:Data, name: a, inputs: &i {{ x: 1 }} }}\n  - {{ kind: *k, name: b, inputs: *i }}\n"
    ));
    assert_eq!(loaded.stack.resources[1].inputs, json!({ "x": 1 }));
    let mut bomb = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let before = level - 1;
        let _ = writeln!(
            bomb,
            "a{level}: &a{level} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]"
        );
    }
    assert!(complaints(&bomb).contains("more than 200000 nodes"), "{}", complaints(&bomb));
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(5000), "{a: ".repeat(5000), "- ".repeat(5000), "? ".repeat(5000)] {
        let said = complaints(&format!("{HEAD}platform:\n  {text}"));
        assert!(
            said.contains("deep") || said.contains("not valid YAML") || said.contains("a key must be text"),
            "{said}"
        );
    }
}

#[test]
fn many_resources_are_read_in_linear_time() {
    let file = |count: usize| {
        let mut text = format!("{HEAD}resources:\n");
        for number in 0..count {
            let _ =
                write!(text, "  - {{ kind: \"plinth:Data\", name: r{number}, inputs: {{ value: \"v{number}");
            if number > 0 {
                let _ = write!(text, " ${{r{}.value}}", number - 1);
            }
            text.push_str("\" } }\n");
        }
        text
    };
    let time = |count: usize| {
        let text = file(count);
        let start = std::time::Instant::now();
        let loaded = right(&text);
        assert_eq!(loaded.stack.resources.len(), count);
        start.elapsed()
    };
    let small = time(2_000);
    let large = time(20_000);
    // Ten times the resources; quadratic work would take a hundred times as long.
    assert!(large < small * 40, "2,000 took {small:?}, 20,000 took {large:?}");
}

#[test]
fn a_file_of_any_size_is_told_the_same_mistakes() {
    let told = |right: usize| {
        // One that the schema finds, and one that the graph of references finds.
        let mut text = format!(
            "{HEAD}resources:\n  - {{ kind: \"plinth:Data\", name: a, protect: 1 }}\n  - {{ kind: \"plinth:Data\", name: b, dependsOn: [nobody] }}\n"
        );
        for number in 0..right {
            let _ = writeln!(text, "  - {{ kind: \"plinth:Data\", name: r{number} }}");
        }
        complaints(&text)
    };
    let few = told(1);
    assert!(few.contains("protect") && few.contains("nobody"), "{few}");
    assert_eq!(told(5_000), few, "judged on two threads");
}

#[test]
fn the_schema_speaks_of_every_part() {
    fn walk(schema: &serde_json::Value, at: &str, bare: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                if property.get("description").is_none()
                    && property.get("const").is_none()
                    && property.get("$ref").is_none()
                {
                    bare.push(format!("{at}.{name}"));
                }
            }
        }
    }
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut bare = Vec::new();
    walk(&schema, "Stack", &mut bare);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(definition, name, &mut bare);
    }
    bare.retain(|name| !name.starts_with("Catalogue."));
    assert!(bare.is_empty(), "no description: {bare:?}");
}

#[test]
fn secrets_come_from_the_environment_and_are_not_kept_in_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.yaml");
    let text = format!(
        "{HEAD}platform:\n  grafana:\n    admin: {{ password: {{ fromEnvironment: ADMIN }} }}\n    secretKey: {{ fromEnvironment: KEY }}\n"
    );
    std::fs::write(&path, text).unwrap();
    let loaded = load_with(&path, &|name| (name == "ADMIN").then(|| "hunter2 and more".to_owned())).unwrap();
    let again = load_from_tree(loaded.tree.clone(), loaded.locations.clone()).unwrap();
    for loaded in [&loaded, &again] {
        let grafana = &loaded.stack.platform.as_ref().unwrap().grafana;
        assert_eq!(grafana.admin.password, Some(SecretSource::Value(SecretText::new("hunter2 and more"))));
        assert!(matches!(grafana.secret_key, Some(SecretSource::Generate(_))));
        assert_eq!(loaded.missing.len(), 1);
        assert_eq!(loaded.missing[0].message, "the environment variable `KEY` is not set");
        assert_eq!(loaded.missing[0].location.as_ref().unwrap().line, 7);
        assert!(!loaded.tree.to_string().contains("hunter2"));
        assert!(!format!("{loaded:?}").contains("hunter2"));
    }
}

#[test]
fn every_default_is_well_formed() {
    let stack = right(&format!("{HEAD}platform: {{}}\n")).stack;
    let tree = serde_json::to_value(&stack).unwrap();
    assert!(tree["platform"]["prometheus"]["retention"].is_string());
}
