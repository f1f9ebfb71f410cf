//! What the server decides when an object comes in: allocated addresses, default classes, things carried over.

use super::json::{Json, Look, default, json, list_mut, name, namespace, place, remove, same, set};
use super::kinds::Resource;
use super::server::Server;
use super::status::Status;
use super::write::WriteOptions;

/// What an empty object of the kind encodes to: the structs that are there even when nobody sets them.
pub(crate) fn zero(resource: &Resource) -> Json {
    let mut object = json!({"apiVersion": resource.api_version(), "kind": resource.kind, "metadata": {}});
    if resource.custom.is_some() {
        return object;
    }
    let template = json!({"metadata": {}, "spec": {"containers": null}});
    let spec = match (resource.group.as_str(), resource.kind.as_str()) {
        ("apps", "Deployment") => json!({"strategy": {}, "template": template}),
        ("apps", "StatefulSet" | "DaemonSet") => json!({"updateStrategy": {}, "template": template}),
        ("apps", "ReplicaSet") => json!({"template": template}),
        ("batch", "Job") => json!({"template": template}),
        ("batch", "CronJob") => json!({"jobTemplate": {"metadata": {}, "spec": {"template": template}}}),
        ("", "PersistentVolumeClaim") => json!({"resources": {}}),
        // Put there by the server, and so nobody's.
        ("", "Namespace") => json!({"finalizers": ["kubernetes"]}),
        ("autoscaling", _) => json!({"scaleTargetRef": {}}),
        ("apiextensions.k8s.io", _) => json!({"names": {}}),
        ("", "ConfigMap" | "Secret" | "Endpoints" | "ServiceAccount" | "Event") => return object,
        ("rbac.authorization.k8s.io" | "storage.k8s.io" | "scheduling.k8s.io" | "node.k8s.io", _) => {
            return object;
        }
        _ => json!({}),
    };
    object["spec"] = spec;
    if resource.status {
        object["status"] = match resource.kind.as_str() {
            "Service" | "Ingress" => json!({"loadBalancer": {}}),
            _ => json!({}),
        };
    }
    object
}

/// Completes a new object.
pub(crate) fn create(
    server: &Server,
    resource: &Resource,
    object: &mut Json,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    match resource.storage.as_str() {
        "services" => {
            service(server, object, None);
            addressable(server, object)?;
        }
        "persistentvolumeclaims" => claim(server, object),
        "pods" => pod(server, object)?,
        "priorityclasses.scheduling.k8s.io" => default(object, "value", 0),
        "jobs.batch" => job(object),
        "daemonsets.apps" => template_generation(object),
        "persistentvolumes" => volume(object),
        "ingresses.networking.k8s.io" => ingress(server, object, warnings),
        "nodes" => default(object, "spec", json!({})),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            default(
                object,
                "status",
                json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""},
                "storedVersions": stored_versions(object, None)}),
            );
        }
        _ => {}
    }
    Ok(())
}

/// Completes a changed object from what it was.
pub(crate) fn update(
    server: &Server,
    resource: &Resource,
    live: &Json,
    object: &mut Json,
    options: &WriteOptions,
) -> Result<(), Status> {
    match resource.storage.as_str() {
        "services" => service(server, object, Some(live)),
        // The binder's choice is not the client's to drop.
        "persistentvolumeclaims"
            if !options.trusted && !object.has("spec.volumeName") && live.has("spec.volumeName") =>
        {
            let volume = live.at("spec.volumeName").clone();
            set(object, "spec.volumeName", volume);
        }
        "jobs.batch" => {
            for path in ["spec.selector", "spec.template.metadata.labels", "metadata.labels"] {
                if !object.has(path) && live.has(path) {
                    let kept = live.at(path).clone();
                    set(object, path, kept);
                }
            }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let stored = stored_versions(object, Some(live));
            set(object, "status.storedVersions", stored);
        }
        _ => {}
    }
    Ok(())
}

