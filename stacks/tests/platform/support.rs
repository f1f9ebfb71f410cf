//! Stacks to try, and their programs as manifests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plinth_provider::{Resource, Value};
use plinth_stacks::file;
use plinth_stacks::model::Stack;
use plinth_stacks::program::{Target, program};
use serde_json::Value as Json;

/// A stack file's text for each cloud, beside the files of the repository.
const MORE: &[(&str, &str)] = &[
    (
        "embedded-store",
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: edge\ncloud: { provider: existing, kubeconfig: edge.yaml, context: edge }\nplatform: {}\n",
    ),
    (
        "gcp",
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: gcp\ncloud: { provider: gcp, project: example-project, region: europe-west3 }\nplatform:\n  mesh: istio\n  certManager:\n    acme: { email: ops@example.com, solver: { dns: { cloudDns: { project: example-project } } } }\n  collector: { allowedNamespaces: [shop], gateway: { samplingPercentage: 20, requireClientCertificates: true } }\n",
    ),
    (
        "azure",
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: azure\ncloud: { provider: azure, subscription: 00000000-0000-0000-0000-000000000000, resourceGroup: plinth, location: westeurope }\nplatform:\n  mesh: linkerd\n  ingress: { className: corporate }\n  certManager:\n    acme: { email: ops@example.com, solver: { http: {} } }\n  exporters: { blackbox: { targets: { shop: { url: \"http://shop.example.com:8080/\" } } } }\n",
    ),
];

/// One stack with its program.
pub struct Case {
    /// The stack's name.
    pub name: String,
    /// The stack.
    pub stack: Stack,
    /// Its resources.
    pub resources: Vec<Resource>,
}

impl Case {
    /// The Kubernetes objects with everything known only after apply made up.
    pub fn manifests(&self) -> Vec<Json> {
        self.resources.iter().filter(|one| one.urn.kind().starts_with("k8s:")).map(manifest).collect()
    }
}

/// Every stack file of the repository and the ones above, for nobody's eyes but a machine's.
pub fn cases() -> Vec<Case> {
    let offline = Target { rehearse: false, offline: true };
    let mut stacks: BTreeMap<String, Stack> = BTreeMap::new();
    for path in stack_files() {
        let loaded = file::load(&path).unwrap_or_else(|found| {
            panic!("{}: {}", path.display(), found.iter().map(ToString::to_string).collect::<String>())
        });
        stacks.insert(path.file_stem().unwrap().to_string_lossy().into_owned(), loaded.stack);
    }
    for (name, text) in MORE {
        let loaded = file::load_text(Path::new(name), text).unwrap_or_else(|found| {
            panic!("{name}: {}", found.iter().map(ToString::to_string).collect::<String>())
        });
        stacks.insert((*name).to_owned(), loaded.stack);
    }
    stacks
        .into_iter()
        .map(|(name, stack)| {
            let resources = program(&stack, &offline).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
            Case { name, stack, resources }
        })
        .collect()
}

/// The stack files of the repository.
pub fn stack_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// An object as it will be sent; what is known only after apply is the text `later`.
pub fn manifest(resource: &Resource) -> Json {
    resource.inputs.resolve(&mut |_| Some(Value::from("later"))).expose()
}
