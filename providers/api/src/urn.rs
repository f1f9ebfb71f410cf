//! Names of resources, unique within and across stacks.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// `plinth:<stack>::<kind>::<name>`: the identity of a resource for as long as it is managed.
///
/// Cheap to clone. Ordered by its text, so that every listing is stable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Urn {
    text: Arc<str>,
    kind_at: u32,
    name_at: u32,
}

/// Whether a part holds the separator or a control character. Every URN of a large state comes by here.
fn holds_odd_text(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.iter().any(u8::is_ascii_control)
        || bytes.windows(2).any(|pair| pair == b"::")
        || (!part.is_ascii() && part.chars().any(char::is_control))
}

/// Why a text is not a URN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a URN: {why}; a URN looks like plinth:<stack>::<kind>::<name>")]
pub struct UrnError {
    text: String,
    why: &'static str,
}

impl Urn {
    /// Builds a URN.
    ///
    /// # Errors
    /// When a part is empty, or holds the separator `::` or a control character.
    pub fn new(stack: &str, kind: &str, name: &str) -> Result<Self, UrnError> {
        let text = format!("plinth:{stack}::{kind}::{name}");
        let bad = |why| Err(UrnError { text: text.clone(), why });
        if stack.is_empty() || kind.is_empty() || name.is_empty() {
            return bad("stack, kind and name must not be empty");
        }
        if [stack, kind, name].into_iter().any(holds_odd_text) {
            return bad("a part holds `::` or a control character");
        }
        if stack.starts_with(':') || stack.ends_with(':') || kind.ends_with(':') || name.starts_with(':') {
            return bad("a part begins or ends with `:`");
        }
        let kind_at = "plinth:".len() + stack.len() + 2;
        let name_at = kind_at + kind.len() + 2;
        Ok(Self { kind_at: kind_at as u32, name_at: name_at as u32, text: text.into() })
    }

    /// Reads a URN from its text.
    ///
    /// # Errors
    /// When the text does not have the form `plinth:<stack>::<kind>::<name>`.
    pub fn parse(text: &str) -> Result<Self, UrnError> {
        let error = |why| UrnError { text: text.to_owned(), why };
        let rest = text.strip_prefix("plinth:").ok_or_else(|| error("it does not begin with `plinth:`"))?;
        let mut parts = rest.splitn(3, "::");
        match (parts.next(), parts.next(), parts.next()) {
            (Some(stack), Some(kind), Some(name)) => Self::new(stack, kind, name),
            _ => Err(error("it has fewer than three parts")),
        }
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.text["plinth:".len()..self.kind_at as usize - 2]
    }

    /// The kind, such as `k8s:apps/v1/Deployment`.
    pub fn kind(&self) -> &str {
        &self.text[self.kind_at as usize..self.name_at as usize - 2]
    }

    /// The name, unique per stack and kind.
    pub fn name(&self) -> &str {
        &self.text[self.name_at as usize..]
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Kind and name without the stack: what people read in a plan.
    pub fn short(&self) -> &str {
        &self.text[self.kind_at as usize..]
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Urn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Urn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_come_back() {
        let urn = Urn::new("prod", "k8s:apps/v1/Deployment", "grafana/grafana").unwrap();
        assert_eq!(urn.as_str(), "plinth:prod::k8s:apps/v1/Deployment::grafana/grafana");
        assert_eq!(
            (urn.stack(), urn.kind(), urn.name()),
            ("prod", "k8s:apps/v1/Deployment", "grafana/grafana")
        );
        assert_eq!(urn.short(), "k8s:apps/v1/Deployment::grafana/grafana");
    }

    #[test]
    fn refusals_say_why() {
        assert!(Urn::parse("prod::k::n").unwrap_err().to_string().contains("does not begin"));
        assert!(Urn::parse("plinth:prod::k").unwrap_err().to_string().contains("three parts"));
        assert!(Urn::new("a", "", "n").is_err());
        assert!(Urn::new("a", "k", "x::y").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".*") {
            if let Ok(urn) = Urn::parse(&text) {
                prop_assert_eq!(urn.as_str(), text.as_str());
                prop_assert_eq!(Urn::new(urn.stack(), urn.kind(), urn.name()).unwrap(), urn);
            }
        }

        #[test]
        fn what_is_built_parses_to_the_same(stack in "[a-z][a-z0-9-]{0,9}", kind in "[a-z]{1,5}:[a-zA-Z/0-9.]{1,12}", name in "[a-z][a-z0-9./-]{0,20}") {
            let urn = Urn::new(&stack, &kind, &name).unwrap();
            prop_assert_eq!(Urn::parse(urn.as_str()).unwrap(), urn);
        }
    }
}
