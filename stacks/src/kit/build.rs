//! The context in which components declare their resources.

use std::collections::{BTreeMap, BTreeSet};

use plinth_provider::{Resource, Urn, Value, typed};

use super::foundation::{Bucket, Foundation, StoreKind};
use super::network::Edges;
use super::object::{Object, text_map};
use super::parts::{Part, Phase, Space};
use crate::model::{BucketPurpose, Cloud, Database, Mesh, Platform, Stack};
use crate::sizing::Sizing;

/// For what a program is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target {
    /// Runs against the embedded cloud and cluster, whatever the stack's cloud is.
    pub rehearse: bool,
    /// Nothing will be applied: rendering and pictures, which need no cloud.
    pub offline: bool,
}

/// Why a stack has no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProgramError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What components declare their resources into.
pub(crate) struct Build<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// Its platform.
    pub platform: &'a Platform,
    /// For what the program is wanted.
    pub target: Target,
    /// The size of every workload.
    pub sizing: Sizing,
    /// What the cloud gives.
    pub foundation: Foundation,
    /// Everything issued by cert-manager waits for these.
    pub issuers: Vec<Urn>,
    /// What an Ingress waits for.
    pub ingress: Vec<Urn>,
    pub(super) edges: Edges,
    pub(super) deployed: BTreeSet<Part>,
    pub(super) declared: BTreeSet<Urn>,
    phase: Phase,
    resources: Vec<Resource>,
    errors: Vec<ProgramError>,
    nowhere: Urn,
}

impl<'a> Build<'a> {
    /// An empty program.
    ///
    /// # Errors
    /// When the stack's name cannot stand in a URN.
    pub fn new(stack: &'a Stack, platform: &'a Platform, target: Target) -> Result<Self, ProgramError> {
        let nowhere = Urn::new(stack.name.as_str(), "plinth:Data", "nowhere").map_err(|error| {
            ProgramError { message: error.to_string(), help: "give the stack another name".to_owned() }
        })?;
        Ok(Self {
            stack,
            platform,
            target,
            sizing: Sizing::of_platform(platform),
            foundation: Foundation::default(),
            issuers: Vec::new(),
            ingress: Vec::new(),
            edges: Edges::default(),
            deployed: BTreeSet::new(),
            declared: BTreeSet::new(),
            phase: Phase::Cloud,
            resources: Vec::new(),
            errors: Vec::new(),
            nowhere,
        })
    }

    /// What was declared, or everything that was wrong.
    ///
    /// # Errors
    /// Everything that was wrong.
    pub fn finish(self) -> Result<Vec<Resource>, Vec<ProgramError>> {
        if self.errors.is_empty() { Ok(self.resources) } else { Err(self.errors) }
    }

    /// What follows belongs to another phase.
    pub fn phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Records that something is wrong, and goes on, so that everything wrong is told at once.
    pub fn error(&mut self, message: impl Into<String>, help: impl Into<String>) -> Urn {
        self.errors.push(ProgramError { message: message.into(), help: help.into() });
        self.nowhere()
    }

    pub(super) fn nowhere(&self) -> Urn {
        self.nowhere.clone()
    }

    /// Whether everything runs in replicas.
    pub fn highly_available(&self) -> bool {
        self.platform.high_availability
    }

    /// The URN of a resource of this stack.
    pub fn urn(&mut self, kind: &str, name: &str) -> Urn {
        match Urn::new(self.stack.name.as_str(), kind, name) {
            Ok(urn) => urn,
            Err(error) => self.error(error.to_string(), "use a shorter or simpler name in the stack file"),
        }
    }

    /// Declares a resource as it is.
    pub fn add(&mut self, mut resource: Resource) {
        if resource.options.phase.is_empty() {
            resource.options.phase = self.phase.name().to_owned();
        }
        self.resources.push(resource);
    }

    /// Declares a resource of any kind.
    pub fn resource<T: serde::Serialize>(&mut self, kind: &str, name: &str, inputs: &T) -> Urn {
        let urn = self.urn(kind, name);
        match typed(inputs) {
            Ok(inputs) => self.add(Resource::new(urn.clone(), inputs)),
            Err(error) => {
                self.error(
                    format!("the inputs of {urn} cannot be written: {error}"),
                    "report this as a defect",
                );
            }
        }
        urn
    }

    /// Declares a Kubernetes object.
    pub fn object(&mut self, object: impl Object) -> Urn {
        self.object_after(object, &[])
    }

    /// Declares a Kubernetes object that needs more than what it refers to.
    pub fn object_after(&mut self, mut object: impl Object, after: &[Urn]) -> Urn {
        let meta = object.meta();
        let name = meta.name.clone().unwrap_or_default();
        let name = match &meta.namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        let kind = format!("k8s:{}/{}", object.api_version(), object.kind());
        let urn = self.resource(&kind, &name, &object);
        let connection = self.foundation.connection.clone();
        let after = after.iter().chain(&self.foundation.doors).cloned().collect();
        if let Some(resource) = self.resource_mut(&urn) {
            resource.connection = connection;
            resource.options.depends_on = after;
        }
        urn
    }

