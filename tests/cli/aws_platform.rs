//! The platform on AWS over the binary: `stacks/aws.yaml` as it is, EKS and the other services by stand-ins, the cluster's
//! API by the embedded one behind EKS's own door, and the state in a bucket of the same account.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plinth_emulators::{Boto, Eks, EksDoor, Server};

use crate::crash::{Random, Settings};
use crate::support::{Ran, Sandbox, Serving};

const SECRET: &str = "signs-for-the-account";
const CLUSTER: &str = "plinth-aws";

/// Kinds that the platform itself has no use for.
const FURTHER: &str = r#"
resources:
  - kind: aws:iam/Policy
    name: read
    inputs: { document: { Version: "2012-10-17", Statement: [ { Effect: Allow, Action: [ "s3:GetObject" ], Resource: "*" } ] } }
  - { kind: "aws:iam/OidcProvider", name: issuer, inputs: { url: "https://issuer.example.com/id/1", tags: { team: observability } } }
"#;

/// Everything that an account holds and that a stack could have made there.
const INVENTORY: &str = r#"
found = []
def add(kind, names):
    found.extend(f"{kind} {name}" for name in names)
iam, ec2, s3, kms = client("iam"), client("ec2"), client("s3"), client("kms")
add("role", (role["RoleName"] for role in iam.list_roles()["Roles"] if not role["Path"].startswith("/aws-service-role/")))
add("policy", (policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]))
add("issuer", (one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]))
add("bucket", (bucket["Name"] for bucket in s3.list_buckets()["Buckets"]))
for key in kms.list_keys()["Keys"]:
    if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
        add("key", [key["KeyId"]])
