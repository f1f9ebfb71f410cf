//! Values that only a few are allowed to be, told by tables: enumerations, counts, names, and fields that must be there.
//!
//! Paths are dotted; `[]` after a part goes through a list. Those of pods start at the pod's specification.

use super::super::json::{Json, Look, json};
use super::super::kinds::Resource;
use super::super::status::Cause;
use super::names;
use super::rules::{NETWORK, is_network};

type Choices = (&'static str, &'static str, &'static [&'static str]);

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const TRAFFIC: &[&str] = &["Cluster", "Local"];
const RETENTION: &[&str] = &["Retain", "Delete"];

/// Storage name, path, what it may be.
const CHOICES: &[Choices] = &[
    ("services", "spec.ports[].protocol", PROTOCOLS),
    ("services", "spec.sessionAffinity", &["ClientIP", "None"]),
    ("services", "spec.externalTrafficPolicy", TRAFFIC),
    ("cronjobs.batch", "spec.concurrencyPolicy", &["Allow", "Forbid", "Replace"]),
    ("statefulsets.apps", "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", RETENTION),
    ("statefulsets.apps", "spec.persistentVolumeClaimRetentionPolicy.whenScaled", RETENTION),
    ("storageclasses.storage.k8s.io", "reclaimPolicy", &["Delete", "Retain"]),
    ("priorityclasses.scheduling.k8s.io", "preemptionPolicy", &["PreemptLowerPriority", "Never"]),
    ("rolebindings.rbac.authorization.k8s.io", "roleRef.apiGroup", &["rbac.authorization.k8s.io"]),
    ("clusterrolebindings.rbac.authorization.k8s.io", "roleRef.apiGroup", &["rbac.authorization.k8s.io"]),
];

