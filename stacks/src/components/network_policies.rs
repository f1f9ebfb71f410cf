//! Network policies: nothing by default in each namespace, then exactly the edges that the components stated. Comes
//! last, when all of them have.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1 as net;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::kit::{Build, Peer, Phase, Space, metadata, parts, text_map};
use crate::model::{Acme, AcmeSolver, Mesh};

pub(crate) fn declare(build: &mut Build<'_>) {
    if !build.platform.network_policies.enabled {
        return;
    }
    build.phase(Phase::Monitoring);
    for policy in build.policies() {
        build.object(policy);
    }
    for policy in mesh_policies(build) {
        build.object(policy);
    }
    if matches!(&build.platform.cert_manager.acme, Some(Acme { solver: AcmeSolver::Http(_), .. })) {
        let policy = solver_policy(build);
        build.object(policy);
    }
}

/// Proxies of a mesh must reach its control plane, and each other where the mesh has a port of its own for that.
fn mesh_policies(build: &Build<'_>) -> Vec<net::NetworkPolicy> {
    let (control_plane, ports, between): (_, &[i32], Option<i32>) = match build.platform.mesh {
        Mesh::None => return Vec::new(),
        Mesh::Istio => ("istio-system", &[15012], None),
        Mesh::Linkerd => ("linkerd", &[8080, 8086, 8090], Some(4143)),
    };
    let namespace = |name: &str| net::NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(text_map([("kubernetes.io/metadata.name", name)])),
            ..Default::default()
        }),
        ..Default::default()
    };
    let port = |number: i32| net::NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    let meshed: Vec<Space> = Space::ALL.into_iter().filter(|space| build.is_meshed(*space)).collect();
    let neighbours: Vec<_> = meshed.iter().map(|space| namespace(build.namespace(*space))).collect();
    meshed
        .iter()
        .map(|space| {
            let mut outward = vec![net::NetworkPolicyEgressRule {
                to: Some(vec![namespace(control_plane)]),
                ports: Some(ports.iter().copied().map(port).collect()),
            }];
            let mut inward = None;
            if let Some(number) = between {
                let shared = Some(vec![port(number)]);
                outward.push(net::NetworkPolicyEgressRule {
                    to: Some(neighbours.clone()),
                    ports: shared.clone(),
                });
                inward = Some(vec![net::NetworkPolicyIngressRule {
                    from: Some(neighbours.clone()),
                    ports: shared,
                }]);
            }
            let mut types = vec!["Egress".to_owned()];
            types.extend(inward.is_some().then(|| "Ingress".to_owned()));
            net::NetworkPolicy {
                metadata: metadata(Some(build.namespace(*space)), "allow-mesh", build.common_labels()),
                spec: Some(net::NetworkPolicySpec {
                    pod_selector: Some(LabelSelector::default()),
                    policy_types: Some(types),
                    ingress: inward,
                    egress: Some(outward),
                }),
            }
        })
        .collect()
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
