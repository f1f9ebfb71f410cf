//! Upgrades in order, add-ons that follow, and what is refused.

use std::time::Duration;

use plinth_emulators::Eks;
use plinth_provider::{Class, Context, Diff, Drift, PreviewRequest, Provider, ReadRequest, Recorded, Value};
use serde_json::json;

use super::support::{World, cluster, inputs, node_group, says, urn, with};

#[tokio::test]
async fn everything_goes_from_one_version_to_the_next() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let nodes = with(&node_group(), "version", json!("1.34"));
    let nodes = world.create(&urn("NodeGroup", "general"), &nodes).await.unwrap();
    let add_on = json!({ "cluster": "dev-main", "name": "vpc-cni", "clusterVersion": "1.34" });
    let network = world.add_on(add_on).await;
    assert_eq!(
        network.outputs.text_at("version"),
        Some("v1.34.1-eksbuild.3"),
        "the default version is chosen"
    );

    eks.take_seen();
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let control_plane = world.update(&control_plane, &newer).await.unwrap();
    assert_eq!(control_plane.outputs.text_at("version"), Some("1.35"));
    let operations: Vec<String> = eks.take_seen().into_iter().map(|call| call.operation).collect();
    let at = |operation: &str| operations.iter().position(|seen| seen == operation);
    assert!(
        at("StartInsightsRefresh") < at("UpdateClusterVersion"),
        "insights are read first: {operations:?}"
    );
    assert!(at("DescribeUpdate") > at("UpdateClusterVersion"));

    let newer = with(&network.inputs, "clusterVersion", json!("1.35"));
    let predicted = world.aws.predict(&network.urn, &newer, Some(&network));
    assert_eq!(predicted.get("version"), Some(&Value::Unknown), "another version will be chosen");
    let network = world.update(&network, &newer).await.unwrap();
    assert_eq!(network.outputs.text_at("version"), Some("v1.35.1-eksbuild.3"));

    let newer = with(&nodes.inputs, "version", json!("1.35"));
    let nodes = world.update(&nodes, &newer).await.unwrap();
    assert_eq!(nodes.outputs.text_at("version"), Some("1.35"));
    assert!(world.told.waited_for("VersionUpdate is in progress"));
}

#[tokio::test]
async fn steps_that_are_not_safe_are_refused_offline() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let refused = |inputs: &Value| world.aws.diff(&control_plane, inputs).unwrap_err();
    let skipped = refused(&with(&control_plane.inputs, "version", json!("1.36")));
    assert!(says(&skipped).contains("1.35") && skipped.class == Class::Invalid, "{skipped}");
    let down = refused(&with(&control_plane.inputs, "version", json!("1.33")));
    assert!(down.message.contains("not downgraded"), "{down}");
    let back = refused(&with(&control_plane.inputs, "authenticationMode", json!("CONFIG_MAP")));
    assert!(back.message.contains("cannot go back"), "{back}");

    let nodes = with(&node_group(), "version", json!("1.36"));
    let ahead = world.create(&urn("NodeGroup", "general"), &nodes).await.unwrap_err();
    assert!(ahead.message.contains("never ahead"), "{ahead}");
}

#[tokio::test]
async fn what_eks_advises_against_stops_the_upgrade_and_the_plan() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    eks.advise_against(
        "1.35",
        "Deprecated APIs removed in Kubernetes v1.35",
        "flowcontrol v1beta3 is still called",
    );
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let request = PreviewRequest {
        urn: &control_plane.urn,
        inputs: &newer,
        connection: None,
        recorded: Some(&control_plane),
        replaces: false,
        dependencies: &[],
        take_over: &[],
    };
    let previewed = world.aws.preview_many(&world.context(), &[request]).await.remove(0).unwrap_err();
    assert!(previewed.message.contains("flowcontrol v1beta3"), "{previewed}");
    let stopped = world.update(&control_plane, &newer).await.unwrap_err();
    assert!(
        stopped.message.contains("flowcontrol v1beta3") && says(&stopped).contains("force: true"),
        "{stopped}"
    );
    assert!(eks.take_seen().iter().all(|call| call.operation != "UpdateClusterVersion"), "nothing was begun");

    let forced = with(&newer, "force", json!(true));
    let control_plane = world.update(&control_plane, &forced).await.unwrap();
    assert_eq!(control_plane.outputs.text_at("version"), Some("1.35"));
    assert!(world.told.warned_of("flowcontrol v1beta3"));
}

#[tokio::test]
async fn nodes_that_are_behind_come_first() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let nodes = with(&node_group(), "version", json!("1.33"));
    world.create(&urn("NodeGroup", "general"), &nodes).await.unwrap();
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let stopped = world.update(&control_plane, &newer).await.unwrap_err();
    assert!(stopped.message.contains("dev-general (1.33)"), "{stopped}");
}

async fn drift(world: &World, recorded: &Recorded) -> Vec<Drift> {
    let live = world.aws.read(&world.context(), ReadRequest { recorded }).await.unwrap().unwrap();
    world.aws.drift(recorded, &live)
}

