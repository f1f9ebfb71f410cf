//! Services, disruption budgets and certificates of a workload.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use plinth_provider::Urn;

use super::build::Build;
use super::custom::{CertificateSpec, Custom, IssuerReference, PrivateKey, go_duration};
use super::object::metadata;
use super::parts::Part;

/// The ClusterIssuer that signs certificates between the platform's components.
pub(crate) const INTERNAL_ISSUER: &str = "plinth-internal";

impl Build<'_> {
    /// A name that every internal certificate is valid for: what clients expect that reach pods by their address.
    pub fn peer_name(&self) -> &'static str {
        "peer.plinth.internal"
    }

    /// Declares a Service for a part's pods.
    pub fn service(
        &mut self,
        part: Part,
        ports: Vec<core::ServicePort>,
        annotations: BTreeMap<String, String>,
    ) -> Urn {
        let namespace = self.namespace(part.space).to_owned();
        let mut meta = metadata(Some(&namespace), part.name(), self.labels(part));
        meta.annotations = (!annotations.is_empty()).then_some(annotations);
        self.object(core::Service {
            metadata: meta,
            spec: Some(core::ServiceSpec {
                type_: Some("ClusterIP".to_owned()),
                selector: Some(self.selector(part)),
                ports: Some(ports),
                ..Default::default()
            }),
            status: None,
        })
    }

    /// Declares a Service that gives one address per pod.
    pub fn headless_service(&mut self, part: Part, ports: Vec<core::ServicePort>, before_ready: bool) -> Urn {
        let namespace = self.namespace(part.space).to_owned();
        self.object(core::Service {
            metadata: metadata(Some(&namespace), part.headless(), self.labels(part)),
            spec: Some(core::ServiceSpec {
                cluster_ip: Some("None".to_owned()),
                type_: Some("ClusterIP".to_owned()),
                selector: Some(self.selector(part)),
                ports: (!ports.is_empty()).then_some(ports),
                publish_not_ready_addresses: before_ready.then_some(true),
                ..Default::default()
            }),
            status: None,
        })
    }

    /// Declares that at most one pod of a part may be away on purpose.
    pub fn disruption_budget(&mut self, part: Part) -> Urn {
        let namespace = self.namespace(part.space).to_owned();
        self.object(policy::PodDisruptionBudget {
            metadata: metadata(Some(&namespace), part.name(), self.labels(part)),
            spec: Some(policy::PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(1)),
                selector: Some(LabelSelector {
                    match_labels: Some(self.selector(part)),
                    ..Default::default()
                }),
                // A pod that does not work must not keep a node from being drained.
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                ..Default::default()
            }),
            status: None,
        })
    }

    /// Declares a certificate of the internal authority for a part, into the Secret `<part>-tls`.
    pub fn certificate(&mut self, part: Part, more_names: &[String]) -> Urn {
        let namespace = self.namespace(part.space).to_owned();
        let mut names = vec![part.name(), self.peer_name().to_owned(), "localhost".to_owned()];
        for service in [part.name(), part.headless()] {
            let host = format!("{service}.{namespace}.svc");
            names.push(format!("{service}.{namespace}"));
            names.push(format!("{host}.cluster.local"));
            if service == part.headless() {
                names.push(format!("*.{service}"));
                names.push(format!("*.{host}"));
                names.push(format!("*.{host}.cluster.local"));
            }
            names.push(host);
        }
        names.extend(more_names.iter().cloned());
        names.sort_unstable();
        names.dedup();
        let valid = self.platform.cert_manager.internal_ca.certificate_duration.seconds();
        let spec = CertificateSpec {
            secret_name: format!("{}-tls", part.name()),
            dns_names: names,
            ip_addresses: vec!["127.0.0.1".to_owned()],
            duration: Some(go_duration(valid)),
            renew_before: Some(go_duration(valid / 3)),
            usages: vec!["server auth".to_owned(), "client auth".to_owned()],
            private_key: PrivateKey::default(),
            issuer_ref: IssuerReference::cluster(INTERNAL_ISSUER),
            ..CertificateSpec::default()
        };
        let issuers = self.issuers.clone();
        let meta = metadata(Some(&namespace), format!("{}-tls", part.name()), self.labels(part));
        self.object_after(Custom::new(meta, spec), &issuers)
    }
}

/// A port of a Service that leads to a container's port of the same name.
pub(crate) fn service_port(name: &str, port: i32, protocol: &str) -> core::ServicePort {
    core::ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some(protocol.to_owned()),
        ..Default::default()
    }
}