/// How often the template of a DaemonSet has changed, in the annotation that has outlived its field.
fn template_generation(object: &mut Json) {
    let generation = object.int("metadata.generation").unwrap_or(1).to_string();
    super::json::object(place(object, "metadata.annotations"))
        .entry("deprecated.daemonset.template.generation")
        .or_insert(json!(generation));
}

fn volume(object: &mut Json) {
    default(object, "status.lastPhaseTransitionTime", super::json::now());
    protect(object, "kubernetes.io/pv-protection");
}

/// Adds the finalizer that keeps something in use from being removed.
fn protect(object: &mut Json, finalizer: &str) {
    let finalizers = place(object, "metadata.finalizers");
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|f| f == finalizer) => {}
        Some(list) => list.push(json!(finalizer)),
        None => *finalizers = json!([finalizer]),
    }
}

fn stored_versions(object: &Json, live: Option<&Json>) -> Json {
    let mut versions: Vec<Json> = live.map(|l| l.list("status.storedVersions").to_vec()).unwrap_or_default();
    for version in object.list("spec.versions").iter().filter(|v| v.yes("storage")) {
        if !versions.contains(&version["name"]) {
            versions.push(version["name"].clone());
        }
    }
    Json::Array(versions)
}

/// A cluster address that a client asks for must be one of the cluster's, and free.
fn addressable(server: &Server, object: &Json) -> Result<(), Status> {
    let asked = object.text("spec.clusterIP");
    if asked.is_empty() || asked == "None" {
        return Ok(());
    }
    let (services, _) = server.store.list("services", None);
    let why = if !asked.starts_with("10.96.") {
        "the provided network does not match the current range"
    } else if services.iter().any(|s| s.text("spec.clusterIP") == asked) {
        "provided IP is already allocated"
    } else {
        return Ok(());
    };
    let why = format!("failed to allocate IP {asked}: {why}");
    let cause = super::status::Cause::invalid("spec.clusterIPs", &json!([asked]), &why);
    Err(Status::invalid("", "Service", name(object), vec![cause]))
}

/// Cluster addresses and node ports: kept where they were, found where they are needed.
fn service(server: &Server, object: &mut Json, live: Option<&Json>) {
    let kind = object.text("spec.type").to_owned();
    drop_of_former_type(object, live, &kind);
    if kind == "ExternalName" {
        for path in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            let given = object.at("spec").get(path).is_some();
            let was =
                live.is_some_and(|l| same(l.at(&format!("spec.{path}")), object.at(&format!("spec.{path}"))));
            if given && (was || path == "internalTrafficPolicy") {
                remove(object, &format!("spec.{path}"));
            }
        }
        return;
    }
    if let Some(live) = live.filter(|l| l.text("spec.type") != "ExternalName") {
        for path in ["spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy"] {
            if !object.has(path) && live.has(path) {
                let kept = live.at(path).clone();
                set(object, path, kept);
            }
        }
        if kind == "LoadBalancer"
            && !object.has("spec.healthCheckNodePort")
            && live.has("spec.healthCheckNodePort")
        {
            let kept = live.at("spec.healthCheckNodePort").clone();
            set(object, "spec.healthCheckNodePort", kept);
        }
    }
    if object.text("spec.clusterIP").is_empty() {
        match object.list("spec.clusterIPs").first().cloned() {
            Some(first) => set(object, "spec.clusterIP", first),
            None => set(object, "spec.clusterIP", server.free_address()),
        }
    }
    if !object.has("spec.clusterIPs") {
        let ip = object.at("spec.clusterIP").clone();
        set(object, "spec.clusterIPs", json!([ip]));
    }
    // Nobody knows the families of addresses that somebody else maintains.
    let unselected = object.text("spec.clusterIP") == "None" && !object.has("spec.selector");
    if unselected && !object.has("spec.ipFamilies") && !object.has("spec.ipFamilyPolicy") {
        set(object, "spec.ipFamilies", json!(["IPv4", "IPv6"]));
        set(object, "spec.ipFamilyPolicy", "RequireDualStack");
    }
    default(object, "spec.ipFamilies", json!(["IPv4"]));
    default(object, "spec.ipFamilyPolicy", "SingleStack");
    node_ports(server, object, live, &kind);
}

