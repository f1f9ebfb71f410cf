//! A workload: from an image, a size and a configuration to every object that it needs in production.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use plinth_provider::Urn;

use super::build::Build;
use super::container::Container;
use super::parts::Part;
use super::pod;
use crate::catalogue::Image;
use crate::sizing::Shape;

/// Where a workload's certificate is mounted.
pub(crate) const TLS_DIRECTORY: &str = "/etc/plinth/tls";
/// The certificate.
pub(crate) const CERT_FILE: &str = "/etc/plinth/tls/tls.crt";
/// Its key.
pub(crate) const KEY_FILE: &str = "/etc/plinth/tls/tls.key";
/// The internal authority.
pub(crate) const CA_FILE: &str = "/etc/plinth/tls/ca.crt";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Deployment,
    StatefulSet,
    DaemonSet,
}

/// A workload in the making. [`Workload::deploy`] declares it with everything around it: ServiceAccount, roles,
/// ConfigMaps, certificate, Services and disruption budget.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(super) part: Part,
    pub(super) form: Form,
    pub(super) version: String,
    pub(super) replicas: i32,
    pub(super) main: Container,
    pub(super) sidecars: Vec<Container>,
    pub(super) volumes: Vec<core::Volume>,
    pub(super) configs: Vec<(String, Vec<(String, String)>)>,
    pub(super) disk: Option<Quantity>,
    pub(super) user: i64,
    pub(super) group: i64,
    pub(super) grace: i64,
    pub(super) service: bool,
    pub(super) headless: bool,
    pub(super) before_ready: bool,
    pub(super) parallel: bool,
    pub(super) strict_spread: bool,
    pub(super) host_network: bool,
    pub(super) host_pid: bool,
    pub(super) tls: Option<Vec<String>>,
    pub(super) cluster_rules: Vec<PolicyRule>,
    pub(super) rules: Vec<PolicyRule>,
    pub(super) metrics: Option<(i32, String, &'static str)>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) service_annotations: BTreeMap<String, String>,
    pub(super) priority: &'static str,
    pub(super) after: Vec<Urn>,
}

impl Workload {
    fn new(build: &Build<'_>, form: Form, part: Part, image: Image, shape: &Shape) -> Self {
        let name = if part.role.is_empty() { part.app } else { part.role };
        let main = Container::new(name, build.stack.catalogue.image(image)).compute(&shape.resources);
        Self {
            part,
            form,
            version: build.stack.catalogue.version(image).to_owned(),
            replicas: i32::try_from(shape.replicas).unwrap_or(i32::MAX),
            main: main.mount("tmp", "/tmp", false),
            sidecars: Vec::new(),
            volumes: vec![pod::scratch("tmp")],
            configs: Vec::new(),
            disk: (form == Form::StatefulSet).then(|| Quantity(shape.disk().to_string())),
            user: 65532,
            group: 65532,
            grace: 30,
            service: true,
            headless: form == Form::StatefulSet,
            before_ready: false,
            parallel: true,
            strict_spread: form == Form::StatefulSet && build.highly_available(),
            host_network: false,
            host_pid: false,
            tls: None,
            cluster_rules: Vec::new(),
            rules: Vec::new(),
            metrics: None,
            annotations: BTreeMap::new(),
            service_annotations: BTreeMap::new(),
            priority: "plinth-platform",
            after: Vec::new(),
        }
    }

    /// Pods that are all alike.
    pub fn deployment(build: &Build<'_>, part: Part, image: Image, shape: &Shape) -> Self {
        Self::new(build, Form::Deployment, part, image, shape)
    }

    /// Pods with a name, and with a disk of their own when [`Workload::disk`] is called.
    pub fn stateful_set(build: &Build<'_>, part: Part, image: Image, shape: &Shape) -> Self {
        Self::new(build, Form::StatefulSet, part, image, shape)
    }

    /// One pod on every node.
    pub fn daemon_set(build: &Build<'_>, part: Part, image: Image, shape: &Shape) -> Self {
        Self { priority: "plinth-agents", ..Self::new(build, Form::DaemonSet, part, image, shape) }
    }

    /// Changes the main container.
    pub fn main(mut self, change: impl FnOnce(Container) -> Container) -> Self {
        self.main = change(self.main);
        self
    }

    /// Adds a container beside the main one. It sees `/tmp` and the certificate too.
    pub fn sidecar(mut self, container: Container) -> Self {
        self.sidecars.push(container.mount("tmp", "/tmp", false));
        self
    }

    /// Runs as this user and group; the group also owns the volumes.
    pub fn user(mut self, user: i64, group: i64) -> Self {
        (self.user, self.group) = (user, group);
        self
    }

    /// How long it may take to stop, in seconds.
    pub fn grace(mut self, seconds: i64) -> Self {
        self.grace = seconds;
        self
    }

    /// Puts files into the ConfigMap `<part>` and mounts it as the volume `config`. Pods roll when they change.
    pub fn config<K: Into<String>>(
        self,
        directory: &str,
        files: impl IntoIterator<Item = (K, String)>,
    ) -> Self {
        self.more_config("", directory, files)
    }

    /// Puts files into the ConfigMap `<part>-<suffix>` and mounts it as the volume `config-<suffix>`.
    pub fn more_config<K: Into<String>>(
        mut self,
        suffix: &str,
        directory: &str,
        files: impl IntoIterator<Item = (K, String)>,
    ) -> Self {
        let files = files.into_iter().map(|(name, text)| (name.into(), text)).collect();
        let name = join(&self.part.name(), suffix);
        let volume = join("config", suffix);
        self.main = self.main.mount(&volume, directory, true);
        self.volumes.push(pod::config_volume(&volume, &name));
        self.configs.push((name, files));
        self
    }

