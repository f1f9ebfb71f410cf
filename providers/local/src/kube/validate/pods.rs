//! Pod specifications.

use super::super::json::{Json, Look, json};
use super::super::quantity::Quantity;
use super::super::status::Cause;
use super::names;

/// What is wrong with a pod's specification at a path.
pub(super) fn spec(spec: &Json, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let containers = spec.list("containers");
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let volumes: Vec<&str> = spec.list("volumes").iter().map(|v| v.text("name")).collect();
    for (index, volume) in spec.list("volumes").iter().enumerate() {
        let at = format!("{path}.volumes[{index}]");
        let sources: Vec<&String> = volume
            .as_object()
            .map(|m| m.iter().filter(|(k, v)| *k != "name" && !v.is_null()).map(|(k, _)| k).collect())
            .unwrap_or_default();
        if sources.len() > 1 {
            for extra in &sources[1..] {
                causes.push(Cause::forbidden(
                    format!("{at}.{extra}"),
                    "may not specify more than 1 volume type",
                ));
            }
        }
        if volumes[..index].contains(&volumes[index]) {
            causes.push(Cause::duplicate(format!("{at}.name"), volume.at("name")));
        }
    }
    causes.extend(super::values::pod(spec, path));
    super::podfields::pod(spec, path, &mut causes);
    // What is wrong with itself cannot be mounted.
    let flawed = |index: usize| {
        let at = format!("{path}.volumes[{index}]");
        causes.iter().any(|cause| cause.field.starts_with(&at))
    };
    let volumes: Vec<&str> =
        volumes.iter().enumerate().filter(|(index, _)| !flawed(*index)).map(|(_, name)| *name).collect();
    let mut seen: Vec<&str> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in spec.list(list).iter().enumerate() {
            let at = format!("{path}.{list}[{index}]");
            let name = container.text("name");
            if name.is_empty() {
                causes.push(Cause::required(format!("{at}.name"), ""));
            } else if seen.contains(&name) {
                causes.push(Cause::duplicate(format!("{at}.name"), container.at("name")));
            }
            seen.push(name);
            causes.extend(
                (!name.is_empty())
                    .then(|| names::label_name(container.at("name"), &format!("{at}.name")))
                    .flatten(),
            );
            self::container(container, &at, &volumes, &mut causes);
        }
    }
    if !["Always", "OnFailure", "Never"].contains(&spec.text("restartPolicy")) {
        causes.push(Cause::unsupported(
            format!("{path}.restartPolicy"),
            spec.at("restartPolicy"),
            &["Always", "OnFailure", "Never"],
        ));
    }
    causes
}

