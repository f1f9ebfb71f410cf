//! A workload: from an image, a size and a configuration to every object that it needs in production.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use plinth_provider::Urn;

use super::account::{cluster_role, cluster_role_binding, role, role_binding};
use super::build::Build;
use super::container::{Container, none_if_empty};
use super::object::{metadata, text_map};
use super::parts::{self, Part};
use super::pod;
use super::services::service_port;
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

/// The annotation by which pods are rolled when their configuration changes.
const CHECKSUM: &str = "plinth.dev/config-checksum";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Deployment,
    StatefulSet,
    DaemonSet,
}

/// A workload in the making. [`Workload::deploy`] declares it with everything around it: ServiceAccount, roles,
/// ConfigMaps, certificate, Services and disruption budget.
#[derive(Debug)]
pub(crate) struct Workload {
    part: Part,
    form: Form,
    version: String,
    replicas: i32,
    main: Container,
    sidecars: Vec<Container>,
    init: Vec<Container>,
    volumes: Vec<core::Volume>,
    configs: Vec<(String, Vec<(String, String)>)>,
    disk: Option<Quantity>,
    user: i64,
    group: i64,
    grace: i64,
    service: bool,
    headless: bool,
    before_ready: bool,
    parallel: bool,
    recreate: bool,
    strict_spread: bool,
    host_network: bool,
    host_pid: bool,
    tls: Option<Vec<String>>,
    cluster_rules: Vec<PolicyRule>,
    rules: Vec<PolicyRule>,
    token: bool,
    metrics: Option<(i32, String, &'static str)>,
    annotations: BTreeMap<String, String>,
    service_annotations: BTreeMap<String, String>,
    priority: &'static str,
    after: Vec<Urn>,
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
            init: Vec::new(),
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
            recreate: false,
            strict_spread: form == Form::StatefulSet && build.highly_available(),
            host_network: false,
            host_pid: false,
            tls: None,
            cluster_rules: Vec::new(),
            rules: Vec::new(),
            token: false,
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

    /// Adds a container that runs before the others.
    pub fn init(mut self, container: Container) -> Self {
        self.init.push(container.mount("tmp", "/tmp", false));
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

    /// Stops the old pod before it starts the new one; for what must never run twice.
    pub fn recreate(mut self) -> Self {
        self.recreate = true;
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

    /// Gives the pod a token although it gets no rules here.
    pub fn token(mut self) -> Self {
        self.token = true;
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

    /// Annotates the pods.
    pub fn annotation(mut self, key: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
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

    /// Like [`Workload::uses_bucket`], when it is the last sidecar that uses it.
    pub fn sidecar_uses_bucket(mut self, build: &Build<'_>, bucket: &super::Bucket) -> Self {
        self.after.extend(bucket.needs.iter().cloned());
        if let (Some(secret), Some(sidecar)) = (&build.foundation.credentials, self.sidecars.pop()) {
            self.sidecars.push(with_keys(sidecar, secret));
        }
        self
    }

    /// Declares everything, and gives the workload's own URN.
    pub fn deploy(mut self, build: &mut Build<'_>) -> Urn {
        let part = self.part;
        let name = part.name();
        build.deployed.insert(part);
        let mut after = build.foundation.nodes.clone();
        after.append(&mut self.after);
        if let Some(identity) = build.foundation.identities.get(&part) {
            after.extend(identity.needs.iter().cloned());
            build.allow_outside(part, super::Outside::Metadata);
            if matches!(build.stack.cloud, crate::model::Cloud::Azure(_)) {
                build.allow_outside(part, super::Outside::Internet(443));
            }
        }
        if let Some(names) = self.tls.take() {
            after.push(build.certificate(part, &names));
            self.volumes.push(pod::secret_volume("tls", &format!("{name}-tls")));
            self.main = self.main.mount("tls", TLS_DIRECTORY, true);
            self.sidecars =
                self.sidecars.into_iter().map(|one| one.mount("tls", TLS_DIRECTORY, true)).collect();
        }
        self.declare_account(build);
        self.declare_configs(build);
        self.declare_services(build);
        if let Some((port, path, scheme)) = &self.metrics {
            self.annotations.extend(text_map([
                ("prometheus.io/scrape", "true"),
                ("prometheus.io/port", &port.to_string()),
                ("prometheus.io/path", path),
                ("prometheus.io/scheme", scheme),
            ]));
            if self.host_network {
                build.allow_outside(parts::PROMETHEUS, super::Outside::Nodes(*port));
            } else {
                build.allow(parts::PROMETHEUS, part, &[*port]);
            }
        }
        if self.form != Form::DaemonSet {
            build.disruption_budget(part);
        }
        self.declare_pods(build, &after)
    }

    fn declare_account(&self, build: &mut Build<'_>) {
        let part = self.part;
        let name = part.name();
        let namespace = build.namespace(part.space).to_owned();
        let mut meta = metadata(Some(&namespace), &name, build.labels(part));
        meta.annotations = build
            .foundation
            .identities
            .get(&part)
            .map(|identity| identity.annotations.clone())
            .filter(|annotations| !annotations.is_empty());
        build.object(core::ServiceAccount {
            metadata: meta,
            automount_service_account_token: Some(false),
            ..Default::default()
        });
        if !self.cluster_rules.is_empty() {
            // Names of cluster-wide objects say whose they are.
            let wide = format!("plinth:{namespace}:{name}").replace(':', "-");
            let labels = build.labels(part);
            build.object(cluster_role(metadata(None, &wide, labels.clone()), self.cluster_rules.clone()));
            build.object(cluster_role_binding(metadata(None, &wide, labels), &wide, &namespace, &name));
        }
        if !self.rules.is_empty() {
            let labels = build.labels(part);
            build.object(role(metadata(Some(&namespace), &name, labels.clone()), self.rules.clone()));
            build.object(role_binding(metadata(Some(&namespace), &name, labels), &name, &namespace, &name));
        }
    }

    fn declare_configs(&mut self, build: &mut Build<'_>) {
        if self.configs.is_empty() {
            return;
        }
        let texts = self.configs.iter().flat_map(|(_, files)| files).flat_map(|(name, text)| [name, text]);
        self.annotations.insert(CHECKSUM.to_owned(), Build::checksum(texts));
        let namespace = build.namespace(self.part.space).to_owned();
        for (name, files) in std::mem::take(&mut self.configs) {
            build.object(core::ConfigMap {
                metadata: metadata(Some(&namespace), name, build.labels(self.part)),
                data: Some(text_map(files)),
                ..Default::default()
            });
        }
    }

    fn declare_services(&mut self, build: &mut Build<'_>) {
        let containers = std::iter::once(&self.main).chain(&self.sidecars);
        let ports: Vec<core::ServicePort> = containers
            .flat_map(|container| &container.ports)
            .map(|port| {
                let protocol = port.protocol.as_deref().unwrap_or("TCP");
                service_port(port.name.as_deref().unwrap_or(""), port.container_port, protocol)
            })
            .collect();
        if self.headless {
            build.headless_service(self.part, ports.clone(), self.before_ready);
        }
        if self.service && !ports.is_empty() {
            build.service(self.part, ports, std::mem::take(&mut self.service_annotations));
        }
    }

    fn declare_pods(self, build: &mut Build<'_>, after: &[Urn]) -> Urn {
        let part = self.part;
        let form = self.form;
        let namespace = build.namespace(part.space).to_owned();
        let mut labels = build.labels(part);
        labels.insert("app.kubernetes.io/version".to_owned(), self.version.clone());
        let meta = metadata(Some(&namespace), part.name(), labels);
        let selector = LabelSelector { match_labels: Some(build.selector(part)), ..LabelSelector::default() };
        let replicas = self.replicas;
        let (disk, parallel, recreate) = (self.disk.clone(), self.parallel, self.recreate);
        let has_disk = self.main.mounts.iter().any(|mount| mount.name == "data");
        let ready_seconds = build.highly_available().then_some(10);
        let template = self.template(build);
        match form {
            Form::Deployment => build.object_after(
                apps::Deployment {
                    metadata: meta,
                    spec: Some(apps::DeploymentSpec {
                        replicas: Some(replicas),
                        selector,
                        template,
                        strategy: Some(deployment_strategy(recreate)),
                        min_ready_seconds: ready_seconds,
                        revision_history_limit: Some(5),
                        ..Default::default()
                    }),
                    status: None,
                },
                after,
            ),
            Form::StatefulSet => {
                let claims = disk.filter(|_| has_disk).map(|size| vec![claim(build, part, size)]);
                let keep = build.highly_available() || build.stack.cluster.deletion_protection;
                let retention = apps::StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(if keep { "Retain" } else { "Delete" }.to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                };
                build.object_after(
                    apps::StatefulSet {
                        metadata: meta,
                        spec: Some(apps::StatefulSetSpec {
                            replicas: Some(replicas),
                            selector,
                            template,
                            service_name: Some(part.headless()),
                            pod_management_policy: Some(
                                if parallel { "Parallel" } else { "OrderedReady" }.to_owned(),
                            ),
                            persistent_volume_claim_retention_policy: claims.is_some().then_some(retention),
                            volume_claim_templates: claims,
                            min_ready_seconds: ready_seconds,
                            revision_history_limit: Some(5),
                            update_strategy: Some(apps::StatefulSetUpdateStrategy {
                                type_: Some("RollingUpdate".to_owned()),
                                rolling_update: None,
                            }),
                            ..Default::default()
                        }),
                        status: None,
                    },
                    after,
                )
            }
            Form::DaemonSet => build.object_after(
                apps::DaemonSet {
                    metadata: meta,
                    spec: Some(apps::DaemonSetSpec {
                        selector,
                        template,
                        min_ready_seconds: ready_seconds,
                        revision_history_limit: Some(5),
                        update_strategy: Some(apps::DaemonSetUpdateStrategy {
                            type_: Some("RollingUpdate".to_owned()),
                            rolling_update: Some(apps::RollingUpdateDaemonSet {
                                max_unavailable: Some(IntOrString::String("10%".to_owned())),
                                max_surge: None,
                            }),
                        }),
                    }),
                    status: None,
                },
                after,
            ),
        }
    }

    fn template(self, build: &Build<'_>) -> core::PodTemplateSpec {
        let part = self.part;
        let identity = build.foundation.identities.get(&part);
        let mut labels = build.labels(part);
        labels.insert("app.kubernetes.io/version".to_owned(), self.version);
        labels.extend(identity.map(|identity| identity.labels.clone()).unwrap_or_default());
        let token = self.token || !self.rules.is_empty() || !self.cluster_rules.is_empty();
        let containers = std::iter::once(self.main).chain(self.sidecars).map(Container::finish).collect();
        let init = self.init.into_iter().map(Container::finish).collect();
        let spread = pod::spread(build, part, self.strict_spread, self.form == Form::Deployment);
        let every_node = self.form == Form::DaemonSet;
        let mut spec = pod::base(
            &part.name(),
            token,
            pod::security(self.user, self.group),
            containers,
            init,
            self.volumes,
        );
        spec.termination_grace_period_seconds = Some(self.grace);
        spec.priority_class_name = Some(self.priority.to_owned());
        spec.topology_spread_constraints = none_if_empty(if every_node { Vec::new() } else { spread });
        spec.host_network = self.host_network.then_some(true);
        spec.host_pid = self.host_pid.then_some(true);
        if self.host_network {
            spec.dns_policy = Some("ClusterFirstWithHostNet".to_owned());
        }
        if every_node {
            spec.tolerations =
                Some(vec![core::Toleration { operator: Some("Exists".to_owned()), ..Default::default() }]);
        }
        core::PodTemplateSpec {
            metadata: Some(pod::template_metadata(labels, self.annotations)),
            spec: Some(spec),
        }
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

fn deployment_strategy(recreate: bool) -> apps::DeploymentStrategy {
    if recreate {
        return apps::DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None };
    }
    apps::DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(apps::RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

fn claim(build: &Build<'_>, part: Part, size: Quantity) -> core::PersistentVolumeClaim {
    core::PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".to_owned()),
            labels: Some(build.selector(part)),
            ..Default::default()
        },
        spec: Some(core::PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: build.stack.storage_class(),
            resources: Some(core::VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into_iter().collect()),
                limits: None,
            }),
            volume_mode: Some("Filesystem".to_owned()),
            ..Default::default()
        }),
        status: None,
    }
}
