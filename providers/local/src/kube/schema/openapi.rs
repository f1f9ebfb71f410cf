//! OpenAPI documents, made from the same schemas that the server works with.

use std::collections::BTreeSet;

use http::header;

use super::super::json::{Json, Look, Map, json};
use super::super::kinds::{Resource, type_name};
use super::super::rest::Reply;
use super::super::rest::request::Ask;
use super::super::server::Server;
use super::super::status::Status;
use super::ListKind;
use super::builtin::builtin;
use super::lists;
use super::openapi_proto;

const REF: &str = "#/components/schemas/";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Where each group and version has its document.
pub(crate) fn index(server: &Server) -> Json {
    let mut paths = Map::new();
    for (group, versions) in server.registry.groups() {
        for version in versions {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            // The hash lets clients cache; it moves with the definitions a document is made from.
            let hash = hash(server, &group, &version);
            let url = format!("/openapi/v3/{path}?hash={hash}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({ "paths": paths })
}

fn hash(server: &Server, group: &str, version: &str) -> String {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    hasher.update(format!("{group}/{version} {:?}", server.options.version));
    for resource in members(server, group, version) {
        hasher.update(&resource.kind);
        if let Some(custom) = &resource.custom {
            hasher.update(custom.schema.to_string());
        }
    }
    hasher.finalize().iter().take(16).map(|b| format!("{b:02X}")).collect()
}

fn members(server: &Server, group: &str, version: &str) -> Vec<std::sync::Arc<Resource>> {
    server.registry.all().into_iter().filter(|r| r.group == group && r.version == version).collect()
}

/// The document of one group and version, by its path.
pub(crate) fn document(server: &Server, path: &str) -> Result<Reply, Status> {
    let (group, version) = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["api", version] => ("", (*version).to_owned()),
        ["apis", group, version] => (*group, (*version).to_owned()),
        _ => return Err(Status::no_such_path()),
    };
    let members = members(server, group, &version);
    if members.is_empty() {
        return Err(Status::no_such_path());
    }
    let mut schemas = Map::new();
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut paths = Map::new();
    for resource in &members {
        let name = schema_name(resource);
        match &resource.custom {
            Some(custom) => {
                schemas.insert(name.clone(), custom_schema(resource, &custom.schema));
                wanted.insert(META.into());
            }
            None => {
                wanted.insert(name.clone());
            }
        }
        operations(resource, &name, &mut paths);
    }
    wanted.insert("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions".into());
    collect(wanted, &mut schemas);
    for resource in members.iter().filter(|r| r.custom.is_none()) {
        if let Some(schema) = schemas.get_mut(&schema_name(resource)) {
            schema["x-kubernetes-group-version-kind"] = gvk(resource);
        }
    }
    let (major, minor, patch) = server.options.version;
    let mut reply = Reply::ok(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": format!("v{major}.{minor}.{patch}")},
        "paths": paths, "components": {"schemas": schemas},
    }));
    reply.etag = Some(format!("\"{}\"", hash(server, group, &version)));
    Ok(reply)
}

fn schema_name(resource: &Resource) -> String {
    if resource.custom.is_none() {
        return type_name(&resource.group, &resource.version, &resource.kind);
    }
    let mut parts: Vec<&str> = resource.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{}", parts.join("."), resource.version, resource.kind)
}

fn gvk(resource: &Resource) -> Json {
    json!([{"group": resource.group, "kind": resource.kind, "version": resource.version}])
}

fn custom_schema(resource: &Resource, schema: &Json) -> Json {
    let mut out = schema.clone();
    if let Some(properties) = super::super::json::place(&mut out, "properties").as_object_mut() {
        describe(properties);
    } else {
        let mut properties = Map::new();
        describe(&mut properties);
        out["properties"] = Json::Object(properties);
    }
    out["x-kubernetes-group-version-kind"] = gvk(resource);
    out
}

fn describe(properties: &mut Map<String, Json>) {
    for (name, text) in [
        ("apiVersion", "APIVersion defines the versioned schema of this representation of an object."),
        ("kind", "Kind is a string value representing the REST resource this object represents."),
    ] {
        properties.entry(name.to_owned()).or_insert_with(|| json!({"type": "string", "description": text}));
    }
    properties.insert(
        "metadata".into(),
        json!({"description": "Standard object's metadata.", "allOf": [{"$ref": format!("{REF}{META}")}]}),
    );
}

