//! What the API server's refusals mean.

use std::time::Duration;

use plinth_provider::{Class, Error, Path};
use serde_json::Value as Json;

use super::redact::shorten;
use super::request::Reply;
use crate::tree;

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub code: u16,
    pub reason: String,
    pub message: String,
    pub causes: Vec<Cause>,
    /// What `details` names: the kind in it tells a missing namespace from a missing object.
    pub details_kind: String,
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub reason: String,
    pub message: String,
    pub field: String,
}

/// A field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub manager: String,
    pub field: String,
}

impl Status {
    pub(crate) fn of(reply: Reply) -> Self {
        let text = |path: &str| tree::text(&reply.body, path).unwrap_or("").to_owned();
        let causes = tree::items(&reply.body, "details.causes")
            .map(|cause| Cause {
                reason: tree::text(cause, "reason").unwrap_or("").to_owned(),
                message: tree::text(cause, "message").unwrap_or("").to_owned(),
                field: tree::text(cause, "field").unwrap_or("").to_owned(),
            })
            .collect();
        let asked = tree::at(&reply.body, "details.retryAfterSeconds").and_then(Json::as_u64);
        Self {
            code: reply.status,
            reason: text("reason"),
            // A path that is not served is answered in plain text.
            message: reply.body.as_str().map_or_else(|| text("message"), str::to_owned),
            causes,
            details_kind: text("details.kind"),
            retry_after: reply.retry_after.or(asked.map(Duration::from_secs)),
        }
    }

    fn says(&self, text: &str) -> bool {
        self.message.contains(text)
    }

