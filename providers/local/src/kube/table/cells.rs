//! Columns and cells of the built-in kinds.

use super::super::json::{Json, Look, json, name};
use super::super::kinds::Resource;
use super::super::selector::LabelSelector;
use super::Column;
use super::workloads as w;

const NAME: Column = ("Name", "string", 0);
const AGE: Column = ("Age", "string", 0);

type Make = fn(&Json) -> Vec<Json>;

/// A kind's columns between name and age, how to fill them, and whether age comes before the last wide ones.
struct Printer {
    storage: &'static str,
    columns: &'static [Column],
    cells: Make,
    /// How many columns come after the age.
    after: usize,
}

macro_rules! printers {
    ($($storage:literal, $after:literal, [$($column:literal : $kind:literal : $priority:literal),*], $make:expr;)+) => {
        &[$(Printer { storage: $storage, columns: &[$(($column, $kind, $priority)),*], cells: $make, after: $after }),+]
    };
}

const PRINTERS: &[Printer] = printers! {
    "pods", 4, ["Ready":"string":0, "Status":"string":0, "Restarts":"string":0, "IP":"string":1, "Node":"string":1,
        "Nominated Node":"string":1, "Readiness Gates":"string":1], w::pod;
    "deployments.apps", 3, ["Ready":"string":0, "Up-to-date":"string":0, "Available":"string":0, "Containers":"string":1,
        "Images":"string":1, "Selector":"string":1], w::deployment;
    "replicasets.apps", 3, ["Desired":"integer":0, "Current":"integer":0, "Ready":"integer":0, "Containers":"string":1,
        "Images":"string":1, "Selector":"string":1], w::replica_set;
    "replicationcontrollers", 3, ["Desired":"integer":0, "Current":"integer":0, "Ready":"integer":0,
        "Containers":"string":1, "Images":"string":1, "Selector":"string":1], w::replica_set;
    "statefulsets.apps", 2, ["Ready":"string":0, "Containers":"string":1, "Images":"string":1], w::stateful_set;
    "daemonsets.apps", 3, ["Desired":"integer":0, "Current":"integer":0, "Ready":"integer":0, "Up-to-date":"integer":0,
        "Available":"integer":0, "Node Selector":"string":0, "Containers":"string":1, "Images":"string":1,
        "Selector":"string":1], w::daemon_set;
    "jobs.batch", 3, ["Status":"string":0, "Completions":"string":0, "Duration":"string":0, "Containers":"string":1,
        "Images":"string":1, "Selector":"string":1], w::job;
    "cronjobs.batch", 3, ["Schedule":"string":0, "Timezone":"string":0, "Suspend":"boolean":0, "Active":"integer":0,
        "Last Schedule":"string":0, "Containers":"string":1, "Images":"string":1, "Selector":"string":1], w::cron_job;
    "horizontalpodautoscalers.autoscaling", 0, ["Reference":"string":0, "Targets":"string":0, "MinPods":"string":0,
        "MaxPods":"string":0, "Replicas":"string":0], w::autoscaler;
    "poddisruptionbudgets.policy", 0, ["Min Available":"string":0, "Max Unavailable":"string":0,
        "Allowed Disruptions":"integer":0], |o| vec![or(o.at("spec.minAvailable"), "N/A"),
        or(o.at("spec.maxUnavailable"), "N/A"), json!(o.int("status.disruptionsAllowed").unwrap_or(0))];
    "services", 1, ["Type":"string":0, "Cluster-IP":"string":0, "External-IP":"string":0, "Port(s)":"string":0,
        "Selector":"string":1], service;
    "ingresses.networking.k8s.io", 0, ["Class":"string":0, "Hosts":"string":0, "Address":"string":0, "Ports":"string":0],
        ingress;
    "ingressclasses.networking.k8s.io", 0, ["Controller":"string":0, "Parameters":"string":0],
        |o| vec![json!(o.text("spec.controller")), or(o.at("spec.parameters.name"), "<none>")];
    "networkpolicies.networking.k8s.io", 0, ["Pod-Selector":"string":0],
        |o| vec![none(&LabelSelector::of(o.at("spec.podSelector")).to_string())];
    "configmaps", 0, ["Data":"string":0], |o| vec![json!(count(o, "data") + count(o, "binaryData"))];
    "secrets", 0, ["Type":"string":0, "Data":"string":0], |o| vec![json!(o.text("type")), json!(count(o, "data"))];
    "serviceaccounts", 0, [], |_| Vec::new();
    "limitranges", 0, ["Created At":"date":0], |o| vec![o.at("metadata.creationTimestamp").clone()];
    "csistoragecapacities.storage.k8s.io", 0, ["Created At":"date":0],
        |o| vec![o.at("metadata.creationTimestamp").clone()];
    "podtemplates", 0, ["Containers":"string":0, "Images":"string":0, "Pod Labels":"string":0], w::pod_template;
    "csinodes.storage.k8s.io", 0, ["Drivers":"integer":0], |o| vec![json!(o.list("spec.drivers").len())];
    "volumeattachments.storage.k8s.io", 0, ["Attacher":"string":0, "PV":"string":0, "Node":"string":0,
        "Attached":"boolean":0], |o| vec![json!(o.text("spec.attacher")),
        json!(o.text("spec.source.persistentVolumeName")), json!(o.text("spec.nodeName")),
        json!(o.yes("status.attached"))];
    "validatingadmissionpolicies.admissionregistration.k8s.io", 0, ["Validations":"integer":0, "ParamKind":"string":0],
        |o| vec![json!(o.list("spec.validations").len()), match o.text("spec.paramKind.kind") {
            "" => json!("<unset>"),
            kind => json!(format!("{}/{kind}", o.text("spec.paramKind.apiVersion"))) }];
    "validatingadmissionpolicybindings.admissionregistration.k8s.io", 0, ["PolicyName":"string":0, "ParamRef":"string":0],
        |o| vec![json!(o.text("spec.policyName")), or(o.at("spec.paramRef.name"), "<unset>")];
    "certificatesigningrequests.certificates.k8s.io", 4, ["SignerName":"string":0, "Requestor":"string":0,
        "RequestedDuration":"string":0, "Condition":"string":0], |o| vec![json!(o.text("spec.signerName")),
        json!(o.text("spec.username")), json!(o.int("spec.expirationSeconds").map_or("<none>".into(), duration)),
        json!(match o.list("status.conditions") {
            [] => "Pending".to_owned(),
            list => list.iter().map(|c| c.text("type")).collect::<Vec<_>>().join(",") })];
    "namespaces", 0, ["Status":"string":0], |o| vec![json!(o.text("status.phase"))];
    "nodes", 6, ["Status":"string":0, "Roles":"string":0, "Version":"string":0, "Internal-IP":"string":1,
        "External-IP":"string":1, "OS-Image":"string":1, "Kernel-Version":"string":1, "Container-Runtime":"string":1], node;
    "persistentvolumeclaims", 1, ["Status":"string":0, "Volume":"string":0, "Capacity":"string":0, "Access Modes":"string":0,
        "StorageClass":"string":0, "VolumeAttributesClass":"string":0, "VolumeMode":"string":1], claim;
    "persistentvolumes", 1, ["Capacity":"string":0, "Access Modes":"string":0, "Reclaim Policy":"string":0,
        "Status":"string":0, "Claim":"string":0, "StorageClass":"string":0, "VolumeAttributesClass":"string":0,
        "Reason":"string":0, "VolumeMode":"string":1], volume;
    "storageclasses.storage.k8s.io", 0, ["Provisioner":"string":0, "ReclaimPolicy":"string":0,
        "VolumeBindingMode":"string":0, "AllowVolumeExpansion":"string":0],
        |o| vec![json!(o.text("provisioner")), json!(o.text("reclaimPolicy")), json!(o.text("volumeBindingMode")),
            json!(o.yes("allowVolumeExpansion"))];
    "customresourcedefinitions.apiextensions.k8s.io", 0, ["Created At":"date":0],
        |o| vec![o.at("metadata.creationTimestamp").clone()];
    "apiservices.apiregistration.k8s.io", 0, ["Service":"string":0, "Available":"string":0],
        |o| vec![match o.text("spec.service.name") {
            "" => json!("Local"),
            n => json!(format!("{}/{n}", o.text("spec.service.namespace"))) },
            json!(super::super::json::condition(o, "Available").map_or("Unknown", |c| c.text("status")))];
    "endpoints", 0, ["Endpoints":"string":0], endpoints;
    "endpointslices.discovery.k8s.io", 0, ["AddressType":"string":0, "Ports":"string":0, "Endpoints":"string":0], slice;
    "leases.coordination.k8s.io", 0, ["Holder":"string":0], |o| vec![json!(o.text("spec.holderIdentity"))];
    "priorityclasses.scheduling.k8s.io", 1, ["Value":"integer":0, "Global-Default":"boolean":0,
        "PreemptionPolicy":"string":0],
        |o| vec![o.at("value").clone(), json!(o.yes("globalDefault")), json!(o.text("preemptionPolicy"))];
    "roles.rbac.authorization.k8s.io", 0, ["Created At":"date":0], |o| vec![o.at("metadata.creationTimestamp").clone()];
    "clusterroles.rbac.authorization.k8s.io", 0, ["Created At":"date":0],
        |o| vec![o.at("metadata.creationTimestamp").clone()];
    "rolebindings.rbac.authorization.k8s.io", 3, ["Role":"string":0, "Users":"string":1, "Groups":"string":1,
        "ServiceAccounts":"string":1], role_ref;
    "clusterrolebindings.rbac.authorization.k8s.io", 3, ["Role":"string":0, "Users":"string":1, "Groups":"string":1,
        "ServiceAccounts":"string":1], role_ref;
    "validatingwebhookconfigurations.admissionregistration.k8s.io", 0, ["Webhooks":"integer":0],
        |o| vec![json!(o.list("webhooks").len())];
    "mutatingwebhookconfigurations.admissionregistration.k8s.io", 0, ["Webhooks":"integer":0],
        |o| vec![json!(o.list("webhooks").len())];
    "csidrivers.storage.k8s.io", 0, ["AttachRequired":"boolean":0, "PodInfoOnMount":"boolean":0, "StorageCapacity":"boolean":0,
        "TokenRequests":"string":0, "RequiresRepublish":"boolean":0, "Modes":"string":0],
        |o| vec![json!(o.yes("spec.attachRequired")), json!(o.yes("spec.podInfoOnMount")), json!(o.yes("spec.storageCapacity")),
            json!("<unset>"), json!(o.yes("spec.requiresRepublish")),
            json!(o.list("spec.volumeLifecycleModes").iter().filter_map(Json::as_str).collect::<Vec<_>>().join(","))];
    "volumeattributesclasses.storage.k8s.io", 0, ["DriverName":"string":0], |o| vec![json!(o.text("driverName"))];
    "ipaddresses.networking.k8s.io", 0, ["ParentRef":"string":0],
        |o| vec![json!(format!("{}/{}/{}", o.text("spec.parentRef.resource"), o.text("spec.parentRef.namespace"),
            o.text("spec.parentRef.name")))];
    "servicecidrs.networking.k8s.io", 0, ["CIDRs":"string":0],
        |o| vec![json!(o.list("spec.cidrs").iter().filter_map(Json::as_str).collect::<Vec<_>>().join(","))];
    "scale", 0, ["Desired":"integer":0, "Available":"integer":0],
        |o| vec![json!(o.int("spec.replicas").unwrap_or(0)), json!(o.int("status.replicas").unwrap_or(0))];
    "flowschemas.flowcontrol.apiserver.k8s.io", 1, ["PriorityLevel":"string":0, "MatchingPrecedence":"string":0,
        "DistinguisherMethod":"string":0, "MissingPL":"string":0],
        |o| vec![json!(o.text("spec.priorityLevelConfiguration.name")),
            json!(o.int("spec.matchingPrecedence").unwrap_or(0).to_string()),
            or(o.at("spec.distinguisherMethod.type"), "<none>"),
            json!(super::super::json::condition(o, "Dangling").map_or("?", |c| c.text("status")))];
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", 0, ["Type":"string":0,
        "NominalConcurrencyShares":"string":0, "Queues":"string":0, "HandSize":"string":0,
        "QueueLengthLimit":"string":0], level;
    "runtimeclasses.node.k8s.io", 0, ["Handler":"string":0], |o| vec![json!(o.text("handler"))];
    "resourcequotas", 0, ["Request":"string":0, "Limit":"string":0], quota;
    "controllerrevisions.apps", 0, ["Controller":"string":0, "Revision":"string":0],
        |o| vec![json!(super::super::json::controller_of(o).map_or(String::new(), |c| format!("{}.apps/{}",
            c.text("kind").to_lowercase(), c.text("name")))), json!(o.at("revision").to_string())];
};