/// What only the former type needed goes with it, unless it was changed as well.
fn drop_of_former_type(object: &mut Json, live: Option<&Json>, kind: &str) {
    let Some(live) = live else { return };
    let balanced = kind == "LoadBalancer";
    let outside = balanced || kind == "NodePort" || !object.list("spec.externalIPs").is_empty();
    let mut drops = Vec::new();
    if !balanced {
        drops.extend([
            "spec.allocateLoadBalancerNodePorts",
            "spec.loadBalancerClass",
            "spec.healthCheckNodePort",
        ]);
    }
    if !outside {
        drops.push("spec.externalTrafficPolicy");
    }
    for path in drops {
        if object.has(path) && same(live.at(path), object.at(path)) {
            remove(object, path);
        }
    }
}

fn node_ports(server: &Server, object: &mut Json, live: Option<&Json>, kind: &str) {
    let needs = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    if !needs(kind) {
        let was: Vec<Json> = live.map(|l| l.list("spec.ports").to_vec()).unwrap_or_default();
        for port in list_mut(object, "spec.ports").into_iter().flatten() {
            let carried = was.iter().any(|w| same(w.at("nodePort"), port.at("nodePort")));
            if carried {
                remove(port, "nodePort");
            }
        }
        return;
    }
    if kind == "LoadBalancer" && object.at("spec.allocateLoadBalancerNodePorts") == &json!(false) {
        return;
    }
    let before: Vec<Json> = live.map(|l| l.list("spec.ports").to_vec()).unwrap_or_default();
    let mut used: Vec<i64> = object.list("spec.ports").iter().filter_map(|p| p.int("nodePort")).collect();
    let free = |used: &[i64]| server.free_node_port(used);
    for port in list_mut(object, "spec.ports").into_iter().flatten() {
        if port.int("nodePort").is_some_and(|n| n != 0) {
            continue;
        }
        // The port keeps its number across changes as long as it keeps its name.
        let kept = before
            .iter()
            .find(|b| b.text("name") == port.text("name"))
            .and_then(|b| b.int("nodePort"))
            .filter(|n| !used.contains(n));
        let number = kept.unwrap_or_else(|| free(&used));
        used.push(number);
        set(port, "nodePort", number);
    }
}

/// The default class, when a claim leaves its class open.
fn claim(server: &Server, object: &mut Json) {
    if !object.has("spec.storageClassName")
        && let Some(class) = server.default_class()
    {
        set(object, "spec.storageClassName", class);
    }
    protect(object, "kubernetes.io/pvc-protection");
}

fn pod(server: &Server, object: &mut Json) -> Result<(), Status> {
    default(object, "spec.serviceAccountName", "default");
    let account = object.text("spec.serviceAccountName").to_owned();
    set(object, "spec.serviceAccount", account.clone());
    let ns = namespace(object).to_owned();
    if server.options.controllers && account != "default" {
        let key = super::store::Key::new("serviceaccounts", &ns, &account);
        if server.store.get(&key).is_none() {
            return Err(Status::forbidden(
                "",
                "pods",
                name(object),
                &format!(
                    "error looking up service account {ns}/{account}: serviceaccount \"{account}\" not found"
                ),
            ));
        }
    }
    let class = object.text("spec.priorityClassName").to_owned();
    if class.is_empty() {
        default(object, "spec.priority", 0);
        default(object, "spec.preemptionPolicy", "PreemptLowerPriority");
    } else {
        let key = super::store::Key::new("priorityclasses.scheduling.k8s.io", "", &class);
        let Some(found) = server.store.get(&key) else {
            return Err(Status::forbidden(
                "",
                "pods",
                name(object),
                &format!("no PriorityClass with name {class} was found"),
            ));
        };
        set(object, "spec.priority", found.at("value").clone());
        default(object, "spec.preemptionPolicy", found.at("preemptionPolicy").clone());
    }
    let tolerations = place(object, "spec.tolerations");
    if tolerations.is_null() {
        *tolerations = json!([]);
    }
    if let Some(list) = tolerations.as_array_mut() {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            if !list
                .iter()
                .any(|t| t.text("key") == key || (t.text("key").is_empty() && t.text("operator") == "Exists"))
            {
                list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
            }
        }
    }
    default(object, "status.qosClass", quality(object));
    super::validate::enforce(server, &ns, object)?;
    quota(server, &ns, object)
}

