//! A cluster on EKS over the binary: made with everything in it from an empty account, entered through its own address,
//! upgraded, and removed; while calls are throttled, refused and lost, and runs are killed.

use std::process::{Command, Stdio};
use std::time::Duration;

use plinth_emulators::{AwsCall, AwsFault, Eks, EksDoor, Server};

use crate::support::{Ran, Sandbox};

const STACK: &str = r#"apiVersion: plinth.dev/v1
kind: Stack
name: eks
cloud: { provider: aws, region: eu-central-1, accountId: "123456789012" }
resources:
  - kind: aws:iam/Role
    name: control-plane
    inputs:
      trust: { Version: "2012-10-17", Statement: [ { Effect: Allow, Principal: { Service: eks.amazonaws.com }, Action: "sts:AssumeRole" } ] }
      attached: [ "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy" ]
  - kind: aws:iam/Role
    name: nodes
    inputs:
      trust: { Version: "2012-10-17", Statement: [ { Effect: Allow, Principal: { Service: ec2.amazonaws.com }, Action: "sts:AssumeRole" } ] }
  - kind: aws:eks/Cluster
    name: main
    inputs: { version: "1.34", roleArn: "${control-plane.arn}", subnetIds: [ subnet-a, subnet-b ], logging: [ audit ] }
  - { kind: "aws:eks/AddOn", name: vpc-cni, inputs: { name: vpc-cni, cluster: "${main.name}", clusterVersion: "${main.version}" } }
  - { kind: "aws:eks/AddOn", name: coredns, inputs: { name: coredns, cluster: "${main.name}", clusterVersion: "${main.version}" } }
  - kind: aws:eks/NodeGroup
    name: general
    inputs:
      cluster: "${main.name}"
      version: "${main.version}"
      roleArn: "${nodes.arn}"
      subnetIds: [ subnet-a, subnet-b ]
      instanceTypes: [ m7i.large ]
      minSize: 1
      maxSize: 3
  - kind: aws:eks/AccessEntry
    name: admins
    inputs:
      cluster: "${main.name}"
      principalArn: arn:aws:iam::123456789012:role/platform-admin
      policies: [ { arn: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy" } ]
  - kind: aws:eks/PodIdentityAssociation
    name: loki
    inputs: { cluster: "${main.name}", namespace: loki, serviceAccount: loki, roleArn: "${nodes.arn}" }
  - { kind: "k8s:v1/Namespace", name: logs, inputs: { metadata: { name: loki } } }
  - kind: k8s:v1/ConfigMap
    name: note
    inputs: { metadata: { name: note, namespace: "${logs.metadata.name}" }, data: { cluster: "${main.name}", version: "${main.version}" } }
"#;

/// How many resources that are.
const ALL: u64 = 10;

/// An account with EKS before moto, and a Kubernetes API behind the door of its clusters.
struct Account {
    moto: Server,
    eks: Eks,
    door: EksDoor,
    sandbox: Sandbox,
}

/// Runs a test in an account; without the tools for one there is nothing to say.
fn in_an_account(test: impl FnOnce(&Account)) {
    let Some(moto) = plinth_emulators::moto() else { return };
    moto.make_bucket("state");
    let eks = Eks::before(&moto.url());
    let kubernetes = Sandbox::new();
    let _serving = kubernetes.serve(&[]);
    let kubeconfig = std::fs::read_to_string(kubernetes.path("kubeconfig")).unwrap();
    let value = |key: &str| {
        let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(key));
        line.unwrap_or_else(|| panic!("{key} in {kubeconfig}")).trim().to_owned()
    };
    let url = value("server:").replacen("https://", "http://", 1);
    let door = EksDoor::before(&url, &value("token:"), "eks-main", "test");
    eks.kubernetes(&door.url(), &door.authority());
    door.identifies(&eks);
    let sandbox = Sandbox::new();
    sandbox.write("stacks/eks.yaml", STACK);
    test(&Account { moto, eks, door, sandbox });
}

impl Account {
    fn command(&self, args: &[&str]) -> Command {
        self.sandbox.on_aws(&self.eks.url(), "eks", "test", args)
    }

    #[track_caller]
    fn plinth(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Whether the stack is as it should be, and its account says so too.
    #[track_caller]
    fn is_whole(&self) {
        self.plinth(&["plan", "--refresh", "always"]).expect(0);
        self.plinth(&["drift"]).expect(0);
        assert_eq!(
            self.eks.inventory(),
            [
                "eks-main",
                "eks-main/eks-general",
                "eks-main/coredns",
                "eks-main/vpc-cni",
                "eks-main/arn:aws:iam::123456789012:role/platform-admin",
            ]
            .into_iter()
            .map(str::to_owned)
            .chain(self.associations())
            .collect::<Vec<_>>()
        );
        assert_eq!(self.associations().len(), 1);
    }

    fn associations(&self) -> Vec<String> {
        self.eks.inventory().into_iter().filter(|name| name.contains("/a-")).collect()
    }

    #[track_caller]
    fn is_gone(&self) {
        let gone = self.plinth(&["destroy", "--yes", "--json"]).expect(0);
        assert_eq!(gone.counts()[4], 0);
        assert_eq!(self.eks.inventory(), Vec::<String>::new());
    }

    fn operations(&self) -> Vec<String> {
        self.eks.take_seen().into_iter().map(|call| call.operation).collect()
    }
}

#[test]
fn a_cluster_with_all_that_is_in_it_is_made_upgraded_and_removed() {
    in_an_account(|account| {
        let planned = account.plinth(&["plan", "--json"]).expect(2);
        assert_eq!(planned.counts()[0], ALL);
        let made = account.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(made.counts(), [ALL, 0, 0, 0, 0]);
        account.is_whole();
        assert!(account.door.tokens() > 0, "objects came in by tokens of EKS");

        let kubeconfig = account.plinth(&["output", "kubeconfig"]).expect(0).out;
        for part in [&account.door.url(), &account.door.authority(), "get-token", "eks-main"] {
            assert!(kubeconfig.contains(part), "{part}: {kubeconfig}");
        }

        // Two versions at once are refused before anything happens.
        account.sandbox.edit("stacks/eks.yaml", "1.34", "1.36");
        let refused = account.plinth(&["plan"]).expect(1);
        assert!(
            refused.err.contains("one minor version at a time") && refused.err.contains("eks.yaml:"),
            "{}",
            refused.err
        );
        account.sandbox.edit("stacks/eks.yaml", "1.36", "1.35");
        account.operations();
        let upgraded = account.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(upgraded.counts(), [0, 5, 0, 0, 0], "{}", upgraded.out);
        let seen = account.operations();
        let order: Vec<&str> = seen
            .iter()
            .map(String::as_str)
            .filter(|operation| {
                ["StartInsightsRefresh", "UpdateClusterVersion", "UpdateNodegroupVersion"].contains(operation)
            })
            .collect();
        assert_eq!(order, ["StartInsightsRefresh", "UpdateClusterVersion", "UpdateNodegroupVersion"]);
        let at = |operation: &str| seen.iter().position(|seen| seen == operation);
        assert!(
            at("UpdateClusterVersion") < at("UpdateAddon")
                && at("UpdateAddon") < at("UpdateNodegroupVersion")
        );
        account.is_whole();

        // Changed behind our back: told, and brought back.
        account.eks.tamper("eks-main", |doc| doc["logging"] = serde_json::json!({ "clusterLogging": [] }));
        let drift = account.plinth(&["drift"]).expect(2);
        assert!(drift.out.contains("logging"), "{}", drift.out);
        account.plinth(&["apply", "--yes", "--refresh", "always"]).expect(0);
        account.is_whole();
        account.is_gone();
    });
}

#[test]
fn a_node_group_that_fails_stops_what_needs_it_and_nothing_else() {
    in_an_account(|account| {
        account.eks.create_fails(
            "eks-general",
            "AsgInstanceLaunchFailures",
            "You have requested more vCPU capacity than your limit",
        );
        let failed = account.plinth(&["apply", "--yes", "--json"]).expect(1);
        assert_eq!(failed.counts()[4], 1, "{}", failed.out);
        assert!(failed.out.contains("vCPU capacity"), "EKS's own words: {}", failed.out);
        account.plinth(&["apply", "--yes", "--json"]).expect(0);
        account.is_whole();
        account.is_gone();
    });
}

/// Every fifth call is one too many, every seventh answer is lost.
fn trouble() -> impl FnMut(&AwsCall) -> AwsFault + Send {
    let mut count = 0u32;
    move |call| {
        if call.service != "eks" {
            return AwsFault::Pass;
        }
        count += 1;
        match count {
            count if count.is_multiple_of(5) => AwsFault::throttled(),
            count if count.is_multiple_of(7) => {
                AwsFault::RefuseAfter(500, "ServerException", "Internal error".to_owned())
            }
            _ => AwsFault::Pass,
        }
    }
}

#[test]
fn throttled_calls_and_lost_answers_change_nothing() {
    in_an_account(|account| {
        account.eks.judge(trouble());
        account.plinth(&["apply", "--yes", "--json"]).expect(0);
        account.eks.judge(|_| AwsFault::Pass);
        account.is_whole();
        account.is_gone();
    });
}

#[test]
fn credentials_that_end_and_permissions_that_are_missing_are_said() {
    in_an_account(|account| {
        account.eks.judge(|call| match call.operation.as_str() {
            "CreateNodegroup" => AwsFault::denied("eks:CreateNodegroup"),
            _ => AwsFault::Pass,
        });
        let denied = account.plinth(&["apply", "--yes"]).expect(1);
        let said = format!("{}{}", denied.out, denied.err);
        assert!(said.contains("not authorized to perform: eks:CreateNodegroup"), "{said}");

        // They end in the middle of the next run, while EKS works; what it has done is known to the one after.
        let mut begun = false;
        account.eks.judge(move |call| {
            let over = begun && call.service != "s3";
            begun |= call.operation == "CreateNodegroup";
            if over { AwsFault::expired() } else { AwsFault::Pass }
        });
        let expired = account.plinth(&["apply", "--yes"]).expect(1);
        let said = format!("{}{}", expired.out, expired.err);
        assert!(said.contains("log in again"), "{said}");
        account.eks.judge(|_| AwsFault::Pass);
        account.plinth(&["apply", "--yes"]).expect(0);
        account.is_whole();
        account.is_gone();
    });
}

#[test]
fn somebody_elses_update_is_waited_for() {
    in_an_account(|account| {
        account.plinth(&["apply", "--yes"]).expect(0);
        account.sandbox.edit("stacks/eks.yaml", "1.34", "1.35");
        account.eks.somebody_updates("eks-main", Duration::from_secs(2));
        account.plinth(&["apply", "--yes"]).expect(0);
        account.is_whole();
        account.is_gone();
    });
}

/// Kills as many runs as that, each after another time, up and down again; every one after it converges.
fn killed(points: u64, seed: u64) {
    in_an_account(|account| {
        let mut state = seed;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for point in 0..points {
            let args: &[&str] = match point % 3 {
                2 => &["destroy", "--yes", "--json"],
                _ => &["apply", "--yes", "--json"],
            };
            let mut child =
                account.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(100 + random(2500)));
            let _ = child.kill();
            child.wait().unwrap();
        }
        let ended = account.plinth(&["apply", "--yes", "--json", "--lock-timeout", "120"]).expect(0);
        assert_eq!(ended.counts()[4], 0);
        account.is_whole();
        account.is_gone();
        assert!(account.moto.said().contains("Running on"), "moto has lived through it");
    });
}

#[test]
fn killed_runs_converge() {
    killed(4, 7);
}

/// As many as a release is tried with; `cargo nextest run --run-ignored all` has it.
#[test]
#[ignore = "takes minutes"]
fn fifty_killed_runs_converge() {
    killed(50, 11);
}

/// What `aws eks get-token` does, by Amazon's SDK for Python.
const GET_TOKEN: &str = r#"
import base64, json, os, sys
import botocore.session
from botocore.model import ServiceId
from botocore.signers import RequestSigner
arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
region = arguments["--region"]
session = botocore.session.Session()
signer = RequestSigner(ServiceId("STS"), region, "sts", "v4", session.get_credentials(), session.get_component("event_emitter"))
url = signer.generate_presigned_url({
    "method": "GET", "url": f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
    "body": {}, "headers": {"x-k8s-aws-id": arguments["--cluster-name"]}, "context": {},
}, region_name=region, expires_in=60, operation_name="")
token = "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
print(json.dumps({
    "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1", "spec": {},
    "status": {"token": token},
}))
"#;

#[test]
fn a_person_enters_with_kubectl_and_the_kubeconfig_that_is_told() {
    let Some(python) = plinth_emulators::tool("PLINTH_BOTO3_PYTHON") else { return };
    in_an_account(|account| {
        account.plinth(&["apply", "--yes"]).expect(0);
        let kubeconfig = account.plinth(&["output", "kubeconfig"]).expect(0).out;
        let sandbox = &account.sandbox;
        sandbox.write("kubeconfig", kubeconfig);
        sandbox.write("get_token.py", GET_TOKEN);
        let script = sandbox.path("get_token.py");
        let launcher = format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", python.display(), script.display());
        sandbox.write("bin/aws", launcher);
        let aws = sandbox.path("bin/aws");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&aws, executable).unwrap();
        let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap());
        let kubectl = std::env::var_os("PLINTH_KUBECTL").unwrap_or_else(|| "kubectl".into());
        let asked = Command::new(kubectl)
            .arg("--kubeconfig")
            .arg(sandbox.path("kubeconfig"))
            .args(["get", "configmap", "-n", "loki", "-o", "jsonpath={.items[*].data.cluster}"])
            .env("PATH", path)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("HOME", sandbox.path("."))
            .output();
        let asked = Ran::of(asked.unwrap()).expect(0);
        assert!(asked.out.contains("eks-main"), "{} {}", asked.out, asked.err);
        account.is_gone();
    });
}