fn level(object: &Json) -> Vec<Json> {
    let queuing = object.at("spec.limited.limitResponse.queuing");
    let number = |value: &Json| value.as_i64().map_or(json!("<none>"), |number| json!(number.to_string()));
    vec![
        json!(object.text("spec.type")),
        number(object.at("spec.limited.nominalConcurrencyShares")),
        number(queuing.at("queues")),
        number(queuing.at("handSize")),
        number(queuing.at("queueLengthLimit")),
    ]
}

fn printer(resource: &Resource) -> Option<&'static Printer> {
    PRINTERS.iter().find(|p| p.storage == resource.storage)
}

/// The columns of a kind.
pub(super) fn columns(resource: &Resource) -> Vec<Column> {
    if resource.storage == "events" {
        return vec![
            ("Last Seen", "string", 0),
            ("Type", "string", 0),
            ("Reason", "string", 0),
            ("Object", "string", 0),
            ("Subobject", "string", 1),
            ("Source", "string", 1),
            ("Message", "string", 0),
            ("First Seen", "string", 1),
            ("Count", "string", 1),
            ("Name", "string", 1),
        ];
    }
    let Some(printer) = printer(resource) else { return vec![NAME, AGE] };
    let mut out = vec![NAME];
    out.extend_from_slice(printer.columns);
    if !dated(printer) {
        out.insert(out.len() - printer.after, AGE);
    }
    out
}

