//! One container: image, arguments, environment, ports, probes, resources, mounts.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::object::text_map;
use super::probe::Probes;
use crate::sizing::Compute;

/// A container in the making. Its security is the strictest there is unless it says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) command: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<core::EnvVar>,
    pub(super) ports: Vec<core::ContainerPort>,
    pub(super) probes: Option<Probes>,
    pub(super) compute: Option<Compute>,
    pub(super) mounts: Vec<core::VolumeMount>,
    pub(super) capabilities: Vec<String>,
    pub(super) stop_delay: Option<i64>,
}

impl Container {
    /// A container with a name and an image.
    pub fn new(name: impl Into<String>, image: String) -> Self {
        Self {
            name: name.into(),
            image,
            command: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            ports: Vec::new(),
            probes: None,
            compute: None,
            mounts: Vec::new(),
            capabilities: Vec::new(),
            stop_delay: None,
        }
    }

    /// Replaces the image's entry point.
    pub fn command<T: Into<String>>(mut self, command: impl IntoIterator<Item = T>) -> Self {
        self.command.extend(command.into_iter().map(Into::into));
        self
    }

    /// Adds arguments.
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        let variable = core::EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None };
        self.environment.push(variable);
        self
    }

    /// Sets an environment variable from a field of the pod, such as `status.podIP`.
    pub fn env_field(mut self, name: &str, path: &str) -> Self {
        self.environment.push(field(name, path));
        self
    }

    /// Sets an environment variable from a key of a Secret.
    pub fn env_secret(mut self, name: &str, secret: &str, key: &str) -> Self {
        let selector =
            core::SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
        self.environment.push(core::EnvVar {
            name: name.to_owned(),
            value: None,
            value_from: Some(core::EnvVarSource { secret_key_ref: Some(selector), ..Default::default() }),
        });
        self
    }

    /// Opens a TCP port.
    pub fn port(mut self, name: &str, port: i32) -> Self {
        self.ports.push(core::ContainerPort {
            name: Some(name.to_owned()),
            container_port: port,
            protocol: Some("TCP".to_owned()),
            ..Default::default()
        });
        self
    }

    /// Opens a UDP port.
    pub fn udp_port(mut self, name: &str, port: i32) -> Self {
        self = self.port(name, port);
        if let Some(last) = self.ports.last_mut() {
            last.protocol = Some("UDP".to_owned());
        }
        self
    }

    /// Sets what it is asked about its health.
    pub fn probes(mut self, probes: Probes) -> Self {
        self.probes = Some(probes);
        self
    }

    /// Sets requests and limits.
    pub fn compute(mut self, compute: &Compute) -> Self {
        self.compute = Some(compute.clone());
        self
    }

    /// Tells the Go runtime to stay below nine tenths of the memory limit. Call after [`Container::compute`].
    pub fn go_memory_limit(self) -> Self {
        let Some(compute) = &self.compute else { return self };
        let mebibytes = compute.memory_limit.whole() / (1 << 20) * 9 / 10;
        self.env("GOMEMLIMIT", format!("{mebibytes}MiB"))
    }

    /// Mounts a volume of the pod.
    pub fn mount(mut self, volume: &str, path: &str, read_only: bool) -> Self {
        self.mounts.push(core::VolumeMount {
            name: volume.to_owned(),
            mount_path: path.to_owned(),
            read_only: read_only.then_some(true),
            ..Default::default()
        });
        self
    }

    /// Keeps a capability that the strict security context drops.
    pub fn capability(mut self, capability: &str) -> Self {
        self.capabilities.push(capability.to_owned());
        self
    }

    /// Goes on serving for some seconds after it was told to stop, until nobody sends it anything any more.
    pub fn stop_delay(mut self, seconds: i64) -> Self {
        self.stop_delay = Some(seconds);
        self
    }

    /// The container as Kubernetes' API has it.
    pub fn finish(self) -> core::Container {
        let resources = self.compute.map(|compute| core::ResourceRequirements {
            requests: Some(amounts(&compute.cpu_request, &compute.memory_request)),
            limits: Some(amounts(&compute.cpu_limit, &compute.memory_limit)),
            claims: None,
        });
        let security = core::SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(core::Capabilities {
                add: none_if_empty(self.capabilities),
                drop: Some(vec!["ALL".to_owned()]),
            }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            ..Default::default()
        };
        core::Container {
            name: self.name,
            image: Some(self.image),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            command: none_if_empty(self.command),
            args: none_if_empty(self.arguments),
            env: none_if_empty(self.environment),
            ports: none_if_empty(self.ports),
            startup_probe: self.probes.as_ref().map(Probes::startup_probe),
            readiness_probe: self.probes.as_ref().map(Probes::readiness_probe),
            liveness_probe: self.probes.as_ref().map(Probes::liveness_probe),
            resources,
            security_context: Some(security),
            volume_mounts: none_if_empty(self.mounts),
            lifecycle: self.stop_delay.map(|seconds| core::Lifecycle {
                pre_stop: Some(core::LifecycleHandler {
                    sleep: Some(core::SleepAction { seconds }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

/// An environment variable from a field of the pod.
fn field(name: &str, path: &str) -> core::EnvVar {
    core::EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(core::EnvVarSource {
            field_ref: Some(core::ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: path.to_owned(),
            }),
            ..Default::default()
        }),
    }
}

pub(super) fn none_if_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn amounts(
    cpu: &crate::model::Quantity,
    memory: &crate::model::Quantity,
) -> std::collections::BTreeMap<String, Quantity> {
    text_map([("cpu", cpu.as_str()), ("memory", memory.as_str())])
        .into_iter()
        .map(|(name, amount)| (name, Quantity(amount)))
        .collect()
}
