//! Places inside a [`Value`](crate::Value), and patterns over them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A map's key.
    Key(String),
    /// A list's index.
    Index(usize),
}

/// A place inside a value: `spec.template.spec.containers[0].image`, `metadata.labels["app.kubernetes.io/name"]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(Vec<Segment>);

impl Path {
    /// The place of the value itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path. Never fails: what is not a bracket or a dot belongs to a key.
    pub fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix("[\"") {
                let end = quoted.find("\"]").unwrap_or(quoted.len());
                segments.push(Segment::Key(quoted[..end].to_owned()));
                rest = quoted.get(end + 2..).unwrap_or("");
            } else if let Some((index, after)) = rest
                .strip_prefix('[')
                .and_then(|r| r.split_once(']'))
                .and_then(|(i, a)| Some((i.parse().ok()?, a)))
            {
                segments.push(Segment::Index(index));
                rest = after;
            } else {
                // The first character belongs to the key whatever it is, so that every round makes progress.
                let first = rest.chars().next().map_or(0, char::len_utf8);
                let end = rest[first..].find(['.', '[']).map_or(rest.len(), |at| at + first);
                segments.push(Segment::Key(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
        Self(segments)
    }

    /// Reads a path that a person wrote, and takes nothing that could mean anything else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(text: &str) -> Result<Self, String> {
        let mut rest = text;
        if rest.is_empty() {
            return Err("it is empty".to_owned());
        }
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix("[\"") {
                let end = quoted.find("\"]").ok_or("`[\"` is not closed by `\"]`")?;
                rest = &quoted[end + 2..];
            } else if let Some(bracket) = rest.strip_prefix('[') {
                let (index, after) = bracket.split_once(']').ok_or("`[` is not closed by `]`")?;
                if index.is_empty() || !index.bytes().all(|digit| digit.is_ascii_digit()) {
                    return Err(format!(
                        "`[{index}]` is no position in a list; a key of such letters is written `[\"{index}\"]`"
                    ));
                }
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let key = &rest[..end];
                if key.is_empty() {
                    return Err("a key between two dots is missing".to_owned());
                }
                if key.contains(['*', '$', ']', '"']) {
                    return Err(format!(
                        "`{key}` is no key; a path covers all that lies beneath it, and a key of such letters is written `[\"{key}\"]`"
                    ));
                }
                rest = &rest[end..];
            }
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() || after.starts_with('[') {
                    return Err("after its last dot a key is missing".to_owned());
                }
                rest = after;
            } else if !rest.is_empty() && !rest.starts_with('[') {
                return Err(format!("before `{rest}` a dot is missing"));
            }
        }
        Ok(Self::parse(text))
    }

    /// This path, one key further.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Key(key.into()));
        Self(segments)
    }

    /// This path, one index further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Index(index));
        Self(segments)
    }

    /// This path, and another one from there.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `self` is `other` or an ancestor of it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl From<Vec<Segment>> for Path {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl From<&str> for Path {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(['.', '[', ']', '"', '/', ' '])
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if is_plain(key) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Segment::Key(key) => write!(f, "[\"{key}\"]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&std::borrow::Cow::<'de, str>::deserialize(deserializer)?))
    }
}

/// A path in which `*` stands for any key and `[*]` for any index: `spec.volumeClaimTemplates[*].spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Option<Segment>>);

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Self {
        let text = text.replace("[*]", ".*");
        Self(
            Path::parse(&text)
                .0
                .into_iter()
                .map(|segment| (segment != Segment::Key("*".to_owned())).then_some(segment))
                .collect(),
        )
    }

    /// Its steps from the root; `None` stands for any.
    pub(crate) fn segments(&self) -> &[Option<Segment>] {
        &self.0
    }

    /// Whether a change at `path` touches what the pattern names: the path lies at or below it, or an
    /// ancestor of it changed as a whole.
    pub fn touches(&self, path: &Path) -> bool {
        self.0.iter().zip(path.segments()).all(|(want, have)| want.as_ref().is_none_or(|want| want == have))
    }

    /// Whether `path` is exactly a place that the pattern names, or lies below one.
    pub fn covers(&self, path: &Path) -> bool {
        path.segments().len() >= self.0.len() && self.touches(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_form() {
        let path = Path::root().key("metadata").key("labels").key("app.kubernetes.io/name");
        assert_eq!(path.to_string(), "metadata.labels[\"app.kubernetes.io/name\"]");
        assert_eq!(Path::parse(&path.to_string()), path);
        assert_eq!(Path::parse("spec.containers[0].image").segments().len(), 4);
        assert!(Path::parse("a.b").contains(&Path::parse("a.b[2].c")));
        assert!(!Path::parse("a.b").contains(&Path::parse("a.bc")));
    }

    #[test]
    fn what_a_person_writes_is_a_path_or_refused() {
        for good in ["a", "a.b", "l[0].c", "x[1][2]", "labels[\"a.b/c\"].d", "[0].a", "m[\"*\"]", "a/b.c d"] {
            assert_eq!(Path::checked(good), Ok(Path::parse(good)), "{good}");
        }
        for bad in [
            "", "*", "l[*].x", "m.n.*", "a[", "[x]", "[]", "a..b", "l[-1]", "$.v", "a.", ".v", "l[0]x",
            "a.[0]", "a[\"b",
        ] {
            assert!(Path::checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns() {
        let pattern = Pattern::parse("spec.volumeClaimTemplates[*].spec");
        assert!(pattern.covers(&Path::parse("spec.volumeClaimTemplates[3].spec.resources")));
        assert!(!pattern.covers(&Path::parse("spec.volumeClaimTemplates[3].metadata")));
        assert!(pattern.touches(&Path::parse("spec.volumeClaimTemplates")));
        assert!(!pattern.covers(&Path::parse("spec.volumeClaimTemplates")));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in ".*") {
            let _ = Path::parse(&text);
            let _ = Pattern::parse(&text);
        }

        #[test]
        fn display_parses_back(keys in proptest::collection::vec("[a-z./ -]{1,8}", 1..5), index in 0usize..99) {
            let mut path = Path::root();
            for key in keys { path = path.key(key).index(index); }
            prop_assert_eq!(Path::parse(&path.to_string()), path);
        }
    }
}
