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

/// Where a paginated list goes on.
struct Continue {
    version: u64,
    namespace: String,
    name: String,
}

impl Continue {
    fn read(token: &str) -> Option<Self> {
        let bytes = BASE64.decode(token.trim_end_matches('=')).ok()?;
        let value: Json = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            version: value.at("rv").as_u64()?,
            namespace: value.text("ns").into(),
            name: value.text("n").into(),
        })
    }
    fn write(&self) -> String {
        BASE64.encode(
            json!({"v": "meta.k8s.io/v1", "rv": self.version, "ns": self.namespace, "n": self.name})
                .to_string(),
        )
    }
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
    let (objects, mut version) = server.store.list(&resource.storage, scope);
    if let Some(asked) = ask.query("resourceVersion").and_then(|v| v.parse::<u64>().ok())
        && asked > version
    {
        return Err(Status::too_new(asked, version));
    }
    let start = match ask.query("continue").filter(|c| !c.is_empty()) {
        Some(token) => {
            let start = Continue::read(token)
                .ok_or_else(|| Status::bad_request("continue key is not valid: malformed value"))?;
            // Pages after the first say which list they belong to, not how new they are.
            version = start.version;
            Some(start)
        }
        None => None,
    };
    let mut found: Vec<&Arc<Json>> = objects
        .iter()
        .filter(|o| {
            start.as_ref().is_none_or(|s| (namespace(o), name(o)) > (s.namespace.as_str(), s.name.as_str()))
        })
        .filter(|o| selectors.matches(o))
        .collect();
    let mut meta = json!({"resourceVersion": version.to_string()});
    let limit = ask.query("limit").and_then(|l| l.parse::<usize>().ok()).filter(|l| *l > 0);
    if let Some(limit) = limit.filter(|l| found.len() > *l) {
        let rest = found.len() - limit;
        found.truncate(limit);
        if let Some(last) = found.last() {
            let next = Continue { version, namespace: namespace(last).into(), name: name(last).into() };
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