    /// Mounts a ConfigMap that is declared elsewhere.
    pub fn config_map(mut self, volume: &str, config_map: &str, directory: &str) -> Self {
        self.main = self.main.mount(volume, directory, true);
        self.volumes.push(pod::config_volume(volume, config_map));
        self
    }

    /// Mounts a Secret's keys as files, readable by the pod's group.
    pub fn secret(mut self, volume: &str, secret: &str, directory: &str) -> Self {
        self.main = self.main.mount(volume, directory, true);
        self.volumes.push(pod::secret_volume(volume, secret));
        self
    }

    /// Mounts the disk of each pod, the volume `data`. For workloads with names.
    pub fn disk(mut self, directory: &str) -> Self {
        self.main = self.main.mount("data", directory, false);
        if self.form != Form::StatefulSet {
            self.volumes.push(pod::scratch("data"));
        }
        self
    }

    /// Mounts an empty folder that goes with the pod.
    pub fn scratch(mut self, volume: &str, directory: &str) -> Self {
        self.main = self.main.mount(volume, directory, false);
        self.volumes.push(pod::scratch(volume));
        self
    }

    /// Mounts a folder of the node, to be read. For agents.
    pub fn host_folder(mut self, volume: &str, path: &str, directory: &str) -> Self {
        self.main = self.main.mount(volume, directory, true);
        self.volumes.push(pod::host_volume(volume, path));
        self
    }

    /// Mounts a folder of the node, to be written. For agents.
    pub fn host_state(mut self, volume: &str, path: &str, directory: &str) -> Self {
        self.main = self.main.mount(volume, directory, false);
        let mut host = pod::host_volume(volume, path);
        if let Some(source) = &mut host.host_path {
            source.type_ = Some("DirectoryOrCreate".to_owned());
        }
        self.volumes.push(host);
        self
    }

    /// Adds a volume of any other kind, for a container to mount.
    pub fn volume(mut self, volume: core::Volume) -> Self {
        self.volumes.push(volume);
        self
    }

    /// Gives it a certificate of the internal authority, mounted at [`TLS_DIRECTORY`] in every container.
    pub fn tls(self) -> Self {
        self.tls_for(Vec::new())
    }

    /// Like [`Workload::tls`], for more names.
    pub fn tls_for(mut self, names: Vec<String>) -> Self {
        self.tls = Some(names);
        self
    }

    /// Makes no Service for all pods together.
    pub fn without_service(mut self) -> Self {
        self.service = false;
        self
    }

    /// Makes a Service with one address per pod too (workloads with names have one anyway).
    pub fn headless(mut self) -> Self {
        self.headless = true;
        self
    }

    /// Gives out addresses of pods that are not ready yet, which gossip needs.
    pub fn before_ready(mut self) -> Self {
        self.headless = true;
        self.before_ready = true;
        self
    }

    /// Starts pods one after the other.
    pub fn ordered(mut self) -> Self {
        self.parallel = false;
        self
    }

    /// Runs in the node's network. For agents.
    pub fn host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// Sees the node's processes. For agents.
    pub fn host_pid(mut self) -> Self {
        self.host_pid = true;
        self
    }

    /// Lets it use the API server: rules for the whole cluster. Gives the pod a token.
    pub fn cluster_rules(mut self, rules: Vec<PolicyRule>) -> Self {
        self.cluster_rules = rules;
        self
    }

    /// Lets it use the API server: rules for its own namespace. Gives the pod a token.
    pub fn rules(mut self, rules: Vec<PolicyRule>) -> Self {
        self.rules = rules;
        self
    }

    /// Has Prometheus scrape a port over TLS, and allows it to.
    pub fn metrics(mut self, port: i32, path: &str) -> Self {
        self.metrics = Some((port, path.to_owned(), "https"));
        self
    }

    /// Has Prometheus scrape a port over plain HTTP, and allows it to. For what cannot do TLS.
    pub fn plain_metrics(mut self, port: i32, path: &str) -> Self {
        self.metrics = Some((port, path.to_owned(), "http"));
        self
    }

    /// Annotates the Service.
    pub fn service_annotation(mut self, key: &str, value: impl Into<String>) -> Self {
        self.service_annotations.insert(key.to_owned(), value.into());
        self
    }

    /// Pods that others depend on are scheduled first.
    pub fn priority(mut self, class: &'static str) -> Self {
        self.priority = class;
        self
    }

    /// Waits for these.
    pub fn after(mut self, urns: impl IntoIterator<Item = Urn>) -> Self {
        self.after.extend(urns);
        self
    }

    /// Waits for a bucket, and hands out the keys where the store knows only keys.
    pub fn uses_bucket(mut self, build: &Build<'_>, bucket: &super::Bucket) -> Self {
        self.after.extend(bucket.needs.iter().cloned());
        if let Some(secret) = &build.foundation.credentials {
            self = self.main(|main| with_keys(main, secret));
        }
        self
    }
}

fn join(first: &str, second: &str) -> String {
    if second.is_empty() { first.to_owned() } else { format!("{first}-{second}") }
}

fn with_keys(container: Container, secret: &str) -> Container {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
        .into_iter()
        .fold(container, |container, key| container.env_secret(key, secret, key))
}