    /// The fields in dispute, when the refusal is about ownership.
    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        self.causes
            .iter()
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .map(|cause| {
                // conflict with "kubectl-edit" using apps/v1 at 2026-…
                let quoted = cause.message.split('"').nth(1).unwrap_or("another manager");
                Conflict { manager: quoted.to_owned(), field: cause.field.trim_start_matches('.').to_owned() }
            })
            .collect()
    }

    /// The object is there, and is not at the version that the request named.
    pub(crate) fn is_version_conflict(&self) -> bool {
        self.code == 409 && self.conflicts().is_empty()
    }

    /// The namespace is being deleted.
    pub(crate) fn is_namespace_terminating(&self) -> bool {
        self.code == 403
            && (self.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
                || self.says("because it is being terminated"))
    }

    /// The namespace is not there.
    pub(crate) fn is_namespace_missing(&self) -> bool {
        self.code == 404 && (self.details_kind == "namespaces" || self.message.starts_with("namespaces "))
    }

    /// The kind is not served: the reply is no Status but plain text, or names no object.
    pub(crate) fn is_kind_missing(&self) -> bool {
        self.code == 404
            && !self.is_namespace_missing()
            && (self.reason != "NotFound"
                || self.says("could not find the requested resource")
                || self.says("page not found"))
    }

    /// A webhook could not be asked.
    pub(crate) fn is_webhook_down(&self) -> bool {
        self.code >= 500 && self.says("failed calling webhook")
    }

    /// A webhook with side effects is not asked in a dry run.
    pub(crate) fn is_dry_run_unsupported(&self) -> bool {
        self.code == 400 && self.says("does not support dry run")
    }

    /// A quota is used up.
    pub(crate) fn says_quota(&self) -> bool {
        self.code == 403 && self.says("exceeded quota")
    }

    /// Admission refused it, or missed something that it names: a class, an account, a role.
    pub(crate) fn is_admission(&self) -> bool {
        matches!(self.code, 400 | 403 | 404)
            || self.code == 422 && (self.says("denied the request") || self.says("ValidatingAdmissionPolicy"))
    }

    /// The object does not fit its schema. The API server answers this with 500.
    pub(crate) fn is_mistyped(&self) -> bool {
        self.code == 500
            && ["failed to create typed", "failed to convert new object", "field not declared in schema"]
                .iter()
                .any(|text| self.says(text))
    }

    /// Two parts of a choice are set, one of them by a default.
    pub(crate) fn is_one_of(&self) -> bool {
        self.code == 422
            && [
                "may not specify more than 1 volume type",
                "may not be specified when `value` is not empty",
                "may not be specified when strategy",
                "may not be specified when `type`",
            ]
            .iter()
            .any(|text| self.says(text))
    }

    /// The change is not allowed on what exists.
    pub(crate) fn is_immutable(&self) -> bool {
        self.code == 422
            && [
                "field is immutable",
                "is immutable after creation",
                "cannot change roleRef",
                "may not be changed in an update",
                "may not change once set",
                "updates to statefulset spec for fields other than",
                "pod updates may not change fields other than",
            ]
            .iter()
            .any(|text| self.says(text))
    }

    fn class(&self, creates: bool) -> Class {
        // After these, nobody knows whether it was stored; only a create must then be looked for.
        let lost = if creates { Class::UnknownOutcome } else { Class::Unavailable };
        match self.code {
            401 => Class::Denied,
            403 if self.is_namespace_terminating() => Class::Unavailable,
            403 if self.says("exceeded quota")
                || self.says("admission webhook")
                || self.says("violates PodSecurity") =>
            {
                Class::Invalid
            }
            403 if self.says("only dynamically provisioned pvc")
                || self.says("ValidatingAdmissionPolicy") =>
            {
                Class::Invalid
            }
            403 => Class::Denied,
            404 if self.is_namespace_missing() || self.is_kind_missing() => Class::Invalid,
            404 => Class::NotFound,
            409 if self.reason == "AlreadyExists" => Class::AlreadyExists,
            409 => Class::Conflict,
            410 | 502 | 503 => Class::Unavailable,
            429 => Class::Throttled { retry_after: self.retry_after },
            500 if self.is_mistyped() || self.says("request is too large") => Class::Invalid,
            500 if self.is_webhook_down() => Class::Unavailable,
            500.. => lost,
            _ => Class::Invalid,
        }
    }

    /// The error that a caller gets. `creates`: the request would have made the object.
    pub(crate) fn into_error(self, creates: bool) -> Error {
        let class = self.class(creates);
        let conflicts = self.conflicts();
        if !conflicts.is_empty() {
            return conflict_error(&conflicts);
        }
        let mut error = Error::new(class, self.text());
        if let Some(cause) =
            self.causes.iter().find(|cause| !cause.field.is_empty() && cause.field != "<nil>")
        {
            error = error.at(Path::parse(&cause.field));
        }
        match self.help() {
            Some(help) => error.help(help),
            None => error,
        }
    }

    /// The same, with every mistake at a place of its own.
    pub(crate) fn into_errors(self) -> Error {
        let Some((what, _)) = self.message.split_once(" is invalid: ").filter(|_| self.causes.len() > 1)
        else {
            return self.into_error(false);
        };
        let mut mistakes: Vec<Error> = Vec::new();
        for cause in self.causes.iter().filter(|cause| !cause.field.is_empty() && cause.field != "<nil>") {
            let message = format!("{what} is invalid: {}: {}", cause.field, shorten(&cause.message));
            // The server says some things twice.
            if mistakes.iter().all(|other| other.message != message) {
                mistakes.push(Error::invalid(message).at(Path::parse(&cause.field)));
            }
        }
        Error::all(mistakes).unwrap_or_else(|| self.into_error(false))
    }

    fn text(&self) -> String {
        let what = if self.message.is_empty() {
            format!("the API server answered {} {}", self.code, self.reason)
        } else {
            shorten(&self.message)
        };
        if self.code == 503 && self.reason.is_empty() {
            return format!("the API is not available: {what}");
        }
        what
    }

    fn help(&self) -> Option<String> {
        let help = if self.code == 401 {
            "the API server does not accept the credentials; log in again"
        } else if self.is_namespace_missing() {
            "declare the Namespace in the stack, or create it"
        } else if self.is_immutable() {
            "this cannot change on an existing object; add the path to replaceOnChanges to have it replaced"
        } else if self.is_one_of() {
            "a default set by the server is in the way of the other choice"
        } else if self.says("only dynamically provisioned pvc") {
            "the claim's StorageClass must have allowVolumeExpansion: true"
        } else if self.says("field can not be less than status.capacity") {
            "a claim cannot shrink"
        } else if self.says("must remain in spec.versions until a storage migration") {
            "keep the version until its objects have been rewritten in another one"
        } else if self.is_webhook_down() {
            "the webhook's pods or certificate are not ready yet"
        } else if self.says("Duplicate value") && self.says("spec.ports") {
            "ports are told apart by port and protocol, and another manager co-owns the old entry"
        } else if self.code == 503 && self.message.contains("service unavailable") {
            "an APIService of that group has no backend: kubectl get apiservices"
        } else {
            return None;
        };
        Some(help.to_owned())
    }
}

