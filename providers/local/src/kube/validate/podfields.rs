//! Rules of the fields of pods. Paths start at a pod's specification, those of containers at the container.

use super::super::json::{Json, Look, json};
use super::super::quantity::Quantity;
use super::super::status::Cause;
use super::rules::{Row, Rule::*, check};

const ID: &str = "must be between 0 and 2147483647, inclusive";
const IDS: i64 = 2_147_483_647;
const WEIGHT: &str = "must be in the range 1-100";
const SECCOMP: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];
const TYPED: &str = "type is required when seccompProfile is set";
const TEN_MINUTES: &str = "may not specify a duration less than 10 minutes";
const CLAIM_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const HOST_PATHS: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

const POD: &[Row] = &[
    ("securityContext.runAsUser", Within(0, IDS, ID)),
    ("securityContext.runAsGroup", Within(0, IDS, ID)),
    ("securityContext.fsGroup", Within(0, IDS, ID)),
    ("securityContext.supplementalGroups[]", Within(0, IDS, ID)),
    ("securityContext.fsGroupChangePolicy", OneOf(&["Always", "OnRootMismatch"])),
    ("securityContext.seccompProfile.type", Need(TYPED)),
    ("hostAliases[].ip", IsAddress),
    ("hostAliases[].hostnames[]", IsSubdomain),
    ("topologySpreadConstraints[].maxSkew", IsWithin(1, IDS, "must be greater than zero")),
    ("topologySpreadConstraints[].topologyKey", Need("can not be empty")),
    ("topologySpreadConstraints[].whenUnsatisfiable", IsOneOf(&["DoNotSchedule", "ScheduleAnyway"])),
    ("topologySpreadConstraints[].labelSelector", Selector),
    ("volumes[].name", Need("")),
    ("volumes[].name", Label),
    ("volumes[].configMap.defaultMode", Mode),
    ("volumes[].configMap.items[].key", Need("")),
    ("volumes[].configMap.items[].path", Need("")),
    ("volumes[].configMap.items[].mode", Mode),
    ("volumes[].secret.defaultMode", Mode),
    ("volumes[].secret.items[].key", Need("")),
    ("volumes[].secret.items[].path", Need("")),
    ("volumes[].secret.items[].mode", Mode),
    ("volumes[].hostPath.type", OneOf(HOST_PATHS)),
    ("volumes[].projected.defaultMode", Mode),
    (
        "volumes[].projected.sources[].serviceAccountToken.expirationSeconds",
        Within(600, 1 << 32, TEN_MINUTES),
    ),
    ("volumes[].projected.sources[].configMap.name", Need("")),
    ("volumes[].projected.sources[].configMap.items[].key", Need("")),
    ("volumes[].projected.sources[].configMap.items[].path", Need("")),
    ("volumes[].projected.sources[].secret.name", Need("")),
    ("volumes[].projected.sources[].secret.items[].key", Need("")),
    ("volumes[].projected.sources[].secret.items[].path", Need("")),
    ("volumes[].ephemeral.volumeClaimTemplate", Need("")),
    ("volumes[].ephemeral.volumeClaimTemplate.spec.accessModes", Need("at least 1 access mode is required")),
    ("volumes[].csi.driver", Need("")),
    ("volumes[].csi.driver", Subdomain),
];

const TERM: &[Row] = &[
    ("topologyKey", Need("can not be empty")),
    ("labelSelector", Selector),
    ("namespaceSelector", Selector),
];

const CONTAINER: &[Row] = &[
    ("securityContext.runAsUser", Within(0, IDS, ID)),
    ("securityContext.runAsGroup", Within(0, IDS, ID)),
    ("securityContext.procMount", OneOf(&["Default", "Unmasked"])),
    ("securityContext.seccompProfile.type", Need(TYPED)),
    ("volumeMounts[].name", Need("")),
    ("volumeMounts[].mountPath", Need("")),
    ("env[].valueFrom.fieldRef.fieldPath", Need("")),
    ("env[].valueFrom.secretKeyRef.key", Need("")),
    ("env[].valueFrom.secretKeyRef.key", Key),
    ("env[].valueFrom.secretKeyRef.name", NamedSubdomain),
    ("env[].valueFrom.configMapKeyRef.key", Need("")),
    ("env[].valueFrom.configMapKeyRef.key", Key),
    ("env[].valueFrom.configMapKeyRef.name", NamedSubdomain),
    ("env[].valueFrom.resourceFieldRef.resource", Need("")),
    ("envFrom[].configMapRef.name", Need("")),
    ("envFrom[].configMapRef.name", Subdomain),
    ("envFrom[].secretRef.name", Need("")),
    ("envFrom[].secretRef.name", Subdomain),
    ("resources.requests", Resources),
    ("resources.limits", Resources),
    ("livenessProbe.terminationGracePeriodSeconds", Within(1, IDS, "must be greater than 0")),
    ("startupProbe.terminationGracePeriodSeconds", Within(1, IDS, "must be greater than 0")),
    ("lifecycle.preStop.exec.command", Need("")),
    ("lifecycle.postStart.exec.command", Need("")),
];

