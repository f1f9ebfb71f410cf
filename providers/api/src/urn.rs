//! Names of resources, unique within and across stacks.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// `plinth:<stack>::<kind>::<name>`: the identity of a resource for as long as it is managed.
///
/// Cheap to clone. Ordered by its text, so that every listing is stable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urn {
    text: Arc<str>,
    kind_at: u32,
    name_at: u32,
}

/// The text says where its parts stand.
impl Hash for Urn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

const PREFIX: &str = "plinth:";
const SEPARATOR: &str = "::";

/// Where the first `::` stands.
fn separator(text: &[u8]) -> Option<usize> {
    text.windows(2).position(|pair| pair == SEPARATOR.as_bytes())
}

/// What stands before and behind the first `::`.
fn cut(text: &str) -> Option<(&str, &str)> {
    let at = separator(text.as_bytes())?;
    Some((&text[..at], &text[at + SEPARATOR.len()..]))
}

/// Why these cannot be the parts of a URN. Every URN of a large state comes by here.
fn oddity(stack: &str, kind: &str, name: &str) -> Option<&'static str> {
    let parts = [stack, kind, name];
    if parts.iter().any(|part| part.is_empty()) {
        return Some("stack, kind and name must not be empty");
    }
    let holds_odd_text = |part: &&str| {
        let bytes = part.as_bytes();
        // Bytes of other than ASCII's characters are 128 and above; control characters among them begin with 0xC2.
        bytes.iter().any(|byte| byte.is_ascii_control() || *byte == 0xC2)
            && part.chars().any(char::is_control)
            || separator(bytes).is_some()
    };
    if parts.iter().any(holds_odd_text) {
        return Some("a part holds `::` or a control character");
    }
    let joined_oddly =
        stack.starts_with(':') || stack.ends_with(':') || kind.ends_with(':') || name.starts_with(':');
    joined_oddly.then_some("a part begins or ends with `:`")
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
        let text = [PREFIX, stack, SEPARATOR, kind, SEPARATOR, name].concat();
        match oddity(stack, kind, name) {
            Some(why) => Err(UrnError { text, why }),
            None => Ok(Self::of_parts(text.into(), stack, kind)),
        }
    }

    fn of_parts(text: Arc<str>, stack: &str, kind: &str) -> Self {
        let kind_at = PREFIX.len() + stack.len() + SEPARATOR.len();
        let name_at = kind_at + kind.len() + SEPARATOR.len();
        Self { kind_at: kind_at as u32, name_at: name_at as u32, text }
    }

    /// Reads a URN from its text.
    ///
    /// # Errors
    /// When the text does not have the form `plinth:<stack>::<kind>::<name>`.
    pub fn parse(text: &str) -> Result<Self, UrnError> {
        let refuse = |why| Err(UrnError { text: text.to_owned(), why });
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return refuse("it does not begin with `plinth:`");
        };
        let parts = cut(rest).and_then(|(stack, rest)| Some((stack, cut(rest)?)));
        let Some((stack, (kind, name))) = parts else { return refuse("it has fewer than three parts") };
        match oddity(stack, kind, name) {
            Some(why) => refuse(why),
            // The parts make up the text that they were cut from.
            None => Ok(Self::of_parts(text.into(), stack, kind)),
        }
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.text[PREFIX.len()..self.kind_at as usize - 2]
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
        assert!(Urn::new("a", "k", "x\u{85}y").is_err() && Urn::new("a", "k", "x\ty").is_err());
        assert!(Urn::new("a", "k", "½ Pfund").is_ok());
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