/// Names every field in dispute and its owner.
pub(crate) fn conflict_error(conflicts: &[Conflict]) -> Error {
    let listed: Vec<String> = conflicts
        .iter()
        .map(|conflict| format!("{} is owned by {}", conflict.field, conflict.manager))
        .collect();
    let error = Error::new(Class::Conflict, listed.join("; ")).help(
        "leave the field to its owner (remove it, or ignoreChanges), or annotate the object with \
         plinth.dev/force-conflicts: \"true\" to take it over",
    );
    match conflicts.first() {
        Some(conflict) => error.at(Path::parse(&conflict.field)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(code: u16, body: Json) -> Status {
        Status::of(Reply { status: code, body, warnings: Vec::new(), retry_after: None, level: None })
    }

    #[test]
    fn classes() {
        let class = |code, body| status(code, body).into_error(true).class;
        let message = |text: &str| json!({"kind": "Status", "message": text});
        for (code, text, want) in [
            (
                500,
                "failed to create typed patch object: .spec.x: field not declared in schema",
                Class::Invalid,
            ),
            (500, "Internal error occurred: failed calling webhook \"w\": x509", Class::Unavailable),
            (500, "etcdserver: request is too large", Class::Invalid),
            (500, "etcdserver: leader changed", Class::UnknownOutcome),
            (503, "service unavailable", Class::Unavailable),
            (403, "pods is forbidden: User \"u\" cannot patch resource \"pods\"", Class::Denied),
            (403, "admission webhook \"w\" denied the request: no", Class::Invalid),
            (422, "spec.selector: Invalid value: x: field is immutable", Class::Invalid),
            (413, "too large", Class::Invalid),
            (401, "Unauthorized", Class::Denied),
        ] {
            assert_eq!(class(code, message(text)), want, "{code} {text}");
        }
        assert_eq!(
            class(429, json!({"details": {"retryAfterSeconds": 7}})),
            Class::Throttled { retry_after: Some(Duration::from_secs(7)) }
        );
        assert!(status(404, Json::String("404 page not found".into())).is_kind_missing());
        let gone = status(404, json!({"reason": "NotFound", "details": {"kind": "namespaces", "name": "x"}}));
        assert!(gone.is_namespace_missing() && !gone.is_kind_missing());
        let object = status(
            404,
            json!({"reason": "NotFound", "message": "configmaps \"a\" not found",
            "details": {"kind": "configmaps", "name": "a"}}),
        );
        assert!(!object.is_kind_missing() && !object.is_namespace_missing());
    }

    #[test]
    fn conflicts_name_field_and_owner() {
        let refused = status(
            409,
            json!({"reason": "Conflict", "details": {"causes": [{
                "reason": "FieldManagerConflict",
                "message": "conflict with \"kubectl-edit\" using apps/v1 at 2026-11-01T00:00:00Z",
                "field": ".spec.replicas"}]}}),
        );
        assert!(!refused.is_version_conflict());
        let error = refused.into_error(false);
        assert_eq!(error.class, Class::Conflict);
        assert_eq!(error.message, "spec.replicas is owned by kubectl-edit");
        assert_eq!(error.path, Some(Path::parse("spec.replicas")));
    }
}
