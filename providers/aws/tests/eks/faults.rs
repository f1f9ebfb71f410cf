//! What goes wrong at EKS, and what comes of it.

use std::time::Duration;

use plinth_emulators::{AwsCall, AwsFault, Eks};
use plinth_provider::{Class, Provider, Request, Urn, Value};
use serde_json::json;

use super::support::{World, cluster, inputs, node_group, says, urn, with};

#[tokio::test]
async fn a_fifth_of_all_calls_throttled_changes_nothing() {
    let eks = Eks::new();
    let mut count = 0u32;
    eks.judge(move |_| {
        count += 1;
        if count.is_multiple_of(5) { AwsFault::throttled() } else { AwsFault::Pass }
    });
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let nodes = world.node_group().await;
    let dns = world.add_on(json!({ "cluster": "dev-main", "name": "coredns" })).await;
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let control_plane = world.update(&control_plane, &newer).await.unwrap();
    for recorded in [&dns, &nodes, &control_plane] {
        world.aws.delete(&world.context(), recorded).await.unwrap();
    }
    assert!(eks.inventory().is_empty());
}

#[tokio::test]
async fn a_node_group_that_cannot_be_made_says_why_and_is_made_by_the_next_run() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    eks.create_fails(
        "dev-general",
        "AsgInstanceLaunchFailures",
        "You have requested more vCPU capacity than your limit",
    );
    let urn = urn("NodeGroup", "general");
    let failed = world.create(&urn, &node_group()).await.unwrap_err();
    assert_eq!(failed.class, Class::Invalid);
    for words in ["CREATE_FAILED", "AsgInstanceLaunchFailures", "vCPU capacity", "i-0123"] {
        assert!(failed.message.contains(words), "{words}: {failed}");
    }
    // It is there, and known as ours, so that it is not forgotten.
    let checked = world.check(&urn, &node_group());
    let request = Request { urn: &urn, inputs: &checked, connection: None };
    let left = world.aws.find(&world.context(), request).await.unwrap().expect("what failed is found");
    let mut left = super::support::recorded(
        &urn,
        checked.clone(),
        plinth_provider::Applied { id: left.id, outputs: left.outputs },
    );
    left.unsettled = true;
    let made = world.update(&left, &node_group()).await.unwrap();
    assert_ne!(made.id, left.id);
    assert!(world.told.warned_of("made anew"));
}

#[tokio::test]
async fn a_cluster_that_was_never_made_is_made_by_the_next_run() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    eks.create_fails("dev-main", "Ec2SubnetNotFound", "subnet-a is not there");
    let urn = urn("Cluster", "main");
    let failed = world.create(&urn, &cluster("1.35")).await.unwrap_err();
    assert!(failed.message.contains("subnet-a is not there"), "{failed}");
    let made = world.create(&urn, &cluster("1.35")).await.unwrap();
    assert!(made.outputs.text_at("endpoint").is_some());
}

fn denies(operation: &'static str) -> impl FnMut(&AwsCall) -> AwsFault + Send {
    move |call| match call.operation == operation {
        true => AwsFault::denied(&format!("eks:{operation}")),
        false => AwsFault::Pass,
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    eks.judge(denies("CreateNodegroup"));
    let denied = world.create(&urn("NodeGroup", "general"), &node_group()).await.unwrap_err();
    assert_eq!(denied.class, Class::Denied);
    assert!(
        denied.message.contains("not authorized to perform: eks:CreateNodegroup on resource"),
        "{denied}"
    );
    assert!(says(&denied).contains("allow eks:CreateNodegroup"));
    eks.judge(|_| AwsFault::Pass);
    world.node_group().await;
}

#[tokio::test]
async fn an_update_of_somebody_else_is_waited_for() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let id = eks.somebody_updates("dev-main", Duration::from_millis(500));
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let control_plane = world.update(&control_plane, &newer).await.unwrap();
    assert_eq!(control_plane.outputs.text_at("version"), Some("1.35"));
    assert!(world.told.waited_for(&id) || world.told.waited_for("is UPDATING"), "{:?}", world.told);

    let id = eks.somebody_updates("dev-main", Duration::from_millis(500));
    world.aws.delete(&world.context(), &control_plane).await.unwrap();
    assert!(world.told.waited_for(&id), "{:?}", world.told);
    assert!(eks.inventory().is_empty());
}

#[tokio::test]
async fn expired_credentials_are_said_and_the_next_run_goes_on() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let mut calls = 0;
    eks.judge(move |_| {
        calls += 1;
        if calls > 4 { AwsFault::expired() } else { AwsFault::Pass }
    });
    let urn = urn("Cluster", "main");
    let expired = world.create(&urn, &cluster("1.35")).await.unwrap_err();
    assert_eq!(expired.class, Class::Denied);
    assert!(says(&expired).contains("log in again"), "{expired}");
    eks.judge(|_| AwsFault::Pass);
    let made = world.create(&urn, &cluster("1.35")).await.unwrap();
    assert!(made.outputs.text_at("endpoint").is_some());
    assert_eq!(eks.inventory(), ["dev-main"], "one cluster, not two");
}