/// The same for pods.
const POD_CHOICES: &[(&str, &[&str])] = &[
    ("containers[].ports[].protocol", PROTOCOLS),
    ("containers[].terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
    ("containers[].livenessProbe.httpGet.scheme", &["HTTP", "HTTPS"]),
    ("containers[].readinessProbe.httpGet.scheme", &["HTTP", "HTTPS"]),
    ("containers[].startupProbe.httpGet.scheme", &["HTTP", "HTTPS"]),
    ("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]),
    ("tolerations[].operator", &["Equal", "Exists"]),
    ("tolerations[].effect", &["NoSchedule", "PreferNoSchedule", "NoExecute"]),
];

/// Counts that must not be negative.
const COUNTS: &[(&str, &str)] = &[
    ("deployments.apps", "spec.minReadySeconds"),
    ("deployments.apps", "spec.progressDeadlineSeconds"),
    ("deployments.apps", "spec.strategy.rollingUpdate.maxSurge"),
    ("deployments.apps", "spec.strategy.rollingUpdate.maxUnavailable"),
    ("daemonsets.apps", "spec.updateStrategy.rollingUpdate.maxUnavailable"),
    ("daemonsets.apps", "spec.updateStrategy.rollingUpdate.maxSurge"),
    ("deployments.apps", "spec.revisionHistoryLimit"),
    ("statefulsets.apps", "spec.minReadySeconds"),
    ("statefulsets.apps", "spec.updateStrategy.rollingUpdate.partition"),
    ("daemonsets.apps", "spec.minReadySeconds"),
    ("daemonsets.apps", "spec.revisionHistoryLimit"),
    ("jobs.batch", "spec.parallelism"),
    ("jobs.batch", "spec.completions"),
    ("jobs.batch", "spec.backoffLimit"),
    ("jobs.batch", "spec.activeDeadlineSeconds"),
    ("jobs.batch", "spec.ttlSecondsAfterFinished"),
    ("cronjobs.batch", "spec.successfulJobsHistoryLimit"),
    ("cronjobs.batch", "spec.failedJobsHistoryLimit"),
    ("poddisruptionbudgets.policy", "spec.minAvailable"),
    ("poddisruptionbudgets.policy", "spec.maxUnavailable"),
];

/// Counts of probes.
const PROBE_COUNTS: [&str; 5] =
    ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

/// Numbers or shares of a whole.
const SHARES: &[(&str, &str)] = &[
    ("deployments.apps", "spec.strategy.rollingUpdate.maxSurge"),
    ("deployments.apps", "spec.strategy.rollingUpdate.maxUnavailable"),
    ("daemonsets.apps", "spec.updateStrategy.rollingUpdate.maxUnavailable"),
    ("poddisruptionbudgets.policy", "spec.minAvailable"),
    ("poddisruptionbudgets.policy", "spec.maxUnavailable"),
];

/// Names in the form of a domain.
const SUBDOMAINS: &[(&str, &str)] = &[
    ("persistentvolumeclaims", "spec.storageClassName"),
    ("services", "spec.externalName"),
    ("ingresses.networking.k8s.io", "spec.ingressClassName"),
    ("ingresses.networking.k8s.io", "spec.rules[].host"),
    ("ingresses.networking.k8s.io", "spec.tls[].hosts[]"),
];

const POD_SUBDOMAINS: [&str; 2] = ["serviceAccountName", "priorityClassName"];

/// Parts of a pod that make no sense without a field: the part and the field.
const POD_REQUIRED: &[(&str, &str)] = &[
    ("containers[].livenessProbe.exec", "command"),
    ("containers[].readinessProbe.exec", "command"),
    ("containers[].startupProbe.exec", "command"),
    ("volumes[].configMap", "name"),
    ("volumes[].secret", "secretName"),
    ("volumes[].persistentVolumeClaim", "claimName"),
    ("volumes[].hostPath", "path"),
];

/// Calls `see` with every value at a path, and where exactly it is.
fn each<'a>(value: &'a Json, path: &str, at: &str, see: &mut dyn FnMut(&str, &'a Json)) {
    let (part, rest) = path.split_once('.').unwrap_or((path, ""));
    let (field, list) = part.strip_suffix("[]").map_or((part, false), |field| (field, true));
    let Some(found) = value.get(field) else { return };
    let here = if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") };
    let mut go = |at: &str, value: &'a Json| match rest {
        "" => see(at, value),
        rest => each(value, rest, at, see),
    };
    match list {
        true => {
            for (index, item) in found.as_array().into_iter().flatten().enumerate() {
                go(&format!("{here}[{index}]"), item);
            }
        }
        false => go(&here, found),
    }
}

fn choice(value: &Json, path: &str, at: &str, choices: &[&str], causes: &mut Vec<Cause>) {
    each(value, path, at, &mut |at, found| {
        if found.as_str().is_some_and(|text| !text.is_empty() && !choices.contains(&text)) {
            causes.push(Cause::unsupported(at, found, choices));
        }
    });
}

fn count(value: &Json, path: &str, at: &str, causes: &mut Vec<Cause>) {
    each(value, path, at, &mut |at, found| {
        if found.as_i64().is_some_and(|n| n < 0) {
            causes.push(Cause::invalid(at, found, "must be greater than or equal to 0"));
        }
    });
}

fn subdomain(value: &Json, path: &str, at: &str, causes: &mut Vec<Cause>) {
    each(value, path, at, &mut |at, found| {
        let text = found.as_str().unwrap_or_default();
        if !text.is_empty() {
            let whys = names::subdomain_errors(text.strip_prefix("*.").unwrap_or(text));
            causes.extend(whys.iter().map(|why| Cause::invalid(at, found, why)));
        }
    });
}

fn share(value: &Json, path: &str, causes: &mut Vec<Cause>) {
    const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
    each(value, path, "", &mut |at, found| {
        let Some(text) = found.as_str() else { return };
        match text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok()) {
            None => causes.push(Cause::invalid(at, found, PERCENT)),
            // More may be added than there are, but not more be missing.
            Some(n) if n > 100 && !at.ends_with("maxSurge") => {
                causes.push(Cause::invalid(at, found, "must not be greater than 100%"));
            }
            Some(_) => {}
        }
    });
}

