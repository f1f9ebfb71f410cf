//! The forms that names take in Kubernetes.

use plinth_provider::{Error, Path, Result, Value};

use crate::kind::Gvk;

fn is_label(text: &str, limit: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= limit
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_label(part, 253))
}

/// Whether a text can be the value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && edge(text.chars().next())
        && edge(text.chars().last())
}

fn is_qualified_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_subdomain)
}

/// Namespaces and a few others: one DNS label.
pub(super) fn check_label_name(text: &str, path: &Path) -> Result<()> {
    if is_label(text, 63) {
        return Ok(());
    }
    Err(Error::invalid(format!("{path} `{text}` is not a DNS label"))
        .at(path.clone())
        .help("use at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends"))
}

/// The name of an object of a kind.
pub(super) fn check_object_name(gvk: &Gvk, name: &str, path: &Path) -> Result<()> {
    let wrong = |what: &str, help: &str| {
        Err(Error::invalid(format!("{path} `{name}` {what}")).at(path.clone()).help(help.to_owned()))
    };
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => {
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']) {
                return wrong("cannot stand in a path", "leave out `/` and `%`");
            }
            Ok(())
        }
        ("", "Namespace") => check_label_name(name, path),
        ("", "Service") => {
            check_label_name(name, path)?;
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                return wrong("begins with a digit", "a Service's name begins with a letter");
            }
            Ok(())
        }
        ("batch", "CronJob") if name.len() > 52 => {
            wrong("is longer than 52 characters", "its Jobs get 11 more characters")
        }
        ("apiregistration.k8s.io" | "apiextensions.k8s.io", _) if !name.contains('.') => wrong(
            "has no group",
            "write <plural>.<group> for a definition, <version>.<group> for an APIService",
        ),
        _ if is_subdomain(name) => Ok(()),
        _ => wrong(
            "is not a DNS name",
            "use at most 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
        ),
    }
}

/// Keys and values of labels.
pub(super) fn check_labels(labels: Option<&Value>, path: &Path) -> Result<()> {
    let Some(Value::Map(labels)) = labels else { return Ok(()) };
    for (key, value) in labels {
        let here = path.key(key.as_str());
        if !is_qualified_key(key) {
            return Err(Error::invalid(format!("`{key}` is not the key of a label")).at(here));
        }
        if let Value::String(text) = value
            && !is_label_value(text)
        {
            return Err(Error::invalid(format!("{here} `{text}` is not the value of a label"))
                .at(here)
                .help("use at most 63 letters, digits, `-`, `_` and `.`, or make it an annotation"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert!(is_subdomain("a-1.b") && !is_subdomain("a..b") && !is_subdomain("A") && !is_subdomain("-a"));
        assert!(
            is_label_value("") && is_label_value("a_B.c") && !is_label_value("-a") && !is_label_value("a/b")
        );
        assert!(
            is_qualified_key("app.kubernetes.io/name")
                && !is_qualified_key("a/b/c")
                && !is_qualified_key("a/")
        );
        let path = Path::parse("metadata.name");
        let role = Gvk::new("rbac.authorization.k8s.io", "v1", "ClusterRole");
        assert!(check_object_name(&role, "system:x:Y", &path).is_ok());
        assert!(check_object_name(&role, "a/b", &path).is_err());
        assert!(check_object_name(&Gvk::new("", "v1", "Service"), "1a", &path).is_err());
        assert!(check_object_name(&Gvk::new("", "v1", "ConfigMap"), "1a.b", &path).is_ok());
    }
}
