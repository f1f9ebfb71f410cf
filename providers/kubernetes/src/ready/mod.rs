//! When an object is ready: pure functions over its JSON, by kind, after the conventions of kstatus.
//!
//! The reply to an update still carries the status of before it, so nothing is believed before the controller has
//! observed this generation.

mod custom;
mod pods;
mod workloads;

use serde_json::Value as Json;

use crate::apply::is_terminating;
use crate::kind::Gvk;
use crate::owner;
use crate::schema;
use crate::tree;

pub(crate) use custom::is_reported;
pub(crate) use pods::{Trouble, carries, trouble};

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Done; the note says what a person may not expect (paused, no nodes …).
    Ready(Option<String>),
    /// Not yet, and why.
    Waiting(String),
    /// It will not become ready without a change.
    Failed(String),
}

impl State {
    fn ready() -> Self {
        Self::Ready(None)
    }
    fn noted(note: impl Into<String>) -> Self {
        Self::Ready(Some(note.into()))
    }
    fn waiting(reason: impl Into<String>) -> Self {
        Self::Waiting(reason.into())
    }
}

/// How far an object is.
pub(crate) fn assess(gvk: &Gvk, object: &Json) -> State {
    if is_terminating(object) {
        return State::waiting("being deleted");
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set(object),
        ("", "Pod") => pods::pod(object),
        ("batch", "Job") => workloads::job(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("networking.k8s.io", "Ingress") => ingress(object),
        ("", "Namespace") => namespace(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        ("admissionregistration.k8s.io", _) => webhooks(object),
        ("policy", "PodDisruptionBudget") => disruption_budget(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        _ if schema::built_in(gvk).is_some() => State::ready(),
        _ => custom::assess(gvk, object),
    }
}

/// Whether the controller has seen this generation.
fn is_observed(object: &Json) -> bool {
    tree::count(object, "status.observedGeneration") >= tree::count(object, "metadata.generation")
}

fn claim(object: &Json) -> State {
    match tree::text(object, "status.phase").unwrap_or("Pending") {
        "Bound" => growth(object),
        "Lost" => State::Failed("its volume is lost".to_owned()),
        _ => State::waiting("not bound to a volume yet"),
    }
}

fn growth(object: &Json) -> State {
    use crate::quantity::nano;
    let amount = |path| tree::text(object, path).and_then(nano);
    let (want, have) = (amount("spec.resources.requests.storage"), amount("status.capacity.storage"));
    match (want, have) {
        (Some(want), Some(have)) if have < want => {
            if tree::condition_is(object, "FileSystemResizePending", "True") {
                State::noted("its file system grows when its pod starts again")
            } else if tree::condition_is(object, "Resizing", "True")
                || tree::count(object, "metadata.generation") == 0
            {
                State::waiting(format!(
                    "growing from {}",
                    tree::text(object, "status.capacity.storage").unwrap_or("?")
                ))
            } else {
                State::noted("its volume has not begun to grow")
            }
        }
        _ => State::ready(),
    }
}

fn has_address(object: &Json) -> bool {
    tree::items(object, "status.loadBalancer.ingress").any(|entry| {
        ["ip", "hostname"].iter().any(|key| tree::text(entry, key).is_some_and(|text| !text.is_empty()))
    })
}

fn service(object: &Json) -> State {
    if tree::text(object, "spec.type") == Some("LoadBalancer") && !has_address(object) {
        return State::waiting("no load balancer address yet");
    }
    State::ready()
}

/// Many ingress controllers never publish an address, so it is waited for only when asked.
fn ingress(object: &Json) -> State {
    if tree::annotation(object, owner::WAIT) == Some("true") && !has_address(object) {
        return State::waiting("no address yet");
    }
    State::ready()
}

fn namespace(object: &Json) -> State {
    match tree::text(object, "status.phase") {
        Some("Terminating") => State::waiting("being deleted"),
        _ => State::ready(),
    }
}

fn definition(object: &Json) -> State {
    if let Some(condition) = tree::condition(object, "NamesAccepted")
        && tree::text(condition, "status") == Some("False")
    {
        return State::Failed(tree::explain(condition));
    }
    if !tree::condition_is(object, "Established", "True") {
        return State::waiting("not established yet");
    }
    if is_injected(object)
        && tree::text(object, "spec.conversion.strategy") == Some("Webhook")
        && tree::text(object, "spec.conversion.webhook.clientConfig.caBundle").is_none_or(str::is_empty)
    {
        return State::waiting("no CA has been injected for its conversion webhook yet");
    }
    State::ready()
}

/// Without pods it allows no disruption, and that is as it should be; only an old judgement is worth waiting for.
fn disruption_budget(object: &Json) -> State {
    match tree::at(object, "status.observedGeneration") {
        Some(_) if !is_observed(object) => State::waiting("its controller has not seen the change yet"),
        _ => State::ready(),
    }
}

/// Metrics may take minutes to come; that it cannot scale for another reason is worth a word.
fn autoscaler(object: &Json) -> State {
    if tree::at(object, "status.observedGeneration").is_some() && !is_observed(object) {
        return State::waiting("its controller has not seen the change yet");
    }
    match tree::condition(object, "AbleToScale") {
        Some(condition) if tree::text(condition, "status") == Some("False") => {
            State::noted(format!("it does not scale yet: {}", tree::explain(condition)))
        }
        _ => State::ready(),
    }
}

/// The Services that must answer before anything that the object covers can be written.
pub(crate) fn services_behind(gvk: &Gvk, object: &Json) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |service: Option<&Json>| {
        let text = |key: &str| service.and_then(|service| tree::text(service, key)).map(str::to_owned);
        found.extend(text("namespace").zip(text("name")));
    };
    if gvk.group == "admissionregistration.k8s.io" {
        tree::items(object, "webhooks").for_each(|webhook| add(tree::at(webhook, "clientConfig.service")));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn api_service(object: &Json) -> State {
    match tree::condition(object, "Available") {
        Some(condition) if tree::text(condition, "status") == Some("True") => State::ready(),
        Some(condition) => State::waiting(tree::explain(condition)),
        None => State::waiting("not known to be available yet"),
    }
}

/// Whether something else is asked to write the CA.
fn is_injected(object: &Json) -> bool {
    ["inject-ca-from", "inject-ca-from-secret", "inject-apiserver-ca"]
        .iter()
        .any(|name| tree::annotation(object, &format!("cert-manager.io/{name}")).is_some())
}

fn webhooks(object: &Json) -> State {
    if !is_injected(object) {
        return State::ready();
    }
    let missing = tree::items(object, "webhooks")
        .find(|webhook| tree::text(webhook, "clientConfig.caBundle").is_none_or(str::is_empty));
    match missing {
        Some(webhook) => State::waiting(format!(
            "no CA has been injected for {} yet",
            tree::text(webhook, "name").unwrap_or("its webhook")
        )),
        None => State::ready(),
    }
}

#[cfg(test)]
mod tests;
