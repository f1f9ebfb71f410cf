//! What needs what in a cluster although no reference says so. Pure.

use plinth_provider::{Resource, Urn, Value};

use crate::names;

const CLUSTER: &str = "aws:eks/Cluster";
const NODE_GROUP: &str = "aws:eks/NodeGroup";
const ADD_ON: &str = "aws:eks/AddOn";

/// Without the network plugin nodes never become ready, and with the others there they come up at once.
const BEFORE_NODES: &[&str] = &["vpc-cni", "kube-proxy", "eks-pod-identity-agent"];
const AGENT: &str = "eks-pod-identity-agent";

/// Dependencies that follow from what the resources are.
pub(crate) fn dependencies(resources: &[&Resource]) -> Vec<(Urn, Urn)> {
    let of_eks: Vec<&Resource> =
        resources.iter().copied().filter(|resource| resource.urn.kind().starts_with("aws:eks/")).collect();
    let mut found = Vec::new();
    for resource in &of_eks {
        let Some(home) = home(resource, &of_eks) else { continue };
        if home.urn != resource.urn {
            found.push((resource.urn.clone(), home.urn.clone()));
        }
        for add_on in of_eks.iter().filter(|other| other.urn.kind() == ADD_ON && other.urn != resource.urn) {
            let name = add_on.inputs.text_at("name").unwrap_or_default();
            let needed = match resource.urn.kind() {
                NODE_GROUP => BEFORE_NODES.contains(&name),
                // What acts in a role by the agent comes after it.
                ADD_ON => name == AGENT && resource.inputs.get("podIdentities").is_some(),
                _ => false,
            };
            // What the user puts the other way round stays so.
            let reversed = add_on.options.depends_on.contains(&resource.urn);
            if needed && !reversed && self::home(add_on, &of_eks).is_some_and(|other| other.urn == home.urn) {
                found.push((resource.urn.clone(), add_on.urn.clone()));
            }
        }
    }
    found
}

/// The cluster of this stack that a resource is in: by its name or by a reference to it.
fn home<'a>(resource: &'a Resource, all: &[&'a Resource]) -> Option<&'a Resource> {
    if resource.urn.kind() == CLUSTER {
        return Some(resource);
    }
    let mut clusters = all.iter().copied().filter(|other| other.urn.kind() == CLUSTER);
    match resource.inputs.get("cluster")? {
        Value::String(name) => clusters.find(|cluster| {
            let own = cluster.inputs.text_at("name").map(str::to_owned);
            own.unwrap_or_else(|| names::of(&cluster.urn, 100)) == *name
        }),
        other => {
            let mut urn = None;
            other.references(&mut |reference| urn = Some(reference.urn.clone()));
            clusters.find(|cluster| Some(&cluster.urn) == urn.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_comes_before_the_nodes_and_the_cluster_before_all() {
        let resource = |kind: &str, name: &str, inputs: Value| {
            Resource::new(Urn::new("dev", kind, name).unwrap(), inputs)
        };
        let cluster = resource(CLUSTER, "main", Value::map());
        let add_on =
            |name: &str| resource(ADD_ON, name, Value::from([("cluster", "dev-main"), ("name", name)]));
        let (network, names) = (add_on("vpc-cni"), add_on("coredns"));
        let nodes = resource(NODE_GROUP, "general", Value::from([("cluster", "dev-main")]));
        let elsewhere = resource(NODE_GROUP, "other", Value::from([("cluster", "other")]));
        let found = dependencies(&[&cluster, &network, &names, &nodes, &elsewhere]);
        let has = |one: &Resource, other: &Resource| found.contains(&(one.urn.clone(), other.urn.clone()));
        assert!(has(&nodes, &network) && has(&nodes, &cluster) && has(&network, &cluster));
        assert!(!has(&nodes, &names), "names are resolved by pods, which need nodes");
        assert!(!has(&elsewhere, &network) && !has(&elsewhere, &cluster));
    }
}
