//! `/scale`, `/log`, `/eviction`, `/token` and the other doors beside the main one.

use http::Method;

use super::super::json::{Json, Look, json, name, now, place, remove, set};
use super::super::kinds::{Resource, Scale};
use super::super::selector::LabelSelector;
use super::super::server::Server;
use super::super::status::{Cause, Status};
use super::super::store::Key;
use super::super::write::{Change, DeleteOptions, WriteOptions};
use super::body::parse;
use super::read::presented;
use super::request::{Ask, Target};
use super::writes;
use super::{Reply, negotiate};

/// Answers a request for a subresource.
pub(crate) fn answer(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    let key = Key::new(&resource.storage, &target.namespace, &target.name);
    if target.subresource == "scale" && resource.scale.is_none() {
        return Err(Status::no_such_resource());
    }
    let live = server
        .store
        .get(&key)
        .ok_or_else(|| Status::not_found(&resource.group, &resource.plural, &target.name))?;
    match (resource.storage.as_str(), target.subresource.as_str(), &ask.method) {
        (_, "scale", method) => {
            let scale = resource.scale.clone().ok_or_else(Status::no_such_resource)?;
            match *method {
                Method::GET => {
                    // It is shown by columns of its own, whatever it scales.
                    let shown = Resource { storage: "scale".to_owned(), custom: None, ..(*resource).clone() };
                    let found = scale_of(resource, &scale, &presented(resource, &live));
                    Ok(Reply::ok(negotiate::one(negotiate::form(ask)?, ask, &shown, found)))
                }
                Method::PUT | Method::PATCH => set_scale(server, ask, resource, &scale, target),
                _ => Err(Status::method_not_allowed()),
            }
        }
        ("pods", "log", &Method::GET) => log(&live, ask),
        ("pods", "eviction", &Method::POST) => evict(server, ask, resource, &live),
        ("pods", "binding", &Method::POST) => bind(server, ask, &key),
        ("pods", "ephemeralcontainers" | "resize", &Method::GET) => Ok(Reply::ok(presented(resource, &live))),
        ("pods", "ephemeralcontainers" | "resize", &Method::PATCH | &Method::PUT) => {
            let plain = Target { subresource: String::new(), ..target.clone() };
            match ask.method {
                Method::PUT => writes::replace(server, ask, resource, &plain),
                _ => writes::patch(server, ask, resource, &plain),
            }
        }
        ("serviceaccounts", "token", &Method::POST) => token(ask, &live),
        ("namespaces", "finalize", &Method::PUT) => finalize(server, ask, resource, target),
        ("certificatesigningrequests.certificates.k8s.io", "approval", &Method::PUT | &Method::PATCH) => {
            let status = Target { subresource: "status".into(), ..target.clone() };
            match ask.method {
                Method::PUT => writes::replace(server, ask, resource, &status),
                _ => writes::patch(server, ask, resource, &status),
            }
        }
        ("pods", "exec" | "attach" | "portforward", _) => {
            Err(Status::bad_request("the pods of this server are simulated: there is nothing to attach to"))
        }
        _ => Err(Status::no_such_resource()),
    }
}

fn strip(path: &str) -> &str {
    path.trim_start_matches('.')
}

fn scale_of(resource: &Resource, scale: &Scale, object: &Json) -> Json {
    let selector = if resource.custom.is_some() {
        object.text(strip(&scale.selector)).to_owned()
    } else if resource.kind == "ReplicationController" {
        LabelSelector::of_map(object.at("spec.selector")).to_string()
    } else {
        LabelSelector::of(object.at("spec.selector")).to_string()
    };
    let mut meta = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            meta[field] = value.clone();
        }
    }
    let mut status = json!({"replicas": object.int(strip(&scale.status)).unwrap_or(0)});
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta,
        "spec": {"replicas": object.int(strip(&scale.spec)).unwrap_or(0)}, "status": status,
    })
}

