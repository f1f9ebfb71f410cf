//! The platform's namespaces and the priority of its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::kit::{Build, Phase, Space, metadata};
use crate::model::Mesh;

pub(crate) fn declare(build: &mut Build<'_>) {
    build.phase(Phase::Cluster);
    let spaces: Vec<Space> = Space::ALL.into_iter().filter(|space| build.has(*space)).collect();
    let mut seen = BTreeMap::new();
    for space in spaces {
        let name = build.namespace(space).to_owned();
        if let Some(other) = seen.insert(name.clone(), space) {
            build.error(
                format!("the namespaces for {other:?} and {space:?} have the same name `{name}`"),
                "give each entry of `platform.namespaces` a name of its own: their security levels differ",
            );
            continue;
        }
        let object = namespace(build, space, &name);
        build.object(object);
    }
    for (name, value, description) in [
        ("plinth-foundation", 3_000_000, "Certificates, ingress and databases, on which the platform stands"),
        ("plinth-agents", 2_000_000, "Agents that must run on every node"),
        ("plinth-platform", 1_000_000, "The observability platform"),
    ] {
        let labels = build.common_labels();
        build.object(PriorityClass {
            metadata: metadata(None, name, labels),
            value: Some(value),
            description: Some(description.to_owned()),
            global_default: Some(false),
            preemption_policy: Some("PreemptLowerPriority".to_owned()),
        });
    }
}

fn namespace(build: &Build<'_>, space: Space, name: &str) -> Namespace {
    // Reading the node's logs and counters is what agents are for; nothing else gets that far.
    let level = if space == Space::Agents { "privileged" } else { "restricted" };
    let mut labels = build.common_labels();
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(format!("pod-security.kubernetes.io/{mode}"), level.to_owned());
        labels.insert(format!("pod-security.kubernetes.io/{mode}-version"), "latest".to_owned());
    }
    let mut meta = metadata(None, name, BTreeMap::new());
    if build.is_meshed(space) {
        match build.platform.mesh {
            Mesh::None => {}
            Mesh::Istio => {
                labels.insert("istio-injection".to_owned(), "enabled".to_owned());
            }
            Mesh::Linkerd => {
                let annotation = ("linkerd.io/inject".to_owned(), "enabled".to_owned());
                meta.annotations = Some([annotation].into_iter().collect());
            }
        }
    }
    meta.labels = Some(labels);
    Namespace { metadata: meta, spec: None, status: None }
}