/// What the tables find wrong with an object.
pub(super) fn object(resource: &Resource, object: &Json) -> Vec<Cause> {
    let storage = resource.storage.as_str();
    let mut causes = Vec::new();
    for (_, path, choices) in CHOICES.iter().filter(|(s, ..)| *s == storage) {
        choice(object, path, "", choices, &mut causes);
    }
    for (_, path) in COUNTS.iter().filter(|(s, _)| *s == storage) {
        count(object, path, "", &mut causes);
    }
    for (_, path) in SHARES.iter().filter(|(s, _)| *s == storage) {
        share(object, path, &mut causes);
    }
    for (_, path) in SUBDOMAINS.iter().filter(|(s, _)| *s == storage) {
        subdomain(object, path, "", &mut causes);
    }
    match storage {
        "services" => service(object, &mut causes),
        "persistentvolumeclaims" => claim(object, &mut causes),
        "ingresses.networking.k8s.io" => ingress(object, &mut causes),
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            role(object, storage.starts_with("cluster"), &mut causes);
        }
        "networkpolicies.networking.k8s.io" => policy(object, &mut causes),
        "deployments.apps" => {
            strategy(object, "spec.strategy", &["Recreate", "RollingUpdate"], "", &mut causes);
        }
        "daemonsets.apps" => {
            strategy(object, "spec.updateStrategy", &["RollingUpdate", "OnDelete"], "", &mut causes);
        }
        "statefulsets.apps" => {
            let why = "must be 'RollingUpdate' or 'OnDelete'";
            strategy(object, "spec.updateStrategy", &["RollingUpdate", "OnDelete"], why, &mut causes);
            let management = object.at("spec.podManagementPolicy");
            if management.as_str().is_some_and(|m| !["OrderedReady", "Parallel"].contains(&m)) {
                let why = "must be 'OrderedReady' or 'Parallel'";
                causes.push(Cause::invalid("spec.podManagementPolicy", management, why));
            }
        }
        "priorityclasses.scheduling.k8s.io"
            if object.int("value").is_some_and(|n| n > 1_000_000_000)
                && !super::super::json::name(object).starts_with("system-") =>
        {
            let why = "maximum allowed value of a user defined priority is 1000000000";
            causes.push(Cause::forbidden("value", why));
        }
        "cronjobs.batch" if super::super::json::name(object).len() > 52 => {
            let name = object.at("metadata.name");
            causes.push(Cause::invalid("metadata.name", name, "must be no more than 52 characters"));
        }
        "configmaps" => {
            for key in object.map("data").into_iter().flatten().map(|(k, _)| k) {
                if object.at("binaryData").get(key).is_some() {
                    let why = "duplicate of key present in binaryData";
                    causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), why));
                }
            }
        }
        _ => {}
    }
    causes
}