/// The cells of an object.
pub(super) fn cells(resource: &Resource, object: &Json) -> Vec<Json> {
    let born = json!(age(object.text("metadata.creationTimestamp")));
    if resource.storage == "events" {
        return event(object);
    }
    let Some(printer) = printer(resource) else { return vec![json!(name(object)), born] };
    let mut title = name(object).to_owned();
    let default_class = super::super::json::annotation(object, "storageclass.kubernetes.io/is-default-class");
    if default_class == Some("true") {
        title.push_str(" (default)");
    }
    let mut out = vec![json!(title)];
    out.extend((printer.cells)(object));
    if !dated(printer) {
        out.insert(out.len() - printer.after, born);
    }
    out
}

/// Some kinds say when they were created instead of how old they are, and one says neither.
fn dated(printer: &Printer) -> bool {
    printer.columns.iter().any(|c| matches!(c.0, "Created At" | "Pod Labels"))
}

/// How long ago, as kubectl says it.
pub(super) fn age(time: &str) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else { return "<unknown>".into() };
    match jiff::Timestamp::now().as_second() - then.as_second() {
        // A clock may be a second off; anything further ahead is no age.
        past if past < -1 => "<invalid>".into(),
        past => duration(past),
    }
}

/// A duration, as kubectl says it.
pub(super) fn duration(seconds: i64) -> String {
    let (s, m, h, d) = (seconds.max(0), seconds / 60, seconds / 3600, seconds / 86_400);
    match s {
        ..120 => format!("{s}s"),
        120..600 => with_rest(m, "m", s % 60, "s"),
        600..10_800 => format!("{m}m"),
        10_800..28_800 => with_rest(h, "h", m % 60, "m"),
        28_800..172_800 => format!("{h}h"),
        172_800..691_200 => with_rest(d, "d", h % 24, "h"),
        691_200..63_072_000 => format!("{d}d"),
        _ => with_rest(d / 365, "y", d % 365, "d"),
    }
}