/// What may be asked for of a container's resources.
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// What is wrong with a pod's fields.
pub(super) fn pod(spec: &Json, at: &str, causes: &mut Vec<Cause>) {
    check(POD, spec, at, causes);
    seccomp(spec, at, causes);
    affinity(spec.at("affinity"), &format!("{at}.affinity"), causes);
    volumes(spec, at, causes);
    tolerations(spec, at, causes);
    spread(spec, at, causes);
    for list in ["initContainers", "containers"] {
        for (index, container) in spec.list(list).iter().enumerate() {
            let at = format!("{at}.{list}[{index}]");
            check(CONTAINER, container, &at, causes);
            self::container(spec, container, &at, causes);
            if list == "initContainers" {
                let policies: [Row; 1] = [("restartPolicy", OneOf(&["Always", "Never", "OnFailure"]))];
                check(&policies, container, &at, causes);
            }
        }
    }
}

fn seccomp(of: &Json, at: &str, causes: &mut Vec<Cause>) {
    let found = of.at("securityContext.seccompProfile.type");
    if found.as_str().is_some_and(|text| !text.is_empty() && !SECCOMP.contains(&text)) {
        causes.push(Cause::unsupported(format!("{at}.securityContext.seccompProfile.type"), found, SECCOMP));
    }
}

fn affinity(affinity: &Json, at: &str, causes: &mut Vec<Cause>) {
    let node = affinity.at("nodeAffinity");
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    if node.at(required).is_object() {
        node_selector(node.at(required), &format!("{at}.nodeAffinity.{required}"), causes);
    }
    for (index, one) in node.list(preferred).iter().enumerate() {
        let at = format!("{at}.nodeAffinity.{preferred}[{index}]");
        let rows: [Row; 2] =
            [("weight", IsWithin(1, 100, WEIGHT)), ("preference.matchExpressions", NodeExpressions)];
        check(&rows, one, &at, causes);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (index, term) in affinity.at(kind).list(required).iter().enumerate() {
            pod_term(term, &format!("{at}.{kind}.{required}[{index}]"), causes);
        }
        for (index, one) in affinity.at(kind).list(preferred).iter().enumerate() {
            let at = format!("{at}.{kind}.{preferred}[{index}]");
            check(&[("weight", IsWithin(1, 100, WEIGHT))], one, &at, causes);
            pod_term(one.at("podAffinityTerm"), &format!("{at}.podAffinityTerm"), causes);
        }
    }
}

fn pod_term(term: &Json, at: &str, causes: &mut Vec<Cause>) {
    let empty = json!({});
    let term = if term.is_object() { term } else { &empty };
    check(TERM, term, at, causes);
    let key = term.text("topologyKey");
    let at = format!("{at}.topologyKey");
    causes
        .extend(super::names::qualified_errors(key).iter().map(|why| Cause::invalid(&at, &json!(key), why)));
}

/// A selector of nodes must select by something.
pub(super) fn node_selector(selector: &Json, at: &str, causes: &mut Vec<Cause>) {
    let at = format!("{at}.nodeSelectorTerms");
    let terms = selector.list("nodeSelectorTerms");
    if terms.is_empty() {
        causes.push(Cause::required(&at, "must have at least one node selector term"));
    }
    for (index, term) in terms.iter().enumerate() {
        check(&[("matchExpressions", NodeExpressions)], term, &format!("{at}[{index}]"), causes);
    }
}

