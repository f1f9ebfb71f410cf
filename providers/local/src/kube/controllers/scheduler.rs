//! The scheduler: a node for every pod that fits one, and a reason for every pod that does not.

use std::sync::Arc;

use super::super::json::{Json, Look, condition, deleting, json, label, name, namespace, now, set};
use super::super::nodes::VIRTUAL;
use super::super::quantity::Quantity;
use super::super::selector::LabelSelector;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{event, is_active, put, set_condition};
use super::{Again, Controller, faults};

const SCHEDULER: &str = "default-scheduler";

/// The controller.
pub(super) struct Scheduler;

impl Controller for Scheduler {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        let waiting = |server: &Server| {
            let (pods, _) = server.store.list("pods", None);
            pods.iter()
                .filter(|p| p.text("spec.nodeName").is_empty() && !deleting(p))
                .map(|p| Key::new("pods", namespace(p), name(p)))
                .collect()
        };
        match key.resource.as_str() {
            "pods" if !deleted && object.text("spec.nodeName").is_empty() => vec![key.clone()],
            // A pod that goes, or ends, makes room for others.
            "pods" if deleted || !is_active(object) => waiting(server),
            "nodes" | "persistentvolumeclaims" => waiting(server),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(pod) = server.store.get(key) else { return Ok(None) };
        let gated = !pod.list("spec.schedulingGates").is_empty();
        if !pod.text("spec.nodeName").is_empty() || deleting(&pod) || gated {
            return Ok(None);
        }
        let chosen = match faults::of(&pod) {
            Some(faults::Fault::Unschedulable) => {
                let count = server.store.list("nodes", None).0.len();
                Err(format!(
                    "0/{count} nodes are available: {count} Insufficient simulation.plinth.dev/room."
                ))
            }
            _ => choose(server, &pod),
        };
        match chosen {
            Ok(Placement::On(node)) => {
                server.system_update("kube-scheduler", "", key, |p| {
                    if p.text("spec.nodeName").is_empty() {
                        set(p, "spec.nodeName", node.as_str());
                        set_condition(p, "PodScheduled", "True", "", "", &now());
                        tidy(p);
                    }
                })?;
                let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
                event(server, &pod, SCHEDULER, "Normal", "Scheduled", &message);
            }
            Ok(Placement::WhenBound(node, claims)) => {
                for claim in claims {
                    let claim = Key::new("persistentvolumeclaims", &key.namespace, &claim);
                    server.system_update("kube-scheduler", "", &claim, |c| {
                        put(c, "metadata.annotations", "volume.kubernetes.io/selected-node", &node);
                    })?;
                }
            }
            Err(message) => {
                let known = condition(&pod, "PodScheduled").is_some_and(|c| c.text("message") == message);
                if !known {
                    server.system_update("kube-scheduler", "status", key, |p| {
                        set_condition(p, "PodScheduled", "False", "Unschedulable", &message, &now());
                    })?;
                    event(server, &pod, SCHEDULER, "Warning", "FailedScheduling", &message);
                }
            }
        }
        Ok(None)
    }
}

/// Conditions of pods leave empty reasons and messages out.
fn tidy(pod: &mut Json) {
    for c in super::super::json::list_mut(pod, "status.conditions").into_iter().flatten() {
        if let Some(map) = c.as_object_mut() {
            map.retain(|k, v| !(matches!(k.as_str(), "reason" | "message") && v == ""));
        }
    }
}

enum Placement {
    On(String),
    /// There, but only once these claims are bound.
    WhenBound(String, Vec<String>),
}