    /// A resource that was declared, to set its options.
    pub fn resource_mut(&mut self, urn: &Urn) -> Option<&mut Resource> {
        self.resources.iter_mut().rev().find(|resource| resource.urn == *urn)
    }

    /// Records that a part runs, so that its network edges count. [`Workload::deploy`](super::Workload::deploy) does.
    pub fn runs(&mut self, part: Part) {
        self.deployed.insert(part);
    }

    /// A namespace's name.
    pub fn namespace(&self, space: Space) -> &str {
        let names = &self.platform.namespaces;
        match space {
            Space::Platform => names.platform.as_str(),
            Space::Agents => names.agents.as_str(),
            Space::CertManager => names.cert_manager.as_str(),
            Space::Ingress => names.ingress.as_str(),
        }
    }

    /// Whether the stack makes a namespace.
    pub fn has(&self, space: Space) -> bool {
        let platform = self.platform;
        match space {
            Space::Platform => true,
            Space::Agents => platform.collector.agent.enabled || platform.exporters.node_exporter.enabled,
            Space::CertManager => platform.cert_manager.install,
            Space::Ingress => platform.ingress.class_name.is_none(),
        }
    }

    /// Whether a namespace's pods join the mesh that is there. Agents use the node's network, and cert-manager must work
    /// before there is a mesh.
    pub fn is_meshed(&self, space: Space) -> bool {
        self.platform.mesh != Mesh::None
            && matches!(space, Space::Platform | Space::Ingress)
            && self.has(space)
    }

    /// The name under which a part's Service is reached from every namespace.
    pub fn host(&self, part: Part) -> String {
        format!("{}.{}.svc", part.name(), self.namespace(part.space))
    }

    /// The name under which each pod of a part is reached: prefix it with the pod's name and a dot, or resolve it to all.
    pub fn headless_host(&self, part: Part) -> String {
        format!("{}.{}.svc", part.headless(), self.namespace(part.space))
    }

    /// Labels of everything.
    pub fn common_labels(&self) -> BTreeMap<String, String> {
        text_map([
            ("app.kubernetes.io/part-of", "plinth"),
            ("app.kubernetes.io/managed-by", "plinth"),
            ("app.kubernetes.io/instance", self.stack.name.as_str()),
        ])
    }

    /// Labels of a part's objects.
    pub fn labels(&self, part: Part) -> BTreeMap<String, String> {
        let mut labels = self.common_labels();
        labels.extend(self.selector(part));
        labels
    }

    /// Labels by which a part's pods are found; they never change.
    pub fn selector(&self, part: Part) -> BTreeMap<String, String> {
        let mut labels = text_map([
            ("app.kubernetes.io/name", part.app),
            ("app.kubernetes.io/instance", self.stack.name.as_str()),
        ]);
        if !part.role.is_empty() {
            labels.insert("app.kubernetes.io/component".to_owned(), part.role.to_owned());
        }
        labels
    }

    /// A bucket. The foundation makes one for every purpose.
    pub fn bucket(&self, purpose: BucketPurpose) -> Bucket {
        self.foundation.buckets.get(&purpose).cloned().unwrap_or_else(|| Bucket {
            name: self.stack.bucket_name(purpose),
            kind: StoreKind::S3 {
                endpoint: String::new(),
                region: String::new(),
                path_style: true,
                insecure: false,
                internal_authority: false,
            },
            needs: Vec::new(),
        })
    }

    pub(super) fn object_store_port(&self) -> i32 {
        match &self.stack.cloud {
            Cloud::Existing(cluster) => cluster.object_store.as_ref().map_or(443, |store| {
                let url = store.endpoint.as_str();
                let default = if url.starts_with("http://") { 80 } else { 443 };
                let authority = url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or("");
                authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(default)
            }),
            _ => 443,
        }
    }

    pub(super) fn database_port(&self) -> i32 {
        match &self.platform.database {
            Database::External(database) => i32::from(database.port),
            Database::Embedded(_) => 5432,
        }
    }

    /// A text by which pods are rolled when a configuration changes.
    pub(super) fn checksum(texts: impl Iterator<Item = impl AsRef<[u8]>>) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for text in texts {
            let text = text.as_ref();
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a value that is known only after apply is, in a program for which nothing will be applied.
    pub fn output(&self, urn: &Urn, path: &str) -> String {
        plinth_provider::OutputRef { urn: urn.clone(), path: plinth_provider::Path::parse(path) }.mark()
    }

    /// An output as a value, for connections.
    pub fn output_value(&self, urn: &Urn, path: &str) -> Value {
        Value::Output(plinth_provider::OutputRef {
            urn: urn.clone(),
            path: plinth_provider::Path::parse(path),
        })
    }
}
