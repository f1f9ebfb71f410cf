//! The path of a write, from a decoded document to a stored object: fitting the type, defaults, admission,
//! validation, ownership, versions. Every writer takes it, controllers included.

mod apply;
mod create;
mod delete;
mod modify;
mod system;

pub(crate) use create::{identity, random_suffix};
pub(crate) use delete::{CLEANUP, DeleteOptions};
pub(crate) use modify::{Change, Origin};

use super::fields::set::Fields;
use super::json::{Json, Look, drop_nulls, place, remove};
use super::kinds::Resource;
use super::schema::conform::{Mode, conform};
use super::schema::omit::omit_empty;
use super::status::Status;

/// How strictly unknown fields are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Ignore,
    Warn,
    Strict,
}

/// What a request says about how to write.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub manager: String,
    pub dry_run: bool,
    pub strictness: Strictness,
    pub force: bool,
    /// `status`, `scale`, … or empty.
    pub subresource: String,
    /// Controllers may do what clients may not, such as changing immutable fields of their own objects.
    pub trusted: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self::system("", "")
    }
}

impl WriteOptions {
    /// Options for a writer inside the server.
    pub fn system(manager: &str, subresource: &str) -> Self {
        Self {
            manager: manager.into(),
            dry_run: false,
            strictness: Strictness::Ignore,
            force: true,
            subresource: subresource.into(),
            trusted: true,
        }
    }
}

/// What became of a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub object: Json,
    pub created: bool,
}

/// Makes a document fit its kind, or says why it does not.
pub(crate) fn decode(
    resource: &Resource,
    object: &mut Json,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let cannot = |why: &str| {
        Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            resource.kind, resource.version, resource.kind
        ))
    };
    let mode = if resource.custom.is_some() { Mode::Custom } else { Mode::Builtin };
    let report = conform(object, &resource.schema, mode);
    if let Some(error) = report.error {
        return Err(cannot(&error));
    }
    if !report.unknown.is_empty() {
        match options.strictness {
            Strictness::Strict => {
                let list: Vec<String> =
                    report.unknown.iter().map(|f| format!("unknown field \"{f}\"")).collect();
                return Err(cannot(&format!("strict decoding error: {}", list.join(", "))));
            }
            Strictness::Warn => {
                warnings.extend(report.unknown.iter().map(|f| format!("unknown field \"{f}\"")));
            }
            Strictness::Ignore => {}
        }
    }
    tidy(resource, object);
    Ok(())
}

/// Leaves out what the encoder would leave out.
pub(crate) fn tidy(resource: &Resource, object: &mut Json) {
    if resource.custom.is_none() {
        omit_empty(object, &resource.schema);
    } else {
        let meta = place(object, "metadata");
        drop_nulls(meta);
        for list in ["labels", "annotations", "finalizers", "ownerReferences"] {
            let empty = match meta.get(list) {
                Some(Json::Object(m)) => m.is_empty(),
                Some(Json::Array(a)) => a.is_empty(),
                _ => false,
            };
            if empty {
                remove(meta, list);
            }
        }
    }
}

/// What a manager never gets to own through this door.
pub(crate) fn ignored(resource: &Resource, subresource: &str) -> Fields {
    let mut set = Fields::default();
    match subresource {
        "status" => {
            set.insert(&["f:spec".to_owned()]);
            // Annotations of built-in kinds come through this door too: a Deployment's revision does.
            let (meta, labels) = ("f:metadata".to_owned(), "f:labels".to_owned());
            if resource.custom.is_some() { set.insert(&[meta]) } else { set.insert(&[meta, labels]) }
        }
        // Who scales a custom resource owns nothing by that.
        "scale" if resource.custom.is_some() => set.here = true,
        _ if resource.status => set.insert(&["f:status".to_owned()]),
        _ => {}
    }
    set
}

/// An object without the record of who owns it, for comparing and merging.
pub(crate) fn without_managed(object: &Json) -> Json {
    let mut out = object.clone();
    remove(&mut out, "metadata.managedFields");
    out
}

/// `ns/name; gvk` as the errors of typed patches say it: both as the document has them, not as the path has them.
pub(crate) fn shown(resource: &Resource, document: &Json) -> String {
    let (namespace, name) = (super::json::namespace(document), super::json::name(document));
    let version = match resource.group.as_str() {
        "" => format!("/{}", resource.version),
        group => format!("{group}/{}", resource.version),
    };
    format!("{namespace}/{name}; {version}, Kind={}", resource.kind)
}

/// Whether anything but metadata and status differs.
pub(crate) fn spec_differs(a: &Json, b: &Json) -> bool {
    let keys =
        |v: &Json| -> Vec<String> { v.as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default() };
    let bookkeeping = |k: &str| matches!(k, "metadata" | "status" | "apiVersion" | "kind");
    keys(a).into_iter().chain(keys(b)).any(|k| !bookkeeping(&k) && !super::json::same(a.at(&k), b.at(&k)))
}