fn with_rest(whole: i64, unit: &str, rest: i64, small: &str) -> String {
    if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{small}") }
}

fn count(object: &Json, path: &str) -> usize {
    object.map(path).map_or(0, |m| m.len())
}

fn none(text: &str) -> Json {
    json!(if text.is_empty() { "<none>" } else { text })
}

fn or(value: &Json, absent: &str) -> Json {
    match value {
        Json::Null => json!(absent),
        Json::String(s) => json!(s),
        other => json!(other.to_string()),
    }
}

/// What a quota allows and what is used of it: limits apart from everything else.
fn quota(object: &Json) -> Vec<Json> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let mut hard: Vec<(&String, &Json)> = object.map("status.hard").into_iter().flatten().collect();
    hard.sort_by_key(|(k, _)| *k);
    for (key, limit) in hard {
        let used = object.at("status.used").get(key).and_then(Json::as_str).unwrap_or("0");
        let shown = format!("{key}: {used}/{}", limit.as_str().unwrap_or_default());
        if key.starts_with("limits") { limits.push(shown) } else { requests.push(shown) }
    }
    vec![json!(requests.join(", ")), json!(limits.join(", "))]
}

fn role_ref(object: &Json) -> Vec<Json> {
    let of = |kind: &str| {
        let found = object.list("subjects").iter().filter(|s| s.text("kind") == kind);
        let names: Vec<String> = found
            .map(|s| match s.text("namespace") {
                "" => s.text("name").to_owned(),
                ns => format!("{ns}/{}", s.text("name")),
            })
            .collect();
        json!(names.join(", "))
    };
    vec![
        json!(format!("{}/{}", object.text("roleRef.kind"), object.text("roleRef.name"))),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

fn service(object: &Json) -> Vec<Json> {
    let kind = object.text("spec.type");
    let external: Vec<String> = object
        .list("status.loadBalancer.ingress")
        .iter()
        .map(|i| if i.has("ip") { i.text("ip").into() } else { i.text("hostname").into() })
        .collect();
    let external = match kind {
        "ExternalName" => object.text("spec.externalName").to_owned(),
        "LoadBalancer" if external.is_empty() => "<pending>".into(),
        _ if external.is_empty() => "<none>".into(),
        _ => external.join(","),
    };
    let ports: Vec<String> = object
        .list("spec.ports")
        .iter()
        .map(|p| match p.int("nodePort") {
            Some(node) if node > 0 => format!("{}:{node}/{}", p.at("port"), p.text("protocol")),
            _ => format!("{}/{}", p.at("port"), p.text("protocol")),
        })
        .collect();
    vec![
        json!(kind),
        or(object.at("spec.clusterIP"), "<none>"),
        json!(external),
        none(&ports.join(",")),
        none(&LabelSelector::of_map(object.at("spec.selector")).to_string()),
    ]
}

fn ingress(object: &Json) -> Vec<Json> {
    let hosts: Vec<&str> =
        object.list("spec.rules").iter().map(|r| r.text("host")).filter(|h| !h.is_empty()).collect();
    let addresses: Vec<&str> = object
        .list("status.loadBalancer.ingress")
        .iter()
        .map(|i| if i.has("ip") { i.text("ip") } else { i.text("hostname") })
        .collect();
    let ports = if object.list("spec.tls").is_empty() { "80" } else { "80, 443" };
    let hosts = if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") };
    vec![
        or(object.at("spec.ingressClassName"), "<none>"),
        json!(hosts),
        json!(addresses.join(",")),
        json!(ports),
    ]
}

fn node(object: &Json) -> Vec<Json> {
    let ready = super::super::json::condition(object, "Ready").is_some_and(|c| c.text("status") == "True");
    let mut status = if ready { "Ready".to_owned() } else { "NotReady".to_owned() };
    if object.yes("spec.unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let roles: Vec<&str> = object
        .map("metadata.labels")
        .into_iter()
        .flatten()
        .filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let address = |kind: &str| {
        let found = object.list("status.addresses").iter().find(|a| a.text("type") == kind);
        none(found.map_or("", |a| a.text("address")))
    };
    vec![
        json!(status),
        none(&roles.join(",")),
        json!(object.text("status.nodeInfo.kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        json!(object.text("status.nodeInfo.osImage")),
        json!(object.text("status.nodeInfo.kernelVersion")),
        json!(object.text("status.nodeInfo.containerRuntimeVersion")),
    ]
}

fn modes(list: &[Json]) -> String {
    let short = |m: &Json| match m.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    list.iter().map(short).collect::<Vec<_>>().join(",")
}

fn claim(object: &Json) -> Vec<Json> {
    let bound = object.has("spec.volumeName");
    let status =
        if super::super::json::deleting(object) { "Terminating" } else { object.text("status.phase") };
    vec![
        json!(status),
        json!(object.text("spec.volumeName")),
        json!(if bound { object.text("status.capacity.storage") } else { "" }),
        json!(if bound { modes(object.list("status.accessModes")) } else { String::new() }),
        json!(object.text("spec.storageClassName")),
        or(object.at("spec.volumeAttributesClassName"), "<unset>"),
        or(object.at("spec.volumeMode"), "<unset>"),
    ]
}

fn volume(object: &Json) -> Vec<Json> {
    let claim = match object.text("spec.claimRef.name") {
        "" => String::new(),
        name => format!("{}/{name}", object.text("spec.claimRef.namespace")),
    };
    vec![
        json!(object.text("spec.capacity.storage")),
        json!(modes(object.list("spec.accessModes"))),
        json!(object.text("spec.persistentVolumeReclaimPolicy")),
        json!(object.text("status.phase")),
        json!(claim),
        json!(object.text("spec.storageClassName")),
        or(object.at("spec.volumeAttributesClassName"), "<unset>"),
        json!(object.text("status.reason")),
        or(object.at("spec.volumeMode"), "<unset>"),
    ]
}

fn endpoints(object: &Json) -> Vec<Json> {
    let mut out = Vec::new();
    for subset in object.list("subsets") {
        for address in subset.list("addresses") {
            for port in subset.list("ports") {
                out.push(format!("{}:{}", address.text("ip"), port.at("port")));
            }
        }
    }
    vec![none(&shortened(&out))]
}

fn slice(object: &Json) -> Vec<Json> {
    let ports: Vec<String> = object.list("ports").iter().map(|p| p.at("port").to_string()).collect();
    let addresses: Vec<String> = object
        .list("endpoints")
        .iter()
        .flat_map(|e| e.list("addresses"))
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let unset = |s: String| if s.is_empty() { json!("<unset>") } else { json!(s) };
    vec![json!(object.text("addressType")), unset(ports.join(",")), unset(shortened(&addresses))]
}

fn shortened(list: &[String]) -> String {
    match list.len() {
        0..=3 => list.join(","),
        n => format!("{} + {} more...", list[..3].join(","), n - 3),
    }
}

fn event(object: &Json) -> Vec<Json> {
    let last = [object.text("lastTimestamp"), object.text("eventTime"), object.text("firstTimestamp")];
    let last = last.iter().find(|t| !t.is_empty()).copied().unwrap_or_default();
    let about = object.at("involvedObject");
    vec![
        json!(age(last)),
        json!(object.text("type")),
        json!(object.text("reason")),
        json!(format!("{}/{}", about.text("kind").to_lowercase(), about.text("name"))),
        json!(about.text("fieldPath")),
        json!(object.text("source.component")),
        json!(object.text("message").trim()),
        json!(age(object.text("firstTimestamp"))),
        json!(object.int("count").unwrap_or(1).to_string()),
        json!(name(object)),
    ]
}
