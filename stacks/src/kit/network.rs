//! Who talks to whom. Components state their edges as they are built; from all of them together one NetworkPolicy per
//! part follows, with exactly these edges.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1 as net;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::build::Build;
use super::object::{metadata, text_map};
use super::parts::{self, Part, Space, ports};
use crate::model::{Cidr, Database};

/// The other end of an edge, inside the cluster or sending into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// A part of the platform.
    Part(Part),
    /// Every pod of a namespace of the platform.
    Space(Space),
    /// Every pod of some namespace.
    Namespace(String),
    /// Every pod of every namespace.
    EveryPod,
    /// Pods with certain labels in a namespace of the platform.
    Labelled(Space, BTreeMap<String, String>),
    /// The API server, which calls webhooks.
    ApiServer,
    /// Anyone, also outside the cluster.
    Anyone,
}

impl From<Part> for Peer {
    fn from(part: Part) -> Self {
        Self::Part(part)
    }
}

impl From<Space> for Peer {
    fn from(space: Space) -> Self {
        Self::Space(space)
    }
}

/// A system outside the cluster's pods that a part must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outside {
    /// The API server.
    ApiServer,
    /// The object store.
    ObjectStore,
    /// The external database.
    Database,
    /// The OpenID Connect provider.
    Oidc,
    /// Something on every node, by port: kubelets, node-exporters.
    Nodes(i32),
    /// The cloud's metadata service, from which pods get their identity.
    Metadata,
    /// Any system, by port: notifications, probes, ACME authorities.
    Internet(i32),
}

/// The edges of the whole platform.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    inward: BTreeMap<Part, BTreeSet<(Peer, Port)>>,
    outward: BTreeMap<Part, BTreeSet<(Peer, Port)>>,
    outside: BTreeMap<Part, BTreeSet<Outside>>,
}

