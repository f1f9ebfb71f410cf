//! Which paths serve which kinds. Built-in kinds come from the table and cost no request; of other groups only those
//! in use are asked for, one at a time, so that one broken aggregated API breaks nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use plinth_provider::{Class, Context, Result};
use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::flow::Flow;
use super::request::Cluster;
use crate::kind::Gvk;
use crate::ready;
use crate::schema;
use crate::tree;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// How a kind is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespaced: bool,
}

impl Resource {
    /// The path of all objects of the kind, in one namespace or in all.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace {
            Some(namespace) if self.namespaced => format!("{root}/namespaces/{namespace}/{}", self.plural),
            _ => format!("{root}/{}", self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn object(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), escaped(name))
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// Names of RBAC objects may hold what a path may not.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// What a server was found to serve.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// How much it takes at once.
    pub(crate) flow: Flow,
    kinds: Mutex<HashMap<Gvk, Resource>>,
    /// Group versions that were asked for, and when: what is not among their kinds is not asked for again at once.
    asked: Mutex<HashMap<(String, String), Instant>>,
    /// Whether some controller reports on the objects of a custom kind, as its definition says: asked for once a kind.
    reported: Mutex<HashMap<Gvk, Arc<OnceCell<bool>>>>,
    /// One question at a time: whoever comes second finds the answer.
    asking: tokio::sync::Mutex<()>,
}

/// How long it is believed that a group has no more kinds than it had.
const BELIEVED: Duration = Duration::from_millis(150);

impl Served {
    fn known(&self, gvk: &Gvk) -> Option<Resource> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).get(gvk).cloned()
    }

    /// Whether the kind was asked for so lately that asking again would say the same.
    fn was_asked(&self, gvk: &Gvk) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let at = asked.get(&(gvk.group.clone(), gvk.version.clone()));
        at.is_some_and(|at| at.elapsed() < BELIEVED)
    }

    /// Forgets a group: a definition in it has changed.
    pub(crate) fn forget(&self, group: &str) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).retain(|gvk, _| gvk.group != group);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != group);
    }

    /// A definition has just been written: what its group serves is asked for anew, what it says of its objects is known.
    pub(crate) fn defined(&self, definition: &Json) {
        let Some(group) = tree::text(definition, "spec.group") else { return };
        self.forget(group);
        let kind = tree::text(definition, "spec.names.kind").unwrap_or_default();
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for version in tree::items(definition, "spec.versions").filter_map(|one| tree::text(one, "name")) {
            let known = OnceCell::new_with(Some(ready::is_reported(definition, version)));
            reported.insert(Gvk::new(group, version, kind), Arc::new(known));
        }
    }
}

impl Cluster {
    /// How a kind is reached; `None` when the server does not serve it.
    pub(crate) async fn resource(&self, context: &Context, gvk: &Gvk) -> Result<Option<Resource>> {
        if let Some(known) = schema::built_in(gvk) {
            return Ok(Some(Resource {
                group: gvk.group.clone(),
                version: gvk.version.clone(),
                plural: known.plural.to_owned(),
                namespaced: known.namespaced,
            }));
        }
        if let Some(known) = self.served.known(gvk) {
            return Ok(Some(known));
        }
        let _one = self.served.asking.lock().await;
        if self.served.known(gvk).is_none() && !self.served.was_asked(gvk) {
            self.discover(context, gvk).await?;
        }
        Ok(self.served.known(gvk))
    }

    /// Whether the definition of a custom kind says that something reports on its objects.
    pub(crate) async fn is_reported(&self, context: &Context, gvk: &Gvk, resource: &Resource) -> bool {
        let cell = {
            let mut reported = self.served.reported.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(reported.entry(gvk.clone()).or_default())
        };
        let asking = async {
            let path = format!("{DEFINITIONS}/{}.{}", resource.plural, resource.group);
            // What may not be asked is not waited for.
            let definition = self.get(context, &path).await.ok().flatten();
            definition.is_some_and(|definition| ready::is_reported(&definition, &resource.version))
        };
        *cell.get_or_init(|| asking).await
    }