fn container(container: &Json, at: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    if container.text("image").is_empty() {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    let port_names: Vec<&str> = container.list("ports").iter().map(|p| p.text("name")).collect();
    for (index, port) in container.list("ports").iter().enumerate() {
        // 0 counts as absent, which is told by the table.
        if port.int("containerPort").is_some_and(|n| n != 0 && !(1..=65535).contains(&n)) {
            let value = port.at("containerPort");
            causes.push(Cause::invalid(
                format!("{at}.ports[{index}].containerPort"),
                value,
                "must be between 1 and 65535, inclusive",
            ));
        }
        let name = port_names[index];
        if !name.is_empty() {
            causes.extend(names::port_or_name(port.at("name"), &format!("{at}.ports[{index}].name")));
            if port_names[..index].contains(&name) {
                causes.push(Cause::duplicate(format!("{at}.ports[{index}].name"), port.at("name")));
            }
        }
    }
    for (index, env) in container.list("env").iter().enumerate() {
        if env.text("name").is_empty() {
            causes.push(Cause::required(format!("{at}.env[{index}].name"), ""));
        }
        if !env.text("value").is_empty() && env.has("valueFrom") {
            causes.push(Cause::invalid(
                format!("{at}.env[{index}].valueFrom"),
                &json!(""),
                "may not be specified when `value` is not empty",
            ));
        }
    }
    let mounts = container.list("volumeMounts");
    for (index, mount) in mounts.iter().enumerate() {
        if !mount.text("name").is_empty() && !volumes.contains(&mount.text("name")) {
            causes.push(Cause::not_found(format!("{at}.volumeMounts[{index}].name"), mount.at("name")));
        }
        if mounts[..index].iter().any(|m| m.text("mountPath") == mount.text("mountPath")) {
            let why = "must be unique";
            causes.push(Cause::invalid(
                format!("{at}.volumeMounts[{index}].mountPath"),
                mount.at("mountPath"),
                why,
            ));
        }
    }
    const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
    let policy = container.at("imagePullPolicy");
    if policy.as_str().is_some_and(|p| !POLICIES.contains(&p)) {
        causes.push(Cause::unsupported(format!("{at}.imagePullPolicy"), policy, &POLICIES));
    }
    for (key, request) in container.map("resources.requests").into_iter().flatten() {
        let limit = container.at("resources.limits").get(key);
        let parsed = |v: &Json| v.as_str().and_then(Quantity::parse);
        if let (Some(r), Some(l)) = (parsed(request), limit.and_then(parsed))
            && r.milli() > l.milli()
        {
            let shown = limit.and_then(Json::as_str).unwrap_or_default();
            let why = format!("must be less than or equal to {key} limit of {shown}");
            causes.push(Cause::invalid(format!("{at}.resources.requests"), request, &why));
        }
    }
    probes(container, at, causes);
}

fn probes(container: &Json, at: &str, causes: &mut Vec<Cause>) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(name).filter(|p| p.is_object()) else { continue };
        let handlers = ["httpGet", "tcpSocket", "exec", "grpc"].iter().filter(|h| probe.has(h)).count();
        if handlers == 0 {
            causes.push(Cause::required(format!("{at}.{name}"), "must specify a handler type"));
        }
        if name != "readinessProbe" && probe.int("successThreshold").is_some_and(|n| !(0..=1).contains(&n)) {
            causes.push(Cause::invalid(
                format!("{at}.{name}.successThreshold"),
                probe.at("successThreshold"),
                "must be 1",
            ));
        }
        for action in ["httpGet", "tcpSocket"] {
            if let Some(found) = probe.get(action).filter(|a| a.is_object()) {
                causes.extend(names::port_or_name(found.at("port"), &format!("{at}.{name}.{action}.port")));
            }
        }
    }
    for hook in ["preStop", "postStart"] {
        for action in ["httpGet", "tcpSocket"] {
            let port = container.at("lifecycle").at(hook).at(action).at("port");
            causes.extend(names::port_or_name(port, &format!("{at}.lifecycle.{hook}.{action}.port")));
        }
    }
}

/// Things that pass but deserve a word.
pub(super) fn warnings(spec: &Json, path: &str, warnings: &mut Vec<String>) {
    for list in ["initContainers", "containers"] {
        for (index, container) in spec.list(list).iter().enumerate() {
            for (key, seen) in duplicates(container.list("env"), &["name"]) {
                warnings.push(format!(
                    "{path}.{list}[{index}].env[{key}]: hides previous definition of {seen}, which may be dropped when using apply"
                ));
            }
            for (key, seen) in duplicates(container.list("ports"), &["containerPort", "protocol"]) {
                warnings.push(format!("{path}.{list}[{index}].ports[{key}]: duplicate port definition with {path}.{list}[{index}].ports[{seen}]"));
            }
            for (kind, values) in ["limits", "requests"]
                .iter()
                .filter_map(|k| Some((k, container.map(&format!("resources.{k}"))?)))
            {
                if let Some(memory) = values.get("memory").and_then(Json::as_str).filter(|m| m.ends_with('m'))
                {
                    warnings.push(format!(
                        "{path}.{list}[{index}].resources.{kind}[memory]: fractional byte value \"{memory}\" is invalid, must be an integer"
                    ));
                }
            }
        }
    }
}

fn duplicates(items: &[Json], keys: &[&str]) -> Vec<(usize, String)> {
    let same = |a: &Json, b: &Json| keys.iter().all(|k| a.at(k) == b.at(k));
    items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            let first = items[..index].iter().position(|other| same(other, item))?;
            let shown = item.text("name");
            Some((index, if shown.is_empty() { first.to_string() } else { format!("{shown:?}") }))
        })
        .collect()
}
