//! Network policies: nothing by default in each namespace, then exactly the edges that the components stated. Comes
//! last, when all of them have.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1 as net;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::kit::{Build, Peer, Phase, Space, metadata, parts, text_map};
use crate::model::{Acme, AcmeSolver};

pub(crate) fn declare(build: &mut Build<'_>) {
    if !build.platform.network_policies.enabled {
        return;
    }
    build.phase(Phase::Monitoring);
    for policy in build.policies() {
        build.object(policy);
    }
    if matches!(&build.platform.cert_manager.acme, Some(Acme { solver: AcmeSolver::Http(_), .. })) {
        let policy = solver_policy(build);
        build.object(policy);
    }
}

fn solver_labels() -> BTreeMap<String, String> {
    text_map([("acme.cert-manager.io/http01-solver", "true")])
}

/// The pods by which cert-manager answers proofs over HTTP.
pub(crate) fn acme_solver() -> Peer {
    Peer::Labelled(Space::Platform, solver_labels())
}

/// Lets the ingress controller reach them.
fn solver_policy(build: &Build<'_>) -> net::NetworkPolicy {
    let from = match build.platform.ingress.class_name {
        // Nobody knows in which namespace the controller runs.
        Some(_) => net::NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector::default()),
            ..Default::default()
        },
        None => net::NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector {
                match_labels: Some(text_map([(
                    "kubernetes.io/metadata.name",
                    build.namespace(Space::Ingress),
                )])),
                ..Default::default()
            }),
            pod_selector: Some(LabelSelector {
                match_labels: Some(build.selector(parts::TRAEFIK)),
                ..Default::default()
            }),
            ip_block: None,
        },
    };
    net::NetworkPolicy {
        metadata: metadata(Some(build.namespace(Space::Platform)), "acme-http-solver", build.common_labels()),
        spec: Some(net::NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(solver_labels()), ..Default::default() }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![net::NetworkPolicyIngressRule {
                from: Some(vec![from]),
                ports: Some(vec![net::NetworkPolicyPort {
                    port: Some(IntOrString::Int(8089)),
                    protocol: Some("TCP".to_owned()),
                    end_port: None,
                }]),
            }]),
            egress: None,
        }),
    }
}
