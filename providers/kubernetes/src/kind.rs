//! Kinds as the URN spells them: `k8s:apps/v1/Deployment`, and `k8s:v1/ConfigMap` in the core group.

use std::fmt;

use plinth_provider::{Error, Result};

use crate::schema;

/// The prefix of every kind of this provider.
pub(crate) const PREFIX: &str = "k8s:";

/// The kind that an object of `api_version` and `kind` has in a URN.
pub fn kind_of(api_version: &str, kind: &str) -> String {
    format!("{PREFIX}{api_version}/{kind}")
}

/// Group, version and kind of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gvk {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
}

impl Gvk {
    pub(crate) fn new(group: &str, version: &str, kind: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// Reads a URN's kind.
    pub(crate) fn parse(kind: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("`{kind}` is not a kind of a Kubernetes object"))
                .help("write k8s:<apiVersion>/<Kind>, such as k8s:apps/v1/Deployment or k8s:v1/ConfigMap")
        };
        let rest = kind.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (group, version, name) = match parts.as_slice() {
            [version, name] => ("", *version, *name),
            [group, version, name] => (*group, *version, *name),
            _ => return Err(wrong()),
        };
        let is_version = version
            .strip_prefix('v')
            .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && v.chars().all(is_word));
        let is_group = group.chars().all(|c| is_word(c) || c == '.' || c == '-');
        let is_kind = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_word);
        if !is_version || !is_group || !is_kind || (parts.len() == 3 && group.is_empty()) {
            return Err(wrong());
        }
        Ok(Self::new(group, version, name))
    }

    /// Like [`Gvk::parse`], but a kind that no API server has is refused too, with the nearest that there is.
    pub(crate) fn known(kind: &str) -> Result<Self> {
        let gvk = Self::parse(kind)?;
        if gvk.is_built_in_group() && schema::built_in(&gvk).is_none() {
            let error =
                Error::invalid(format!("Kubernetes has no kind {} in {}", gvk.kind, gvk.api_version()));
            return Err(match schema::nearest(&gvk) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("custom resources belong to a group with a dot in its name"),
            });
        }
        Ok(gvk)
    }

    /// Groups whose every kind comes with Kubernetes itself: nobody else can define one there.
    fn is_built_in_group(&self) -> bool {
        !self.group.contains('.')
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether it is this kind, in any version of the group.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    pub(crate) fn urn_kind(&self) -> String {
        kind_of(&self.api_version(), &self.kind)
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back() {
        for text in ["k8s:apps/v1/Deployment", "k8s:v1/ConfigMap", "k8s:cert-manager.io/v1/ClusterIssuer"] {
            let gvk = Gvk::parse(text).unwrap();
            assert_eq!(kind_of(&gvk.api_version(), &gvk.kind), text);
            assert_eq!(gvk.urn_kind(), text);
        }
    }

    #[test]
    fn what_is_no_kind_is_refused() {
        for text in [
            "k8s:",
            "k8s:v1",
            "aws:v1/X",
            "k8s:v1/",
            "k8s:/v1/X",
            "k8s:a/b/c/D",
            "k8s:apps/one/X",
            "k8s:v1/x",
        ] {
            assert!(Gvk::parse(text).is_err(), "{text}");
        }
        let error = Gvk::known("k8s:apps/v1/Deploymnt").unwrap_err();
        assert!(error.help.unwrap().contains("k8s:apps/v1/Deployment"));
        let error = Gvk::known("k8s:policy/v1beta1/PodDisruptionBudget").unwrap_err();
        assert!(error.help.unwrap().contains("k8s:policy/v1/PodDisruptionBudget"));
        assert!(Gvk::known("k8s:example.com/v1/Anything").is_ok());
    }
}