/// Copies schemas with everything they refer to.
fn collect(wanted: BTreeSet<String>, schemas: &mut Map<String, Json>) {
    let mut queue: Vec<String> = wanted.into_iter().collect();
    while let Some(name) = queue.pop() {
        if schemas.contains_key(&name) {
            continue;
        }
        let Some(found) = builtin().definitions.get(&name) else { continue };
        let owner = name.rsplit('.').next().unwrap_or(&name).to_owned();
        let mut schema = found.clone();
        // The types of the client library want metadata everywhere; the server does not.
        if let Some(required) = schema.get_mut("required").and_then(Json::as_array_mut) {
            required.retain(|field| field != "metadata");
        }
        if schema.list("required").is_empty() {
            super::super::json::remove(&mut schema, "required");
        }
        dress(&mut schema, &owner, "", &mut queue);
        if lists::atomic_struct(&owner) {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        schemas.insert(name, schema);
    }
}

/// Puts a schema into the dialect of Kubernetes' documents and adds how lists and maps merge.
fn dress(schema: &mut Json, owner: &str, field: &str, queue: &mut Vec<String>) {
    if let Some(name) = schema.text("$ref").strip_prefix(REF).map(str::to_owned) {
        queue.push(name);
        if let Some(map) = schema.as_object_mut().filter(|m| m.len() > 1)
            && let Some(reference) = map.shift_remove("$ref")
        {
            map.insert("allOf".into(), json!([{ "$ref": reference }]));
        }
        return;
    }
    for (name, inner) in schema.get_mut("properties").and_then(Json::as_object_mut).into_iter().flatten() {
        dress(inner, owner, name, queue);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key).filter(|i| i.is_object()) {
            dress(inner, owner, "", queue);
        }
    }
    for inner in schema.get_mut("oneOf").and_then(Json::as_array_mut).into_iter().flatten() {
        dress(inner, owner, "", queue);
    }
    if !field.is_empty() && schema.text("type") == "array" {
        match lists::list_kind(owner, field) {
            ListKind::Map(keys) => {
                schema["x-kubernetes-list-type"] = json!("map");
                schema["x-kubernetes-list-map-keys"] = keys.iter().map(|k| json!(k.0)).collect();
                schema["x-kubernetes-patch-strategy"] = json!("merge");
                schema["x-kubernetes-patch-merge-key"] = json!(keys.first().map(|k| &k.0));
            }
            ListKind::Set => schema["x-kubernetes-list-type"] = json!("set"),
            ListKind::Atomic => schema["x-kubernetes-list-type"] = json!("atomic"),
        }
    }
    if lists::atomic_map(owner, field) {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
}

fn operations(resource: &Resource, name: &str, paths: &mut Map<String, Json>) {
    let root = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let own = json!({"group": resource.group, "kind": resource.kind, "version": resource.version});
    let parameter = |name: &str, text: &str| json!({"name": name, "in": "query", "description": text, "schema": {"type": "string", "uniqueItems": true}});
    let body = json!({"content": {"application/json": {"schema": {"$ref": format!("{REF}{name}")}}}});
    let operation = |action: &str, verb: &str, write: bool| {
        let mut parameters = Vec::new();
        if write {
            parameters.push(parameter(
                "dryRun",
                "When present, indicates that modifications should not be persisted.",
            ));
            parameters.push(parameter("fieldManager", "The name of the actor that makes the changes."));
            parameters.push(parameter("fieldValidation", "What to do about unknown or duplicate fields."));
        }
        let scoped = if resource.namespaced { "Namespaced" } else { "" };
        json!({
            "tags": [root.trim_start_matches('/').replace('/', "_")],
            "operationId": format!("{verb}{}{}{scoped}{}", resource.group.replace('.', ""), resource.version, resource.kind),
            "parameters": parameters, "responses": {"200": {"description": "OK", "content": body["content"]}},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": own,
        })
    };
    let mut collection = json!({"post": operation("post", "create", true)});
    if !resource.review {
        collection["get"] = operation("list", "list", false);
        collection["delete"] = operation("deletecollection", "deleteCollection", true);
        paths.insert(
            format!("{root}{scope}/{}/{{name}}", resource.plural),
            json!({
                "get": operation("get", "read", false), "put": operation("put", "replace", true),
                "delete": operation("delete", "delete", true), "patch": operation("patch", "patch", true),
                "parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}]
            }),
        );
    }
    paths.insert(format!("{root}{scope}/{}", resource.plural), collection);
}

/// The old document: whole as JSON, and as much of it as `kubectl` looks at in protobuf.
pub(crate) fn v2(server: &Server, ask: &Ask) -> Result<Reply, Status> {
    let accept = ask.header(header::ACCEPT);
    let (major, minor, patch) = server.options.version;
    if !accept.is_empty() && !accept.contains("application/json") && !accept.contains("*/*") {
        if !accept.contains("protobuf") {
            return Err(Status::not_acceptable());
        }
        let mut reply = Reply::ok(Json::Null);
        reply.bytes =
            Some(openapi_proto::document(&format!("v{major}.{minor}.{patch}"), &server.registry.all()));
        reply.content_type = Some("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        return Ok(reply);
    }
    let mut schemas = Map::new();
    let mut wanted = BTreeSet::new();
    for resource in server.registry.all().iter() {
        match &resource.custom {
            Some(custom) => {
                schemas.insert(schema_name(resource), custom_schema(resource, &custom.schema));
                wanted.insert(META.to_owned());
            }
            None => {
                wanted.insert(schema_name(resource));
            }
        }
    }
    collect(wanted, &mut schemas);
    for resource in server.registry.all().iter() {
        if let Some(schema) = schemas.get_mut(&schema_name(resource)) {
            schema["x-kubernetes-group-version-kind"] = gvk(resource);
        }
    }
    let text = json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": format!("v{major}.{minor}.{patch}")},
        "paths": {}, "definitions": schemas,
    })
    .to_string()
    .replace(REF, "#/definitions/");
    let mut reply = Reply::text(text);
    reply.content_type = Some("application/json");
    Ok(reply)
}