fn set_scale(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    scale: &Scale,
    target: &Target,
) -> Result<Reply, Status> {
    let options = writes::options(ask, "scale")?;
    let content = ask.content_type().to_owned();
    let body = parse(&ask.body, &content)?.value;
    let mut warnings = Vec::new();
    let mut make = |live: &Json| {
        let mut wanted = scale_of(resource, scale, live);
        match ask.method {
            Method::PUT => wanted.clone_from(&body),
            _ if content.contains("apply") || content.contains("merge") => {
                super::super::patch::merge_patch(&mut wanted, &body);
            }
            _ => super::super::patch::json_patch(&mut wanted, &body).map_err(Status::bad_request)?,
        }
        let version = wanted.text("metadata.resourceVersion");
        if !version.is_empty() && version != live.text("metadata.resourceVersion") {
            return Err(Status::modified(&resource.group, &resource.plural, &target.name));
        }
        let replicas = wanted.int("spec.replicas").unwrap_or(0);
        if replicas < 0 {
            let cause =
                Cause::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
            return Err(Status::invalid("autoscaling", "Scale", &target.name, vec![cause]));
        }
        let mut object = live.clone();
        set(&mut object, strip(&scale.spec), replicas);
        Ok(Change::whole(object))
    };
    let written =
        server.modify(resource, &target.namespace, &target.name, &options, &mut warnings, &mut make)?;
    let object = presented(resource, &written.object);
    Ok(Reply::with(200, scale_of(resource, scale, &object), warnings))
}

fn log(pod: &Json, ask: &Ask) -> Result<Reply, Status> {
    let containers = pod.list("spec.containers");
    let wanted = match ask.query("container").filter(|c| !c.is_empty()) {
        Some(wanted) => wanted.to_owned(),
        None if containers.len() == 1 => containers[0].text("name").to_owned(),
        None => {
            let names: Vec<&str> = containers.iter().map(|c| c.text("name")).collect();
            return Err(Status::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                name(pod),
                names.join(" ")
            )));
        }
    };
    let mut all = containers.iter().chain(pod.list("spec.initContainers"));
    if !all.any(|c| c.text("name") == wanted) {
        return Err(Status::bad_request(format!("container {wanted} is not valid for pod {}", name(pod))));
    }
    let statuses =
        pod.list("status.containerStatuses").iter().chain(pod.list("status.initContainerStatuses"));
    let crashed = |s: &&Json| s.text("state.waiting.reason") == "CrashLoopBackOff";
    let ended =
        pod.list("status.containerStatuses").iter().filter(|s| s.text("name") == wanted).find(crashed);
    if let Some(ended) = ended {
        let code = ended.int("lastState.terminated.exitCode").unwrap_or(1);
        let time = ended.text("lastState.terminated.startedAt");
        return Ok(Reply::text(format!(
            "{time} container {wanted} of pod {}/{} started (simulated)\n{time} fatal: exiting with code {code}, as asked for\n",
            pod.text("metadata.namespace"),
            name(pod)
        )));
    }
    let waiting = statuses
        .filter(|s| s.text("name") == wanted)
        .find_map(|s| s.at("state.waiting.reason").as_str().map(str::to_owned));
    if let Some(reason) = waiting {
        return Err(Status::bad_request(format!(
            "container \"{wanted}\" in pod \"{}\" is waiting to start: {reason}",
            name(pod)
        )));
    }
    let start = pod.text("status.startTime");
    let mut lines = vec![
        format!(
            "{start} container {wanted} of pod {}/{} started (simulated)",
            pod.text("metadata.namespace"),
            name(pod)
        ),
        format!("{start} ready"),
    ];
    if let Some(tail) = ask.query("tailLines").and_then(|t| t.parse::<usize>().ok()) {
        let skip = lines.len().saturating_sub(tail);
        lines.drain(..skip);
    }
    let mut text = lines.join("\n");
    text.push('\n');
    Ok(Reply::text(text))
}

