//! Names, labels and other small grammars.

use super::super::json::{Json, Look, json, name};
use super::super::kinds::Resource;
use super::super::status::Cause;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Why a text cannot be the key of a label.
pub(crate) fn label_key_error(key: &str) -> Option<&'static str> {
    (!is_qualified(key)).then_some(QUALIFIED)
}

/// Everything that is wrong with a name that may stand behind a domain and a slash.
pub(super) fn qualified_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match text.split_once('/') {
        Some(("", name)) => {
            errors.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            errors.extend(subdomain_errors(prefix).iter().map(|why| format!("prefix part {why}")));
            name
        }
        None => text,
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name_part(name) {
        errors.push(QUALIFIED.to_owned());
    }
    errors
}

/// Everything that is wrong with a name in the form of a domain.
pub(super) fn subdomain_errors(text: &str) -> Vec<String> {
    let long = (text.len() > 253).then(|| "must be no more than 253 characters".to_owned());
    long.into_iter().chain((!is_subdomain(text)).then(|| SUBDOMAIN.to_owned())).collect()
}

/// Everything that is wrong with one label of a domain.
pub(super) fn label_errors(text: &str) -> Vec<String> {
    let long = (text.len() > 63).then(|| "must be no more than 63 characters".to_owned());
    long.into_iter().chain((!is_label(text)).then(|| LABEL.to_owned())).collect()
}

/// Everything that is wrong with a key of a ConfigMap.
pub(super) fn config_key_errors(text: &str) -> Vec<String> {
    const FORM: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let long = (text.len() > 253).then(|| "must be no more than 253 characters".to_owned());
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    long.into_iter().chain((!fits).then(|| FORM.to_owned())).collect()
}

/// Why a text cannot be the value of a label.
pub(crate) fn label_value_error(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    (!text.is_empty() && !is_name_part(text)).then_some(LABEL_VALUE)
}

/// Finalizers that need no domain.
const FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// What must not change about an object's metadata. The real server looks twice, and so says everything twice.
pub(super) fn metadata_update(live: &Json, new: &Json) -> Vec<Cause> {
    if !super::super::json::deleting(live) {
        return Vec::new();
    }
    let before = live.list("metadata.finalizers");
    let fresh: Vec<String> = new
        .list("metadata.finalizers")
        .iter()
        .filter(|f| !before.contains(f))
        .map(|f| format!("{:?}", f.as_str().unwrap_or_default()))
        .collect();
    if fresh.is_empty() {
        return Vec::new();
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        fresh.join(", ")
    );
    let cause = Cause::forbidden("metadata.finalizers", &why);
    vec![cause.clone(), cause]
}

/// What is wrong with an object's metadata.
pub(super) fn metadata(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let given = name(object);
    if !given.is_empty()
        && let Some(why) = name_error(resource, given)
    {
        causes.push(Cause::invalid("metadata.name", &json!(given), &why));
    }
    labels(object.at("metadata.labels"), "metadata.labels", &mut causes);
    let mut size = 0;
    for (key, value) in object.map("metadata.annotations").into_iter().flatten() {
        size += key.len() + value.as_str().unwrap_or_default().len();
        if !is_qualified(key) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), QUALIFIED));
        }
    }
    if size > 262_144 {
        causes.push(Cause::too_long("metadata.annotations", "may not be more than 262144 bytes"));
    }
    for owner in object.list("metadata.ownerReferences") {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.text(field).is_empty() {
                let path = format!("metadata.ownerReferences.{field}");
                let why =
                    if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                causes.push(Cause::invalid(path, &json!(""), why));
            }
        }
    }
    for (index, finalizer) in object.list("metadata.finalizers").iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        let path = format!("metadata.finalizers[{index}]");
        let shown = json!(text);
        let whys = qualified_errors(text);
        causes.extend(whys.iter().map(|why| Cause::invalid("metadata.finalizers", &shown, why)));
        if !text.contains('/') && !FINALIZERS.contains(&text) && resource.custom.is_none() {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(path, finalizer, why));
        }
    }
    causes
}

/// What is wrong with the keys of annotations.
pub(super) fn keys(annotations: &Json, path: &str, causes: &mut Vec<Cause>) {
    for (key, _) in annotations.as_object().into_iter().flatten() {
        let key = key.to_lowercase();
        causes.extend(qualified_errors(&key).iter().map(|why| Cause::invalid(path, &json!(key), why)));
    }
}

/// What is wrong with a set of labels.
pub(super) fn labels(labels: &Json, path: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        causes.extend(qualified_errors(key).iter().map(|why| Cause::invalid(path, &json!(key), why)));
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            causes.push(Cause::invalid(path, value, "must be no more than 63 bytes"));
        } else if !text.is_empty() && !is_name_part(text) {
            causes.push(Cause::invalid(path, value, LABEL_VALUE));
        }
    }
}

fn name_error(resource: &Resource, given: &str) -> Option<String> {
    let (limit, fits, text): (usize, fn(&str) -> bool, &str) = match resource.storage.as_str() {
        // Nobody looks at these.
        "poddisruptionbudgets.policy" => return None,
        "namespaces" | "services" => (63, is_label, LABEL),
        storage if storage.ends_with(".rbac.authorization.k8s.io") => {
            let bad = given == "." || given == ".." || given.contains('/') || given.contains('%');
            return bad.then(|| "may not contain '/'".to_owned());
        }
        _ => (253, is_subdomain, SUBDOMAIN),
    };
    if given.len() > limit {
        return Some(format!("must be no more than {limit} characters"));
    }
    (!fits(given)).then(|| text.to_owned())
}

fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_name_part(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, rest)) => {
            is_subdomain(&prefix.to_lowercase()) && rest.len() <= 63 && is_name_part(rest)
        }
        None => key.len() <= 63 && is_name_part(key),
    }
}

/// Whether a text can be a key of a ConfigMap or Secret.
pub(super) fn is_config_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 253
        && key != "."
        && key != ".."
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// What is wrong with a name that must be a label of a domain.
pub(super) fn label_name(value: &Json, path: &str) -> Option<Cause> {
    let text = value.as_str().unwrap_or_default();
    if text.len() > 63 {
        return Some(Cause::invalid(path, value, "must be no more than 63 characters"));
    }
    (!is_label(text)).then(|| Cause::invalid(path, value, LABEL))
}

/// What is wrong with a port given as number or name.
pub(super) fn port_or_name(value: &Json, path: &str) -> Vec<Cause> {
    match value {
        Json::Number(n) if !n.as_i64().is_some_and(|n| (1..=65535).contains(&n)) => {
            vec![Cause::invalid(path, value, "must be between 1 and 65535, inclusive")]
        }
        Json::String(text) => {
            let mut causes = Vec::new();
            if text.len() > 15 {
                causes.push(Cause::invalid(path, value, "must be no more than 15 characters"));
            }
            if text.len() <= 15
                && text.chars().any(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
            {
                let why = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
                causes.push(Cause::invalid(path, value, why));
            }
            if text.is_empty() {
                let why = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
                causes.push(Cause::invalid(path, value, why));
            }
            if !text.chars().any(|c| c.is_ascii_lowercase()) {
                causes.push(Cause::invalid(path, value, "must contain at least one letter (a-z)"));
            }
            if text.starts_with('-') || text.ends_with('-') {
                causes.push(Cause::invalid(path, value, "must not begin or end with a hyphen"));
            }
            causes
        }
        _ => Vec::new(),
    }
}
