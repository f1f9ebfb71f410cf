//! The `Status` object: how the API says no, with the codes, reasons and sentences that clients match on.

use super::json::{Json, json};

/// A refusal, as it goes over the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// The machine-readable reason; empty where the real server sends none.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// `details`, null where there are none.
    pub details: Box<Json>,
    /// Some answers are not a `Status` but one line of plain text.
    pub plain: bool,
    /// Seconds for a `Retry-After` header.
    pub retry_after: Option<u32>,
    /// `metadata.continue`: where a list whose page has expired can go on nevertheless.
    pub goes_on: String,
}

/// One entry of a validation failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, …
    pub reason: &'static str,
    /// What follows the path in the message.
    pub detail: String,
    /// The path.
    pub field: String,
}

impl Cause {
    /// `field: Invalid value: "x": why`. Strings are quoted, everything else is written as JSON.
    pub fn invalid(field: impl Into<String>, value: &Json, why: &str) -> Self {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Self::of("FieldValueInvalid", field, format!("Invalid value: {}{why}", shown(value)))
    }
    /// `field: Required value: why`.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let detail = if why.is_empty() { "Required value".into() } else { format!("Required value: {why}") };
        Self::of("FieldValueRequired", field, detail)
    }
    /// `field: Forbidden: why`.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self::of("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }
    /// `field: Duplicate value: "x"`.
    pub fn duplicate(field: impl Into<String>, value: &Json) -> Self {
        Self::of("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(value)))
    }
    /// `field: Unsupported value: "x": supported values: "a", "b"`.
    pub fn unsupported(field: impl Into<String>, value: &Json, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        Self::of(
            "FieldValueNotSupported",
            field,
            format!("Unsupported value: {}: supported values: {list}", shown(value)),
        )
    }
    /// `field: Too many: n: must have at most m items`.
    pub fn too_many(field: impl Into<String>, count: u64, limit: &Json) -> Self {
        Self::of("FieldValueTooMany", field, format!("Too many: {count}: must have at most {limit} items"))
    }
    /// `field: Not found: "x"`.
    pub fn not_found(field: impl Into<String>, value: &Json) -> Self {
        Self::of("FieldValueNotFound", field, format!("Not found: {}", shown(value)))
    }
    /// `field: why`, where the real server quotes no value.
    pub fn plain(field: impl Into<String>, why: &str) -> Self {
        Self::of("FieldValueInvalid", field, format!("Invalid value: {why}"))
    }
    /// `field: Too long: why`.
    pub fn too_long(field: impl Into<String>, why: &str) -> Self {
        Self::of("FieldValueTooLong", field, format!("Too long: {why}"))
    }
    /// `field: Invalid value: "type": must be of type x`, as custom resource validation says it.
    pub fn wrong_type(field: impl Into<String>, got: &str, why: &str) -> Self {
        Self::of("FieldValueTypeInvalid", field, format!("Invalid value: {got:?}: {why}"))
    }
    fn of(reason: &'static str, field: impl Into<String>, detail: String) -> Self {
        Self { reason, detail, field: field.into() }
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::Object(_) | Json::Array(_) => value.to_string(),
        Json::Null => "null".into(),
        other => other.to_string(),
    }
}