    /// Like [`Cluster::resource`], in whatever version the kind is served now: what was made in one version can be
    /// read and deleted in another.
    pub(crate) async fn resource_any_version(
        &self,
        context: &Context,
        gvk: &Gvk,
    ) -> Result<Option<Resource>> {
        if let Some(found) = self.resource(context, gvk).await? {
            return Ok(Some(found));
        }
        if gvk.group.is_empty() {
            return Ok(None);
        }
        let Some(group) = self.get(context, &format!("/apis/{}", gvk.group)).await? else { return Ok(None) };
        for version in tree::items(&group, "versions").filter_map(|version| tree::text(version, "version")) {
            let other = Gvk::new(&gvk.group, version, &gvk.kind);
            if let Some(found) = self.resource(context, &other).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether some definition on the server brings the kind; `None` when that may not be asked.
    pub(crate) async fn is_defined(&self, context: &Context, gvk: &Gvk) -> Result<Option<bool>> {
        let all = match self.get_metadata(context, DEFINITIONS).await {
            Ok(Some(all)) => all,
            Ok(None) => return Ok(None),
            Err(error) if error.class == Class::Denied => return Ok(None),
            Err(error) => return Err(error),
        };
        let of_group = tree::items(&all, "items")
            .filter_map(|item| tree::text(item, "metadata.name"))
            .filter(|name| name.split_once('.').is_some_and(|(_, group)| group == gvk.group));
        for name in of_group {
            let path = format!("{DEFINITIONS}/{}", escaped(name));
            let Some(definition) = self.get(context, &path).await? else { continue };
            if tree::text(&definition, "spec.names.kind") == Some(&gvk.kind) {
                let served = tree::items(&definition, "spec.versions").any(|version| {
                    tree::text(version, "name") == Some(&gvk.version)
                        && version.get("served") == Some(&Json::Bool(true))
                });
                return Ok(Some(served));
            }
        }
        Ok(Some(false))
    }

    async fn discover(&self, context: &Context, gvk: &Gvk) -> Result<()> {
        let path = if gvk.group.is_empty() {
            format!("/api/{}", gvk.version)
        } else {
            format!("/apis/{}/{}", gvk.group, gvk.version)
        };
        let reply = self.send(context, Method::GET, &path, None).await?;
        let group_version = (gvk.group.clone(), gvk.version.clone());
        self.served
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(group_version, Instant::now());
        let list = match reply.success() {
            Ok(list) => list,
            Err(status) if status.code == 404 => return Ok(()),
            Err(status) => return Err(status.into_error(false)),
        };
        let mut kinds = self.served.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, resource) in resources(gvk, &list) {
            kinds.insert(Gvk::new(&gvk.group, &gvk.version, &kind), resource);
        }
        Ok(())
    }
}

fn resources(gvk: &Gvk, list: &Json) -> Vec<(String, Resource)> {
    tree::items(list, "resources")
        .filter_map(|entry| {
            let plural = tree::text(entry, "name").filter(|name| !name.contains('/'))?;
            let kind = tree::text(entry, "kind")?.to_owned();
            let namespaced = entry.get("namespaced").and_then(Json::as_bool).unwrap_or(true);
            let resource = Resource {
                group: gvk.group.clone(),
                version: gvk.version.clone(),
                plural: plural.to_owned(),
                namespaced,
            };
            Some((kind, resource))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let resource = |group: &str, namespaced| Resource {
            group: group.into(),
            version: "v1".into(),
            plural: "things".into(),
            namespaced,
        };
        assert_eq!(resource("", true).object(Some("n"), "x"), "/api/v1/namespaces/n/things/x");
        assert_eq!(resource("a.b", false).object(Some("n"), "s:x"), "/apis/a.b/v1/things/s%3Ax");
        assert_eq!(resource("", true).collection(None), "/api/v1/things");
    }

    #[test]
    fn subresources_are_no_kinds() {
        let gvk = Gvk::new("g.io", "v1", "A");
        let list = json!({"resources": [
            {"name": "as", "kind": "A", "namespaced": false},
            {"name": "as/status", "kind": "A", "namespaced": false}]});
        let found = resources(&gvk, &list);
        assert_eq!(found.len(), 1);
        assert!(!found[0].1.namespaced);
    }
}
