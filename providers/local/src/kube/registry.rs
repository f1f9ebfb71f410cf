//! Which resources are served right now: the built-in ones and those that definitions add.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::json::{Json, Look};
use super::kinds::{Custom, GROUP_ORDER, Resource, Scale, builtin_resources};
use super::schema::crd;

/// What a definition says in one generation.
type Compiled = (i64, Vec<Arc<Resource>>);

/// The served resources.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: RwLock<Vec<Arc<Resource>>>,
    /// Compiled definitions by name, with the generation they were compiled from.
    compiled: RwLock<HashMap<String, Compiled>>,
}

impl Registry {
    /// Only what is built in.
    pub fn new() -> Self {
        let resources = builtin_resources().into_iter().map(Arc::new).collect();
        Self { resources: RwLock::new(resources), compiled: RwLock::default() }
    }

    /// All served resources.
    pub fn all(&self) -> Vec<Arc<Resource>> {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By path.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.search(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// Whether built-in kinds are served under a group and version. Those of definitions come and go, and what is not
    /// there is no path at all.
    pub fn serves(&self, group: &str, version: &str) -> bool {
        self.search(|r| r.group == group && r.version == version && r.custom.is_none()).is_some()
    }

    /// By the name under which objects are stored.
    pub fn by_storage(&self, storage: &str) -> Option<Arc<Resource>> {
        self.search(|r| {
            r.storage == storage && r.custom.as_ref().is_none_or(|c| c.storage_version == r.version)
        })
        .or_else(|| self.search(|r| r.storage == storage))
    }

    fn search(&self, test: impl Fn(&Resource) -> bool) -> Option<Arc<Resource>> {
        let all = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|r| test(r)).cloned()
    }

    /// Takes over what a definition says once it is established, and drops what a deleted one said.
    pub fn define(&self, name: &str, definition: Option<&Json>) {
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        match definition {
            Some(definition) => {
                let generation = definition.int("metadata.generation").unwrap_or(0);
                let established = super::json::condition(definition, "Established")
                    .is_some_and(|c| c.text("status") == "True");
                if !established || compiled.get(name).is_some_and(|(g, _)| *g == generation) {
                    return;
                }
                compiled.insert(name.to_owned(), (generation, compile(definition)));
            }
            None => {
                if compiled.remove(name).is_none() {
                    return;
                }
            }
        }
        let mut custom: Vec<Arc<Resource>> = compiled.values().flat_map(|(_, r)| r.iter().cloned()).collect();
        custom.sort_by(|a, b| {
            (&a.group, &a.plural)
                .cmp(&(&b.group, &b.plural))
                .then_with(|| version_order(&a.version, &b.version))
        });
        let mut all = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|r| r.custom.is_none());
        all.extend(custom);
    }

    /// Groups in discovery order, each with its versions, preferred first.
    pub fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut out: Vec<(String, Vec<String>)> = Vec::new();
        let mut all = self.all();
        let rank = |g: &str| GROUP_ORDER.iter().position(|x| *x == g).unwrap_or(GROUP_ORDER.len());
        all.sort_by(|a, b| (rank(&a.group), &a.group).cmp(&(rank(&b.group), &b.group)));
        for resource in all {
            match out.iter_mut().find(|(g, _)| *g == resource.group) {
                Some((_, versions)) if !versions.contains(&resource.version) => {
                    versions.push(resource.version.clone());
                }
                Some(_) => {}
                None => out.push((resource.group.clone(), vec![resource.version.clone()])),
            }
        }
        for (_, versions) in &mut out {
            versions.sort_by(|a, b| version_order(a, b));
        }
        out
    }
}

/// Stable before beta before alpha, newer before older: how Kubernetes prefers versions.
pub(crate) fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    fn parts(version: &str) -> Option<(u8, u32, u32)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u32 = rest[..digits].parse().ok()?;
        match &rest[digits..] {
            "" => Some((2, major, 0)),
            tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
                (Some(minor), _) => Some((1, major, minor.parse().ok()?)),
                (_, Some(minor)) => Some((0, major, minor.parse().ok()?)),
                _ => None,
            },
        }
    }
    match (parts(a), parts(b)) {
        (Some(x), Some(y)) => y.cmp(&x),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn compile(definition: &Json) -> Vec<Arc<Resource>> {
    let names = definition.at("spec.names");
    let words = |list: &[Json]| list.iter().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>();
    let storage_version = definition
        .list("spec.versions")
        .iter()
        .find(|v| v.yes("storage"))
        .map(|v| v.text("name").to_owned())
        .unwrap_or_default();
    definition
        .list("spec.versions")
        .iter()
        .filter(|v| v.yes("served"))
        .map(|v| {
            let schema = v.at("schema.openAPIV3Schema").clone();
            let scale = v.at("subresources").get("scale").map(|s| Scale {
                spec: s.text("specReplicasPath").into(),
                status: s.text("statusReplicasPath").into(),
                selector: s.text("labelSelectorPath").into(),
            });
            Arc::new(Resource {
                group: definition.text("spec.group").into(),
                version: v.text("name").into(),
                kind: names.text("kind").into(),
                plural: names.text("plural").into(),
                singular: match names.text("singular") {
                    "" => names.text("kind").to_lowercase(),
                    given => given.into(),
                },
                short: words(names.list("shortNames")),
                categories: words(names.list("categories")),
                namespaced: definition.text("spec.scope") == "Namespaced",
                status: v.at("subresources").get("status").is_some(),
                scale,
                generation: true,
                storage: super::json::name(definition)
                    .split_once('.')
                    .map(|(plural, group)| format!("{plural}.{group}"))
                    .unwrap_or_default(),
                review: false,
                schema: crd::compile(&schema),
                custom: Some(Custom {
                    schema,
                    columns: v.list("additionalPrinterColumns").to_vec(),
                    storage_version: storage_version.clone(),
                    selectable: v
                        .list("selectableFields")
                        .iter()
                        .map(|f| f.text("jsonPath").trim_start_matches('.').to_owned())
                        .collect(),
                    deprecated: v.yes("deprecated").then(|| match v.text("deprecationWarning") {
                        "" => format!(
                            "{}/{} {} is deprecated",
                            definition.text("spec.group"),
                            v.text("name"),
                            names.text("kind")
                        ),
                        text => text.into(),
                    }),
                }),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_like_kubernetes_sorts_them() {
        let mut versions = ["v1alpha1", "v2beta1", "v1", "v10", "foo", "v1beta2", "v2"];
        versions.sort_by(|a, b| version_order(a, b));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]);
    }
}
