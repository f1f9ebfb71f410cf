//! Small helpers over plain JSON objects as the API server speaks them.

use serde_json::Value as Json;

/// The value at a dotted path of plain keys, such as `status.phase`.
pub(crate) fn at<'a>(object: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(object, |value, key| value.get(key))
}

/// The text at a path.
pub(crate) fn text<'a>(object: &'a Json, path: &str) -> Option<&'a str> {
    at(object, path)?.as_str()
}

/// The number at a path; absent counters are zero.
pub(crate) fn count(object: &Json, path: &str) -> i64 {
    at(object, path).and_then(Json::as_i64).unwrap_or(0)
}

/// The items of the list at a path.
pub(crate) fn items<'a>(object: &'a Json, path: &str) -> impl Iterator<Item = &'a Json> {
    at(object, path).and_then(Json::as_array).into_iter().flatten()
}

/// A condition of `status.conditions`.
pub(crate) fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    items(object, "status.conditions").find(|condition| text(condition, "type") == Some(kind))
}

/// Whether a condition has a status such as `True`.
pub(crate) fn condition_is(object: &Json, kind: &str, status: &str) -> bool {
    condition(object, kind).and_then(|condition| text(condition, "status")) == Some(status)
}

/// Reason and message of a condition, for a person.
pub(crate) fn explain(condition: &Json) -> String {
    match (text(condition, "reason").unwrap_or(""), text(condition, "message").unwrap_or("")) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// A label. Keys hold dots, so [`text`] cannot look them up.
pub(crate) fn label<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    at(object, "metadata.labels")?.get(key)?.as_str()
}

/// An annotation.
pub(crate) fn annotation<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    at(object, "metadata.annotations")?.get(key)?.as_str()
}
