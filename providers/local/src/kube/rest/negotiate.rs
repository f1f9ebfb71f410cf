//! How a client wants its answer: whole objects, metadata only, or a table.

use http::header;

use super::super::json::{Json, json};
use super::super::kinds::Resource;
use super::super::status::Status;
use super::super::table;
use super::request::Ask;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    Metadata,
    Table,
}

/// Whether the first format that the client accepts, and that there is, is YAML.
pub(crate) fn wants_yaml(ask: &Ask) -> bool {
    let accept = ask.header(header::ACCEPT);
    let media = |part: &str| part.split(';').next().unwrap_or_default().trim().to_owned();
    let known = ["application/yaml", "application/json", "*/*", "application/*"];
    accept
        .split(',')
        .map(media)
        .find(|m| known.contains(&m.as_str()))
        .is_some_and(|m| m == "application/yaml")
}

/// The first form among those the client accepts that the server has.
pub(crate) fn form(ask: &Ask) -> Result<Form, Status> {
    let accept = ask.header(header::ACCEPT);
    if accept.is_empty() {
        return Ok(Form::Whole);
    }
    for part in accept.split(',') {
        let mut words = part.split(';').map(str::trim);
        let media = words.next().unwrap_or_default();
        if !matches!(media, "application/json" | "application/yaml" | "*/*" | "application/*") {
            continue;
        }
        let parameters: Vec<&str> = words.collect();
        let wanted = parameters.iter().find_map(|p| p.strip_prefix("as="));
        let version = parameters.iter().find_map(|p| p.strip_prefix("v="));
        match (wanted, version) {
            (None, _) => return Ok(Form::Whole),
            (Some("Table"), Some("v1")) => return Ok(Form::Table),
            (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) => {
                return Ok(Form::Metadata);
            }
            _ => {}
        }
    }
    Err(Status::not_acceptable())
}

/// One object in the wanted form.
pub(crate) fn one(form: Form, ask: &Ask, resource: &Resource, object: Json) -> Json {
    match form {
        Form::Whole => object,
        Form::Metadata => metadata(&object),
        Form::Table => table::table(resource, &[object], &json!({}), include(ask), true),
    }
}

/// What a table's rows carry of their objects.
pub(crate) fn include(ask: &Ask) -> &str {
    ask.query("includeObject").unwrap_or("Metadata")
}

/// The metadata of an object as an object of its own.
pub(crate) fn metadata(object: &Json) -> Json {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
