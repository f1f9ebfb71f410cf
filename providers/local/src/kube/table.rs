//! Tables, as `kubectl get` prints them.

mod cells;
mod workloads;

use super::json::{Json, Look, json, name};
use super::kinds::Resource;
use super::rest::negotiate::metadata;

/// One column: name, type, format, priority, description.
pub(crate) type Column = (&'static str, &'static str, u8);

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/// A table of objects. `include` says what rows carry of their objects.
pub(crate) fn table(resource: &Resource, items: &[Json], meta: &Json, include: &str, columns: bool) -> Json {
    let custom = resource.custom.as_ref().map(|c| c.columns.as_slice());
    let definitions: Vec<Json> = match custom {
        Some(extra) => custom_columns(extra),
        None => cells::columns(resource).iter().map(|(n, t, p)| column(n, t, *p)).collect(),
    };
    let rows: Vec<Json> = items
        .iter()
        .map(|object| {
            let cells = match custom {
                Some(extra) => custom_cells(extra, object),
                None => cells::cells(resource, object),
            };
            let mut row = json!({ "cells": cells });
            match include {
                "None" => {}
                "Object" => row["object"] = object.clone(),
                _ => row["object"] = metadata(object),
            }
            row
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
        "columnDefinitions": if columns { Json::Array(definitions) } else { Json::Null }, "rows": rows,
    })
}

fn column(name: &str, kind: &str, priority: u8) -> Json {
    let format = if matches!(name, "Name" | "Attacher") { "name" } else { "" };
    let about = if name == "Name" { NAME } else { name };
    json!({"name": name, "type": kind, "format": format, "description": about, "priority": priority})
}

fn custom_columns(extra: &[Json]) -> Vec<Json> {
    let mut out = vec![column("Name", "string", 0)];
    if extra.is_empty() {
        out.push(json!({"name": "Age", "type": "date", "format": "", "description": "Age", "priority": 0}));
    }
    for c in extra {
        let about = match c.text("description") {
            "" => format!("Custom resource definition column (in JSONPath format): {}", c.text("jsonPath")),
            given => given.to_owned(),
        };
        out.push(json!({"name": c["name"], "type": c["type"], "format": c.text("format"),
            "description": about, "priority": c.int("priority").unwrap_or(0)}));
    }
    out
}

fn custom_cells(extra: &[Json], object: &Json) -> Vec<Json> {
    let mut out = vec![json!(name(object))];
    if extra.is_empty() {
        out.push(json!(object.text("metadata.creationTimestamp")));
    }
    for column in extra {
        let found = path(object, column.text("jsonPath"));
        out.push(match (column.text("type"), found) {
            (_, None | Some(Json::Null)) => Json::Null,
            ("date", Some(Json::String(time))) => json!(cells::age(&time)),
            ("string", Some(Json::String(s))) => json!(s),
            ("string", Some(other)) => json!(other.to_string()),
            (_, Some(other)) => other,
        });
    }
    out
}

/// The little of JSONPath that printer columns use: fields, escaped dots, indices, and one filter by equality.
pub(crate) fn path(object: &Json, path: &str) -> Option<Json> {
    let mut here = object.clone();
    let mut rest = path.trim_start_matches('.').to_owned();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, tail) = inner.split_once(']')?;
            here = if let Some(filter) = index.strip_prefix("?(@.") {
                let (field, value) = filter.trim_end_matches(')').split_once("==")?;
                let value = value.trim().trim_matches(['"', '\'']);
                here.as_array()?.iter().find(|i| i.text(field.trim()) == value)?.clone()
            } else if let Ok(number) = index.parse::<usize>() {
                here.get(number)?.clone()
            } else {
                here.get(index.trim_matches(['"', '\'']))?.clone()
            };
            rest = tail.trim_start_matches('.').to_owned();
            continue;
        }
        let mut field = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => field.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' => {
                    end = at;
                    break;
                }
                other => field.push(other),
            }
        }
        rest = rest[end..].trim_start_matches('.').to_owned();
        here = here.get(&field)?.clone();
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printer_paths_find_what_they_name() {
        let object = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]},
            "metadata": {"labels": {"a.b/c": "x"}}});
        assert_eq!(path(&object, ".status.conditions[?(@.type==\"Ready\")].status"), Some(json!("True")));
        assert_eq!(path(&object, ".metadata.labels.a\\.b/c"), Some(json!("x")));
        assert_eq!(path(&object, ".status.conditions[0].type"), Some(json!("Ready")));
        assert_eq!(path(&object, ".spec.none"), None);
    }
}