/// A protocol (`TCP` unless it is UDP) and a port number.
type Port = (&'static str, i32);

impl Build<'_> {
    /// Allows connections from `from` to TCP ports of a part.
    pub fn allow(&mut self, from: impl Into<Peer>, to: Part, ports: &[i32]) {
        self.allow_protocol(from.into(), to, "TCP", ports);
    }

    /// Allows datagrams from `from` to UDP ports of a part.
    pub fn allow_udp(&mut self, from: impl Into<Peer>, to: Part, ports: &[i32]) {
        self.allow_protocol(from.into(), to, "UDP", ports);
    }

    fn allow_protocol(&mut self, from: Peer, to: Part, protocol: &'static str, ports: &[i32]) {
        for port in ports {
            if let Peer::Part(from) = from {
                self.edges.outward.entry(from).or_default().insert((Peer::Part(to), (protocol, *port)));
            }
            self.edges.inward.entry(to).or_default().insert((from.clone(), (protocol, *port)));
        }
    }

    /// Allows connections from a part to pods that are no part of the platform.
    pub fn allow_out(&mut self, from: Part, to: Peer, ports: &[i32]) {
        let edges = self.edges.outward.entry(from).or_default();
        edges.extend(ports.iter().map(|port| (to.clone(), ("TCP", *port))));
    }

    /// Allows connections from a part to a system outside the cluster's pods.
    pub fn allow_outside(&mut self, from: Part, to: Outside) {
        // What is outside in one stack is inside in another.
        if to == Outside::ObjectStore && self.stack.embedded_object_store() {
            return self.allow(from, parts::OBJECT_STORE, &[ports::OBJECT_STORE]);
        }
        if to == Outside::Database && matches!(self.platform.database, Database::Embedded(_)) {
            return self.allow(from, parts::DATABASE, &[ports::POSTGRESQL]);
        }
        self.edges.outside.entry(from).or_default().insert(to);
    }

    /// The policies: per namespace, nothing but name resolution; per part, its edges.
    pub fn policies(&self) -> Vec<net::NetworkPolicy> {
        let mut policies = Vec::new();
        for space in
            Space::ALL.into_iter().filter(|space| self.deployed.iter().any(|part| part.space == *space))
        {
            policies.push(self.policy(space, "default-deny", LabelSelector::default(), vec![], vec![], true));
            let dns = vec![name_resolution()];
            policies.push(self.policy(space, "allow-dns", LabelSelector::default(), vec![], dns, false));
        }
        for part in &self.deployed {
            let inward = self.edges.inward.get(part).map(|edges| self.inward(edges)).unwrap_or_default();
            let mut outward =
                self.edges.outward.get(part).map(|edges| self.outward(edges)).unwrap_or_default();
            for outside in self.edges.outside.get(part).into_iter().flatten() {
                outward.push(self.outside(*outside));
            }
            let selector = LabelSelector { match_labels: Some(self.selector(*part)), ..Default::default() };
            policies.push(self.policy(part.space, &part.name(), selector, inward, outward, true));
        }
        policies
    }

    fn policy(
        &self,
        space: Space,
        name: &str,
        selector: LabelSelector,
        inward: Vec<net::NetworkPolicyIngressRule>,
        outward: Vec<net::NetworkPolicyEgressRule>,
        both: bool,
    ) -> net::NetworkPolicy {
        let types = if both { vec!["Ingress", "Egress"] } else { vec!["Egress"] };
        net::NetworkPolicy {
            metadata: metadata(Some(self.namespace(space)), name, self.common_labels()),
            spec: Some(net::NetworkPolicySpec {
                pod_selector: Some(selector),
                policy_types: Some(types.into_iter().map(str::to_owned).collect()),
                ingress: (!inward.is_empty()).then_some(inward),
                egress: (!outward.is_empty()).then_some(outward),
            }),
        }
    }

    fn reaches(&self, peer: &Peer) -> bool {
        !matches!(peer, Peer::Part(part) if !self.deployed.contains(part))
    }

    fn inward(&self, edges: &BTreeSet<(Peer, Port)>) -> Vec<net::NetworkPolicyIngressRule> {
        let by_peer = grouped(edges.iter().filter(|(peer, _)| self.reaches(peer)));
        by_peer
            .into_iter()
            .map(|(peer, ports)| net::NetworkPolicyIngressRule { from: self.peers(peer), ports: Some(ports) })
            .collect()
    }

    fn outward(&self, edges: &BTreeSet<(Peer, Port)>) -> Vec<net::NetworkPolicyEgressRule> {
        let by_peer = grouped(edges.iter().filter(|(peer, _)| self.reaches(peer)));
        by_peer
            .into_iter()
            .map(|(peer, ports)| net::NetworkPolicyEgressRule { to: self.peers(peer), ports: Some(ports) })
            .collect()
    }

    /// `None` means anyone.
    fn peers(&self, peer: &Peer) -> Option<Vec<net::NetworkPolicyPeer>> {
        let namespace = |name: &str| LabelSelector {
            match_labels: Some(text_map([("kubernetes.io/metadata.name", name)])),
            ..Default::default()
        };
        let pods = |labels: BTreeMap<String, String>| LabelSelector {
            match_labels: Some(labels),
            ..Default::default()
        };
        let one = match peer {
            Peer::Part(part) => net::NetworkPolicyPeer {
                namespace_selector: Some(namespace(self.namespace(part.space))),
                pod_selector: Some(pods(self.selector(*part))),
                ip_block: None,
            },
            Peer::Space(space) => net::NetworkPolicyPeer {
                namespace_selector: Some(namespace(self.namespace(*space))),
                ..Default::default()
            },
            Peer::Namespace(name) => {
                net::NetworkPolicyPeer { namespace_selector: Some(namespace(name)), ..Default::default() }
            }
            Peer::EveryPod => net::NetworkPolicyPeer {
                namespace_selector: Some(LabelSelector::default()),
                ..Default::default()
            },
            Peer::Labelled(space, labels) => net::NetworkPolicyPeer {
                namespace_selector: Some(namespace(self.namespace(*space))),
                pod_selector: Some(pods(labels.clone())),
                ip_block: None,
            },
            Peer::ApiServer => return blocks(&self.platform.network_policies.api_server_cidrs),
            Peer::Anyone => return None,
        };
        Some(vec![one])
    }

    fn outside(&self, outside: Outside) -> net::NetworkPolicyEgressRule {
        let settings = &self.platform.network_policies;
        let (to, ports): (_, Vec<i32>) = match outside {
            Outside::ApiServer => (blocks(&settings.api_server_cidrs), vec![443, 6443]),
            Outside::ObjectStore => (blocks(&settings.object_store_cidrs), vec![self.object_store_port()]),
            Outside::Database => (blocks(&settings.database_cidrs), vec![self.database_port()]),
            Outside::Oidc => {
                let ranges = self.platform.grafana.oidc.as_ref().map(|oidc| oidc.cidrs.as_slice());
                (blocks(ranges.unwrap_or_default()), vec![443])
            }
            Outside::Nodes(port) => (blocks(&settings.node_cidrs), vec![port]),
            Outside::Metadata => (Some(vec![block("169.254.0.0/16")]), vec![80, 988]),
            Outside::Internet(port) => (blocks(&settings.egress_cidrs), vec![port]),
        };
        let ports = ports.into_iter().map(|port| policy_port(("TCP", port))).collect();
        net::NetworkPolicyEgressRule { to, ports: Some(ports) }
    }
}

fn grouped<'a>(
    edges: impl Iterator<Item = &'a (Peer, Port)>,
) -> BTreeMap<&'a Peer, Vec<net::NetworkPolicyPort>> {
    let mut by_peer: BTreeMap<&Peer, Vec<net::NetworkPolicyPort>> = BTreeMap::new();
    for (peer, port) in edges {
        by_peer.entry(peer).or_default().push(policy_port(*port));
    }
    by_peer
}

fn policy_port((protocol, port): Port) -> net::NetworkPolicyPort {
    net::NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

fn block(range: &str) -> net::NetworkPolicyPeer {
    net::NetworkPolicyPeer {
        ip_block: Some(net::IPBlock { cidr: range.to_owned(), except: None }),
        ..Default::default()
    }
}

/// `None`, which means everywhere, when there are no ranges.
fn blocks(ranges: &[Cidr]) -> Option<Vec<net::NetworkPolicyPeer>> {
    (!ranges.is_empty()).then(|| ranges.iter().map(|range| block(range.as_str())).collect())
}

/// The cluster's name servers, and the cache that some clusters run on every node.
fn name_resolution() -> net::NetworkPolicyEgressRule {
    let servers = net::NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(text_map([("kubernetes.io/metadata.name", "kube-system")])),
            ..Default::default()
        }),
        pod_selector: Some(LabelSelector {
            match_labels: Some(text_map([("k8s-app", "kube-dns")])),
            ..Default::default()
        }),
        ip_block: None,
    };
    net::NetworkPolicyEgressRule {
        to: Some(vec![servers, block("169.254.20.10/32")]),
        ports: Some(vec![policy_port(("UDP", 53)), policy_port(("TCP", 53))]),
    }
}