/// Refuses a pod beyond what a quota on the number of pods allows.
fn quota(server: &Server, ns: &str, pod: &Json) -> Result<(), Status> {
    let (quotas, _) = server.store.list("resourcequotas", Some(ns));
    for found in &quotas {
        let hard = found.at("spec.hard");
        let limit = ["pods", "count/pods"].iter().find_map(|k| Some((*k, hard.get(*k)?.as_str()?)));
        let Some((what, limit)) = limit else { continue };
        let (pods, _) = server.store.list("pods", Some(ns));
        let ended = |p: &Json| matches!(p.text("status.phase"), "Succeeded" | "Failed");
        let used = pods.iter().filter(|p| !ended(p)).count();
        if limit.parse::<usize>().is_ok_and(|l| used >= l) {
            let why = format!(
                "exceeded quota: {}, requested: {what}=1, used: {what}={used}, limited: {what}={limit}",
                name(found)
            );
            return Err(Status::forbidden("", "pods", name(pod), &why));
        }
    }
    Ok(())
}

fn quality(pod: &Json) -> &'static str {
    let containers = pod.list("spec.containers");
    let guaranteed = !containers.is_empty()
        && containers.iter().all(|c| {
            ["cpu", "memory"].iter().all(|r| {
                let limit = c.at("resources.limits").get(*r);
                limit.is_some() && limit == c.at("resources.requests").get(*r)
            })
        });
    let any = containers.iter().any(|c| {
        ["resources.limits", "resources.requests"].iter().any(|p| c.map(p).is_some_and(|m| !m.is_empty()))
    });
    match (guaranteed, any) {
        (true, _) => "Guaranteed",
        (_, true) => "Burstable",
        _ => "BestEffort",
    }
}

/// A Job selects its own pods by its uid.
fn job(object: &mut Json) {
    if object.yes("spec.manualSelector") {
        return;
    }
    let (uid, job_name) = (object.text("metadata.uid").to_owned(), name(object).to_owned());
    let labels = super::json::object(place(object, "spec.template.metadata.labels"));
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &job_name),
        ("controller-uid", &uid),
        ("job-name", &job_name),
    ] {
        labels.insert(key.into(), json!(value));
    }
    let labels = Json::Object(labels.clone());
    default(object, "spec.selector", json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
    // A Job without labels has those of its pods.
    if object.map("metadata.labels").is_none_or(|l| l.is_empty()) {
        set(object, "metadata.labels", labels);
    }
}

fn ingress(server: &Server, object: &mut Json, warnings: &mut Vec<String>) {
    if super::json::annotation(object, "kubernetes.io/ingress.class").is_some() {
        warnings.push("annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead".into());
        return;
    }
    if object.has("spec.ingressClassName") {
        return;
    }
    let (classes, _) = server.store.list("ingressclasses.networking.k8s.io", None);
    let marked = classes
        .iter()
        .find(|c| super::json::annotation(c, "ingressclass.kubernetes.io/is-default-class") == Some("true"));
    if let Some(class) = marked {
        set(object, "spec.ingressClassName", name(class));
    }
}