#[test]
fn a_cluster_that_goes_while_a_plan_is_made_is_no_reason_to_fall() {
    in_an_account(|account| {
        account.plinth(&["apply", "--yes"]).expect(0);
        account.sandbox.edit("stacks/eks.yaml", "1.34", "1.35");
        // It is there when it is read first, and nowhere after that.
        let mut looked = false;
        account.eks.judge(move |call| {
            let gone = looked && call.service == "eks";
            looked |= call.operation == "DescribeCluster";
            match gone {
                true => AwsFault::Refuse(
                    404,
                    "ResourceNotFoundException",
                    "No cluster found for name: eks-main.".to_owned(),
                ),
                false => AwsFault::Pass,
            }
        });
        let planned = account.plinth(&["plan", "--refresh", "always"]);
        let said = format!("{}{}", planned.out, planned.err);
        assert!([1, 2].contains(&planned.code) && !said.contains("panicked"), "{said}");
        account.eks.judge(|_| AwsFault::Pass);
        account.plinth(&["apply", "--yes"]).expect(0);
        account.is_whole();
        account.is_gone();
    });
}

/// What a controller that is gone has left: a disk of a claim, and the logs that EKS wrote by itself.
const LEFT: &str = r#"
volume = client("ec2").create_volume(AvailabilityZone="eu-central-1a", Size=8, TagSpecifications=[{
    "ResourceType": "volume", "Tags": [{"Key": "kubernetes.io/cluster/eks-main", "Value": "owned"}]}])