fn volumes(spec: &Json, at: &str, causes: &mut Vec<Cause>) {
    for (index, volume) in spec.list("volumes").iter().enumerate() {
        let at = format!("{at}.volumes[{index}]");
        if volume.text("csi.driver").len() > 63 {
            let why = "may not be more than 63 bytes";
            causes.push(Cause::too_long(format!("{at}.csi.driver"), why));
        }
        let mut paths: Vec<&str> = Vec::new();
        for source in volume.list("projected.sources") {
            for items in ["configMap.items", "secret.items", "downwardAPI.items"] {
                for path in
                    source.list(items).iter().map(|item| item.text("path")).filter(|path| !path.is_empty())
                {
                    if paths.contains(&path) {
                        let why = "conflicting duplicate paths";
                        causes.push(Cause::invalid(format!("{at}.projected"), &json!(path), why));
                    }
                    paths.push(path);
                }
            }
        }
        let size = volume.at("emptyDir.sizeLimit");
        if size.as_str().and_then(Quantity::parse).is_some_and(|size| size.milli() < 0) {
            let why = "SizeLimit field must be a valid resource quantity";
            causes.push(Cause::forbidden(format!("{at}.emptyDir.sizeLimit"), why));
        }
        // The real server leaves the index out of these.
        downward(volume.at("downwardAPI"), &format!("{at}.downwardAPI"), causes);
        for (index, source) in volume.list("projected.sources").iter().enumerate() {
            let inner = format!("{at}.projected.sources[{index}]");
            downward(source.at("downwardAPI"), &format!("{inner}.downwardAPI"), causes);
            let token = source.at("serviceAccountToken");
            if token.is_object() && token.text("path").is_empty() {
                causes.push(Cause::required(format!("{at}.projected.path"), ""));
            }
        }
        let claim = volume.at("ephemeral.volumeClaimTemplate");
        if claim.is_object() {
            ephemeral(claim, &format!("{at}.ephemeral.volumeClaimTemplate"), causes);
        }
    }
}

fn ephemeral(template: &Json, at: &str, causes: &mut Vec<Cause>) {
    let spec = template.at("spec");
    if !spec.is_object() {
        causes.push(Cause::required(format!("{at}.spec.accessModes"), "at least 1 access mode is required"));
    }
    check(&[("spec.accessModes[]", OneOf(CLAIM_MODES))], template, at, causes);
    for cause in causes.iter_mut().filter(|cause| cause.field.starts_with(&format!("{at}.spec.accessModes[")))
    {
        cause.field = format!("{at}.spec.accessModes");
    }
    let size = spec.at("resources.requests.storage");
    let path = format!("{at}.spec.resources[storage]");
    match size.as_str().and_then(Quantity::parse) {
        None => causes.push(Cause::required(path, "")),
        Some(amount) if amount.milli() <= 0 => {
            causes.push(Cause::invalid(path, size, "must be greater than zero"));
        }
        Some(_) => {}
    }
}

fn downward(source: &Json, at: &str, causes: &mut Vec<Cause>) {
    const FIELDS: [&str; 5] =
        ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
    for item in source.list("items") {
        if item.text("path").is_empty() {
            causes.push(Cause::required(format!("{at}.path"), ""));
        }
        if item.at("fieldRef").is_object() {
            field_path(
                item.text("fieldRef.fieldPath"),
                &FIELDS,
                &format!("{at}.fieldRef.fieldPath"),
                true,
                causes,
            );
        } else if !item.at("resourceFieldRef").is_object() {
            causes.push(Cause::required(at, "one of fieldRef and resourceFieldRef is required"));
        }
    }
}

fn field_path(path: &str, known: &[&str], at: &str, needed: bool, causes: &mut Vec<Cause>) {
    if path.is_empty() {
        if needed {
            causes.push(Cause::required(at, ""));
        }
        return;
    }
    let base = path.split("['").next().unwrap_or(path);
    if known.contains(&base) {
        return;
    }
    const ANY: [&str; 10] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.podIP",
        "status.podIPs",
    ];
    if ANY.contains(&base) || base == "status.hostIPs" {
        causes.push(Cause::unsupported(at, &json!(path), known));
    } else {
        let why = format!("error converting fieldPath: field label not supported: {path}");
        causes.push(Cause::invalid(at, &json!(path), &why));
    }
}

fn tolerations(spec: &Json, at: &str, causes: &mut Vec<Cause>) {
    for (index, toleration) in spec.list("tolerations").iter().enumerate() {
        let at = format!("{at}.tolerations[{index}]");
        if !toleration.text("key").is_empty() {
            check(&[("key", Qualified)], toleration, &at, causes);
        }
        // The real server tells a wrong value at the operator.
        if toleration.text("operator") != "Exists" {
            let why = super::names::label_value_error(toleration.text("value"));
            causes.extend(
                why.map(|why| {
                    Cause::invalid(format!("{at}.operator"), &json!(toleration.text("value")), why)
                }),
            );
        }
        if toleration.has("tolerationSeconds") && toleration.text("effect") != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            causes.push(Cause::invalid(format!("{at}.effect"), &json!(toleration.text("effect")), why));
        }
    }
}

