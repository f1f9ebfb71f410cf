//! Definitions of custom resources: names, versions, and schemas that are structural.

use super::super::json::{Json, Look, json, name};
use super::super::status::Cause;

/// What is wrong with a definition.
pub(super) fn definition(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let expected = format!("{}.{}", object.text("spec.names.plural"), object.text("spec.group"));
    if name(object) != expected {
        causes.push(Cause::invalid(
            "metadata.name",
            object.at("metadata.name"),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    if !["Namespaced", "Cluster"].contains(&object.text("spec.scope")) {
        causes.push(Cause::unsupported("spec.scope", object.at("spec.scope"), &["Cluster", "Namespaced"]));
    }
    let versions = object.list("spec.versions");
    let storage: Vec<&Json> = versions.iter().filter(|v| v.yes("storage")).collect();
    if storage.len() != 1 {
        causes.push(Cause::invalid(
            "spec.versions",
            &internal(versions),
            "must have exactly one version marked as storage version",
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        let schema = version.at("schema.openAPIV3Schema");
        let declared = format!("spec.versions[{index}].schema.openAPIV3Schema");
        // With one version the real server speaks of the schema as if it belonged to the whole definition.
        let at =
            if versions.len() == 1 { "spec.validation.openAPIV3Schema".to_owned() } else { declared.clone() };
        if schema.is_null() {
            causes.push(Cause::required(declared, ""));
        } else {
            root(schema, &at, &mut causes);
        }
    }
    stored(object, versions, &mut causes);
    causes
}

fn stored(object: &Json, versions: &[Json], causes: &mut Vec<Cause>) {
    for (index, stored) in object.list("status.storedVersions").iter().enumerate() {
        if !versions.iter().any(|v| v.at("name") == stored) {
            let v = stored.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {v} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {v} and removes {v} from status.storedVersions"
            );
            causes.push(Cause::invalid(format!("status.storedVersions[{index}]"), stored, &why));
        }
    }
}

/// The versions as the real server prints them: its own form, in which schemas are elsewhere.
fn internal(versions: &[Json]) -> Json {
    versions
        .iter()
        .map(|v| {
            json!({"Name": v["name"], "Served": v.yes("served"), "Storage": v.yes("storage"),
                "Deprecated": v.yes("deprecated"), "DeprecationWarning": v.get("deprecationWarning"),
                "Schema": null, "Subresources": null, "AdditionalPrinterColumns": null, "SelectableFields": null})
        })
        .collect()
}

fn root(schema: &Json, at: &str, causes: &mut Vec<Cause>) {
    if schema.text("type").is_empty() {
        causes.push(Cause::required(format!("{at}.type"), "must not be empty at the root"));
    } else if schema.text("type") != "object" {
        causes.push(Cause::invalid(format!("{at}.type"), schema.at("type"), "must be object at the root"));
    }
    let properties = schema.map("properties").into_iter().flatten();
    for (key, inner) in properties.filter(|(k, _)| !["metadata", "apiVersion", "kind"].contains(&k.as_str()))
    {
        structural(
            inner,
            &format!("{at}.properties[{key}]"),
            "must not be empty for specified object fields",
            causes,
        );
    }
    rules(schema, at, causes);
}

/// A schema is structural when every level of it says what it is.
fn structural(schema: &Json, at: &str, why: &str, causes: &mut Vec<Cause>) {
    for (key, inner) in schema.map("properties").into_iter().flatten() {
        let why = "must not be empty for specified object fields";
        structural(inner, &format!("{at}.properties[{key}]"), why, causes);
    }
    if let Some(inner @ Json::Object(_)) = schema.get("items") {
        structural(inner, &format!("{at}.items"), "must not be empty for specified array items", causes);
    } else if schema.text("type") == "array" {
        causes.push(Cause::required(format!("{at}.items"), "must be specified"));
    }
    if let Some(inner @ Json::Object(_)) = schema.get("additionalProperties") {
        if schema.map("properties").is_some_and(|p| !p.is_empty()) {
            let why = "additionalProperties and properties are mutual exclusive";
            causes.push(Cause::forbidden(format!("{at}.additionalProperties"), why));
        }
        let why = "must not be empty for specified object fields";
        structural(inner, &format!("{at}.additionalProperties"), why, causes);
    }
    let free = schema.yes("x-kubernetes-int-or-string") || schema.yes("x-kubernetes-preserve-unknown-fields");
    if schema.text("type").is_empty() && !free {
        causes.push(Cause::required(format!("{at}.type"), why));
    }
    if schema.text("x-kubernetes-list-type") == "map" {
        let keys = schema.list("x-kubernetes-list-map-keys");
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            causes.push(Cause::required(format!("{at}.x-kubernetes-list-map-keys"), why));
        }
        for key in keys.iter().filter_map(Json::as_str) {
            let item = schema.at("items");
            let required = item.list("required").iter().any(|r| r == key);
            let defaulted = item.at("properties").get(key).is_some_and(|p| p.get("default").is_some());
            if !required && !defaulted {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                causes.push(Cause::required(format!("{at}.items.properties[{key}].default"), why));
            }
        }
    }
    rules(schema, at, causes);
}

/// The rules of a schema must at least be expressions.
fn rules(schema: &Json, at: &str, causes: &mut Vec<Cause>) {
    for (index, rule) in schema.list("x-kubernetes-validations").iter().enumerate() {
        let Some(why) = super::super::cel::fault(rule.text("rule")) else { continue };
        let shown = json!({"Rule": rule["rule"], "Message": rule.text("message"),
            "MessageExpression": rule.text("messageExpression"), "Reason": rule.get("reason"),
            "FieldPath": rule.text("fieldPath"), "OptionalOldSelf": rule.get("optionalOldSelf")});
        let path = format!("{at}.x-kubernetes-validations[{index}].rule");
        causes.push(Cause::invalid(path, &shown, &format!("compilation failed: {why}")));
    }
}
