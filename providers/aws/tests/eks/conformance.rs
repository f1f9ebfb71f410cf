//! Every kind keeps the promises of the contract.

use plinth_emulators::{Eks, ministack, moto};
use plinth_provider::conformance::{Case, run};
use plinth_provider::{Urn, Value};
use serde_json::json;

use super::support::{OTHER_ROLE, ROLE, World, cluster, inputs, node_group, urn, with};

fn case(urn: Urn, inputs: Value, updated: Value, replaced: Value) -> Case {
    let mut case = Case::new(urn, inputs);
    case.updated = Some(updated);
    case.replaced = Some(replaced);
    case
}

fn cluster_case() -> Case {
    let first = cluster("1.34");
    let updated = with(&first, "version", json!("1.35"));
    let updated = with(&updated, "logging", json!(["audit"]));
    let updated = with(&updated, "publicCidrs", json!(["203.0.113.7/24"]));
    let updated = with(&updated, "secretsKeyArn", json!("arn:aws:kms:eu-central-1:123456789012:key/1"));
    let updated = with(&updated, "supportType", json!("STANDARD"));
    let updated = with(&updated, "securityGroupIds", json!(["sg-1"]));
    let updated = with(&updated, "tags", json!({ "team": "platform", "cost": "7" }));
    let replaced = with(&updated, "roleArn", json!(OTHER_ROLE));
    case(urn("Cluster", "main"), first, updated, replaced)
}

fn node_group_case() -> Case {
    let first = node_group();
    let updated = with(&first, "labels", json!({ "tier": "metrics" }));
    let updated = with(&updated, "taints", json!([]));
    let updated = with(&updated, "maxSize", json!(1));
    let updated = with(&updated, "desiredSize", json!(1));
    let updated = with(&updated, "update", json!({ "maxUnavailablePercentage": 30 }));
    let replaced = with(&updated, "instanceTypes", json!(["m7i.xlarge"]));
    case(urn("NodeGroup", "general"), first, updated, replaced)
}

fn add_on_case() -> Case {
    let first = inputs(
        json!({ "cluster": "dev-main", "name": "vpc-cni", "configuration": "{\"env\": {\"A\": \"1\"}}" }),
    );
    let updated = with(&first, "configuration", json!("env:\n  A: '2'\n"));
    let updated = with(&updated, "roleArn", json!(ROLE));
    let updated = with(&updated, "podIdentities", json!({ "aws-node": ROLE }));
    let replaced = with(&updated, "name", json!("kube-proxy"));
    case(urn("AddOn", "network"), first, updated, replaced)
}

fn access_entry_case() -> Case {
    let view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
    let admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
    let first = inputs(json!({
        "cluster": "dev-main",
        "principalArn": "arn:aws:iam::123456789012:role/people/admins",
        "policies": [{ "arn": admin }, { "arn": view, "namespaces": ["loki", "tempo"] }],
    }));
    let updated = with(&first, "policies", json!([{ "arn": view, "namespaces": ["loki"] }]));
    let updated = with(&updated, "groups", json!(["viewers"]));
    let replaced = with(&updated, "principalArn", json!("arn:aws:iam::123456789012:role/people/others"));
    case(urn("AccessEntry", "admins"), first, updated, replaced)
}

/// Nodes that somebody runs himself: EKS gives them their groups.
fn nodes_entry_case() -> Case {
    let first = inputs(json!({
        "cluster": "dev-main",
        "type": "EC2_LINUX",
        "principalArn": "arn:aws:iam::123456789012:role/nodes",
    }));
    let updated = with(&first, "tags", json!({ "team": "platform" }));
    let replaced = with(&updated, "principalArn", json!("arn:aws:iam::123456789012:role/others"));
    case(urn("AccessEntry", "nodes"), first, updated, replaced)
}

fn pod_identity_case() -> Case {
    let first = inputs(json!({
        "cluster": "dev-main",
        "namespace": "loki",
        "serviceAccount": "loki",
        "roleArn": ROLE,
        "tags": { "team": "observability" },
    }));
    let updated = with(&first, "roleArn", json!(OTHER_ROLE));
    let updated = with(&updated, "disableSessionTags", json!(true));
    let replaced = with(&updated, "serviceAccount", json!("loki-2"));
    case(urn("PodIdentityAssociation", "loki"), first, updated, replaced)
}

#[tokio::test]
async fn clusters_keep_the_contract() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    run(&world.aws, &cluster_case()).await;
    assert_eq!(eks.inventory(), Vec::<String>::new(), "nothing is left");
}

/// Each kind in a cluster, and an account that is as empty afterwards as before.
async fn keeps_the_contract_in_a_cluster(case: Case) {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    run(&world.aws, &case).await;
    assert_eq!(eks.inventory(), ["dev-main"], "nothing is left but the cluster");
}

#[tokio::test]
async fn node_groups_keep_the_contract() {
    keeps_the_contract_in_a_cluster(node_group_case()).await;
}

#[tokio::test]
async fn add_ons_keep_the_contract() {
    keeps_the_contract_in_a_cluster(add_on_case()).await;
}

#[tokio::test]
async fn access_entries_keep_the_contract() {
    keeps_the_contract_in_a_cluster(access_entry_case()).await;
    keeps_the_contract_in_a_cluster(nodes_entry_case()).await;
}

#[tokio::test]
async fn pod_identities_keep_the_contract() {
    keeps_the_contract_in_a_cluster(pod_identity_case()).await;
}

/// Moto makes clusters and node groups at once, and knows no update of a cluster.
#[tokio::test]
async fn moto_agrees() {
    let Some(moto) = moto() else { return };
    let world = World::new(&moto.url()).await;
    run(&world.aws, &Case { updated: None, ..cluster_case() }).await;
    world.cluster("1.35").await;
    let mut nodes = node_group_case();
    // It gives every node group the same version, and takes no taints.
    nodes.inputs.remove(&"taints".into());
    nodes.updated = Some(with(&nodes.inputs, "labels", json!({ "pool": "other" })));
    nodes.replaced = None;
    run(&world.aws, &nodes).await;
}

/// Ministack makes clusters in their own time, and knows what is in them, but no update either.
#[tokio::test]
async fn ministack_agrees() {
    let Some(ministack) = ministack() else { return };
    let world = World::new(&ministack.url()).await;
    let unchanging = |case: Case| Case { updated: None, replaced: None, ..case };
    run(&world.aws, &unchanging(cluster_case())).await;
    world.cluster("1.35").await;
    run(&world.aws, &unchanging(node_group_case())).await;
    // It does not tell which versions there are.
    let mut network = unchanging(add_on_case());
    network.inputs = with(&network.inputs, "version", json!("v1.19.0-eksbuild.1"));
    run(&world.aws, &network).await;
    run(&world.aws, &unchanging(access_entry_case())).await;
    run(&world.aws, &unchanging(pod_identity_case())).await;
}
