//! A workload's objects: ServiceAccount, roles, ConfigMaps, Services, disruption budget, and the pods themselves.

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use plinth_provider::Urn;

use super::account::{cluster_role, cluster_role_binding, role, role_binding};
use super::build::Build;
use super::container::{Container, none_if_empty};
use super::exceptions;
use super::network::Outside;
use super::object::{metadata, text_map};
use super::parts::{self, Part};
use super::pod;
use super::services::service_port;
use super::workload::{Form, TLS_DIRECTORY, Workload};
use crate::model::Cloud;

/// The annotation by which pods are rolled when their configuration changes.
const CHECKSUM: &str = "plinth.dev/config-checksum";
/// The annotation by which pods are made anew that were admitted before their identity had come through.
const ADMITTED_WITH: &str = "plinth.dev/admitted-with";

impl Workload {
    /// Declares everything, and gives the workload's own URN.
    pub fn deploy(mut self, build: &mut Build<'_>) -> Urn {
        let part = self.part;
        let name = part.name();
        build.deployed.insert(part);
        let mut after = build.foundation.nodes.clone();
        after.append(&mut self.after);
        if let Some(identity) = build.foundation.identities.get(&part) {
            after.extend(identity.needs.iter().cloned());
            build.allow_outside(part, Outside::Metadata);
            if matches!(build.stack.cloud, Cloud::Azure(_)) {
                build.allow_outside(part, Outside::Internet(443));
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
                build.allow_outside(parts::PROMETHEUS, Outside::Nodes(*port));
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
            let wide = format!("plinth-{namespace}-{name}");
            let labels = build.labels(part);
            let mut meta = metadata(None, &wide, labels.clone());
            meta.annotations = exceptions::of_rules(&self.cluster_rules);
            build.object(cluster_role(meta, self.cluster_rules.clone()));
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
        let mut meta = metadata(Some(&namespace), part.name(), labels);
        let selector = LabelSelector { match_labels: Some(build.selector(part)), ..LabelSelector::default() };
        let replicas = self.replicas;
        let (disk, parallel) = (self.disk.clone(), self.parallel);
        let has_disk = self.main.mounts.iter().any(|mount| mount.name == "data");
        let ready_seconds = build.highly_available().then_some(10);
        let template = self.template(build);
        meta.annotations = template.spec.as_ref().map(exceptions::of_pod);
        if let Some(variable) = build.foundation.identities.get(&part).and_then(|identity| identity.variable)
        {
            let annotations = meta.annotations.get_or_insert_default();
            annotations.insert(ADMITTED_WITH.to_owned(), variable.to_owned());
        }
        match form {
            Form::Deployment => build.object_after(
                apps::Deployment {
                    metadata: meta,
                    spec: Some(apps::DeploymentSpec {
                        replicas: Some(replicas),
                        selector,
                        template,
                        strategy: Some(deployment_strategy()),
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

    fn template(mut self, build: &Build<'_>) -> core::PodTemplateSpec {
        let part = self.part;
        let identity = build.foundation.identities.get(&part);
        let mut labels = build.labels(part);
        labels.insert("app.kubernetes.io/version".to_owned(), self.version);
        labels.extend(identity.map(|identity| identity.labels.clone()).unwrap_or_default());
        self.annotations.extend(identity.map(|identity| identity.marks.clone()).unwrap_or_default());
        let token = !self.rules.is_empty() || !self.cluster_rules.is_empty();
        let containers = std::iter::once(self.main).chain(self.sidecars).map(Container::finish).collect();
        let spread = pod::spread(build, part, self.strict_spread, self.form == Form::Deployment);
        let every_node = self.form == Form::DaemonSet;
        let mut spec = pod::base(
            &part.name(),
            token,
            pod::security(self.user, self.group),
            containers,
            Vec::new(),
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

/// A new pod is ready before an old one goes.
fn deployment_strategy() -> apps::DeploymentStrategy {
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
