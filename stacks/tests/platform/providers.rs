//! What the providers say about every resource of every platform, offline: inputs that they accept, and an order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::support::cases;
use async_trait::async_trait;
use plinth_kubernetes::{Connector, Kubernetes};
use plinth_provider::{Error, Provider, Resource, Urn, Value};

/// No test here reaches a cluster.
struct Nowhere;

#[async_trait]
impl Connector for Nowhere {
    async fn client(&self, _: Option<&Value>) -> Result<kube::Client, Error> {
        Err(Error::invalid("there is no cluster"))
    }
}

fn kubernetes() -> Kubernetes {
    Kubernetes::new(Arc::new(Nowhere))
}

/// As at plan time: what other resources give is not known yet.
fn planned(resource: &Resource) -> Value {
    resource.inputs.resolve(&mut |_| None)
}

#[test]
fn the_kubernetes_provider_accepts_every_object() {
    let provider = kubernetes();
    for case in cases() {
        for resource in case.resources.iter().filter(|one| one.urn.kind().starts_with("k8s:")) {
            let checked = provider.check(&resource.urn, planned(resource)).unwrap_or_else(|error| {
                panic!("{}: {}: {error:?}", case.name, resource.urn);
            });
            let again = provider.check(&resource.urn, checked.clone()).unwrap();
            assert_eq!(again, checked, "{}: {}", case.name, resource.urn);
        }
    }
}

#[test]
fn what_follows_from_the_objects_makes_no_circle_with_what_is_declared() {
    let provider = kubernetes();
    for case in cases() {
        let objects: Vec<&Resource> =
            case.resources.iter().filter(|one| one.urn.kind().starts_with("k8s:")).collect();
        let mut needs: BTreeMap<Urn, BTreeSet<Urn>> =
            case.resources.iter().map(|one| (one.urn.clone(), one.dependencies())).collect();
        for (dependent, dependency) in provider.infer_dependencies(&objects) {
            needs.entry(dependent).or_default().insert(dependency);
        }
        let mut done = BTreeSet::new();
        while !needs.is_empty() {
            let ready: Vec<Urn> = needs
                .iter()
                .filter(|(_, needed)| needed.iter().all(|one| done.contains(one)))
                .map(|(urn, _)| urn.clone())
                .collect();
            assert!(!ready.is_empty(), "{}: a circle among {:?}", case.name, needs.keys());
            for urn in ready {
                needs.remove(&urn);
                done.insert(urn);
            }
        }
    }
}

#[test]
fn every_custom_resource_waits_for_its_definition_and_every_object_for_its_namespace() {
    let provider = kubernetes();
    for case in cases() {
        let objects: Vec<&Resource> =
            case.resources.iter().filter(|one| one.urn.kind().starts_with("k8s:")).collect();
        let inferred: BTreeSet<(Urn, Urn)> = provider.infer_dependencies(&objects).into_iter().collect();
        let declared: BTreeSet<&Urn> = objects.iter().map(|one| &one.urn).collect();
        for object in &objects {
            let Some((namespace, _)) = object.urn.name().split_once('/') else { continue };
            let namespace = Urn::new(object.urn.stack(), "k8s:v1/Namespace", namespace).unwrap();
            if declared.contains(&namespace) {
                assert!(
                    inferred.contains(&(object.urn.clone(), namespace.clone()))
                        || object.dependencies().contains(&namespace),
                    "{}: {} does not wait for {namespace}",
                    case.name,
                    object.urn
                );
            }
        }
    }
}