fn choose(server: &Server, pod: &Json) -> Result<Placement, String> {
    let (nodes, _) = server.store.list("nodes", None);
    let real = nodes.iter().any(|n| name(n) != VIRTUAL);
    let nodes: Vec<&Arc<Json>> = nodes.iter().filter(|n| !real || name(n) != VIRTUAL).collect();
    let waiting = claims(server, pod)?;
    let (pods, _) = server.store.list("pods", None);
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let mut best: Option<(usize, usize, &str)> = None;
    for node in &nodes {
        let there: Vec<&Arc<Json>> =
            pods.iter().filter(|p| p.text("spec.nodeName") == name(node) && is_active(p)).collect();
        let why = refusal(node, pod, &there).or_else(|| spread(pod, node, &nodes, &pods));
        match why {
            Some(why) => match reasons.iter_mut().find(|(r, _)| *r == why) {
                Some((_, count)) => *count += 1,
                None => reasons.push((why, 1)),
            },
            None => {
                let alike = there
                    .iter()
                    .filter(|p| p.at("metadata.ownerReferences") == pod.at("metadata.ownerReferences"))
                    .count();
                if best.is_none_or(|(a, t, _)| (alike, there.len()) < (a, t)) {
                    best = Some((alike, there.len(), name(node)));
                }
            }
        }
    }
    match best {
        Some((.., node)) if waiting.is_empty() => Ok(Placement::On(node.to_owned())),
        Some((.., node)) => Ok(Placement::WhenBound(node.to_owned(), waiting)),
        None => {
            let mut parts: Vec<String> = reasons.iter().map(|(why, n)| format!("{n} {why}")).collect();
            parts.sort();
            let detail = if parts.is_empty() {
                "no nodes available to schedule pods".into()
            } else {
                format!("0/{} nodes are available: {}.", nodes.len(), parts.join(", "))
            };
            Err(if nodes.is_empty() { format!("0/0 nodes are available: {detail}.") } else { detail })
        }
    }
}

/// The claims a pod uses that wait for a first consumer; an error when one cannot be used.
fn claims(server: &Server, pod: &Json) -> Result<Vec<String>, String> {
    let mut waiting = Vec::new();
    for volume in pod.list("spec.volumes") {
        let claim = volume.text("persistentVolumeClaim.claimName");
        if claim.is_empty() {
            continue;
        }
        let Some(found) = server.store.get(&Key::new("persistentvolumeclaims", namespace(pod), claim)) else {
            return Err(format!("persistentvolumeclaim \"{claim}\" not found"));
        };
        if found.text("status.phase") == "Bound" {
            continue;
        }
        let class = found.text("spec.storageClassName");
        let class = server.store.get(&Key::new("storageclasses.storage.k8s.io", "", class));
        let waits = class.is_some_and(|c| c.text("volumeBindingMode") == "WaitForFirstConsumer");
        if !waits {
            return Err("pod has unbound immediate PersistentVolumeClaims".into());
        }
        waiting.push(claim.to_owned());
    }
    Ok(waiting)
}

/// Whether a node would take a pod, leaving aside what runs there.
pub(super) fn accepts(node: &Json, pod: &Json, daemon: bool) -> bool {
    basic(node, pod, daemon).is_none()
}

fn refusal(node: &Json, pod: &Json, there: &[&Arc<Json>]) -> Option<String> {
    basic(node, pod, false)
        .or_else(|| resources(node, pod, there))
        .or_else(|| ports(pod, there))
        .or_else(|| anti_affinity(pod, there))
}