/// What the tables find wrong with a pod's specification.
pub(super) fn pod(spec: &Json, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (path, field) in POD_REQUIRED {
        each(spec, path, at, &mut |at, found| {
            let value = found.at(field);
            let empty = value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty);
            if found.is_object() && empty {
                causes.push(Cause::required(format!("{at}.{field}"), ""));
            }
        });
    }
    for (path, choices) in POD_CHOICES {
        choice(spec, path, at, choices, &mut causes);
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for field in PROBE_COUNTS {
            count(spec, &format!("containers[].{probe}.{field}"), at, &mut causes);
        }
    }
    for path in POD_SUBDOMAINS {
        subdomain(spec, path, at, &mut causes);
    }
    each(spec, "containers[].env[].name", at, &mut |at, found| {
        if found.as_str().is_some_and(|n| n.contains('=') || n.chars().any(|c| !(' '..='~').contains(&c))) {
            let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            causes.push(Cause::invalid(at, found, why));
        }
    });
    each(spec, "containers[].ports[].hostPort", at, &mut |at, found| {
        if found.as_i64().is_some_and(|n| !(0..=65535).contains(&n)) {
            causes.push(Cause::invalid(at, found, "must be between 1 and 65535, inclusive"));
        }
    });
    for kind in ["requests", "limits"] {
        each(spec, &format!("containers[].resources.{kind}"), at, &mut |at, amounts| {
            for (key, amount) in amounts.as_object().into_iter().flatten() {
                let parsed = amount.as_str().and_then(super::super::quantity::Quantity::parse);
                if parsed.is_some_and(|q| q.milli() < 0) {
                    let why = "must be greater than or equal to 0";
                    causes.push(Cause::invalid(format!("{at}[{key}]"), amount, why));
                }
            }
        });
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        each(spec, &format!("containers[].{probe}"), at, &mut |at, found| {
            let handlers = ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter(|h| found.has(h));
            for extra in handlers.skip(1) {
                let why = "may not specify more than 1 handler type";
                causes.push(Cause::forbidden(format!("{at}.{extra}"), why));
            }
        });
    }
    names::labels(spec.at("nodeSelector"), &format!("{at}.nodeSelector"), &mut causes);
    for (index, toleration) in spec.list("tolerations").iter().enumerate() {
        let at = format!("{at}.tolerations[{index}].operator");
        let exists = toleration.text("operator") == "Exists";
        if exists && !toleration.text("value").is_empty() {
            let why = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(at, toleration.at("value"), why));
        } else if !exists && toleration.text("key").is_empty() {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(Cause::invalid(at, &json!(toleration.text("operator")), why));
        }
    }
    causes
}

/// The way in which pods are replaced. `why` is what the real server says where it lists no choices.
fn strategy(object: &Json, at: &str, choices: &[&str], why: &str, causes: &mut Vec<Cause>) {
    let found = object.at(at);
    let kind = found.text("type");
    if kind.is_empty() || choices.contains(&kind) {
        return;
    }
    // As the server has it: in the order and with the names of its own form.
    let rolling = found.get("rollingUpdate").map(|rolling| match at {
        "spec.updateStrategy" if rolling.has("partition") => {
            json!({"Partition": rolling["partition"], "MaxUnavailable": rolling.get("maxUnavailable")})
        }
        _ => json!({"MaxUnavailable": rolling.get("maxUnavailable"), "MaxSurge": rolling.get("maxSurge")}),
    });
    let shown = json!({"Type": kind, "RollingUpdate": rolling});
    causes.push(match why {
        "" => Cause::unsupported(at, &shown, choices),
        why => Cause::invalid(at, &shown, why),
    });
}

fn service(object: &Json, causes: &mut Vec<Cause>) {
    let kind = object.text("spec.type");
    each(object, "spec.ports[].nodePort", "", &mut |at, found| {
        if kind == "ClusterIP" && found.as_i64().is_some_and(|n| n != 0) {
            causes.push(Cause::forbidden(at, "may not be used when `type` is 'ClusterIP'"));
        }
    });
    each(object, "spec.ports[].name", "", &mut |at, found| {
        if found.as_str().is_some_and(|n| !n.is_empty()) {
            causes.extend(names::label_name(found, at));
        }
    });
    if matches!(kind, "NodePort" | "LoadBalancer") && object.text("spec.clusterIP") == "None" {
        let why = format!("may not be set to 'None' for {kind} services");
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!("None"), &why));
    }
    names::labels(object.at("spec.selector"), "spec.selector", causes);
    for (index, range) in object.list("spec.loadBalancerSourceRanges").iter().enumerate() {
        if !range.as_str().is_some_and(|r| is_network(r.trim())) {
            // The real server begins this one with a capital.
            causes.push(Cause::invalid(format!("spec.LoadBalancerSourceRanges[{index}]"), range, NETWORK));
        }
    }
}

/// What is wrong with the fields of a claim, or of a template of claims.
pub(super) fn claimed(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    claim(object, &mut causes);
    subdomain(object, "spec.storageClassName", "", &mut causes);
    causes
}

