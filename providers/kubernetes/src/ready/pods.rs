//! Pods: when one is ready, and what is wrong with one that is not.

use serde_json::Value as Json;

use super::State;
use crate::tree;

/// What is wrong with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// For a person: `web-7d9/app: ImagePullBackOff: …`.
    pub text: String,
    /// Waiting longer does not help, unless it goes away within a short grace.
    pub stuck: bool,
    /// The container whose log tells more.
    pub container: Option<String>,
}

/// A restart may be part of coming up; this many are not.
const CRASHES: i64 = 3;

pub(super) fn pod(object: &Json) -> State {
    match tree::text(object, "status.phase").unwrap_or("Pending") {
        "Succeeded" => State::ready(),
        "Failed" => State::Failed(
            [tree::text(object, "status.reason"), tree::text(object, "status.message")]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(": "),
        ),
        _ if tree::condition_is(object, "Ready", "True") => State::ready(),
        phase => State::waiting(trouble(object).map_or_else(|| phase.to_owned(), |trouble| trouble.text)),
    }
}

/// Whether a container of a pod has a variable of this name. What another webhook adds later may be without it.
pub(crate) fn carries(pod: &Json, variable: &str) -> bool {
    tree::items(pod, "spec.containers").any(|container| {
        tree::items(container, "env").any(|entry| tree::text(entry, "name") == Some(variable))
    })
}

/// What keeps a pod from becoming ready, if it says so.
pub(crate) fn trouble(pod: &Json) -> Option<Trouble> {
    let name = tree::text(pod, "metadata.name").unwrap_or("pod");
    if let Some(condition) = tree::condition(pod, "PodScheduled")
        && tree::text(condition, "status") == Some("False")
    {
        let message = tree::text(condition, "message").unwrap_or("");
        let text = format!("{name}: {}", if message.is_empty() { "not scheduled" } else { message });
        return Some(Trouble { text, stuck: false, container: None });
    }
    let statuses =
        tree::items(pod, "status.initContainerStatuses").chain(tree::items(pod, "status.containerStatuses"));
    let mut found: Vec<Trouble> = statuses.filter_map(|status| container(name, status)).collect();
    // What is stuck is worth more words than what merely waits.
    found.sort_by_key(|trouble| !trouble.stuck);
    if found.is_empty() {
        return None;
    }
    Some(found.remove(0))
}

fn container(pod: &str, status: &Json) -> Option<Trouble> {
    let name = tree::text(status, "name").unwrap_or("container");
    let restarts = tree::count(status, "restartCount");
    if let Some(waiting) = tree::at(status, "state.waiting") {
        let reason = tree::text(waiting, "reason").unwrap_or("");
        if matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let crashes = reason == "CrashLoopBackOff";
        let mut text = format!("{pod}/{name}: {}", tree::explain(waiting));
        if crashes {
            text = format!("{pod}/{name}: CrashLoopBackOff: {}", ending(status).unwrap_or_default());
        }
        let stuck = match reason {
            "CrashLoopBackOff" => restarts >= CRASHES,
            "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => true,
            _ => false,
        };
        return Some(Trouble { text, stuck, container: crashes.then(|| name.to_owned()) });
    }
    if let Some(terminated) = tree::at(status, "state.terminated")
        && tree::count(terminated, "exitCode") != 0
    {
        let text = format!("{pod}/{name}: exited with {}", tree::count(terminated, "exitCode"));
        return Some(Trouble { text, stuck: false, container: Some(name.to_owned()) });
    }
    let unready = tree::at(status, "ready") == Some(&Json::Bool(false));
    (unready && tree::at(status, "state.running").is_some() && restarts > 0).then(|| Trouble {
        text: format!("{pod}/{name}: not ready after {restarts} restarts"),
        stuck: false,
        container: Some(name.to_owned()),
    })
}

/// How the last run of a container ended.
fn ending(status: &Json) -> Option<String> {
    let last = tree::at(status, "lastState.terminated")?;
    let reason = tree::text(last, "reason").unwrap_or("Error");
    Some(format!(
        "{reason}, exit code {}, {} restarts",
        tree::count(last, "exitCode"),
        tree::count(status, "restartCount")
    ))
}
