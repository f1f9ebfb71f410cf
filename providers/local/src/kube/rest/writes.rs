//! Creating, replacing, patching and deleting over HTTP.

use super::super::json::{Json, Look, json, name, namespace};
use super::super::kinds::Resource;
use super::super::patch;
use super::super::server::Server;
use super::super::status::{Cause, Status};
use super::super::write::{Change, DeleteOptions, Origin, Strictness, WriteOptions, Written};
use super::Reply;
use super::body::{configuration, parse};
use super::negotiate::{form, one};
use super::read::{Selectors, presented};
use super::request::{Ask, Target};

/// What the query says about a write.
pub(crate) fn options(ask: &Ask, subresource: &str) -> Result<WriteOptions, Status> {
    let manager = ask.manager();
    let kind = match ask.method {
        http::Method::POST => "CreateOptions",
        http::Method::PUT => "UpdateOptions",
        _ => "PatchOptions",
    };
    if manager.len() > 128 {
        let cause = Cause::too_long("fieldManager", "may not be more than 128 bytes");
        return Err(Status::bad_options(kind, cause));
    }
    let dry_run = match ask.all("dryRun") {
        [] => false,
        values if values.iter().all(|v| v == "All") => true,
        values if values.iter().all(String::is_empty) => false,
        values => {
            return Err(Status::bad_options(kind, Cause::unsupported("dryRun", &json!(values), &["All"])));
        }
    };
    let strictness = match ask.query("fieldValidation") {
        Some("Strict") => Strictness::Strict,
        Some("Ignore") => Strictness::Ignore,
        None | Some("" | "Warn") => Strictness::Warn,
        Some(other) => {
            let known = ["", "Ignore", "Strict", "Warn"];
            return Err(Status::bad_options(
                kind,
                Cause::unsupported("fieldValidation", &json!(other), &known),
            ));
        }
    };
    Ok(WriteOptions {
        manager,
        dry_run,
        strictness,
        force: ask.flag("force"),
        subresource: subresource.into(),
        trusted: false,
    })
}

/// Reads an object and treats duplicate keys as strictly as asked.
fn object(
    ask: &Ask,
    resource: &Resource,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<Json, Status> {
    let content = ask.content_type();
    if !matches!(
        content,
        "" | "application/vnd.kubernetes.protobuf"
            | "application/json"
            | "application/yaml"
            | "text/plain"
            | "application/x-www-form-urlencoded"
    ) {
        return Err(Status::unsupported_media(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ));
    }
    let unrecognized = |why: &str| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why}",
            resource.kind
        ))
    };
    let parsed = parse(&ask.body, content).map_err(|status| unrecognized(&status.message))?;
    duplicates(&parsed.duplicates, resource, options, warnings)?;
    if resource.custom.is_some() && parsed.value.text("kind").is_empty() {
        let shown = String::from_utf8_lossy(&ask.body);
        return Err(unrecognized(&format!("Object 'Kind' is missing in '{shown}' ({shown})")));
    }
    Ok(parsed.value)
}

fn duplicates(
    found: &[String],
    resource: &Resource,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    if found.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = found.iter().map(|d| format!("duplicate field \"{d}\"")).collect();
    match options.strictness {
        Strictness::Strict => Err(Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            resource.kind,
            resource.version,
            resource.kind,
            texts.join(", ")
        ))),
        Strictness::Warn => {
            warnings.extend(texts);
            Ok(())
        }
        Strictness::Ignore => Ok(()),
    }
}

fn written(
    ask: &Ask,
    resource: &Resource,
    result: Result<Written, Status>,
    warnings: Vec<String>,
) -> Result<Reply, Status> {
    let form = form(ask)?;
    let written = result?;
    let code = if written.created { 201 } else { 200 };
    let object = presented(resource, &written.object);
    Ok(Reply::with(code, one(form, ask, resource, object), warnings))
}

/// POST to a collection.
pub(crate) fn create(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    form(ask)?;
    let mut warnings = Vec::new();
    let options = options(ask, "")?;
    let object = object(ask, resource, &options, &mut warnings)?;
    let result = server.create(resource, &target.namespace, object, &options, &mut warnings);
    written(ask, resource, result, warnings)
}

/// PUT.
pub(crate) fn replace(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    form(ask)?;
    let mut warnings = Vec::new();
    let options = options(ask, &target.subresource)?;
    let mut object = object(ask, resource, &options, &mut warnings)?;
    super::super::write::identity(resource, &target.namespace, &target.name, &mut object)?;
    if resource.custom.is_some() && object.text("metadata.resourceVersion").is_empty() {
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        return Err(Status::invalid(&resource.group, &resource.plural, &target.name, vec![cause]));
    }
    let mut make = |_: &Json| Ok(Change::whole(object.clone()));
    let result = server.modify(resource, &target.namespace, &target.name, &options, &mut warnings, &mut make);
    written(ask, resource, result, warnings)
}

