//! Startup, readiness and liveness.

use k8s_openapi::api::core::v1::{ExecAction, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How a container is asked.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// A GET over plain HTTP: port's name, path.
    Http(&'static str, &'static str),
    /// A GET over TLS, whose certificate the kubelet does not judge: port's name, path.
    Https(&'static str, &'static str),
    /// A connection: port's name.
    Tcp(&'static str),
    /// A command inside the container.
    Exec(Vec<String>),
}

/// What a container is asked, and how patiently.
#[derive(Debug, Clone)]
pub(crate) struct Probes {
    /// Whether it takes traffic.
    pub readiness: Check,
    /// Whether it must be restarted.
    pub liveness: Check,
    /// How long it may take to start, in seconds.
    pub startup_seconds: i32,
}

impl Probes {
    /// The same check for everything, with five minutes to start.
    pub fn same(check: Check) -> Self {
        Self { readiness: check.clone(), liveness: check, startup_seconds: 300 }
    }

    /// Different checks for readiness and liveness, with five minutes to start.
    pub fn new(readiness: Check, liveness: Check) -> Self {
        Self { readiness, liveness, startup_seconds: 300 }
    }

    /// Changes how long it may take to start.
    pub fn startup(mut self, seconds: i32) -> Self {
        self.startup_seconds = seconds;
        self
    }

    pub(super) fn startup_probe(&self) -> Probe {
        // What is alive has started; readiness may take its own time.
        Probe { failure_threshold: Some((self.startup_seconds / 10).max(1)), ..probe(&self.liveness, 10) }
    }

    pub(super) fn readiness_probe(&self) -> Probe {
        Probe { failure_threshold: Some(3), ..probe(&self.readiness, 10) }
    }

    pub(super) fn liveness_probe(&self) -> Probe {
        Probe { failure_threshold: Some(6), ..probe(&self.liveness, 15) }
    }
}

fn probe(check: &Check, period: i32) -> Probe {
    let mut probe = Probe { period_seconds: Some(period), timeout_seconds: Some(5), ..Probe::default() };
    let get = |port: &str, path: &str, scheme: &str| HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String(port.to_owned()),
        scheme: Some(scheme.to_owned()),
        ..HTTPGetAction::default()
    };
    match check {
        Check::Http(port, path) => probe.http_get = Some(get(port, path, "HTTP")),
        Check::Https(port, path) => probe.http_get = Some(get(port, path, "HTTPS")),
        Check::Tcp(port) => {
            probe.tcp_socket =
                Some(TCPSocketAction { port: IntOrString::String((*port).to_owned()), ..Default::default() });
        }
        Check::Exec(command) => probe.exec = Some(ExecAction { command: Some(command.clone()) }),
    }
    probe
}
