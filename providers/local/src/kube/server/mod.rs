//! The server itself: what it holds, how it is opened, and how requests reach it.

mod bootstrap;
mod serve;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::controllers;
use super::journal::{FileJournal, Journal, NoJournal, Record};
use super::json::{Json, Look, annotation, name, set};
use super::metrics::Requests;
use super::options::Options;
use super::registry::Registry;
use super::store::{Key, Store};

pub use serve::Serving;

/// Everything behind the handle.
pub(crate) struct Server {
    pub store: Store,
    pub registry: Registry,
    pub options: Options,
    pub requests: Requests,
    /// Addresses and ports handed out but perhaps not stored yet.
    handed_out: Mutex<HashSet<u32>>,
}

/// An embedded Kubernetes API server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    server: Arc<Server>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("version", &self.server.store.version()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server that keeps its state in a directory. Controllers start if called inside a tokio runtime.
    ///
    /// # Errors
    /// When the directory cannot be used, is in use, or holds a damaged journal.
    pub fn open(dir: &Path, options: Options) -> io::Result<Self> {
        let mut records = Vec::new();
        let journal = FileJournal::open(dir, |record| records.push(record))?;
        Ok(Self::with_journal(Box::new(journal), records, options))
    }

    /// A server that forgets everything when it is dropped.
    pub fn in_memory(options: Options) -> Self {
        Self::with_journal(Box::new(NoJournal), Vec::new(), options)
    }

    /// A server with a journal of the caller's and what that journal recorded so far, oldest first.
    pub fn with_journal(journal: Box<dyn Journal>, records: Vec<Record>, options: Options) -> Self {
        let server = Arc::new(Server {
            store: Store::new(journal, records),
            registry: Registry::new(),
            options,
            requests: Requests::default(),
            handed_out: Mutex::default(),
        });
        for definition in server.store.list(DEFINITIONS, None).0 {
            server.registry.define(name(&definition), Some(&definition));
        }
        server.bootstrap();
        // Whoever served before may have died between storing a definition and putting it in force.
        for definition in server.store.list(DEFINITIONS, None).0 {
            let key = Key {
                resource: DEFINITIONS.to_owned(),
                namespace: String::new(),
                name: name(&definition).to_owned(),
            };
            server.noticed(&key, Some(&definition));
        }
        if server.options.controllers && tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(controllers::run(Arc::downgrade(&server)));
        }
        Self { server }
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// How often each verb was used on each resource, like `create deployments.apps`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.server.requests.all()
    }

    /// How many requests wanted to change something. Dry runs and the server's own controllers do not count.
    pub fn write_requests(&self) -> u64 {
        self.server.requests.writes()
    }

    /// The current resource version; it moves with every change.
    pub fn version(&self) -> u64 {
        self.server.store.version()
    }
}

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

impl Server {
    /// Called after every stored change, before the reply: what must follow at once follows here.
    pub fn noticed(&self, key: &Key, object: Option<&Json>) {
        if key.resource != DEFINITIONS {
            return;
        }
        match object {
            Some(definition) => {
                self.registry.define(&key.name, Some(definition));
                if !definition.has("metadata.deletionTimestamp") {
                    self.establish(key, definition);
                }
            }
            None => self.registry.define(&key.name, None),
        }
    }

    /// A definition is in force as soon as it is stored.
    fn establish(&self, key: &Key, definition: &Json) {
        let settled = super::json::condition(definition, "Established").is_some()
            && super::json::same(definition.at("status.acceptedNames"), definition.at("spec.names"));
        if settled {
            return;
        }
        let names = definition.at("spec.names").clone();
        let change = move |object: &mut Json| {
            set(object, "status.acceptedNames", names.clone());
            let now = super::json::now();
            for (kind, reason, message) in [
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ] {
                super::controllers::set_condition(object, kind, "True", reason, message, &now);
            }
        };
        if let Err(error) = self.system_update("kube-apiserver", "status", key, change) {
            tracing::warn!(%error, definition = %key.name, "definition could not be established");
        }
    }

    /// The groups and versions that services in the cluster are to serve, and whether they can. Nobody serves anything
    /// there: what can be reached has no resources.
    pub fn aggregated(&self) -> Vec<(String, String, bool)> {
        let (services, _) = self.store.list("apiservices.apiregistration.k8s.io", None);
        let remote = services.iter().filter(|s| !s.text("spec.service.name").is_empty());
        remote
            .map(|s| {
                let available =
                    super::json::condition(s, "Available").is_some_and(|c| c.text("status") == "True");
                (s.text("spec.group").to_owned(), s.text("spec.version").to_owned(), available)
            })
            .collect()
    }

    /// Whether a service in the cluster is to serve a group and version, and whether it can.
    pub fn aggregates(&self, group: &str, version: &str) -> Option<bool> {
        self.aggregated()
            .into_iter()
            .find(|(g, v, _)| g == group && v == version)
            .map(|(.., available)| available)
    }

    /// The class that is marked as the default, the newest if several are.
    pub fn default_class(&self) -> Option<String> {
        let (classes, _) = self.store.list("storageclasses.storage.k8s.io", None);
        classes
            .iter()
            .filter(|c| annotation(c, "storageclass.kubernetes.io/is-default-class") == Some("true"))
            .max_by_key(|c| c.text("metadata.creationTimestamp").to_owned())
            .map(|c| name(c).to_owned())
    }

    /// A cluster address that no Service has.
    pub fn free_address(&self) -> String {
        let (services, _) = self.store.list("services", None);
        let used: HashSet<&str> = services.iter().map(|s| s.text("spec.clusterIP")).collect();
        let mut handed_out = self.handed_out.lock().unwrap_or_else(PoisonError::into_inner);
        for number in 10..65_000_u32 {
            let address = format!("10.96.{}.{}", number / 256, number % 256);
            if !used.contains(address.as_str()) && handed_out.insert(number) {
                return address;
            }
        }
        // Every address was handed out once; from here on only what is stored counts.
        handed_out.clear();
        drop(handed_out);
        "10.96.255.254".into()
    }

    /// An address that was handed out for nothing: only a dry run wanted it.
    pub fn take_back(&self, address: &str) {
        let number = address.strip_prefix("10.96.").and_then(|rest| {
            let (high, low) = rest.split_once('.')?;
            Some(high.parse::<u32>().ok()? * 256 + low.parse::<u32>().ok()?)
        });
        if let Some(number) = number {
            self.handed_out.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }
    }

    /// A node port that neither a Service nor the list has.
    pub fn free_node_port(&self, taken: &[i64]) -> i64 {
        let (services, _) = self.store.list("services", None);
        let used: HashSet<i64> =
            services.iter().flat_map(|s| s.list("spec.ports")).filter_map(|p| p.int("nodePort")).collect();
        (30_000..32_768).find(|n| !used.contains(n) && !taken.contains(n)).unwrap_or(32_767)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_that_was_stored_and_not_put_in_force_is_by_the_next_server() {
        let object = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com", "uid": "u", "resourceVersion": "1", "generation": 1},
            "spec": {
                "group": "example.com", "scope": "Namespaced",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
            "status": {"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]},
        });
        let record = Record {
            version: 1,
            resource: DEFINITIONS.to_owned(),
            namespace: String::new(),
            name: "things.example.com".to_owned(),
            object: Some(object),
        };
        let api = ApiServer::with_journal(Box::new(NoJournal), vec![record], Options::default());
        let (definitions, _) = api.server().store.list(DEFINITIONS, None);
        let established = super::super::json::condition(&definitions[0], "Established");
        assert_eq!(established.map(|condition| condition.text("status")), Some("True"));
    }
}
