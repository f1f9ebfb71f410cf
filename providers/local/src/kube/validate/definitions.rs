//! Definitions of custom resources: names, versions, and schemas that are structural.

use super::super::json::{Json, Look, json, name};
use super::super::status::Cause;
use super::rules::{Row, Rule::*, check};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const PATH: &str = "must be a simple json path starting with .";
const COLUMN_TYPES: &str = "must be one of boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "must be one of byte,date,date-time,double,float,int32,int64,password";

/// What a definition is called by.
const NAMES: &[Row] = &[
    ("spec.group", Need("")),
    ("spec.group", Subdomain),
    ("spec.scope", Need("")),
    ("spec.names.kind", Need("")),
    ("spec.names.plural", Need("")),
    ("spec.names.listKind", Need("")),
    ("spec.names.singular", Need("")),
];

/// What is wrong with a definition.
pub(super) fn definition(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let expected = format!("{}.{}", object.text("spec.names.plural"), object.text("spec.group"));
    if !name(object).is_empty() && name(object) != expected {
        causes.push(Cause::invalid(
            "metadata.name",
            object.at("metadata.name"),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    check(NAMES, object, "", &mut causes);
    spellings(object, &mut causes);
    if !object.text("spec.scope").is_empty()
        && !["Namespaced", "Cluster"].contains(&object.text("spec.scope"))
    {
        causes.push(Cause::unsupported("spec.scope", object.at("spec.scope"), &["Cluster", "Namespaced"]));
    }
    let versions = object.list("spec.versions");
    let storage: Vec<&Json> = versions.iter().filter(|v| v.yes("storage")).collect();
    if storage.len() != 1 {
        causes.push(Cause::invalid(
            "spec.versions",
            &if versions.is_empty() { Json::Null } else { internal(versions) },
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
    for (index, version) in versions.iter().enumerate() {
        served(version, versions.len(), index, &mut causes);
    }
    stored(object, versions, &mut causes);
    causes
}

/// A name that may stand in a path: what is wrong with it.
fn spelling(text: &str) -> Vec<String> {
    const FORM: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let long = (text.len() > 63).then(|| "must be no more than 63 characters".to_owned());
    long.into_iter().chain((!fits).then(|| FORM.to_owned())).collect()
}

fn spellings(object: &Json, causes: &mut Vec<Cause>) {
    let names = object.at("spec.names");
    for (field, mixed) in [("plural", false), ("singular", false), ("kind", true), ("listKind", true)] {
        let text = names.text(field);
        if text.is_empty() {
            continue;
        }
        let judged = if mixed { text.to_lowercase() } else { text.to_owned() };
        for why in spelling(&judged) {
            let why = match mixed {
                true => format!("may have mixed case, but should otherwise match: {why}"),
                false => why,
            };
            causes.push(Cause::invalid(format!("spec.names.{field}"), names.at(field), &why));
        }
    }
    for list in ["shortNames", "categories"] {
        for (index, text) in names.list(list).iter().enumerate() {
            let whys = spelling(text.as_str().unwrap_or_default());
            let at = format!("spec.names.{list}[{index}]");
            causes.extend(whys.iter().map(|why| Cause::invalid(&at, text, why)));
        }
    }
}

/// What one version serves beside its objects. With one version the real server speaks of it as of the whole.
fn served(version: &Json, versions: usize, index: usize, causes: &mut Vec<Cause>) {
    let at = if versions == 1 { "spec".to_owned() } else { format!("spec.versions[{index}]") };
    let text = version.text("name");
    let whys = spelling(text);
    causes.extend(
        whys.iter().map(|why| Cause::invalid(format!("spec.versions[{index}].name"), &json!(text), why)),
    );
    if versions == 1 && !text.is_empty() {
        causes.extend(whys.iter().map(|why| Cause::invalid("spec.version", &json!(text), why)));
    }
    let scale = version.at("subresources.scale");
    if scale.is_object() {
        for (field, needed) in
            [("specReplicasPath", true), ("statusReplicasPath", true), ("labelSelectorPath", false)]
        {
            path(scale.text(field), needed, &format!("{at}.subresources.scale.{field}"), causes);
        }
    }
    for (index, column) in version.list("additionalPrinterColumns").iter().enumerate() {
        let at = format!("{at}.additionalPrinterColumns[{index}]");
        path(column.text("jsonPath"), true, &format!("{at}.JSONPath"), causes);
        check(&[("name", Need("")), ("type", Need(COLUMN_TYPES))], column, &at, causes);
        let (kind, format) = (column.text("type"), column.text("format"));
        if !kind.is_empty() && !COLUMN_TYPES.split([' ', ',']).any(|known| known == kind) {
            causes.push(Cause::invalid(format!("{at}.type"), &json!(kind), COLUMN_TYPES));
        }
        if !format.is_empty() && !COLUMN_FORMATS.split([' ', ',']).any(|known| known == format) {
            causes.push(Cause::invalid(format!("{at}.format"), &json!(format), COLUMN_FORMATS));
        }
    }
    for (index, field) in version.list("selectableFields").iter().enumerate() {
        if field.text("jsonPath").is_empty() {
            causes.push(Cause::required(format!("{at}.selectableFields[{index}].jsonPath"), ""));
        }
    }
}

fn path(text: &str, needed: bool, at: &str, causes: &mut Vec<Cause>) {
    if text.is_empty() {
        if needed {
            causes.push(Cause::required(at, ""));
        }
    } else if !text.starts_with('.') {
        causes.push(Cause::invalid(at, &json!(text), PATH));
    }
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
            json!({"Name": v.text("name"), "Served": v.yes("served"), "Storage": v.yes("storage"),
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
    let kind = schema.text("type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::unsupported(format!("{at}.type"), schema.at("type"), &TYPES));
    }
    let listed = schema.at("x-kubernetes-list-type");
    if !listed.is_null() {
        const LISTS: [&str; 3] = ["atomic", "set", "map"];
        const ARRAY: &str = "must be array if x-kubernetes-list-type is specified";
        match kind {
            "array" => {}
            "" => causes.push(Cause::required(format!("{at}.type"), ARRAY)),
            _ => causes.push(Cause::invalid(format!("{at}.type"), schema.at("type"), ARRAY)),
        }
        if !LISTS.contains(&listed.as_str().unwrap_or_default()) {
            causes.push(Cause::unsupported(format!("{at}.x-kubernetes-list-type"), listed, &LISTS));
        }
    }
    if !schema.list("x-kubernetes-list-map-keys").is_empty() && listed != "map" {
        const MAP: &str = "must be map if x-kubernetes-list-map-keys is non-empty";
        let at = format!("{at}.x-kubernetes-list-type");
        causes.push(match listed {
            Json::Null => Cause::required(at, MAP),
            listed => Cause::invalid(at, listed, MAP),
        });
    }
    if let Some(value) = schema.get("default") {
        for mut cause in super::super::custom::validate(value, schema) {
            cause.field = format!("{at}.default");
            causes.push(cause);
        }
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
        let item = schema.at("items");
        let known = |key: &Json| item.at("properties").get(key.as_str().unwrap_or_default()).is_some();
        if item.is_object() && !keys.iter().all(known) {
            let why = "entries must all be names of item properties";
            causes.push(Cause::invalid(format!("{at}.x-kubernetes-list-map-keys"), &json!(keys), why));
        }
        for key in keys.iter().filter(|key| known(key)).filter_map(Json::as_str) {
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
        if rule.text("rule").is_empty() {
            let path = format!("{at}.x-kubernetes-validations[{index}].rule");
            causes.push(Cause::required(path, "rule is not specified"));
            continue;
        }
        let Some(why) = super::super::cel::fault(rule.text("rule")) else { continue };
        let shown = json!({"Rule": rule["rule"], "Message": rule.text("message"),
            "MessageExpression": rule.text("messageExpression"), "Reason": rule.get("reason"),
            "FieldPath": rule.text("fieldPath"), "OptionalOldSelf": rule.get("optionalOldSelf")});
        let path = format!("{at}.x-kubernetes-validations[{index}].rule");
        causes.push(Cause::invalid(path, &shown, &format!("compilation failed: {why}")));
    }
}