fn claim(object: &Json, causes: &mut Vec<Cause>) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let modes = object.list("spec.accessModes");
    for mode in modes.iter().filter(|m| !MODES.contains(&m.as_str().unwrap_or_default())) {
        causes.push(Cause::unsupported("spec.accessModes", mode, &MODES));
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        let why = "may not use ReadWriteOncePod with other access modes";
        causes.push(Cause::forbidden("spec.accessModes", why));
    }
    let size = object.at("spec.resources.requests.storage");
    let parsed = size.as_str().and_then(super::super::quantity::Quantity::parse);
    if parsed.is_some_and(|q| q.milli() <= 0) {
        causes.push(Cause::invalid("spec.resources[storage]", size, "must be greater than zero"));
    }
}

fn ingress(object: &Json, causes: &mut Vec<Cause>) {
    each(object, "spec.rules[].host", "", &mut |at, host| {
        if host.as_str().is_some_and(|h| h.parse::<std::net::IpAddr>().is_ok()) {
            causes.push(Cause::invalid(at, host, "must be a DNS name, not an IP address"));
        }
    });
    each(object, "spec.rules[].http.paths[]", "", &mut |at, path| {
        let text = path.text("path");
        let loose = path.text("pathType") == "ImplementationSpecific" && text.is_empty();
        if path.has("pathType") && !text.starts_with('/') && !loose {
            causes.push(Cause::invalid(format!("{at}.path"), &json!(text), "must be an absolute path"));
        }
        let port = path.at("backend.service.port");
        if port.has("number") && !port.text("name").is_empty() {
            let why = "cannot set both port name & port number";
            causes.push(Cause::invalid(format!("{at}.backend"), &json!(""), why));
        }
    });
}

fn role(object: &Json, cluster_wide: bool, causes: &mut Vec<Cause>) {
    for (index, rule) in object.list("rules").iter().enumerate() {
        let at = format!("rules[{index}]");
        let urls = rule.list("nonResourceURLs");
        if rule.list("verbs").is_empty() {
            causes.push(Cause::required(format!("{at}.verbs"), "verbs must contain at least one value"));
        }
        if !urls.is_empty() {
            if !cluster_wide {
                let why = "namespaced rules cannot apply to non-resource URLs";
                causes.push(Cause::invalid(format!("{at}.nonResourceURLs"), &json!(urls), why));
            }
            continue;
        }
        if rule.list("apiGroups").is_empty() {
            let why = "resource rules must supply at least one api group";
            causes.push(Cause::required(format!("{at}.apiGroups"), why));
        }
        if rule.list("resources").is_empty() {
            let why = "resource rules must supply at least one resource";
            causes.push(Cause::required(format!("{at}.resources"), why));
        }
    }
}

fn policy(object: &Json, causes: &mut Vec<Cause>) {
    for path in ["spec.ingress[].from[]", "spec.egress[].to[]"] {
        each(object, path, "", &mut |at, peer| {
            let selects = peer.has("podSelector") || peer.has("namespaceSelector");
            match (peer.has("ipBlock"), selects) {
                (true, true) => {
                    causes.push(Cause::forbidden(at, "may not specify both ipBlock and another peer"));
                }
                (false, false) => causes.push(Cause::required(at, "must specify a peer")),
                _ => {}
            }
        });
    }
    for path in ["spec.ingress[].from[].ipBlock.cidr", "spec.egress[].to[].ipBlock.cidr"] {
        each(object, path, "", &mut |at, cidr| {
            if cidr.as_str().is_some_and(|text| !text.is_empty() && !is_network(text)) {
                causes.push(Cause::invalid(at, cidr, NETWORK));
            }
        });
    }
    for path in ["spec.ingress[].ports[].port", "spec.egress[].ports[].port"] {
        each(object, path, "", &mut |at, port| causes.extend(names::port_or_name(port, at)));
    }
}
