//! Ownership tags: which stack and which resource a thing in the account belongs to.

use std::collections::BTreeMap;

use plinth_provider::{Class, Error, Result, Urn, Value};

use crate::kinds::Call;

/// The stack that made it.
pub(crate) const STACK: &str = "plinth.dev/stack";
/// The resource that it is.
pub(crate) const URN: &str = "plinth.dev/urn";

/// Every tag that a thing is to carry: the user's, and ours.
pub(crate) fn tags(urn: &Urn, inputs: &Value) -> BTreeMap<String, String> {
    let mut tags = own(inputs);
    tags.insert(STACK.to_owned(), urn.stack().to_owned());
    tags.insert(URN.to_owned(), urn.as_str().to_owned());
    tags
}

/// The tags that the user asks for.
pub(crate) fn own(inputs: &Value) -> BTreeMap<String, String> {
    let map = inputs.get("tags").and_then(Value::as_map);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// What of a thing's tags is compared with the inputs: not ours, and not what AWS adds.
pub(crate) fn foreign(tags: impl IntoIterator<Item = (String, String)>) -> Value {
    let kept = tags.into_iter().filter(|(key, _)| !is_system(key) && key != STACK && key != URN);
    Value::Map(kept.map(|(key, value)| (key, Value::String(value))).collect())
}

/// Whether the tag is AWS's own business.
pub(crate) fn is_system(key: &str) -> bool {
    key.starts_with("aws:") || key.starts_with("eks:")
}

/// Whose a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This resource's.
    Ours,
    /// Another resource's, or nobody's.
    Others,
}

/// Judges by the tags.
pub(crate) fn owner(urn: &Urn, tags: &BTreeMap<String, String>) -> Owner {
    match tags.get(URN) {
        Some(found) if found == urn.as_str() => Owner::Ours,
        _ => Owner::Others,
    }
}

/// Whose a thing is, in the words of the contract.
pub(crate) fn whose(urn: &Urn, tags: &BTreeMap<String, String>) -> plinth_provider::Owner {
    match (tags.get(URN), tags.get(STACK)) {
        (Some(found), _) if found == urn.as_str() => plinth_provider::Owner::Ours,
        (Some(found), stack) => plinth_provider::Owner::Other {
            stack: stack.cloned().unwrap_or_else(|| "another stack".to_owned()),
            urn: found.clone(),
        },
        _ => plinth_provider::Owner::Nobody,
    }
}

/// The error for a thing that exists and is not ours.
pub(crate) fn taken(what: &str, tags: &BTreeMap<String, String>) -> Error {
    let whose = match tags.get(URN) {
        Some(urn) => format!("it belongs to {urn}"),
        None => "it does not belong to this stack".to_owned(),
    };
    Error::new(Class::AlreadyExists, format!("{what} exists already: {whose}"))
        .help("give this one another name, or take it over with `plinth import`")
}

/// What to set and what to remove to come from the tags there are to those wanted. What was never asked for stays: others
/// tag things for reasons of their own. `was` are the inputs that were asked for before.
pub(crate) fn changes(
    there: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    was: Option<&Value>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let set = wanted
        .iter()
        .filter(|(key, value)| there.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let had = was.map(own).unwrap_or_default();
    let gone =
        there.keys().filter(|key| had.contains_key(*key) && !wanted.contains_key(*key)).cloned().collect();
    (set, gone)
}

/// Brings the tags of a thing to those asked for, by the two calls that its service has for that.
pub(crate) async fn settle<Putting, Removing>(
    call: &Call<'_>,
    there: &BTreeMap<String, String>,
    put: impl FnOnce(BTreeMap<String, String>) -> Putting,
    remove: impl FnOnce(Vec<String>) -> Removing,
) -> Result<()>
where
    Putting: Future<Output = Result<()>>,
    Removing: Future<Output = Result<()>>,
{
    let (set, gone) = changes(there, &tags(call.urn, call.inputs), call.was);
    if !set.is_empty() {
        put(set).await?;
    }
    if !gone.is_empty() {
        remove(gone).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_others_stay() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let there = map(&[("team", "a"), ("cost", "7"), ("owner", "x"), ("aws:x", "y")]);
        let was = Value::from([("tags", Value::from([("team", "a"), ("owner", "x")]))]);
        let (set, gone) = changes(&there, &map(&[("team", "b")]), Some(&was));
        assert_eq!((set, gone), (map(&[("team", "b")]), vec!["owner".to_owned()]));
    }
}