#[tokio::test]
async fn what_eks_does_by_itself_is_no_drift() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    let nodes = world.node_group().await;
    eks.tamper("dev-main", |doc| {
        doc["version"] = "1.35".into();
        doc["platformVersion"] = "eks.9".into();
        doc["tags"]["aws:cloudformation:stack-name"] = "somebody".into();
        doc["resourcesVpcConfig"]["subnetIds"] = json!(["subnet-b", "subnet-a"]);
    });
    assert_eq!(drift(&world, &control_plane).await, []);
    assert_eq!(drift(&world, &nodes).await, []);
    let unchanged = world.aws.diff(&control_plane, &control_plane.inputs).unwrap();
    assert_eq!(unchanged, Diff::None);
    // The next change leaves the newer version alone.
    let logged = with(&control_plane.inputs, "logging", json!([]));
    let control_plane = world.update(&control_plane, &logged).await.unwrap();
    assert_eq!(control_plane.outputs.text_at("version"), Some("1.35"));

    eks.tamper("dev-main", |doc| doc["resourcesVpcConfig"]["publicAccessCidrs"] = json!(["198.51.100.0/24"]));
    let found = drift(&world, &control_plane).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path.to_string(), "publicCidrs[0]");
}

#[tokio::test]
async fn a_replaced_node_group_stands_beside_the_old_one() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    let old = world.node_group().await;
    let declared = with(&node_group(), "instanceTypes", json!(["m8i.large"]));
    let desired = world.aws.keep_name(&old, &declared, world.check(&old.urn, &declared));
    let diff = world.aws.diff(&old, &desired).unwrap();
    assert!(matches!(diff, Diff::Replace { .. }), "{diff:?}");
    let beside = world.aws.beside(&old, &declared, &desired).expect("the name was left to us");
    assert_eq!(beside.text_at("name"), Some("dev-general-2"));
    let context = Context { beside: Some(old.id.clone()), ..world.context() };
    let request = plinth_provider::Request { urn: &old.urn, inputs: &beside, connection: None };
    let new = world.aws.create(&context, request).await.unwrap();
    assert_ne!(new.id, old.id);
    assert_eq!(eks.inventory(), ["dev-main", "dev-main/dev-general", "dev-main/dev-general-2"]);
    world.aws.delete(&world.context(), &old).await.unwrap();
    assert_eq!(eks.inventory(), ["dev-main", "dev-main/dev-general-2"]);
}

#[tokio::test]
async fn an_interrupted_wait_goes_on_where_it_was() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let control_plane = world.cluster("1.34").await;
    eks.pace(Duration::from_millis(700));
    let newer = with(&control_plane.inputs, "version", json!("1.35"));
    let cut =
        Context { deadline: tokio::time::Instant::now() + Duration::from_millis(600), ..world.context() };
    let late = world.update_with(&cut, &control_plane, &newer).await.unwrap_err();
    assert_eq!(late.class, Class::Timeout, "{late}");
    let handle = world.told.handles.lock().unwrap().last().cloned().expect("a handle was recorded");
    let next = Context { handle: Some(handle), ..world.context() };
    eks.take_seen();
    let control_plane = world.update_with(&next, &control_plane, &newer).await.unwrap();
    assert_eq!(control_plane.outputs.text_at("version"), Some("1.35"));
    let begun = eks.take_seen().into_iter().filter(|call| call.operation == "UpdateClusterVersion").count();
    assert_eq!(begun, 0, "the update that was begun is waited for, not begun again");
}

#[tokio::test]
async fn add_ons_that_need_nodes_are_healthy_once_there_are_some() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    world.cluster("1.35").await;
    // Without nodes it would stay degraded for as long as anybody cares to wait.
    let dns = world.add_on(json!({ "cluster": "dev-main", "name": "coredns" })).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.node_group().await;
    let live = world.aws.read(&world.context(), ReadRequest { recorded: &dns }).await.unwrap().unwrap();
    assert_eq!(live.outputs.text_at("version"), dns.outputs.text_at("version"));
    let pinned = with(&dns.inputs, "version", json!("v1.35.2-eksbuild.1"));
    let dns = world.update(&dns, &pinned).await.unwrap();
    assert_eq!(dns.outputs.text_at("version"), Some("v1.35.2-eksbuild.1"));
}

#[tokio::test]
async fn a_protected_cluster_is_not_deleted() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let guarded = with(&cluster("1.35"), "deletionProtection", json!(true));
    let control_plane = world.create(&urn("Cluster", "main"), &guarded).await.unwrap();
    let refused = world.aws.delete(&world.context(), &control_plane).await.unwrap_err();
    assert!(says(&refused).contains("deletionProtection: false"), "{refused}");
    let open = world.update(&control_plane, &cluster("1.35")).await.unwrap();
    world.aws.delete(&world.context(), &open).await.unwrap();
    assert!(eks.inventory().is_empty());
}

