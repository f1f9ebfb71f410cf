//! What the server says about itself: versions, groups, resources, schemas.

use http::header;

use super::json::{Json, json};
use super::kinds::Resource;
use super::rest::Reply;
use super::rest::request::Ask;
use super::schema::openapi;
use super::server::Server;
use super::status::Status;

const STORED_VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The same verbs, in the order in which the real server lists them for custom resources.
const CUSTOM_VERBS: [&str; 8] =
    ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// Answers discovery paths; none for any other.
pub(crate) fn answer(server: &Server, ask: &Ask) -> Option<Result<Reply, Status>> {
    let path = ask.path.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    Some(match parts.as_slice() {
        [] | [""] => Ok(Reply::ok(json!({"paths": paths(server)}))),
        ["version"] => {
            // The one document that is set for people to read.
            let text = serde_json::to_string_pretty(&version(server)).unwrap_or_default();
            Ok(Reply { content_type: Some("application/json"), ..Reply::text(text) })
        }
        ["api"] if aggregated(ask).is_some() => Ok(aggregate(server, ask, true)),
        ["apis"] if aggregated(ask).is_some() => Ok(aggregate(server, ask, false)),
        ["api"] => Ok(Reply::ok(json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]}))),
        ["apis"] => Ok(Reply::ok(json!({"kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups(server).iter().map(|(g, v)| group(g, v)).collect::<Vec<_>>()}))),
        ["api", version] => resources(server, "", version),
        ["apis", name] => match groups(server).iter().find(|(g, _)| g == name) {
            Some((name, versions)) => {
                let mut found = json!({"kind": "APIGroup", "apiVersion": "v1"});
                if let (Some(found), Json::Object(group)) = (found.as_object_mut(), group(name, versions)) {
                    found.extend(group);
                }
                Ok(Reply::ok(found))
            }
            None => Err(Status::no_such_path()),
        },
        ["apis", group, version] => resources(server, group, version),
        ["openapi", "v2"] => openapi::v2(server, ask),
        ["openapi", "v3"] => Ok(Reply::ok(openapi::index(server))),
        ["openapi", "v3", rest @ ..] => openapi::document(server, &rest.join("/")),
        _ => return None,
    })
}

fn groups(server: &Server) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> =
        server.registry.groups().into_iter().filter(|(g, _)| !g.is_empty()).collect();
    for (group, version, _) in server.aggregated() {
        match groups.iter_mut().find(|(g, _)| *g == group) {
            Some((_, versions)) if versions.contains(&version) => {}
            Some((_, versions)) => versions.push(version),
            None => groups.push((group, vec![version])),
        }
    }
    groups
}

