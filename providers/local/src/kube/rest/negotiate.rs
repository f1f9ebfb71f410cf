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

/// The first form among those the client accepts that the server has.
pub(crate) fn form(ask: &Ask) -> Result<Form, Status> {
    let accept = ask.header(header::ACCEPT);
    if accept.is_empty() {
        return Ok(Form::Whole);
    }
    for part in accept.split(',') {
        let mut words = part.split(';').map(str::trim);
        let media = words.next().unwrap_or_default();
        if !matches!(media, "application/json" | "*/*" | "application/*") {
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
