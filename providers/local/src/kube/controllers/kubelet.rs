//! The kubelet of every node: pods start, get ready, end, and go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::json::{
    Json, Look, annotation, controller_of, deleting, json, name, namespace, now, remove, set,
};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::DeleteOptions;
use super::faults::{self, Fault};
use super::kit::{event, set_condition};
use super::{Again, Controller};

const KUBELET: &str = "kubelet";
/// A pod with this annotation ends with that code, for trying what happens to failed jobs.
const EXIT_CODE: &str = "simulation.plinth.dev/exit-code";

/// The controller. Remembers since when a pod has been in its phase; a restart begins the phase anew.
#[derive(Default)]
pub(super) struct Kubelet {
    due: Mutex<HashMap<(String, &'static str), Instant>>,
    /// How often something that is to fail has been tried, by the pod's uid.
    attempts: Mutex<HashMap<String, u32>>,
}

impl Kubelet {
    /// How long until a step is due; none when it is.
    fn wait(&self, pod: &Json, step: &'static str, delay: Duration) -> Option<Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at =
            *due.entry((pod.text("metadata.uid").to_owned(), step)).or_insert_with(|| Instant::now() + delay);
        let left = at.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn forget(&self, uid: &str) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.retain(|(u, _), _| u != uid);
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl Controller for Kubelet {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        let stuck = || {
            let (pods, _) = server.store.list("pods", Some(&key.namespace));
            pods.iter()
                .filter(|p| p.text("status.phase") == "Pending" && !p.text("spec.nodeName").is_empty())
                .map(|p| Key::new("pods", namespace(p), name(p)))
                .collect()
        };
        match key.resource.as_str() {
            "pods" if deleted => {
                self.forget(object.text("metadata.uid"));
                Vec::new()
            }
            "pods" if !object.text("spec.nodeName").is_empty() => vec![key.clone()],
            "configmaps" | "secrets" if !deleted => stuck(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(pod) = server.store.get(key) else { return Ok(None) };
        if pod.text("spec.nodeName").is_empty() {
            return Ok(None);
        }
        if deleting(&pod) {
            return self.stop(server, key, &pod);
        }
        match pod.text("status.phase") {
            "Succeeded" | "Failed" => Ok(None),
            "Running" => self.running(server, key, &pod),
            _ => self.start(server, key, &pod),
        }
    }
}

impl Kubelet {
    fn stop(&self, server: &Server, key: &Key, pod: &Json) -> Result<Again, Status> {
        let delay = server.options.scaled(server.options.pod_start / 2);
        if let Some(left) = self.wait(pod, "stop", delay) {
            return Ok(Some(left));
        }
        let options = DeleteOptions {
            grace: Some(0),
            uid: Some(pod.text("metadata.uid").into()),
            ..DeleteOptions::default()
        };
        match server.system_delete(key, &options) {
            Err(status) if status.code == 409 => Ok(None),
            Err(status) => Err(status),
            Ok(()) => Ok(None),
        }
    }

    fn start(&self, server: &Server, key: &Key, pod: &Json) -> Result<Again, Status> {
        if !pod.has("status.startTime") {
            server.system_update(KUBELET, "status", key, |p| {
                set(p, "status.startTime", now());
                set(p, "status.hostIP", host_ip(server, p));
                waiting(p, "ContainerCreating", "");
            })?;
        }
        if let Some((reason, message)) = missing(server, pod) {
            let known = pod
                .list("status.containerStatuses")
                .first()
                .map(|c| c.text("state.waiting.message").to_owned());
            if known.as_deref() != Some(message.as_str()) {
                server.system_update(KUBELET, "status", key, |p| waiting(p, reason, &message))?;
                let event_reason = if reason == "ContainerCreating" { "FailedMount" } else { "Failed" };
                event(server, pod, KUBELET, "Warning", event_reason, &message);
            }
            return Ok(None);
        }
        let delay = server.options.delay(server.options.pod_start, &format!("start {key:?}"));
        if let Some(left) = self.wait(pod, "start", delay) {
            return Ok(Some(left));
        }
        let pulls = matches!(faults::of(pod), Some(Fault::ImagePull(times)) if self.attempts(pod) < times);
        let bad = |c: &Json| pulls || bad_image(server, c.text("image"));
        let containers = || pod.list("spec.initContainers").iter().chain(pod.list("spec.containers"));
        if let Some(broken) = containers().find(|c| bad(c)) {
            let image = broken.text("image").to_owned();
            server.system_update(KUBELET, "status", key, |p| {
                let message = format!("Back-off pulling image \"{image}\"");
                waiting(p, "ImagePullBackOff", &message);
                if let Some(list) = super::super::json::list_mut(p, "status.containerStatuses") {
                    for c in list.iter_mut().filter(|c| !pulls && !bad_image(server, c.text("image"))) {
                        set(c, "state", json!({"waiting": {"reason": "PodInitializing"}}));
                    }
                }
            })?;
            event(
                server,
                pod,
                KUBELET,
                "Warning",
                "Failed",
                &format!("Failed to pull image \"{image}\": not found"),
            );
            // An image that a registry does not have stays away; one that is to fail for a while is tried again.
            return Ok(pulls.then(|| self.again(server, pod)));
        }
        if matches!(faults::of(pod), Some(Fault::CrashLoop(times)) if self.attempts(pod) < times) {
            return self.crash(server, key, pod).map(Some);
        }
        server.system_update(KUBELET, "status", key, |p| {
            let restarts = p.list("status.containerStatuses").first().and_then(|c| c.int("restartCount"));
            run(p);
            if faults::of(p) == Some(Fault::NotReady) {
                conditions(p, false, true, "ContainersNotReady");
            }
            for c in super::super::json::list_mut(p, "status.containerStatuses").into_iter().flatten() {
                set(c, "restartCount", restarts.unwrap_or(0));
                if faults::of(pod) == Some(Fault::NotReady) {
                    set(c, "ready", false);
                }
            }
        })?;
        for container in containers() {
            let text = format!("Started container {}", container.text("name"));
            event(server, pod, KUBELET, "Normal", "Started", &text);
        }
        Ok(None)
    }

    fn attempts(&self, pod: &Json) -> u32 {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.get(pod.text("metadata.uid")).copied().unwrap_or(0)
    }

    /// Counts an attempt; the next one comes later than this one did.
    fn again(&self, server: &Server, pod: &Json) -> Duration {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(pod.text("metadata.uid").to_owned()).or_default();
        *count = count.saturating_add(1);
        server.options.scaled(server.options.pod_start * (2_u32 << (*count).min(8)))
    }

    /// The containers have started and ended once more.
    fn crash(&self, server: &Server, key: &Key, pod: &Json) -> Result<Duration, Status> {
        let restarts = self.attempts(pod);
        let pause = self.again(server, pod);
        let code = annotation(pod, EXIT_CODE).and_then(|c| c.parse::<i64>().ok()).unwrap_or(1);
        let time = now();
        let first = pod.list("spec.containers").first().map_or("", |c| c.text("name")).to_owned();
        let back_off = format!(
            "back-off {}s restarting failed container={first} pod={}_{}({})",
            (10_u32 << restarts.min(5)).min(300),
            name(pod),
            namespace(pod),
            pod.text("metadata.uid")
        );
        server.system_update(KUBELET, "status", key, |p| {
            run(p);
            conditions(p, false, true, "ContainersNotReady");
            for c in super::super::json::list_mut(p, "status.containerStatuses").into_iter().flatten() {
                set(c, "ready", false);
                set(c, "started", false);
                set(c, "restartCount", restarts);
                set(c, "state", json!({"waiting": {"reason": "CrashLoopBackOff", "message": back_off}}));
                set(
                    c,
                    "lastState",
                    json!({"terminated": {"exitCode": code, "reason": "Error",
                    "startedAt": time, "finishedAt": time}}),
                );
            }
        })?;
        let text =
            format!("Back-off restarting failed container {first} in pod {}_{}", name(pod), namespace(pod));
        event(server, pod, KUBELET, "Warning", "BackOff", &text);
        Ok(pause)
    }

    fn running(&self, server: &Server, key: &Key, pod: &Json) -> Result<Again, Status> {
        let crashed = pod.list("status.containerStatuses").iter().any(|c| c.has("state.waiting"));
        if crashed {
            return self.start(server, key, pod);
        }
        let ends = pod.text("spec.restartPolicy") != "Always"
            || controller_of(pod).is_some_and(|c| c.text("kind") == "Job");
        if !ends {
            return self.images(server, key, pod);
        }
        if let Some(left) = self.wait(pod, "run", server.options.scaled(server.options.job_run)) {
            return Ok(Some(left));
        }
        let code = annotation(pod, EXIT_CODE).and_then(|c| c.parse::<i64>().ok()).unwrap_or(0);
        server.system_update(KUBELET, "status", key, |p| finish(p, code))?;
        Ok(None)
    }

    /// An image that was changed in place is what the container runs from then on.
    fn images(&self, server: &Server, key: &Key, pod: &Json) -> Result<Again, Status> {
        let stale = pod.list("spec.containers").iter().any(|c| {
            let found =
                pod.list("status.containerStatuses").iter().find(|s| s.text("name") == c.text("name"));
            found.is_some_and(|s| s.text("image") != c.text("image"))
        });
        if stale {
            server.system_update(KUBELET, "status", key, run)?;
        }
        Ok(None)
    }
}

fn host_ip(server: &Server, pod: &Json) -> String {
    let node = server.store.get(&Key::new("nodes", "", pod.text("spec.nodeName")));
    node.and_then(|n| n.list("status.addresses").first().map(|a| a.text("address").to_owned()))
        .unwrap_or_default()
}

fn bad_image(server: &Server, image: &str) -> bool {
    image.ends_with(":does-not-exist") || server.options.bad_images.iter().any(|b| b == image)
}

/// A ConfigMap or Secret that a pod cannot start without.
fn missing(server: &Server, pod: &Json) -> Option<(&'static str, String)> {
    let absent = |resource: &str, object: &str| {
        !object.is_empty() && server.store.get(&Key::new(resource, namespace(pod), object)).is_none()
    };
    let lacks_key = |resource: &str, object: &str, key: &str| {
        let found = server.store.get(&Key::new(resource, namespace(pod), object));
        found.is_some_and(|o| o.at("data").get(key).is_none() && o.at("binaryData").get(key).is_none())
    };
    for volume in pod.list("spec.volumes") {
        let projected = volume.list("projected.sources");
        let direct = [volume];
        for source in direct.into_iter().chain(projected) {
            let map = source.at("configMap");
            if absent("configmaps", map.text("name")) && !map.yes("optional") {
                return Some((
                    "ContainerCreating",
                    format!(
                        "MountVolume.SetUp failed for volume \"{}\" : configmap \"{}\" not found",
                        volume.text("name"),
                        map.text("name")
                    ),
                ));
            }
            let secret = source.at("secret");
            let title =
                if secret.has("secretName") { secret.text("secretName") } else { secret.text("name") };
            if absent("secrets", title) && !secret.yes("optional") {
                return Some((
                    "ContainerCreating",
                    format!(
                        "MountVolume.SetUp failed for volume \"{}\" : secret \"{title}\" not found",
                        volume.text("name")
                    ),
                ));
            }
        }
    }
    for container in pod.list("spec.initContainers").iter().chain(pod.list("spec.containers")) {
        for from in container.list("envFrom") {
            for (field, resource, word) in
                [("configMapRef", "configmaps", "configmap"), ("secretRef", "secrets", "secret")]
            {
                let reference = from.at(field);
                if absent(resource, reference.text("name")) && !reference.yes("optional") {
                    return Some((
                        "CreateContainerConfigError",
                        format!("{word} \"{}\" not found", reference.text("name")),
                    ));
                }
            }
        }
        for env in container.list("env") {
            for (field, resource, word) in
                [("configMapKeyRef", "configmaps", "configmap"), ("secretKeyRef", "secrets", "secret")]
            {
                let reference = env.at("valueFrom").at(field);
                if reference.is_null() || reference.yes("optional") {
                    continue;
                }
                let (title, key) = (reference.text("name"), reference.text("key"));
                if absent(resource, title) {
                    return Some(("CreateContainerConfigError", format!("{word} \"{title}\" not found")));
                }
                if lacks_key(resource, title, key) {
                    let text = format!(
                        "couldn't find key {key} in {} {}/{title}",
                        if word == "secret" { "Secret" } else { "ConfigMap" },
                        namespace(pod)
                    );
                    return Some(("CreateContainerConfigError", text));
                }
            }
        }
    }
    None
}

fn conditions(pod: &mut Json, ready: bool, initialized: bool, reason: &str) {
    let time = now();
    let word = |yes: bool| if yes { "True" } else { "False" };
    let names: Vec<&str> = pod.list("spec.containers").iter().map(|c| c.text("name")).collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    let (why, text) = if ready { ("", "") } else { (reason, message.as_str()) };
    set_condition(pod, "PodReadyToStartContainers", word(initialized), "", "", &time);
    set_condition(pod, "Initialized", word(initialized), "", "", &time);
    set_condition(pod, "Ready", word(ready), why, text, &time);
    set_condition(pod, "ContainersReady", word(ready), why, text, &time);
    set_condition(pod, "PodScheduled", "True", "", "", &time);
    for c in super::super::json::list_mut(pod, "status.conditions").into_iter().flatten() {
        if let Some(map) = c.as_object_mut() {
            map.retain(|k, v| !(matches!(k.as_str(), "reason" | "message") && v == ""));
        }
    }
}

fn container_status(container: &Json, state: Json, ready: bool, started: bool) -> Json {
    let image = container.text("image");
    json!({
        "name": container.text("name"), "state": state, "lastState": {}, "ready": ready, "restartCount": 0,
        "image": image, "imageID": if started || ready { format!("{image}@simulated") } else { String::new() },
        "containerID": if started || ready { format!("simulated://{}", container.text("name")) } else { String::new() },
        "started": started,
    })
}

fn waiting(pod: &mut Json, reason: &str, message: &str) {
    let mut inner = json!({ "reason": reason });
    if !message.is_empty() {
        inner["message"] = json!(message);
    }
    let state = json!({ "waiting": inner });
    let statuses: Vec<Json> = pod
        .list("spec.containers")
        .iter()
        .map(|c| container_status(c, state.clone(), false, false))
        .collect();
    set(pod, "status.phase", "Pending");
    set(pod, "status.containerStatuses", statuses);
    conditions(pod, false, true, "ContainersNotReady");
}

fn run(pod: &mut Json) {
    let time = now();
    let statuses: Vec<Json> = pod
        .list("spec.containers")
        .iter()
        .map(|c| container_status(c, json!({"running": {"startedAt": time}}), true, true))
        .collect();
    let over =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}});
    let init: Vec<Json> = pod
        .list("spec.initContainers")
        .iter()
        .map(|c| container_status(c, over.clone(), true, false))
        .collect();
    if !init.is_empty() {
        set(pod, "status.initContainerStatuses", init);
    }
    let ip = address(pod.text("metadata.uid"));
    set(pod, "status.phase", "Running");
    set(pod, "status.podIP", ip.clone());
    set(pod, "status.podIPs", json!([{ "ip": ip }]));
    let host = pod.text("status.hostIP").to_owned();
    set(pod, "status.hostIPs", json!([{ "ip": host }]));
    set(pod, "status.containerStatuses", statuses);
    if !pod.has("status.startTime") {
        set(pod, "status.startTime", time);
    }
    conditions(pod, true, true, "");
}

/// An address for a pod, out of its identity.
fn address(uid: &str) -> String {
    let number = u32::from_str_radix(uid.get(..8).unwrap_or("1"), 16).unwrap_or(1) % 65_000 + 2;
    format!("10.244.{}.{}", number / 254, number % 254 + 1)
}

fn finish(pod: &mut Json, code: i64) {
    let time = now();
    let reason = if code == 0 { "Completed" } else { "Error" };
    let state = json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": pod.at("status.startTime"), "finishedAt": time}});
    let statuses: Vec<Json> = pod
        .list("spec.containers")
        .iter()
        .map(|c| {
            let mut status = container_status(c, state.clone(), false, true);
            status["started"] = json!(false);
            status
        })
        .collect();
    set(pod, "status.phase", if code == 0 { "Succeeded" } else { "Failed" });
    set(pod, "status.containerStatuses", statuses);
    conditions(pod, false, true, if code == 0 { "PodCompleted" } else { "PodFailed" });
    remove(pod, "status.reason");
}