fn evict(server: &Server, ask: &Ask, resource: &Resource, pod: &Json) -> Result<Reply, Status> {
    let body = if ask.body.is_empty() { json!({}) } else { parse(&ask.body, ask.content_type())?.value };
    let (budgets, _) = server.store.list("poddisruptionbudgets.policy", Some(pod.text("metadata.namespace")));
    for budget in &budgets {
        let selector = LabelSelector::of(budget.at("spec.selector"));
        let guards = !selector.is_empty() && selector.matches(pod.at("metadata.labels"));
        if guards && budget.int("status.disruptionsAllowed").unwrap_or(0) < 1 {
            let mut status = Status::new(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
            );
            status.details = Box::new(json!({"causes": [{"reason": "DisruptionBudget", "message": format!(
                "The disruption budget {} needs {} healthy pods and has {} currently",
                name(budget), budget.int("status.desiredHealthy").unwrap_or(0),
                budget.int("status.currentHealthy").unwrap_or(0))}]}));
            return Err(status);
        }
    }
    let options = DeleteOptions::read(body.at("deleteOptions"), |_| None)?;
    server.delete(resource, pod.text("metadata.namespace"), name(pod), &options, &mut Vec::new())?;
    Ok(Reply::with(
        201,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        Vec::new(),
    ))
}

fn bind(server: &Server, ask: &Ask, key: &Key) -> Result<Reply, Status> {
    let body = parse(&ask.body, ask.content_type())?.value;
    let node = body.text("target.name").to_owned();
    server.system_update("kube-scheduler", "binding", key, |pod| set(pod, "spec.nodeName", node.clone()))?;
    Ok(Reply::with(
        201,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        Vec::new(),
    ))
}

fn token(ask: &Ask, account: &Json) -> Result<Reply, Status> {
    use base64::Engine as _;
    let mut body = parse(&ask.body, ask.content_type())?.value;
    let seconds = body.int("spec.expirationSeconds").unwrap_or(3600);
    let wrong = match seconds {
        ..600 => Some("may not specify a duration less than 10 minutes"),
        600..=4_294_967_296 => None,
        _ => Some("may not specify a duration larger than 2^32 seconds"),
    };
    if let Some(why) = wrong {
        let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), why);
        return Err(Status::invalid("authentication.k8s.io", "TokenRequest", "", vec![cause]));
    }
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds.clamp(600, 1 << 32));
    let encode = |value: Json| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": "https://kubernetes.default.svc", "exp": until.as_second(), "aud": body.at("spec.audiences"),
        "sub": format!("system:serviceaccount:{}:{}", account.text("metadata.namespace"), name(account)),
    });
    // Nobody verifies signatures here; the form is what clients look at.
    let token = format!(
        "{}.{}.{}",
        encode(json!({"alg": "none", "typ": "JWT"})),
        encode(claims),
        encode(json!("plinth"))
    );
    body["kind"] = json!("TokenRequest");
    body["apiVersion"] = json!("authentication.k8s.io/v1");
    set(&mut body, "metadata.name", name(account));
    set(&mut body, "metadata.namespace", account.text("metadata.namespace"));
    set(&mut body, "metadata.creationTimestamp", now());
    set(&mut body, "metadata.uid", account.at("metadata.uid").clone());
    set(&mut body, "spec.expirationSeconds", seconds);
    if body.list("spec.audiences").is_empty() {
        set(&mut body, "spec.audiences", json!(["https://kubernetes.default.svc"]));
    }
    super::super::json::default(&mut body, "spec.boundObjectRef", Json::Null);
    body["status"] = json!({"token": token, "expirationTimestamp": super::super::json::stamp(until)});
    Ok(Reply::with(201, body, Vec::new()))
}

fn finalize(server: &Server, ask: &Ask, resource: &Resource, target: &Target) -> Result<Reply, Status> {
    let body = parse(&ask.body, ask.content_type())?.value;
    let options =
        WriteOptions { subresource: "finalize".into(), ..WriteOptions::system(&ask.manager(), "finalize") };
    let mut make = |live: &Json| {
        let mut object = live.clone();
        match body.at("spec").get("finalizers").filter(|f| !f.is_null()) {
            Some(list) => set(&mut object, "spec.finalizers", list.clone()),
            None => {
                remove(place(&mut object, "spec"), "finalizers");
                set(&mut object, "spec.finalizers", json!([]));
            }
        }
        Ok(Change::whole(object))
    };
    let written = server.modify(resource, "", &target.name, &options, &mut Vec::new(), &mut make)?;
    Ok(Reply::ok(presented(resource, &written.object)))
}