fn spread(spec: &Json, at: &str, causes: &mut Vec<Cause>) {
    let all = spec.list("topologySpreadConstraints");
    let pair = |one: &Json| (one.text("topologyKey").to_owned(), one.text("whenUnsatisfiable").to_owned());
    for (index, one) in all.iter().enumerate() {
        // The first of the two is named.
        if all[index + 1..].iter().any(|other| pair(other) == pair(one)) {
            let (key, when) = pair(one);
            let at = format!("{at}.topologySpreadConstraints[{index}].{{topologyKey, whenUnsatisfiable}}");
            let shown = json!(format!("{{{key}, {when}}}"));
            causes.push(Cause::duplicate(at, &shown));
        }
    }
}

fn container(spec: &Json, container: &Json, at: &str, causes: &mut Vec<Cause>) {
    seccomp(container, at, causes);
    for (index, port) in container.list("ports").iter().enumerate() {
        let number = port.int("containerPort").unwrap_or(0);
        if number == 0 {
            causes.push(Cause::required(format!("{at}.ports[{index}].containerPort"), ""));
        }
        let host = port.int("hostPort").unwrap_or(0);
        if spec.at("hostNetwork") == true && host != number {
            let why = "must match `containerPort` when `hostNetwork` is true";
            causes.push(Cause::invalid(format!("{at}.ports[{index}].hostPort"), &json!(host), why));
        }
    }
    for (index, env) in container.list("env").iter().enumerate() {
        let at = format!("{at}.env[{index}].valueFrom");
        let from = env.at("valueFrom");
        if !from.is_object() {
            continue;
        }
        let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
        if !sources.iter().any(|source| from.at(source).is_object()) {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            causes.push(Cause::invalid(&at, &json!(""), why));
        }
        const FIELDS: [&str; 11] = [
            "metadata.annotations",
            "metadata.labels",
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
            "spec.nodeName",
            "spec.serviceAccountName",
            "status.hostIP",
            "status.hostIPs",
            "status.podIP",
            "status.podIPs",
        ];
        field_path(
            from.text("fieldRef.fieldPath"),
            &FIELDS,
            &format!("{at}.fieldRef.fieldPath"),
            false,
            causes,
        );
        let resource = from.text("resourceFieldRef.resource");
        if !resource.is_empty() && !RESOURCES.contains(&resource) {
            let at = format!("{at}.resourceFieldRef.resource");
            causes.push(Cause::unsupported(at, &json!(resource), RESOURCES));
        }
    }
    for from in container.list("envFrom") {
        if !from.at("configMapRef").is_object() && !from.at("secretRef").is_object() {
            let why = "must specify one of: `configMapRef` or `secretRef`";
            causes.push(Cause::invalid(format!("{at}.envFrom"), &json!(""), why));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        handler(container.at(probe), &format!("{at}.{probe}"), causes);
    }
    for hook in ["preStop", "postStart"] {
        let found = container.at("lifecycle").at(hook);
        let at = format!("{at}.lifecycle.{hook}");
        if found.is_object()
            && !["exec", "httpGet", "tcpSocket", "sleep"].iter().any(|h| found.at(h).is_object())
        {
            causes.push(Cause::required(&at, "must specify a handler type"));
        }
        handler(found, &at, causes);
        let grace = spec.int("terminationGracePeriodSeconds").unwrap_or(30);
        // A negative one of a pod, not of a template, has been taken for a second.
        let grace = if grace < 0 && at.starts_with("spec.containers") { 1 } else { grace };
        if let Some(seconds) = found.int("sleep.seconds").filter(|seconds| !(0..=grace).contains(seconds)) {
            let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
            causes.push(Cause::invalid(format!("{at}.sleep"), &json!(seconds), &why));
        }
    }
}

fn handler(found: &Json, at: &str, causes: &mut Vec<Cause>) {
    for action in ["httpGet", "tcpSocket"] {
        if found.at(action).is_object() && found.at(action).at("port").is_null() {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{at}.{action}.port"), &json!(0), why));
        }
    }
    if found.at("grpc").is_object() {
        let rows: [Row; 1] = [("grpc.port", IsWithin(1, 65535, "must be between 1 and 65535, inclusive"))];
        check(&rows, found, at, causes);
    }
    for header in found.list("httpGet.httpHeaders") {
        let name = header.text("name");
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            causes.push(Cause::invalid(format!("{at}.httpGet.httpHeaders"), &json!(name), why));
        }
    }
}