fn basic(node: &Json, pod: &Json, daemon: bool) -> Option<String> {
    if node.yes("spec.unschedulable") && !daemon {
        return Some("node(s) were unschedulable".into());
    }
    for taint in node.list("spec.taints").iter().filter(|t| t.text("effect") != "PreferNoSchedule") {
        if !pod.list("spec.tolerations").iter().any(|t| tolerates(t, taint)) {
            return Some(format!(
                "node(s) had untolerated taint {{{}: {}}}",
                taint.text("key"),
                taint.text("value")
            ));
        }
    }
    let labels = node.at("metadata.labels");
    let selected = LabelSelector::of_map(pod.at("spec.nodeSelector")).matches(labels);
    let required = pod.at("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    let terms = required.list("nodeSelectorTerms");
    let wanted = terms.is_empty()
        || terms.iter().any(|term| {
            let fields = term.list("matchFields").iter().all(|f| {
                f.text("key") != "metadata.name" || f.list("values").iter().any(|v| v == name(node))
            });
            fields
                && LabelSelector::of(&json!({"matchExpressions": term.at("matchExpressions")}))
                    .matches(labels)
        });
    (!selected || !wanted).then(|| "node(s) didn't match Pod's node affinity/selector".into())
}

fn tolerates(toleration: &Json, taint: &Json) -> bool {
    let effect = toleration.text("effect");
    let key = toleration.text("key");
    let exists = toleration.text("operator") == "Exists";
    (effect.is_empty() || effect == taint.text("effect"))
        && (key == taint.text("key") || (key.is_empty() && exists))
        && (exists || toleration.text("value") == taint.text("value"))
}

fn requested(pod: &Json, what: &str) -> i128 {
    let of = |containers: &[Json]| -> Vec<i128> {
        containers
            .iter()
            .filter_map(|c| c.at("resources.requests").get(what))
            .filter_map(Json::as_str)
            .filter_map(Quantity::parse)
            .map(Quantity::milli)
            .collect()
    };
    let main: i128 = of(pod.list("spec.containers")).iter().sum();
    main.max(of(pod.list("spec.initContainers")).into_iter().max().unwrap_or(0))
}

fn resources(node: &Json, pod: &Json, there: &[&Arc<Json>]) -> Option<String> {
    if name(node) == VIRTUAL {
        return None;
    }
    for what in ["cpu", "memory"] {
        let wanted = requested(pod, what);
        if wanted == 0 {
            continue;
        }
        let Some(room) =
            node.at("status.allocatable").get(what).and_then(Json::as_str).and_then(Quantity::parse)
        else {
            continue;
        };
        let used: i128 = there.iter().map(|p| requested(p, what)).sum();
        if used + wanted > room.milli() {
            return Some(format!("Insufficient {what}"));
        }
    }
    let slots = node.at("status.allocatable").get("pods").and_then(Json::as_str).and_then(Quantity::parse);
    let slots = slots.and_then(|s| usize::try_from(s.milli() / 1000).ok()).unwrap_or(110);
    (there.len() >= slots).then(|| "Too many pods".into())
}

fn host_ports(pod: &Json) -> Vec<(i64, String)> {
    pod.list("spec.containers")
        .iter()
        .flat_map(|c| c.list("ports"))
        .filter_map(|p| Some((p.int("hostPort").filter(|n| *n > 0)?, p.text("protocol").to_owned())))
        .collect()
}

fn ports(pod: &Json, there: &[&Arc<Json>]) -> Option<String> {
    let mine = host_ports(pod);
    let taken = there.iter().flat_map(|p| host_ports(p)).any(|p| mine.contains(&p));
    taken.then(|| "node(s) didn't have free ports for the requested pod ports".into())
}

/// Required anti-affinity, for pods on the node itself: the topology that matters for staying apart.
fn anti_affinity(pod: &Json, there: &[&Arc<Json>]) -> Option<String> {
    for term in pod.list("spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution") {
        if term.text("topologyKey") != "kubernetes.io/hostname" {
            continue;
        }
        let selector = LabelSelector::of(term.at("labelSelector"));
        let clash =
            |p: &&Arc<Json>| namespace(p) == namespace(pod) && selector.matches(p.at("metadata.labels"));
        if there.iter().any(clash) {
            return Some("node(s) didn't match pod anti-affinity rules".into());
        }
    }
    None
}

/// Hard topology spread: the node's domain must not get further ahead than allowed.
fn spread(pod: &Json, node: &Json, nodes: &[&Arc<Json>], pods: &[Arc<Json>]) -> Option<String> {
    for constraint in pod.list("spec.topologySpreadConstraints") {
        if constraint.text("whenUnsatisfiable") != "DoNotSchedule" {
            continue;
        }
        let key = constraint.text("topologyKey");
        let Some(domain) = label(node, key) else {
            return Some(
                "node(s) didn't match pod topology spread constraints (missing required label)".into(),
            );
        };
        let selector = LabelSelector::of(constraint.at("labelSelector"));
        let same_template = |p: &Json| {
            constraint
                .list("matchLabelKeys")
                .iter()
                .filter_map(Json::as_str)
                .all(|k| label(p, k) == label(pod, k))
        };
        let count = |domain: &str| {
            let inside: Vec<&str> =
                nodes.iter().filter(|n| label(n, key) == Some(domain)).map(|n| name(n)).collect();
            pods.iter()
                .filter(|p| {
                    namespace(p) == namespace(pod)
                        && is_active(p)
                        && inside.contains(&p.text("spec.nodeName"))
                })
                .filter(|p| selector.matches(p.at("metadata.labels")) && same_template(p))
                .count() as i64
        };
        // Only domains the pod could go to count.
        let least = nodes
            .iter()
            .filter(|n| basic(n, pod, false).is_none())
            .filter_map(|n| label(n, key))
            .map(count)
            .min()
            .unwrap_or(0);
        if count(domain) + 1 - least > constraint.int("maxSkew").unwrap_or(1) {
            return Some("node(s) didn't match pod topology spread constraints".into());
        }
    }
    None
}
