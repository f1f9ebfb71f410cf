//! `extends`: what wins, what is told, and whose place is named.

use std::path::Path;

use crate::file::load;

/// Writes files into a folder and loads the first; what is said shows no temporary path.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<super::Loaded, String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let loaded = load(&folder.path().join(files[0].0)).map_err(|found| {
        let said = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n");
        said.replace(&folder.path().display().to_string(), "stacks")
    });
    (folder, loaded)
}

#[test]
fn maps_merge_lists_replace_null_takes_away() {
    let (_folder, loaded) = folder(&[
        (
            "prod.yaml",
            "apiVersion: plinth.dev/v1\nkind: Stack\nname: prod\nextends: [base.yaml, more/size.yaml]\nplatform:\n  environment: null\n  collector: { allowedNamespaces: [shop] }\n",
        ),
        (
            "base.yaml",
            "platform:\n  domain: base.example.com\n  environment: base\n  collector: { allowedNamespaces: [a, b], gateway: { spansPerSecond: 5 } }\n",
        ),
        ("more/size.yaml", "extends: ../common.yaml\nplatform:\n  loki: { gbPerDay: 250 }\n"),
        ("common.yaml", "platform:\n  loki: { gbPerDay: 1, retention: 7d }\n  domain: common.example.com\n"),
    ]);
    let loaded = loaded.unwrap();
    let platform = loaded.stack.platform.unwrap();
    assert_eq!(platform.domain.unwrap().as_str(), "common.example.com");
    assert_eq!(platform.environment, None);
    assert_eq!(platform.collector.allowed_namespaces.len(), 1);
    assert_eq!(platform.collector.gateway.spans_per_second, Some(5));
    assert_eq!(platform.loki.gb_per_day, Some(250.0));
    assert_eq!(platform.loki.retention.as_str(), "7d");
    let place = loaded.locations.find(&"platform.loki.retention".into()).unwrap();
    assert!(place.file.ends_with("common.yaml"), "{place}");
    assert_eq!((place.line, place.column), (2, 24));
    assert!(
        loaded.locations.find(&"platform.loki.gbPerDay".into()).unwrap().file.ends_with("more/size.yaml")
    );
}

#[test]
fn a_mistake_in_a_base_is_told_where_it_stands() {
    let (_folder, loaded) = folder(&[
        ("prod.yaml", "extends: base.yaml\napiVersion: plinth.dev/v1\nkind: Stack\nname: prod\n"),
        ("base.yaml", "platform:\n  domian: example.com\n"),
    ]);
    insta::assert_snapshot!(loaded.unwrap_err());
}

#[test]
fn circles_and_missing_files_are_told() {
    let (_folder, circle) = folder(&[
        ("a.yaml", "name: a\nextends: b.yaml\n"),
        ("b.yaml", "extends: [c.yaml]\n"),
        ("c.yaml", "extends: ./a.yaml\n"),
    ]);
    let (_folder, itself) = folder(&[("a.yaml", "extends: a.yaml\n")]);
    let (_folder, missing) = folder(&[("a.yaml", "extends: base.yml\n"), ("base.yaml", "{}")]);
    let (_folder, wrong) = folder(&[("a.yaml", "extends: { file: base.yml }\n")]);
    let (_folder, directory) = folder(&[("a.yaml", "extends: sub\n"), ("sub/b.yaml", "{}")]);
    let said = [circle, itself, missing, wrong, directory].map(Result::unwrap_err).join("\n\n");
    insta::assert_snapshot!(said);
}

#[test]
fn files_that_are_no_stack_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let found = load(path).unwrap_err();
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n\n")
            .replace(&folder.path().display().to_string(), "stacks")
    };
    let missing = said(&folder.path().join("nowhere.yaml"));
    let directory = said(folder.path());
    let binary = folder.path().join("binary.yaml");
    std::fs::write(&binary, [0x7f, b'E', b'L', b'F', 0xff, 0xfe, 0]).unwrap();
    let large = folder.path().join("large.yaml");
    std::fs::write(&large, "#".repeat(64 * 1024 * 1024 + 1)).unwrap();
    insta::assert_snapshot!([missing, directory, said(&binary), said(&large)].join("\n\n"));
}
