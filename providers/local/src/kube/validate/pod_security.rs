//! Pod Security admission: what the `baseline` and `restricted` levels refuse, in the server's words.

use super::super::json::{Json, Look, label, name};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;

const PREFIX: &str = "pod-security.kubernetes.io/";

/// Refuses a pod that the namespace's enforced level forbids.
pub(crate) fn enforce(server: &Server, namespace: &str, pod: &Json) -> Result<(), Status> {
    let Some((level, broken)) = broken(server, namespace, "enforce", pod.at("spec")) else { return Ok(()) };
    let why = format!("violates PodSecurity \"{level}:latest\": {}", broken.join(", "));
    Err(Status::forbidden("", "pods", name(pod), &why))
}

/// What to say about a workload whose pods would not be let in.
pub(crate) fn warn(server: &Server, namespace: &str, spec: &Json) -> Option<String> {
    let (level, broken) =
        ["warn", "enforce"].iter().find_map(|mode| broken(server, namespace, mode, spec))?;
    Some(format!("would violate PodSecurity \"{level}:latest\": {}", broken.join(", ")))
}

fn broken(server: &Server, namespace: &str, mode: &str, spec: &Json) -> Option<(String, Vec<String>)> {
    let home = server.store.get(&Key::new("namespaces", "", namespace))?;
    let level = label(&home, &format!("{PREFIX}{mode}"))?.to_owned();
    let mut out = Vec::new();
    if level == "baseline" || level == "restricted" {
        baseline(spec, &mut out);
    }
    if level == "restricted" {
        restricted(spec, &mut out);
    }
    (!out.is_empty()).then_some((level, out))
}

fn containers(spec: &Json) -> Vec<&Json> {
    ["initContainers", "containers", "ephemeralContainers"].iter().flat_map(|l| spec.list(l)).collect()
}

/// `container "a"` or `containers "a", "b"`.
fn named(list: &[&Json]) -> String {
    let names: Vec<String> = list.iter().map(|c| format!("{:?}", c.text("name"))).collect();
    format!("{} {}", if list.len() == 1 { "container" } else { "containers" }, names.join(", "))
}

fn offenders(spec: &Json, test: impl Fn(&Json) -> bool) -> Vec<&Json> {
    containers(spec).into_iter().filter(|c| test(c)).collect()
}

fn baseline(spec: &Json, out: &mut Vec<String>) {
    let shared: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|f| spec.yes(f))
        .map(|f| format!("{f}=true"))
        .collect();
    if !shared.is_empty() {
        out.push(format!("host namespaces ({})", shared.join(", ")));
    }
    let privileged = offenders(spec, |c| c.yes("securityContext.privileged"));
    if !privileged.is_empty() {
        out.push(format!("privileged ({} must not set securityContext.privileged=true)", named(&privileged)));
    }
    const ALLOWED: [&str; 14] = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
        "",
    ];
    let added = |c: &Json| {
        c.list("securityContext.capabilities.add")
            .iter()
            .any(|a| !ALLOWED.contains(&a.as_str().unwrap_or_default()))
    };
    let capable = offenders(spec, added);
    if !capable.is_empty() {
        out.push(format!(
            "non-default capabilities ({} must not include them in securityContext.capabilities.add)",
            named(&capable)
        ));
    }
    let paths: Vec<String> = spec
        .list("volumes")
        .iter()
        .filter(|v| v.has("hostPath"))
        .map(|v| format!("{:?}", v.text("name")))
        .collect();
    if !paths.is_empty() {
        let word = if paths.len() == 1 { "volume" } else { "volumes" };
        out.push(format!("hostPath volumes ({word} {})", paths.join(", ")));
    }
    let ports = offenders(spec, |c| c.list("ports").iter().any(|p| p.int("hostPort").is_some_and(|n| n > 0)));
    if !ports.is_empty() {
        out.push(format!("hostPort ({} uses hostPorts)", named(&ports)));
    }
}

fn restricted(spec: &Json, out: &mut Vec<String>) {
    const VOLUMES: [&str; 8] = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let odd: Vec<String> = spec
        .list("volumes")
        .iter()
        .filter(|v| !v.has("hostPath") && !VOLUMES.iter().any(|k| v.has(k)))
        .map(|v| format!("{:?}", v.text("name")))
        .collect();
    if !odd.is_empty() {
        out.push(format!("restricted volume types (volumes {})", odd.join(", ")));
    }
    let escalating = offenders(spec, |c| {
        c.at("securityContext").get("allowPrivilegeEscalation") != Some(&Json::Bool(false))
    });
    if !escalating.is_empty() {
        out.push(format!(
            "allowPrivilegeEscalation != false ({} must set securityContext.allowPrivilegeEscalation=false)",
            named(&escalating)
        ));
    }
    let drops = |c: &Json| !c.list("securityContext.capabilities.drop").iter().any(|d| d == "ALL");
    let unrestricted = offenders(spec, drops);
    if !unrestricted.is_empty() {
        out.push(format!(
            "unrestricted capabilities ({} must set securityContext.capabilities.drop=[\"ALL\"])",
            named(&unrestricted)
        ));
    }
    let pod = spec.at("securityContext");
    let root = offenders(spec, |c| match c.at("securityContext").get("runAsNonRoot") {
        Some(own) => own != &Json::Bool(true),
        None => !pod.yes("runAsNonRoot"),
    });
    if !root.is_empty() {
        out.push(format!(
            "runAsNonRoot != true (pod or {} must set securityContext.runAsNonRoot=true)",
            named(&root)
        ));
    }
    let user = offenders(spec, |c| c.int("securityContext.runAsUser") == Some(0));
    if pod.int("runAsUser") == Some(0) || !user.is_empty() {
        out.push("runAsUser=0 (pod must not set runAsUser=0)".into());
    }
    let fine = |profile: &str| matches!(profile, "RuntimeDefault" | "Localhost");
    let unconfined = offenders(spec, |c| match c.text("securityContext.seccompProfile.type") {
        "" => !fine(pod.text("seccompProfile.type")),
        own => !fine(own),
    });
    if !unconfined.is_empty() {
        out.push(format!(
            "seccompProfile (pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
            named(&unconfined)
        ));
    }
}