client("logs").create_log_group(logGroupName="/aws/eks/eks-main/cluster")
print(volume["VolumeId"])
"#;

#[test]
fn what_is_left_of_a_cluster_is_listed_and_not_touched() {
    in_an_account(|account| {
        let Some(boto) = plinth_emulators::boto(&account.eks.url(), "eu-central-1") else { return };
        account.plinth(&["apply", "--yes"]).expect(0);
        let volume = boto.run(LEFT);
        let gone = account.plinth(&["destroy", "--yes", "--json"]).expect(0);
        let events: Vec<serde_json::Value> =
            gone.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [.., told, last] = events.as_slice() else { panic!("{}", gone.out) };
        assert_eq!((&told["event"], &told["cluster"]), (&"leftovers".into(), &"eks-main".into()));
        for left in [volume.trim(), "log-group:/aws/eks/eks-main/cluster"] {
            assert!(told["arns"].to_string().contains(left), "{left}: {told}");
        }
        assert_eq!(last["event"], "summary", "the last word");
        let there = boto.run("print(len(client('ec2').describe_volumes()['Volumes']))");
        assert_eq!(there.trim(), "1", "it may still be wanted");
    });
}

/// Something that acts in the role of the service account.
const WORKLOAD: &str = r#"
  - { kind: "k8s:v1/ServiceAccount", name: loki-account, inputs: { metadata: { name: loki, namespace: "${logs.metadata.name}" } } }
  - kind: k8s:apps/v1/Deployment
    name: writer
    inputs:
      metadata: { name: writer, namespace: "${logs.metadata.name}", annotations: { plinth.dev/admitted-with: AWS_CONTAINER_CREDENTIALS_FULL_URI } }
      spec:
        replicas: 2
        selector: { matchLabels: { app: writer } }
        template:
          metadata: { labels: { app: writer }, annotations: { plinth.dev/identity: "${loki.id}" } }
          spec: { serviceAccountName: loki, containers: [ { name: writer, image: "busybox:1" } ] }