#[tokio::test]
async fn inputs_that_eks_would_refuse_are_refused_before_it_is_asked() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let refuse = |kind: &str, changed: Value| {
        let error = world.aws.check(&urn(kind, "x"), changed).unwrap_err();
        assert_eq!(error.class, Class::Invalid);
        says(&error)
    };
    let nodes = |key: &str, value| with(&node_group(), key, value);
    let template = nodes("launchTemplate", json!({ "name": "nodes" }));
    assert!(refuse("NodeGroup", with(&template, "diskGb", json!(50))).contains("launch template"));
    assert!(refuse("NodeGroup", nodes("minSize", json!(9))).contains("above"));
    assert!(refuse("NodeGroup", nodes("desiredSize", json!(9))).contains("not between"));
    assert!(refuse("Cluster", with(&cluster("1.35"), "version", json!("1.35.2"))).contains("minor version"));
    assert!(
        refuse("Cluster", with(&cluster("1.35"), "subnetIds", json!(["subnet-a"]))).contains("two zones")
    );
    assert!(refuse("Cluster", with(&cluster("1.35"), "publicCidrs", json!(["everybody"]))).contains("range"));
    assert!(refuse("Cluster", with(&cluster("1.35"), "verison", json!("1"))).contains("version"));
    let session = inputs(json!({ "cluster": "c", "principalArn": "arn:aws:sts::1:assumed-role/admin/jo" }));
    assert!(refuse("AccessEntry", session).contains("role itself"));
    assert!(eks.take_seen().is_empty(), "nothing was asked");
}

#[tokio::test]
async fn auto_mode_goes_on_and_off_and_its_role_stays() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let mode = |role: &str| json!({ "nodePools": ["system", "general-purpose"], "nodeRoleArn": role });
    let urn = urn("Cluster", "main");
    let wanted = with(&cluster("1.35"), "autoMode", mode("arn:aws:iam::123456789012:role/a"));
    let wanted = with(&wanted, "remoteNetworks", json!({ "nodeCidrs": ["10.9.0.0/16"] }));
    let wanted = with(&wanted, "controlPlane", json!({ "eventTtl": "2h", "nodePorts": "30000-31000" }));
    let made = world.create(&urn, &wanted).await.unwrap();
    assert_eq!(drift(&world, &made).await, []);
    let other = with(&made.inputs, "autoMode", mode("arn:aws:iam::123456789012:role/b"));
    let other = world.check(&urn, &other);
    assert!(matches!(world.aws.diff(&made, &other).unwrap(), Diff::Replace { .. }));

    // What the file says no more is taken back, in one call each.
    eks.take_seen();
    let plain =
        with(&cluster("1.35"), "controlPlane", json!({ "eventTtl": "1h", "scoring": "MostAllocated" }));
    let plain = world.update(&made, &plain).await.unwrap();
    assert_eq!(drift(&world, &plain).await, []);
    let seen = eks.take_seen();
    assert_eq!(seen.iter().filter(|call| call.operation == "UpdateClusterConfig").count(), 3, "{seen:?}");
    eks.tamper("dev-main", |doc| assert_eq!(doc["computeConfig"]["enabled"], false));

    let half = with(&cluster("1.35"), "autoMode", json!({ "nodePools": ["system"] }));
    let error = world.aws.check(&urn, half).unwrap_err();
    assert!(error.message.contains("go together"), "{error}");
}

#[tokio::test]
async fn a_protected_cluster_and_groups_of_others_stand_against_a_delete_before_it_begins() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    let guarded = with(&cluster("1.35"), "deletionProtection", json!(true));
    let guarded = world.create(&urn("Cluster", "main"), &guarded).await.unwrap();
    let nodes = world.node_group().await;
    let against = async |going: &[&Recorded]| {
        let asked = world.aws.preview_deletes(&world.context(), going).await;
        asked.into_iter().filter_map(Result::err).map(|error| error.message).collect::<Vec<_>>()
    };
    assert!(against(&[&guarded, &nodes]).await[0].contains("protected against deletion"));
    let free = world.update(&guarded, &cluster("1.35")).await.unwrap();
    assert_eq!(against(&[&free, &nodes]).await, Vec::<String>::new());
    assert!(against(&[&free]).await[0].contains("node groups that this stack did not make: dev-general"));
}

#[tokio::test]
async fn a_version_that_eks_does_not_have_or_charges_for_is_told_by_the_plan() {
    let eks = Eks::new();
    let world = World::new(&eks.url()).await;
    eks.extended_support("1.34");
    let asked = async |version: &str| {
        let urn = urn("Cluster", "main");
        let inputs = world.check(&urn, &cluster(version));
        let request = PreviewRequest {
            urn: &urn,
            inputs: &inputs,
            connection: None,
            recorded: None,
            replaces: false,
            dependencies: &[],
            take_over: &[],
        };
        world.aws.preview_many(&world.context(), &[request]).await.remove(0)
    };
    assert_eq!(asked("1.35").await.unwrap().warnings, Vec::<String>::new());
    assert!(asked("1.34").await.unwrap().warnings[0].contains("extended support"));
    let unknown = asked("1.99").await.unwrap_err();
    assert!(says(&unknown).contains("1.36") && unknown.class == Class::Invalid, "{unknown}");
}