fn paths(server: &Server) -> Vec<String> {
    let mut out = vec!["/api".to_owned(), "/api/v1".into(), "/apis".into()];
    for (group, versions) in groups(server) {
        out.push(format!("/apis/{group}"));
        out.extend(versions.iter().map(|v| format!("/apis/{group}/{v}")));
    }
    out.extend(["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(String::from));
    out
}

fn version(server: &Server) -> Json {
    let (major, minor, patch) = server.options.version;
    json!({
        "major": major.to_string(), "minor": minor.to_string(), "emulationMajor": major.to_string(),
        "emulationMinor": minor.to_string(), "minCompatibilityMajor": major.to_string(),
        "minCompatibilityMinor": (minor - 1).to_string(), "gitVersion": format!("v{major}.{minor}.{patch}"), "gitCommit": "plinth",
        "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": "linux/amd64"
    })
}

fn group(name: &str, versions: &[String]) -> Json {
    let entry = |v: &String| json!({"groupVersion": format!("{name}/{v}"), "version": v});
    json!({
        "name": name, "versions": versions.iter().map(entry).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(entry),
    })
}

/// The subresources of a resource, each with its kind, its group and version where they differ, and its verbs.
fn subresources(resource: &Resource) -> Vec<(&'static str, Json, Vec<&'static str>)> {
    let own = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let gvk =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let change = vec!["get", "patch", "update"];
    let mut out = Vec::new();
    if resource.storage == "pods" {
        out.extend([
            ("binding", gvk("", "v1", "Binding"), vec!["create"]),
            ("ephemeralcontainers", own.clone(), change.clone()),
            ("eviction", gvk("policy", "v1", "Eviction"), vec!["create"]),
            ("log", own.clone(), vec!["get"]),
            ("resize", own.clone(), change.clone()),
        ]);
    }
    if resource.storage == "namespaces" {
        out.push(("finalize", own.clone(), vec!["update"]));
    }
    if resource.storage == "serviceaccounts" {
        out.push(("token", gvk("authentication.k8s.io", "v1", "TokenRequest"), vec!["create"]));
    }
    if resource.storage.starts_with("certificatesigningrequests") {
        out.push(("approval", own.clone(), change.clone()));
    }
    let scale =
        resource.scale.is_some().then(|| ("scale", gvk("autoscaling", "v1", "Scale"), change.clone()));
    let status = resource.status.then_some(("status", own, change));
    // Built-in ones come by name, those of definitions in the order in which they are made.
    if resource.custom.is_none() {
        out.extend([scale, status].into_iter().flatten())
    } else {
        out.extend([status, scale].into_iter().flatten())
    }
    out
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    match (resource.review, resource.custom.is_some()) {
        (true, _) => vec!["create"],
        (_, false) => STORED_VERBS.to_vec(),
        _ => CUSTOM_VERBS.to_vec(),
    }
}

fn resources(server: &Server, group: &str, version: &str) -> Result<Reply, Status> {
    let all = server.registry.all();
    let found: Vec<_> = all.iter().filter(|r| r.group == group && r.version == version).collect();
    let Some(first) = found.first() else {
        return match server.aggregates(group, version) {
            Some(true) => Ok(Reply::ok(json!({"kind": "APIResourceList", "apiVersion": "v1",
                "groupVersion": format!("{group}/{version}"), "resources": []}))),
            Some(false) => Err(Status::unavailable()),
            None => Err(Status::no_such_path()),
        };
    };
    let mut list = Vec::new();
    for resource in &found {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource),
        });
        if !resource.short.is_empty() {
            entry["shortNames"] = json!(resource.short);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        list.push(entry);
        for (name, kind, verbs) in subresources(resource) {
            let mut entry = json!({"name": format!("{}/{name}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": kind["kind"], "verbs": verbs});
            if kind["group"] != resource.group.as_str() {
                entry["group"] = kind["group"].clone();
                entry["version"] = kind["version"].clone();
            }
            list.push(entry);
        }
    }
    Ok(Reply::ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": list
    })))
}

/// The version of aggregated discovery that the client prefers over the legacy form.
fn aggregated(ask: &Ask) -> Option<&'static str> {
    for part in ask.header(header::ACCEPT).split(',') {
        let has = |p: &str| part.split(';').any(|w| w.trim() == p);
        if has("as=APIGroupDiscoveryList") && part.trim_start().starts_with("application/json") {
            if has("v=v2") {
                return Some("v2");
            }
            if has("v=v2beta1") {
                return Some("v2beta1");
            }
        } else if part.split(';').next().is_some_and(|m| m.trim() == "application/json") {
            return None;
        }
    }
    None
}

fn aggregate(server: &Server, ask: &Ask, core: bool) -> Reply {
    let version = aggregated(ask).unwrap_or("v2");
    let all = server.registry.all();
    let mut items = Vec::new();
    for (name, versions) in server.registry.groups().into_iter().filter(|(g, _)| g.is_empty() == core) {
        let versions: Vec<Json> = versions
            .iter()
            .map(|v| {
                let found = all.iter().filter(|r| r.group == name && r.version == *v);
                json!({"version": v, "freshness": "Current", "resources": found.map(|r| entry(r)).collect::<Vec<_>>()})
            })
            .collect();
        let meta = if core {
            json!({"creationTimestamp": null})
        } else {
            json!({"name": name, "creationTimestamp": null})
        };
        items.push(json!({"metadata": meta, "versions": versions}));
    }
    for (group, version, available) in server.aggregated().into_iter().filter(|_| !core) {
        // What does not answer is known by name only.
        let entry = match available {
            true => json!({"version": version, "freshness": "Current", "resources": []}),
            false => json!({"version": version, "freshness": "Stale"}),
        };
        items.push(json!({"metadata": {"name": group}, "versions": [entry]}));
    }
    let mut reply = Reply::ok(json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": items,
    }));
    reply.content_type = Some(match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    });
    reply
}

fn entry(resource: &Resource) -> Json {
    let mut out = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(resource),
    });
    if !resource.short.is_empty() {
        out["shortNames"] = json!(resource.short);
    }
    if !resource.categories.is_empty() {
        out["categories"] = json!(resource.categories);
    }
    let subs = subresources(resource);
    if !subs.is_empty() {
        out["subresources"] = subs
            .into_iter()
            .map(|(name, kind, verbs)| json!({"subresource": name, "responseKind": kind, "verbs": verbs}))
            .collect();
    }
    out
}