"#;

#[test]
fn pods_that_were_admitted_before_their_identity_are_made_anew() {
    in_an_account(|account| {
        account.sandbox.write("stacks/eks.yaml", STACK.to_owned() + WORKLOAD);
        account.door.is_late(2);
        let made = account.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(made.counts()[0], ALL + 2);
        assert_eq!(account.door.unknown(), 2);
        assert!(made.out.contains("was admitted without AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{}", made.out);
        account.plinth(&["plan", "--refresh", "always"]).expect(0);
        // Another association is another identity: what has the old one is rolled.
        account.sandbox.edit(
            "stacks/eks.yaml",
            "serviceAccount: loki, roleArn",
            "serviceAccount: other, roleArn",
        );
        account.sandbox.edit("stacks/eks.yaml", "serviceAccountName: loki,", "serviceAccountName: other,");
        account.sandbox.edit(
            "stacks/eks.yaml",
            "metadata: { name: loki, namespace: \"${logs",
            "metadata: { name: other, namespace: \"${logs",
        );
        let other = account.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(other.counts(), [0, 1, 2, 0, 0], "{}", other.out);
        account.is_gone();
    });
}

#[test]
fn nodes_of_another_kind_come_before_the_old_ones_go_and_insights_stop_an_upgrade() {
    in_an_account(|account| {
        account.plinth(&["apply", "--yes"]).expect(0);
        account.sandbox.edit("stacks/eks.yaml", "m7i.large", "m7i.xlarge");
        account.operations();
        let replaced = account.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(replaced.counts(), [0, 0, 1, 0, 0], "{}", replaced.out);
        let seen = account.operations();
        let at = |operation: &str| seen.iter().position(|seen| seen == operation);
        assert!(at("CreateNodegroup").is_some() && at("CreateNodegroup") < at("DeleteNodegroup"), "{seen:?}");
        let inventory = account.eks.inventory();
        assert!(inventory.contains(&"eks-main/eks-general-2".to_owned()), "{inventory:?}");
        assert!(!inventory.contains(&"eks-main/eks-general".to_owned()), "{inventory:?}");
        account.plinth(&["plan", "--refresh", "always"]).expect(0);

        // What EKS advises against is refused by the plan, unless it is forced.
        account.eks.advise_against("1.35", "Deprecated APIs", "flowcontrol/v1beta3 is used by kubectl");
        account.sandbox.edit("stacks/eks.yaml", "1.34", "1.35");
        let advised = account.plinth(&["plan"]).expect(1);
        for words in ["Deprecated APIs", "flowcontrol/v1beta3", "force: true", "eks.yaml:"] {
            assert!(advised.err.contains(words), "{words}: {}", advised.err);
        }
        account.eks.clear_advice();
        account.plinth(&["apply", "--yes"]).expect(0);
        account.is_gone();
    });
}
