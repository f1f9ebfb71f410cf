//! Every stack file of this folder is right, and has a program: the real one and the rehearsed one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plinth_stacks::file::{load, load_from_tree, overlay, promotable};
use plinth_stacks::program::{Target, program};

fn stack_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

#[test]
fn every_stack_has_a_program_in_which_every_reference_is_met() {
    for file in stack_files() {
        let loaded = load(&file).unwrap_or_else(|found| panic!("{}", found[0]));
        let target = Target { rehearse: true, ..Target::default() };
        let resources =
            program(&loaded.stack, &target).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", file.display()));
        let urns: BTreeSet<_> = resources.iter().map(|resource| resource.urn.clone()).collect();
        assert_eq!(urns.len(), resources.len(), "{}: two resources share a URN", file.display());
        assert!(resources.len() > 50, "{}: {} resources", file.display(), resources.len());
        for resource in &resources {
            for needed in resource.dependencies() {
                assert!(
                    urns.contains(&needed),
                    "{}: {} needs {needed}, which nothing declares",
                    file.display(),
                    resource.urn
                );
            }
        }
    }
}

#[test]
fn a_program_is_the_same_every_time() {
    for file in stack_files() {
        let declared = || {
            let target = Target { rehearse: true, ..Target::default() };
            program(&load(&file).unwrap().stack, &target).unwrap()
        };
        assert_eq!(declared(), declared(), "{}", file.display());
    }
}

#[test]
fn staging_can_be_promoted_to_prod() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let staging = load(&folder.join("staging.yaml")).unwrap();
    let prod = load(&folder.join("prod.yaml")).unwrap();
    let mut newer = staging.tree;
    newer["cluster"]["version"] = "1.36".into();
    newer["catalogue"] = serde_json::json!({ "loki": { "version": "3.7.7" } });
    let promoted = promotable(&newer);
    let base = promotable(&prod.tree);
    let merged = overlay(prod.tree, &promoted, &base);
    let after = load_from_tree(merged, prod.locations).unwrap();
    assert_eq!(after.stack.cluster.version.as_str(), "1.36");
    assert_eq!(after.stack.cluster.node_pools, prod.stack.cluster.node_pools);
    assert_eq!(after.stack.platform, prod.stack.platform);
}