/// PATCH in any of the four formats.
pub(crate) fn patch(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    form(ask)?;
    let mut warnings = Vec::new();
    let options = options(ask, &target.subresource)?;
    let content = ask.content_type().to_owned();
    let (ns, object_name) = (target.namespace.as_str(), target.name.as_str());
    match content.as_str() {
        "application/apply-patch+yaml" | "application/apply-patch+json" => {
            if ask.query("fieldManager").is_none_or(str::is_empty) {
                let cause = Cause::required("fieldManager", "is required for apply patch");
                return Err(Status::bad_options("PatchOptions", cause));
            }
            let (config, duplicate) = configuration(&ask.body)?;
            if let Some(text) = duplicate {
                match options.strictness {
                    Strictness::Strict => {
                        return Err(Status::bad_request(format!(
                            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {text}"
                        )));
                    }
                    Strictness::Warn => warnings.push(text),
                    Strictness::Ignore => {}
                }
            }
            let result = server.apply(resource, ns, object_name, config, &options, &mut warnings);
            return written(ask, resource, result, warnings);
        }
        "application/json-patch+json" | "application/merge-patch+json" => {}
        "application/strategic-merge-patch+json" if resource.custom.is_none() => {}
        _ if resource.custom.is_some() => {
            return Err(Status::unsupported_media(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        _ => return Err(Status::unknown_media()),
    }
    if ask.flag("force") || ask.query("force").is_some_and(|f| !f.is_empty() && f != "false") {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Status::bad_options("PatchOptions", cause));
    }
    let how = if content.contains("strategic") { "" } else { "error decoding patch: " };
    let undecodable = |why: &str| Status::bad_request(format!("{how}{why}"));
    let parsed = parse(&ask.body, "application/json").map_err(|status| {
        let cut_off = status.message.contains("unexpected end");
        undecodable(if cut_off { "unexpected end of JSON input" } else { "invalid character" })
    })?;
    shape(&parsed.value, &content)?;
    duplicates(&parsed.duplicates, resource, &options, &mut warnings)?;
    let mut make = |live: &Json| {
        let mut object = live.clone();
        change(&mut object, &content, &parsed.value, resource, target)?;
        super::super::write::identity(resource, ns, object_name, &mut object)?;
        Ok(Change { object, entries: None, origin: Origin::Patch })
    };
    let result = server.modify(resource, ns, object_name, &options, &mut warnings, &mut make);
    written(ask, resource, result, warnings)
}

/// A patch is a list of operations, or a piece of an object.
fn shape(patch: &Json, content: &str) -> Result<(), Status> {
    let (wanted, how) = match content {
        "application/json-patch+json" => ("[]handlers.jsonPatchOp", "error decoding patch: "),
        "application/strategic-merge-patch+json" => ("map[string]interface {}", ""),
        _ => ("map[string]interface {}", "error decoding patch: "),
    };
    let found = match patch {
        Json::Object(_) if wanted.starts_with("map") => return Ok(()),
        Json::Array(_) if wanted.starts_with("[]") => return Ok(()),
        Json::Object(_) => "object",
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Number(_) => "number",
        Json::Bool(_) => "bool",
        Json::Null => return Ok(()),
    };
    Err(Status::bad_request(format!("{how}json: cannot unmarshal {found} into Go value of type {wanted}")))
}

/// Applies one of the three plain patch formats to a document.
pub(crate) fn change(
    object: &mut Json,
    content: &str,
    body: &Json,
    resource: &Resource,
    target: &Target,
) -> Result<(), Status> {
    match content {
        "application/json-patch+json" => patch::json_patch(object, body).map_err(|why| {
            if why.contains("cannot unmarshal") {
                return Status::bad_request(format!("error decoding patch: {why}"));
            }
            let mut status =
                Status::new(422, "Invalid", "the server rejected our request due to an error in our request");
            status.details = Box::new(json!({}));
            tracing::debug!(%why, name = %target.name, "patch does not apply");
            status
        }),
        "application/strategic-merge-patch+json" => {
            patch::strategic(object, body, &resource.schema).map_err(Status::internal_bare)
        }
        _ => {
            patch::merge_patch(object, body);
            Ok(())
        }
    }
}

fn delete_options(ask: &Ask) -> Result<DeleteOptions, Status> {
    let body = if ask.body.is_empty() { json!({}) } else { parse(&ask.body, ask.content_type())?.value };
    DeleteOptions::read(&body, |key| ask.query(key).map(str::to_owned))
}

/// DELETE of one object.
pub(crate) fn delete(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    let mut warnings = Vec::new();
    let options = delete_options(ask)?;
    let deleted = server.delete(resource, &target.namespace, &target.name, &options, &mut warnings)?;
    Ok(Reply::with(200, deleted.body, warnings))
}

/// DELETE of a collection.
pub(crate) fn delete_collection(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    let mut warnings = Vec::new();
    let options = delete_options(ask)?;
    let selectors = Selectors::of(ask, resource, target)?;
    let scope = (!target.namespace.is_empty()).then_some(target.namespace.as_str());
    let (objects, version) = server.store.list(&resource.storage, scope);
    let mut items = Vec::new();
    for object in objects.iter().filter(|o| selectors.matches(o)) {
        match server.delete(resource, namespace(object), name(object), &options, &mut warnings) {
            Ok(_) => items.push(presented(resource, object)),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    warnings.dedup();
    Ok(Reply::with(
        200,
        json!({"kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": version.to_string()}, "items": items}),
        warnings,
    ))
}
