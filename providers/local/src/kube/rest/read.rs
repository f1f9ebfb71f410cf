//! Getting and listing.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::super::convert;
use super::super::json::{Json, Look, json, name, namespace};
use super::super::kinds::Resource;
use super::super::selector::{FieldSelector, LabelSelector};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::table;
use super::Reply;
use super::negotiate::{Form, form, include, metadata, one};
use super::options::{self, At};
use super::request::{Ask, Target};

/// The selectors of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selectors {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
}

impl Selectors {
    /// Reads them.
    pub fn of(ask: &Ask, resource: &Resource, target: &Target) -> Result<Self, Status> {
        let label_text = ask.query("labelSelector").unwrap_or_default();
        let labels = LabelSelector::parse(label_text).map_err(Status::bad_request)?;
        let mut text = ask.query("fieldSelector").unwrap_or_default().to_owned();
        if !target.name.is_empty() {
            text = format!("metadata.name={}", target.name);
        }
        let fields = FieldSelector::parse(&text, resource).map_err(Status::bad_request)?;
        Ok(Self { labels, fields })
    }

    /// Whether an object fulfils both.
    pub fn matches(&self, object: &Json) -> bool {
        (self.labels.is_empty() || self.labels.matches(object.at("metadata.labels")))
            && self.fields.matches(object)
    }
}

/// One object.
pub(crate) fn get(server: &Server, ask: &Ask, resource: &Resource, target: &Target) -> Result<Reply, Status> {
    let form = form(ask)?;
    let key = Key::new(&resource.storage, &target.namespace, &target.name);
    let found = server
        .store
        .get(&key)
        .ok_or_else(|| Status::not_found(&resource.group, &resource.plural, &target.name))?;
    Ok(Reply::ok(one(form, ask, resource, presented(resource, &found))))
}

/// An object as the resource's version shows it.
pub(crate) fn presented(resource: &Resource, object: &Json) -> Json {
    let mut out = object.clone();
    convert::from_storage(resource, &mut out);
    out
}

/// Where a paginated list goes on: after which object, in the list of which version. The newest is version -1.
struct Continue {
    version: i64,
    namespace: String,
    name: String,
}

impl Continue {
    fn read(token: &str) -> Option<Self> {
        let bytes = BASE64.decode(token.trim_end_matches('=')).ok()?;
        let value: Json = serde_json::from_slice(&bytes).ok()?;
        let start = value.text("start").strip_suffix('\0')?.trim_start_matches('/');
        let (namespace, name) = start.split_once('/').unwrap_or(("", start));
        Some(Self { version: value.at("rv").as_i64()?, namespace: namespace.into(), name: name.into() })
    }
    fn write(&self) -> String {
        let place = match self.namespace.as_str() {
            "" => self.name.clone(),
            ns => format!("{ns}/{}", self.name),
        };
        let start = format!("/{place}\0");
        BASE64.encode(json!({"v": "meta.k8s.io/v1", "rv": self.version, "start": start}).to_string())
    }
}

/// 410 for a page of a list that nobody remembers. Its token goes on with what is there now.
fn page_expired(start: &Continue) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let rest = Continue { version: -1, namespace: start.namespace.clone(), name: start.name.clone() };
    status.goes_on = rest.write();
    status
}

/// A list, perhaps a page of one.
pub(crate) fn list(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    let form = form(ask)?;
    let selectors = Selectors::of(ask, resource, target)?;
    let scope = (!target.namespace.is_empty()).then_some(target.namespace.as_str());
    let start = match ask.query("continue").filter(|c| !c.is_empty()) {
        Some(token) => Some(Continue::read(token).ok_or_else(|| {
            Status::bad_request("invalid continue token: continue key is not valid: malformed value")
        })?),
        None => None,
    };
    let at = options::list(ask)?;
    let current = server.store.version();
    let exactly = match (&start, at) {
        (Some(start), _) => u64::try_from(start.version).ok(),
        (None, At::Exactly(version)) => Some(version),
        (None, At::NotOlderThan(version)) if version > current => {
            return Err(Status::too_new(version, current));
        }
        (None, _) => None,
    };
    let (objects, version) = match exactly {
        Some(version) if version > current => return Err(Status::too_new(version, current)),
        Some(version) => match server.store.list_at(&resource.storage, scope, version) {
            Some(objects) => (objects, version),
            None => {
                return Err(match &start {
                    Some(start) => page_expired(start),
                    None => Status::expired("The resourceVersion for the provided list is too old."),
                });
            }
        },
        None => server.store.list(&resource.storage, scope),
    };
    let mut found: Vec<&Arc<Json>> = objects
        .iter()
        .filter(|o| {
            start.as_ref().is_none_or(|s| match (scope, s.namespace.as_str()) {
                (Some(_), "") => name(o) > s.name.as_str(),
                (_, ns) => (namespace(o), name(o)) > (ns, s.name.as_str()),
            })
        })
        .filter(|o| selectors.matches(o))
        .collect();
    let mut meta = json!({"resourceVersion": version.to_string()});
    let limit = ask.query("limit").and_then(|l| l.parse::<usize>().ok()).filter(|l| *l > 0);
    if let Some(limit) = limit.filter(|l| found.len() > *l) {
        let rest = found.len() - limit;
        found.truncate(limit);
        if let Some(last) = found.last() {
            // Within a namespace its name goes without saying.
            let ns = if scope.is_some() { "" } else { namespace(last) };
            let next = Continue {
                version: i64::try_from(version).unwrap_or(-1),
                namespace: ns.into(),
                name: name(last).into(),
            };
            meta["continue"] = json!(next.write());
            if ask.query("labelSelector").is_none() && ask.query("fieldSelector").is_none() {
                meta["remainingItemCount"] = json!(rest);
            }
        }
    }
    let items: Vec<Json> = found.into_iter().map(|o| presented(resource, o)).collect();
    Ok(Reply::ok(match form {
        Form::Table => table::table(resource, &items, &meta, include(ask), true),
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
            "items": items.iter().map(metadata).collect::<Vec<_>>(),
        }),
        Form::Whole => whole(resource, items, meta),
    }))
}

fn whole(resource: &Resource, mut items: Vec<Json>, meta: Json) -> Json {
    if resource.custom.is_none() {
        // Items of built-in lists do not repeat what the list says already.
        for item in items.iter_mut().filter_map(Json::as_object_mut) {
            item.shift_remove("apiVersion");
            item.shift_remove("kind");
        }
    }
    json!({"kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(), "metadata": meta, "items": items})
}