#[tokio::test]
async fn a_role_that_iam_has_just_made_is_waited_for() {
    let eks = Eks::new();
    let mut refusals = 0;
    eks.judge(move |call| {
        if call.operation == "CreateCluster" && refusals < 2 {
            refusals += 1;
            let said = "The role with name dev-eks cannot be found: roleArn, arn:aws:iam::123456789012:role/dev-eks, does not exist";
            return AwsFault::Refuse(400, "InvalidParameterException", said.to_owned());
        }
        AwsFault::Pass
    });
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    let wrong = AwsFault::Refuse(
        400,
        "InvalidParameterException",
        "The subnet ID 'subnet-a' does not exist".to_owned(),
    );
    eks.judge(move |call| if call.operation == "CreateCluster" { wrong.clone() } else { AwsFault::Pass });
    eks.take_seen();
    let error = world.create(&urn("Cluster", "other"), &cluster("1.35")).await.unwrap_err();
    assert!(error.message.contains("subnet-a"));
    let tries = eks.take_seen().iter().filter(|call| call.operation == "CreateCluster").count();
    assert_eq!(tries, 1, "what is wrong stays wrong");
}

#[tokio::test]
async fn a_lost_answer_makes_nothing_twice() {
    let eks = Eks::new();
    let mut lost = std::collections::HashSet::new();
    eks.judge(move |call| {
        let changes = call.target.starts_with("POST") || call.target.starts_with("DELETE");
        match call.service == "eks" && changes && lost.insert(call.target.clone()) {
            true => AwsFault::RefuseAfter(500, "ServerException", "Internal error".to_owned()),
            false => AwsFault::Pass,
        }
    });
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let nodes = world.node_group().await;
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let control_plane = world.update(&control_plane, &newer).await.unwrap();
    let entry =
        inputs(json!({ "cluster": "dev-main", "principalArn": "arn:aws:iam::123456789012:role/admins" }));
    let entry = world.create(&urn("AccessEntry", "admins"), &entry).await.unwrap();
    assert_eq!(eks.inventory().len(), 3);
    for recorded in [&entry, &nodes, &control_plane] {
        world.aws.delete(&world.context(), recorded).await.unwrap();
    }
    assert!(eks.inventory().is_empty());
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    eks.tamper("dev-main", |doc| doc["tags"] = json!({ "owner": "another team" }));
    let taken = world.create(&urn("Cluster", "main"), &cluster("1.35")).await.unwrap_err();
    assert_eq!(taken.class, Class::AlreadyExists);
    assert!(says(&taken).contains("does not belong to this stack"), "{taken}");
    let checked = world.check(&urn("Cluster", "main"), &cluster("1.35"));
    let urn = urn("Cluster", "main");
    let request = Request { urn: &urn, inputs: &checked, connection: None };
    let there =
        world.aws.occupants(&world.context(), &[request]).await.remove(0).unwrap().expect("seen by a plan");
    assert_eq!(there.owner, plinth_provider::Owner::Nobody);
}

#[tokio::test]
async fn pods_that_do_not_leave_are_told_of() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let nodes = with(&node_group(), "version", json!("1.34"));
    let nodes = world.create(&urn("NodeGroup", "general"), &nodes).await.unwrap();
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    world.update(&control_plane, &newer).await.unwrap();
    eks.update_fails(
        "VersionUpdate",
        "PodEvictionFailure",
        "Reached max retries while trying to evict pods from nodes in node group dev-general",
    );
    let newer = with(&nodes.inputs, "version", json!("1.35"));
    let failed = world.update(&nodes, &newer).await.unwrap_err();
    assert!(failed.message.contains("PodEvictionFailure"), "{failed}");
    assert!(says(&failed).contains("PodDisruptionBudget"), "{failed}");
    // The same again, once the budget is relaxed.
    let nodes = world.update(&nodes, &newer).await.unwrap();
    assert_eq!(nodes.outputs.text_at("version"), Some("1.35"));
}

#[tokio::test]
async fn zones_that_take_a_control_plane_are_named() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let mut inputs = cluster("1.35");
    inputs.set(&"subnetIds".into(), Value::List(vec!["subnet-a".into(), "subnet-closed".into()]));
    let refused = world.create(&urn("Cluster", "main"), &inputs).await.unwrap_err();
    assert_eq!(refused.class, Class::Invalid);
    assert!(says(&refused).contains("eu-central-1a, eu-central-1b"), "{refused:?}");
    assert_eq!(refused.path.map(|path| path.to_string()).as_deref(), Some("subnetIds"));
}

#[tokio::test]
async fn a_quota_is_final() {
    let eks = Eks::new();
    eks.judge(|call| match call.service.as_str() {
        "kms" => AwsFault::Refuse(
            400,
            "LimitExceededException",
            "The request was rejected because a quota was exceeded".to_owned(),
        ),
        _ => AwsFault::Pass,
    });
    let world = World::new(&eks.url()).await;
    let key = Urn::new("dev", "aws:kms/Key", "secrets").unwrap();
    let refused = world.create(&key, &Value::map()).await.unwrap_err();
    assert!(says(&refused).contains("quota") && refused.class == Class::Invalid, "{refused:?}");
    let asked = eks.take_seen().into_iter().filter(|call| call.service == "kms").count();
    assert_eq!(asked, 1, "asking again changes nothing");
}
