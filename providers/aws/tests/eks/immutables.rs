//! What replaces a thing of EKS and what changes in place, input by input: by EKS's own calls for changes.

use plinth_provider::{Diff, Options, Provider, Recorded, Value};
use serde_json::{Value as Json, json};

use crate::support::{OTHER_ROLE, World, cluster, inputs, node_group, urn};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Replaces,
    InPlace,
    /// It only counts when the thing is made.
    Nothing,
}
use What::{InPlace, Nothing, Replaces};

async fn holds(kind: &str, base: Value, changes: Vec<(&str, Json, What)>) {
    let world = World::new("http://127.0.0.1:9").await;
    let urn = urn(kind, "main");
    let recorded = Recorded {
        urn: urn.clone(),
        id: "arn:aws:eks:eu-central-1:123456789012:thing/main".to_owned(),
        inputs: world.check(&urn, &base),
        outputs: Value::map(),
        connection: None,
        dependencies: Vec::new(),
        options: Options::default(),
        unsettled: false,
    };
    let mut wrong = Vec::new();
    for (key, other, wanted) in changes {
        let mut changed = base.clone();
        changed.set(&key.into(), Value::from_json(other));
        let found = match world.aws.diff(&recorded, &world.check(&urn, &changed)).unwrap() {
            Diff::None => Nothing,
            Diff::Update(_) => InPlace,
            Diff::Replace { .. } => Replaces,
        };
        if found != wanted {
            wrong.push(format!("{kind}.{key}: {found:?}, not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_replaces_and_what_changes_in_place_is_as_eks_has_it() {
    let mut base = cluster("1.34");
    let key = |of: u8| json!(format!("arn:aws:kms:eu-central-1:123456789012:key/{of}"));
    base.set(&"authenticationMode".into(), "API_AND_CONFIG_MAP".into());
    let outpost = json!({ "outpostArns": ["arn:aws:outposts:eu-central-1:123456789012:outpost/op-1"], "controlPlaneInstanceType": "m5.large" });
    let changes = vec![
        ("name", json!("other"), Replaces),
        ("roleArn", json!(OTHER_ROLE), Replaces),
        ("ipFamily", json!("ipv6"), Replaces),
        ("serviceCidr", json!("10.100.0.0/16"), Replaces),
        ("outpostConfig", outpost, Replaces),
        ("creatorAdmin", json!(true), Nothing),
        ("selfManagedAddOns", json!(true), Nothing),
        ("version", json!("1.35"), InPlace),
        ("authenticationMode", json!("API"), InPlace),
        ("logging", json!(["audit"]), InPlace),
        ("publicAccess", json!(false), InPlace),
        ("privateAccess", json!(false), InPlace),
        ("publicCidrs", json!(["203.0.113.0/24"]), InPlace),
        ("subnetIds", json!(["subnet-a", "subnet-c"]), InPlace),
        ("securityGroupIds", json!(["sg-1"]), InPlace),
        ("secretsKeyArn", key(1), InPlace),
        ("supportType", json!("STANDARD"), InPlace),
        ("zonalShift", json!(true), InPlace),
        ("autoMode", json!({ "enabled": true }), InPlace),
        ("remoteNetworks", json!({ "nodeCidrs": ["10.9.0.0/16"] }), InPlace),
        ("deletionProtection", json!(true), InPlace),
        ("scalingTier", json!("tier-xl"), InPlace),
        ("controlPlane", json!({ "terminatedPods": 100 }), InPlace),
        ("tags", json!({ "team": "other" }), InPlace),
    ];
    holds("Cluster", base.clone(), changes).await;
    base.set(&"secretsKeyArn".into(), Value::from_json(key(1)));
    let gone = |key: &'static str| (key, Json::Null, Replaces);
    holds("Cluster", base, vec![("secretsKeyArn", key(2), Replaces), gone("secretsKeyArn")]).await;

    let changes = vec![
        ("name", json!("other"), Replaces),
        ("roleArn", json!(OTHER_ROLE), Replaces),
        ("subnetIds", json!(["subnet-a"]), Replaces),
        ("instanceTypes", json!(["m7i.xlarge"]), Replaces),
        ("amiType", json!("AL2023_x86_64_STANDARD"), Replaces),
        ("diskGb", json!(50), Replaces),
        ("capacityType", json!("SPOT"), Replaces),
        ("remoteAccess", json!({ "sshKey": "mine" }), Replaces),
        ("launchTemplate", json!({ "id": "lt-1", "version": "1" }), Replaces),
        ("minSize", json!(2), InPlace),
        ("maxSize", json!(5), InPlace),
        ("labels", json!({ "pool": "other" }), InPlace),
        ("taints", json!([]), InPlace),
        ("update", json!({ "maxUnavailable": 2 }), InPlace),
        ("nodeRepair", json!(true), InPlace),
        ("warmPool", json!({ "minSize": 1 }), InPlace),
        ("version", json!("1.35"), InPlace),
        ("releaseVersion", json!("1.35.1-20261101"), InPlace),
        ("tags", json!({ "team": "other" }), InPlace),
    ];
    holds("NodeGroup", node_group(), changes).await;
    let mut templated = node_group();
    templated.set(&"launchTemplate".into(), Value::from([("id", "lt-1"), ("version", "1")]));
    let template = |id: &str, version: &str| json!({ "id": id, "version": version });
    let changes = vec![
        ("launchTemplate", template("lt-2", "1"), Replaces),
        ("launchTemplate", template("lt-1", "2"), InPlace),
    ];
    holds("NodeGroup", templated, changes).await;

    let add_on =
        inputs(json!({ "cluster": "dev-main", "name": "aws-ebs-csi-driver", "clusterVersion": "1.34" }));
    let changes = vec![
        ("name", json!("coredns"), Replaces),
        ("namespace", json!("storage"), Replaces),
        ("version", json!("v1.35.0-eksbuild.1"), InPlace),
        ("roleArn", json!(OTHER_ROLE), InPlace),
        ("podIdentities", json!({ "ebs-csi-controller-sa": OTHER_ROLE }), InPlace),
        ("configuration", json!("{\"replicas\": 3}"), InPlace),
    ];
    holds("AddOn", add_on, changes).await;

    let entry = inputs(json!({ "cluster": "dev-main", "principalArn": OTHER_ROLE }));
    let policy = json!([{ "arn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy" }]);
    let changes = vec![
        ("principalArn", json!("arn:aws:iam::123456789012:role/third"), Replaces),
        ("type", json!("EC2_LINUX"), Replaces),
        ("groups", json!(["viewers"]), InPlace),
        ("username", json!("jo"), InPlace),
        ("policies", policy, InPlace),
    ];
    holds("AccessEntry", entry, changes).await;

    let association = json!({ "cluster": "dev-main", "namespace": "loki", "serviceAccount": "loki", "roleArn": OTHER_ROLE });
    let changes = vec![
        ("namespace", json!("other"), Replaces),
        ("serviceAccount", json!("other"), Replaces),
        ("roleArn", json!("arn:aws:iam::123456789012:role/third"), InPlace),
        ("targetRoleArn", json!("arn:aws:iam::210987654321:role/there"), InPlace),
        ("disableSessionTags", json!(true), InPlace),
    ];
    holds("PodIdentityAssociation", inputs(association), changes).await;
}