add("alias", (one["AliasName"] for one in kms.list_aliases()["Aliases"] if not one["AliasName"].startswith("alias/aws/")))
add("stack", (one["StackName"] for one in client("cloudformation").describe_stacks()["Stacks"]))
add("logs", (one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]))
add("network", (one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]))
add("subnet", (one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]))
add("routes", (one["RouteTableId"] for one in ec2.describe_route_tables()["RouteTables"]))
add("internet", (one["InternetGatewayId"] for one in ec2.describe_internet_gateways()["InternetGateways"]))
add("nat", (one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] != "deleted"))
add("address", (one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]))
add("endpoint", (one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"] if one["State"] != "deleted"))
add("cluster", client("eks").list_clusters()["clusters"])
print("\n".join(sorted(found)))
"#;

/// Somebody changes one thing of every kind.
const DRIFT: &str = r#"
iam, kms, s3, eks = client("iam"), client("kms"), client("s3"), client("eks")
ACCOUNT = "arn:aws:iam::123456789012"
allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_role_policy(RoleName="aws-loki-ingester", PolicyName="bucket", PolicyDocument=json.dumps(allow))
iam.create_policy_version(PolicyArn=f"{ACCOUNT}:policy/aws-read", PolicyDocument=json.dumps(allow), SetAsDefault=True)
iam.untag_open_id_connect_provider(
    OpenIDConnectProviderArn=f"{ACCOUNT}:oidc-provider/issuer.example.com/id/1", TagKeys=["team"])
alias = next(one for one in kms.list_aliases()["Aliases"] if one["AliasName"] == "alias/plinth-aws-secrets")
kms.disable_key_rotation(KeyId=alias["TargetKeyId"])
other = kms.create_key()["KeyMetadata"]["KeyId"]
kms.update_alias(AliasName="alias/plinth-aws-secrets", TargetKeyId=other)
s3.delete_public_access_block(Bucket="plinth-aws-123456789012-loki")
client("logs").delete_retention_policy(logGroupName="/aws/eks/plinth-aws/cluster")
cloudformation = client("cloudformation")
template = cloudformation.get_template(StackName="plinth-aws-network")["TemplateBody"]
template = template if isinstance(template, dict) else json.loads(template)
template["Description"] = "theirs"
cloudformation.update_stack(StackName="plinth-aws-network", TemplateBody=json.dumps(template))

def ended(update, **of):
    while eks.describe_update(name="plinth-aws", updateId=update["update"]["id"], **of)["update"]["status"] == "InProgress":
        time.sleep(0.05)

name = {"clusterName": "plinth-aws"}
ended(eks.update_cluster_config(name="plinth-aws", logging={
    "clusterLogging": [{"types": ["audit"], "enabled": False}]}))
ended(eks.update_nodegroup_config(**name, nodegroupName="aws-general", labels={"addOrUpdateLabels": {"mine": "yes"}}),
      nodegroupName="aws-general")
ended(eks.update_addon(**name, addonName="vpc-cni", addonVersion="v1.34.2-eksbuild.1"), addonName="vpc-cni")
view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
person = {**name, "principalArn": f"{ACCOUNT}:role/platform-admin"}
eks.associate_access_policy(**person, policyArn=view, accessScope={"type": "cluster"})
pods = next(one for one in eks.list_pod_identity_associations(**name)["associations"] if one["serviceAccount"] == "loki-ingester")
eks.update_pod_identity_association(**name, associationId=pods["associationId"], roleArn=f"{ACCOUNT}:role/aws-nodes")
print(other)
"#;

/// What drifted by that, one of each kind.
const DRIFTED: [&str; 13] = [
    "aws:iam/Role::loki-ingester",
    "aws:iam/Policy::read",
    "aws:iam/OidcProvider::issuer",
    "aws:kms/Key::secrets",
    "aws:kms/Alias::secrets",
    "aws:s3/Bucket::loki",
    "aws:logs/LogGroup::control-plane",
    "aws:cloudformation/Stack::network",
    "aws:eks/Cluster::cluster",
    "aws:eks/NodeGroup::general",
    "aws:eks/AddOn::vpc-cni",
    "aws:eks/AccessEntry::platform-admin",
    "aws:eks/PodIdentityAssociation::loki-ingester",
];

struct Cloud<'a> {
    boto: Boto,
    eks: Eks,
    sandbox: Sandbox,
    serving: Serving<'a>,
    _door: EksDoor,
    _moto: Server,
}

impl Cloud<'_> {
    fn command(&self, args: &[&str]) -> Command {
        self.sandbox.on_aws(&self.eks.url(), "aws", SECRET, args)
    }

    #[track_caller]
    fn plinth(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Everything in the account and in EKS, but the state.
    fn inventory(&self) -> Vec<String> {
        let told = self.boto.run(INVENTORY);
        told.lines().map(str::to_owned).chain(self.eks.inventory()).collect()
    }

    /// What the platform has put into the cluster.
    fn namespaces(&self) -> String {
        self.serving.kubectl(&["get", "namespaces", "-l", "plinth.dev/stack=aws", "-o", "name"]).expect(0).out
    }
}

fn cloud(test: impl FnOnce(&Cloud<'_>)) {
    let Some(moto) = plinth_emulators::moto() else { return };
    moto.make_bucket("state");
    let cluster = Sandbox::with_stacks();
    let serving = cluster.serve(&[]);
    let kubeconfig = std::fs::read_to_string(cluster.path("kubeconfig")).unwrap();
    let value =
        |key: &str| kubeconfig.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap().to_owned();
    let (address, token) = (value("server: https://"), value("token: "));
    let door = EksDoor::before(&format!("http://{address}"), &token, CLUSTER, SECRET);
    let eks = Eks::before(&moto.url());
    eks.kubernetes(&door.url(), &door.authority());
    door.identifies(&eks);
    let Some(boto) = plinth_emulators::boto(&eks.url(), "eu-central-1") else { return };
    let sandbox = Sandbox::with_stacks();
    let stack = std::fs::read_to_string(sandbox.path("stacks/aws.yaml")).unwrap();
    sandbox.write("stacks/aws.yaml", stack + FURTHER);
    test(&Cloud { boto, eks, sandbox, serving, _door: door, _moto: moto });
}

#[test]
fn the_platform_comes_up_on_aws_drifts_is_upgraded_and_goes() {
    cloud(|cloud| {
        let before = cloud.inventory();
        let made = cloud.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert!(made.counts()[0] > 300, "{:?}", made.counts());
        assert_eq!(made.counts()[4], 0);
        cloud.plinth(&["plan", "--refresh", "always"]).expect(0);
        cloud.plinth(&["drift"]).expect(0);
        assert!(cloud.namespaces().contains("observability"));
        // Pods have their identities, and are rolled when they get others.
        let workloads = cloud.serving.kubectl(&["get", "statefulsets", "-A", "-o", "yaml"]).expect(0).out;
        for mark in
            ["plinth.dev/identity: a-", "plinth.dev/admitted-with: AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        {
            assert!(workloads.contains(mark), "{mark}: {workloads}");
        }

        // Somebody changes something of every kind, and all of it is seen and brought back.
        let stranger = cloud.boto.run(DRIFT);
        let drift = cloud.plinth(&["drift", "--format", "json"]).expect(2);
        for urn in DRIFTED {
            assert!(drift.out.contains(urn), "{urn} has drifted: {}", drift.out);
        }
        let back = cloud.plinth(&["apply", "--yes", "--json", "--refresh", "always"]).expect(0);
        assert_eq!(back.counts(), [0, DRIFTED.len() as u64, 0, 0, 0], "{}", back.out);
        cloud.plinth(&["drift"]).expect(0);

        // Upgrade: the control plane, then add-ons, then nodes.
        cloud.sandbox.edit("stacks/aws.yaml", "version: \"1.34\"", "version: \"1.35\"");
        let planned = cloud.plinth(&["plan"]).expect(2);
        for urn in ["aws:eks/Cluster::cluster", "aws:eks/AddOn::coredns", "aws:eks/NodeGroup::general"] {
            assert!(planned.out.contains(urn), "{urn} is upgraded: {}", planned.out);
        }
        cloud.eks.take_seen();
        let upgraded = cloud.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(upgraded.counts()[4], 0);
        let seen: Vec<String> = cloud.eks.take_seen().into_iter().map(|call| call.operation).collect();
        let first = |operation: &str| {
            seen.iter().position(|one| one == operation).unwrap_or_else(|| panic!("{operation}: {seen:?}"))
        };
        assert!(first("UpdateClusterVersion") < first("UpdateAddon"));
        assert!(first("UpdateAddon") < first("UpdateNodegroupVersion"));
        cloud.plinth(&["plan", "--refresh", "always"]).expect(0);

        let gone = cloud.plinth(&["destroy", "--yes", "--json"]).expect(0);
        assert_eq!(gone.counts()[4], 0);
        assert_eq!(cloud.namespaces(), "");
        let theirs = format!("key {}", stranger.trim());
        let left: Vec<String> = cloud.inventory().into_iter().filter(|one| *one != theirs).collect();
        assert_eq!(left, before, "nothing is left");
    });
}

/// Runs are killed, each at another moment, mostly on the way up and now and then on the way down; after every few of them
/// one plain run converges, and when the platform goes nothing is left. The suite tries a little of it, `cargo xtask crash
/// aws` fifty.
#[test]
fn a_platform_whose_runs_are_killed_converges() {
    let settings = Settings::get();
    let mut random = Random::new(settings.seed, settings.from);
    let kills = settings.rounds.unwrap_or(3);
    cloud(|cloud| {
        let before = cloud.inventory();
        let (mut killed, mut checks) = (0, 0);
        // The moments lie within the time that a whole run takes here.
        let begun = Instant::now();
        cloud.plinth(&["apply", "--yes", "--json"]).expect(0);
        let longest = u64::try_from(begun.elapsed().as_millis()).unwrap();
        let mut stands = true;
        while killed < kills {
            // Where everything stands, there is nothing to kill in an apply.
            let args: &[&str] = match stands || random.below(4) == 3 {
                true => &["destroy", "--yes", "--json"],
                false => &["apply", "--yes", "--json"],
            };
            stands = false;
            let mut child = cloud.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(random.between(200, longest)));
            // One that had ended before was not killed.
            killed += u64::from(child.try_wait().unwrap().is_none());
            let _ = child.kill();
            child.wait().unwrap();
            if killed == kills || random.below(3) == 0 {
                checks += 1;
                let whole = cloud.plinth(&["apply", "--yes", "--json", "--lock-timeout", "120"]).expect(0);
                assert_eq!(whole.counts()[4], 0);
                cloud.plinth(&["plan", "--refresh", "always"]).expect(0);
                cloud.plinth(&["drift"]).expect(0);
                cloud.plinth(&["state", "verify"]).expect(0);
                stands = true;
            }
        }
        let gone = cloud.plinth(&["destroy", "--yes", "--json"]).expect(0);
        assert_eq!(gone.counts()[4], 0);
        assert_eq!(cloud.namespaces(), "");
        assert_eq!(cloud.inventory(), before, "nothing is left");
        println!("aws: {killed} kills, {checks} checks of everything, nothing left");
    });
}
