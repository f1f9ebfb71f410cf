//! The resources, found by what others call them.

use std::collections::HashMap;

use plinth_provider::{Map, Path, Resource, Urn, Value};

use super::Weight;
use super::acyclic::Edge;
use super::pods;
use crate::kind::Gvk;
use crate::normal::DEFAULT_NAMESPACE;
use crate::provider::connection_key;
use crate::schema;

/// A resource of this provider.
pub(super) struct Entry<'a> {
    pub resource: &'a Resource,
    pub gvk: Gvk,
    /// Which cluster: only resources of one cluster know each other.
    pub cluster: usize,
    pub namespace: Option<&'a str>,
}

/// A name as another object writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    cluster: usize,
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

pub(super) struct Index<'a> {
    entries: Vec<Entry<'a>>,
    names: HashMap<Name, usize>,
    by_urn: HashMap<&'a Urn, usize>,
    /// Definitions by the kind that they define.
    definitions: HashMap<(usize, String, String), usize>,
    /// Definitions by their group.
    groups: HashMap<(usize, String), Vec<usize>>,
    /// Workloads by each label of their pods.
    labels: HashMap<(usize, String, String, String), Vec<usize>>,
    /// Bindings by the service account that they bind.
    bindings: HashMap<(usize, String, String), Vec<usize>>,
    /// Workloads by the service account that their pods run as.
    accounts: HashMap<(usize, String, String), Vec<usize>>,
    /// Certificates by the secret that they write.
    certificates: HashMap<(usize, String, String), Vec<usize>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(resources: &[&'a Resource]) -> Self {
        let mut clusters: HashMap<String, usize> = HashMap::new();
        let mut index = Self {
            entries: Vec::new(),
            names: HashMap::new(),
            by_urn: HashMap::new(),
            definitions: HashMap::new(),
            groups: HashMap::new(),
            labels: HashMap::new(),
            bindings: HashMap::new(),
            accounts: HashMap::new(),
            certificates: HashMap::new(),
        };
        for resource in resources {
            let Ok(gvk) = Gvk::parse(resource.urn.kind()) else { continue };
            let key = match &resource.connection {
                // The value as it stands, references included.
                Some(connection) => format!("{connection:?}"),
                None => connection_key(None),
            };
            let count = clusters.len();
            let cluster = *clusters.entry(key).or_insert(count);
            let given = resource.inputs.text_at("metadata.namespace");
            let namespace = match schema::namespaced(&gvk) {
                Some(false) => None,
                Some(true) => Some(given.unwrap_or(DEFAULT_NAMESPACE)),
                None => given,
            };
            index.add(Entry { resource, gvk, cluster, namespace });
        }
        index
    }

    fn add(&mut self, entry: Entry<'a>) {
        let at = self.entries.len();
        let inputs = &entry.resource.inputs;
        let cluster = entry.cluster;
        let own = |text: &str| text.to_owned();
        let namespace = entry.namespace.unwrap_or_default().to_owned();
        if let Some(name) = inputs.text_at("metadata.name") {
            self.names.insert(
                Name {
                    cluster,
                    group: entry.gvk.group.clone(),
                    kind: entry.gvk.kind.clone(),
                    namespace: entry.namespace.map(own),
                    name: name.to_owned(),
                },
                at,
            );
        }
        self.by_urn.insert(&entry.resource.urn, at);
        if entry.gvk.is("apiextensions.k8s.io", "CustomResourceDefinition")
            && let (Some(group), Some(kind)) =
                (inputs.text_at("spec.group"), inputs.text_at("spec.names.kind"))
        {
            self.definitions.insert((cluster, own(group), own(kind)), at);
            self.groups.entry((cluster, own(group))).or_default().push(at);
        }
        if let Some(labels) = pods::template_labels(&entry.gvk, inputs) {
            for (key, value) in labels {
                if let Some(value) = value.as_str() {
                    let label = (cluster, namespace.clone(), key.clone(), own(value));
                    self.labels.entry(label).or_default().push(at);
                }
            }
        }
        if entry.gvk.group == "apps"
            && let Some(account) =
                pods::pod_spec(&entry.gvk, inputs).and_then(|spec| spec.text_at("serviceAccountName"))
        {
            self.accounts.entry((cluster, namespace.clone(), own(account))).or_default().push(at);
        }
        if matches!(entry.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
            for (in_namespace, name) in service_accounts(inputs, &namespace) {
                self.bindings.entry((cluster, in_namespace, name)).or_default().push(at);
            }
        }
        if entry.gvk.is("cert-manager.io", "Certificate")
            && let Some(secret) = inputs.text_at("spec.secretName")
        {
            self.certificates.entry((cluster, namespace, own(secret))).or_default().push(at);
        }
        self.entries.push(entry);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, at: usize) -> &Entry<'a> {
        &self.entries[at]
    }

    pub(super) fn urn(&self, at: usize) -> &'a Urn {
        &self.entries[at].resource.urn
    }

    /// The object of a name, beside `at`, in its own namespace.
    pub(super) fn named(&self, at: usize, group: &str, kind: &str, name: &str) -> Option<usize> {
        self.named_in(at, group, kind, self.entries[at].namespace, name)
    }

    /// The object of a name in a namespace, on the cluster of `at`.
    pub(super) fn named_in(
        &self,
        at: usize,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<usize> {
        let name = Name {
            cluster: self.entries[at].cluster,
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        self.names.get(&name).copied()
    }

    pub(super) fn definition(&self, at: usize, group: &str, kind: &str) -> Option<usize> {
        self.definitions.get(&(self.entries[at].cluster, group.to_owned(), kind.to_owned())).copied()
    }

    /// Every definition of a group.
    pub(super) fn definitions(&self, at: usize, group: &str) -> &[usize] {
        let key = (self.entries[at].cluster, group.to_owned());
        self.groups.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn bindings(&self, at: usize, namespace: &str, account: &str) -> &[usize] {
        let key = (self.entries[at].cluster, namespace.to_owned(), account.to_owned());
        self.bindings.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The workloads whose pods run as a service account.
    pub(super) fn running_as(&self, at: usize, namespace: &str, account: &str) -> &[usize] {
        let key = (self.entries[at].cluster, namespace.to_owned(), account.to_owned());
        self.accounts.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn certificates(&self, at: usize, namespace: &str, secret: &str) -> &[usize] {
        let key = (self.entries[at].cluster, namespace.to_owned(), secret.to_owned());
        self.certificates.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The workloads whose pods a selector matches.
    pub(super) fn selected(&self, at: usize, namespace: &str, selector: &Map) -> Vec<usize> {
        let cluster = self.entries[at].cluster;
        let mut lists = selector.iter().filter_map(|(key, value)| {
            let value = value.as_str()?;
            let key = (cluster, namespace.to_owned(), key.clone(), value.to_owned());
            Some(self.labels.get(&key).map(Vec::as_slice).unwrap_or_default())
        });
        let Some(first) = lists.next() else { return Vec::new() };
        let rest: Vec<&[usize]> = lists.collect();
        // Lists are in order of the index, so membership is a binary search.
        first.iter().copied().filter(|at| rest.iter().all(|list| list.binary_search(at).is_ok())).collect()
    }

    /// The dependencies that the program declares.
    pub(super) fn declared(&self, edges: &mut Vec<Edge>) {
        for (from, entry) in self.entries.iter().enumerate() {
            for urn in entry.resource.dependencies() {
                if let Some(to) = self.by_urn.get(&urn) {
                    edges.push(Edge { from, to: *to, weight: Weight::Declared });
                }
            }
        }
    }
}

/// The service accounts that a binding binds, with their namespaces.
pub(super) fn service_accounts(inputs: &Value, namespace: &str) -> Vec<(String, String)> {
    inputs
        .at(&Path::parse("subjects"))
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter(|subject| subject.text_at("kind") == Some("ServiceAccount"))
        .filter_map(|subject| {
            let name = subject.text_at("name")?;
            Some((subject.text_at("namespace").unwrap_or(namespace).to_owned(), name.to_owned()))
        })
        .collect()
}