impl Status {
    /// Any refusal.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            details: Box::new(Json::Null),
            plain: false,
            retry_after: None,
            goes_on: String::new(),
        }
    }
    fn detailed(mut self, details: Json) -> Self {
        self.details = Box::new(details);
        self
    }
    /// 404 for an object: `deployments.apps "x" not found`.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", qualified(group, plural)))
            .detailed(details(group, plural, name))
    }
    /// 404 for something below a group and version that are served.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").detailed(json!({}))
    }
    /// 404 for a path nobody serves: plain text, not an object.
    pub fn no_such_path() -> Self {
        let mut status = Self::new(404, "NotFound", "404 page not found");
        status.plain = true;
        status
    }
    /// 503 for what another server was to answer: plain text, not an object.
    pub fn unavailable() -> Self {
        let mut status = Self::new(503, "ServiceUnavailable", "service unavailable");
        status.plain = true;
        status
    }
    /// 409 for an object that is there already.
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified(group, plural)))
            .detailed(details(group, plural, name))
    }
    /// 409 for a write that lost the race.
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, plural)),
        )
        .detailed(details(group, plural, name))
    }
    /// 409 for a stale `resourceVersion`.
    pub fn modified(group: &str, plural: &str, name: &str) -> Self {
        Self::conflict(
            group,
            plural,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }
    /// 409 of server-side apply: one cause for every field somebody else owns.
    pub fn apply_conflict(message: String, causes: Vec<Json>) -> Self {
        Self::new(409, "Conflict", message).detailed(json!({ "causes": causes }))
    }
    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }
    /// 403 on an object.
    pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("{} \"{name}\" is forbidden: {why}", qualified(group, plural)))
            .detailed(details(group, plural, name))
    }
    /// 500 without a reason, as unclassified errors inside the server come out.
    pub fn internal_bare(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }
    /// 500 with reason `InternalError`.
    pub fn internal(message: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
            .detailed(json!({"causes": [{"message": message}]}))
    }
    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .detailed(json!({}))
    }
    /// 415.
    pub fn unsupported_media(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }
    /// 415 for a format that no verb of the resource takes.
    pub fn unknown_media() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").detailed(json!({}))
    }
    /// 406.
    pub fn not_acceptable() -> Self {
        let text = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                    application/vnd.kubernetes.protobuf";
        Self::new(406, "NotAcceptable", text).detailed(json!({}))
    }
    /// 413.
    pub fn too_large() -> Self {
        Self::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    }
    /// 410 for a version that has left the history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }
    /// 504 for a version that lies in the future.
    pub fn too_new(asked: u64, current: u64) -> Self {
        Self::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"))
            .detailed(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1
            }))
    }
    /// 422 with one cause per failure.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for cause in &causes {
            let line = format!("{}: {}", cause.field, cause.detail);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let joined = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<Json> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.detail, "field": c.field}))
            .collect();
        let mut details = details(group, kind, name);
        details["causes"] = Json::Array(causes);
        Self::new(422, "Invalid", format!("{} \"{name}\" is invalid: {joined}", qualified(group, kind)))
            .detailed(details)
    }
    /// 422 about the options of a request rather than its object.
    pub fn bad_options(kind: &str, cause: Cause) -> Self {
        Self::invalid("meta.k8s.io", kind, "", vec![cause])
    }
    /// 422 for a patch whose outcome does not decode; the real server prints the whole object.
    pub fn bad_patch(object: &Json, why: &str) -> Self {
        let cause = Cause::invalid("patch", &Json::String(object.to_string()), why);
        let mut status = Self::invalid("", "", "", vec![cause]);
        if let Some(details) = status.details.as_object_mut() {
            details.shift_remove("kind");
        }
        status
    }
    /// The object on the wire.
    pub fn to_json(&self) -> Json {
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
        });
        if !self.goes_on.is_empty() {
            out["metadata"] = json!({"continue": self.goes_on});
        }
        if !self.reason.is_empty() {
            out["reason"] = json!(self.reason);
        }
        let mut details = (*self.details).clone();
        if let Some(seconds) = self.retry_after {
            if !details.is_object() {
                details = json!({});
            }
            details["retryAfterSeconds"] = json!(seconds);
        }
        if !details.is_null() {
            out["details"] = details;
        }
        out["code"] = json!(self.code);
        out
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Status {}

/// `plural.group`, or `plural` alone in the core group.
pub(crate) fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

fn details(group: &str, kind: &str, name: &str) -> Json {
    let mut out = json!({});
    if !name.is_empty() {
        out["name"] = json!(name);
    }
    if !group.is_empty() {
        out["group"] = json!(group);
    }
    out["kind"] = json!(kind);
    out
}

/// The `Status` of a deletion that is complete.
pub(crate) fn deleted(group: &str, plural: &str, name: &str, uid: &str) -> Json {
    let mut details = details(group, plural, name);
    details["uid"] = json!(uid);
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
