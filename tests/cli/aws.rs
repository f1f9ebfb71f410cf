//! Resources of AWS over the binary, against a server that stands in for AWS: made, read, drifted behind our back,
//! brought back, removed; with the wrong account, without credentials, and killed in the middle.

use std::process::Command;
use std::time::Duration;

use plinth_emulators::{AwsCall, AwsFault, Eks, Server, StackDrift};

use crate::support::{Ran, Sandbox};

/// One of everything but clusters.
const STACK: &str = r#"apiVersion: plinth.dev/v1
kind: Stack
name: account
cloud: { provider: aws, region: eu-central-1, accountId: "123456789012" }
resources:
  - { kind: "aws:kms/Key", name: main, inputs: { description: for buckets, deletionWindowDays: 7 } }
  - { kind: "aws:kms/Alias", name: short, inputs: { name: account-main, key: "${main.id}" } }
  - kind: aws:iam/Policy
    name: read
    inputs:
      document:
        Version: "2012-10-17"
        Statement: [ { Effect: Allow, Action: [ "s3:GetObject" ], Resource: "${logs.arn}/*" } ]
  - kind: aws:iam/Role
    name: reader
    inputs:
      trust:
        Version: "2012-10-17"
        Statement: [ { Effect: Allow, Principal: { Service: pods.eks.amazonaws.com }, Action: [ "sts:AssumeRole", "sts:TagSession" ] } ]
      attached: [ "${read.arn}" ]
      tags: { team: observability }
  - kind: aws:s3/Bucket
    name: logs
    inputs:
      name: account-logs
      forceDestroy: true
      lifecycle: [ { id: old, expirationDays: 30 } ]
  - kind: aws:cloudformation/Stack
    name: network
    inputs:
      template:
        Resources: { Vpc: { Type: "AWS::EC2::VPC", Properties: { CidrBlock: 10.3.0.0/16 } } }
        Outputs: { VpcId: { Value: { Ref: Vpc } } }
  - { kind: "aws:iam/OidcProvider", name: issuer, inputs: { url: "https://issuer.example.com/id/1" } }
"#;

struct Account {
    server: Server,
    /// Stands before the server, and makes things go wrong.
    front: Eks,
    sandbox: Sandbox,
}

impl Account {
    fn new() -> Option<Self> {
        let server = plinth_emulators::moto()?;
        server.make_bucket("state");
        let sandbox = Sandbox::new();
        sandbox.write("stacks/account.yaml", STACK);
        Some(Self { front: Eks::before(&server.url()), server, sandbox })
    }

    fn command(&self, args: &[&str]) -> Command {
        self.sandbox.on_aws(&self.front.url(), "account", "test", args)
    }

    #[track_caller]
    fn plinth(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// A call that Plinth knows nothing of, as other tools make it.
    #[track_caller]
    fn call(&self, service: &str, method: &str, path: &str, body: &str) {
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=other/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let headers =
            [("Authorization", signed.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let status = self.server.send(method, path, &headers, body);
        assert!(status < 300, "{service} {path} {body}: {status}");
    }

    /// KMS speaks JSON.
    #[track_caller]
    fn kms(&self, operation: &str, body: &str) {
        let signed = "AWS4-HMAC-SHA256 Credential=other/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0";
        let target = format!("TrentService.{operation}");
        let headers = [
            ("Authorization", signed),
            ("X-Amz-Target", target.as_str()),
            ("Content-Type", "application/x-amz-json-1.1"),
        ];
        let status = self.server.send("POST", "/", &headers, body);
        assert!(status < 300, "{operation} {body}: {status}");
    }
}

#[test]
fn everything_is_made_kept_and_removed() {
    let Some(account) = Account::new() else { return };
    let made = account.plinth(&["apply", "--yes", "--json"]).expect(0);
    assert_eq!(made.counts(), [7, 0, 0, 0, 0]);
    assert!(made.err.contains("AWS is reached at"), "{}", made.err);
    account.plinth(&["plan", "--refresh", "always"]).expect(0);
    account.plinth(&["drift"]).expect(0);

    // Everything is changed by somebody else.
    let key = account.plinth(&["output", "aws:kms/Key::main.id"]).expect(0).out.trim().to_owned();
    account.call("iam", "POST", "/", "Action=UntagRole&RoleName=account-reader&TagKeys.member.1=team");
    account.call("iam", "POST", "/", "Action=DetachRolePolicy&RoleName=account-reader&PolicyArn=arn:aws:iam::123456789012:policy/account-read");
    account.call("iam", "POST", "/", "Action=CreatePolicyVersion&PolicyArn=arn:aws:iam::123456789012:policy/account-read&SetAsDefault=true&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3APutObject%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D");
    account.call("iam", "POST", "/", "Action=DeleteOpenIDConnectProvider&OpenIDConnectProviderArn=arn:aws:iam::123456789012:oidc-provider/issuer.example.com/id/1");
    account.call("s3", "DELETE", "/account-logs?lifecycle", "");
    account.kms("DisableKeyRotation", &format!(r#"{{"KeyId":"{key}"}}"#));
    account.kms("DeleteAlias", r#"{"AliasName":"alias/account-main"}"#);
    account.call("cloudformation", "POST", "/", "Action=DeleteStack&StackName=account-network");
    let drift = account.plinth(&["drift", "--format", "json"]).expect(2);
    for name in ["main", "short", "read", "reader", "logs", "network", "issuer"] {
        assert!(drift.out.contains(&format!("::{name}\"")), "{name} has drifted: {}", drift.out);
    }
    let back = account.plinth(&["apply", "--yes", "--json", "--refresh", "always"]).expect(0);
    assert_eq!(back.counts()[4], 0);
    account.plinth(&["drift"]).expect(0);
    account.plinth(&["plan"]).expect(0);

    let gone = account.plinth(&["destroy", "--yes", "--json"]).expect(0);
    assert_eq!(gone.counts()[3], 7);
    let again = account.plinth(&["apply", "--yes", "--json"]).expect(0);
    assert_eq!(again.counts(), [7, 0, 0, 0, 0]);
    let same = account.plinth(&["output", "aws:kms/Key::main.id"]).expect(0);
    assert_eq!(same.out.trim(), key, "the key that was to be deleted is taken back");
    account.plinth(&["destroy", "--yes"]).expect(0);
}

#[test]
fn another_account_is_not_touched() {
    let Some(account) = Account::new() else { return };
    account.sandbox.edit("stacks/account.yaml", "123456789012\" }", "210987654321\" }");
    for command in [vec!["plan"], vec!["apply", "--yes"], vec!["drift"]] {
        let ran = account.plinth(&command).expect(1);
        assert!(ran.err.contains("123456789012") && ran.err.contains("210987654321"), "{}", ran.err);
        assert!(ran.err.contains("account.yaml:4:"), "it says where: {}", ran.err);
    }
    let list = account.plinth(&["state", "list"]).expect(0);
    assert!(!list.out.contains("aws:"), "{}", list.out);
}

#[test]
fn without_credentials_nothing_begins() {
    let Some(account) = Account::new() else { return };
    let run = |args: &[&str]| {
        let mut command = account.sandbox.command(args);
        command.args(["-s", "account"]).env("AWS_ENDPOINT_URL", account.server.url());
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        Ran::of(command.output().unwrap())
    };
    // What is to come can be seen without an account.
    run(&["plan"]).expect(2);
    let ran = run(&["apply", "--yes"]).expect(1);
    assert!(ran.err.contains("no AWS credentials") && ran.err.contains("AWS_PROFILE"), "{}", ran.err);
}

#[test]
fn a_run_that_is_killed_is_taken_up() {
    let Some(account) = Account::new() else { return };
    for millis in [150, 400, 700] {
        let mut child = account.command(&["apply", "--yes"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        let _ = child.kill();
        child.wait().unwrap();
    }
    let ran = account.plinth(&["apply", "--yes", "--json", "--lock-timeout", "90"]).expect(0);
    assert_eq!(ran.counts()[4], 0);
    account.plinth(&["plan", "--refresh", "always"]).expect(0);
    account.plinth(&["drift"]).expect(0);
    account.plinth(&["destroy", "--yes"]).expect(0);
}

#[test]
fn the_policy_that_a_stack_needs_is_told() {
    let Some(account) = Account::new() else { return };
    let ran = account.plinth(&["check", "--permissions"]);
    assert!(ran.out.contains("s3:PutBucketPolicy") && ran.out.contains("role/account-reader"), "{}", ran.out);
    let policy: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    assert!(ran.err.contains("not known"), "this server has no simulator: {}", ran.err);
}

/// Whether a call is about the account itself, and not about the state that lies in a bucket of it.
fn is_of_the_account(call: &AwsCall) -> bool {
    call.service != "sts" && !call.target.contains("/state")
}

#[test]
fn throttled_calls_change_nothing() {
    let Some(account) = Account::new() else { return };
    let mut count = 0;
    account.front.judge(move |call| {
        count += u32::from(is_of_the_account(call));
        match (is_of_the_account(call) && count % 5 == 3, call.service.as_str()) {
            (true, "s3") => AwsFault::Refuse(503, "SlowDown", "Please reduce your request rate.".to_owned()),
            (true, "kms") => AwsFault::Refuse(400, "ThrottlingException", "Rate exceeded".to_owned()),
            (true, _) => AwsFault::Refuse(400, "Throttling", "Rate exceeded".to_owned()),
            _ => AwsFault::Pass,
        }
    });
    let made = account.plinth(&["apply", "--yes", "--json"]).expect(0);
    assert_eq!(made.counts()[4], 0);
    account.front.judge(|_| AwsFault::Pass);
    account.plinth(&["plan", "--refresh", "always"]).expect(0);
    account.plinth(&["destroy", "--yes"]).expect(0);
}

#[test]
fn credentials_that_end_in_the_middle_are_said_and_the_next_run_continues() {
    let Some(account) = Account::new() else { return };
    let mut count = 0;
    account.front.judge(move |call| {
        count += u32::from(is_of_the_account(call) && call.target.starts_with('P'));
        if is_of_the_account(call) && count > 12 {
            AwsFault::Refuse(
                400,
                "ExpiredToken",
                "The security token included in the request is expired".to_owned(),
            )
        } else {
            AwsFault::Pass
        }
    });
    let ended = account.plinth(&["apply", "--yes"]).expect(1);
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("expired") && said.contains("log in again"), "{said}");
    account.front.judge(|_| AwsFault::Pass);
    account.plinth(&["apply", "--yes"]).expect(0);
    account.plinth(&["plan", "--refresh", "always"]).expect(0);
    account.plinth(&["drift"]).expect(0);
}

#[test]
fn a_permission_that_is_missing_and_a_name_that_is_taken_are_named() {
    let Some(account) = Account::new() else { return };
    let text =
        "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: kms:CreateKey on resource: *";
    account.front.judge(move |call| match (call.service.as_str(), call.target.as_str()) {
        ("s3", "HEAD /account-logs" | "HEAD /account-logs/") => {
            AwsFault::Refuse(403, "AccessDenied", "Forbidden".to_owned())
        }
        ("iam", "POST /") => AwsFault::Pass,
        ("kms", _) => AwsFault::Refuse(400, "AccessDeniedException", text.to_owned()),
        _ => AwsFault::Pass,
    });
    let ran = account.plinth(&["apply", "--yes"]).expect(1);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("kms:") && said.contains("is not authorized"), "{said}");
    assert!(said.contains("account-logs is taken by another account"), "{said}");
    // What has nothing to do with either is made.
    assert!(account.plinth(&["state", "list"]).expect(0).out.contains("network"), "{said}");
}

#[test]
fn resources_of_an_account_are_rehearsed_without_one() {
    let sandbox = Sandbox::new();
    sandbox.write("stacks/account.yaml", STACK);
    let run = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["-s", "account", "--rehearse"]);
        sandbox.plinth(&all)
    };
    assert_eq!(run(&["apply", "--yes", "--json"]).expect(0).counts(), [7, 0, 0, 0, 0]);
    run(&["plan", "--refresh", "always"]).expect(0);
    let bucket = run(&["output", "aws:s3/Bucket::logs.arn"]).expect(0);
    assert_eq!(bucket.out.trim(), "arn:aws:s3:::account-logs");
    assert_eq!(run(&["destroy", "--yes", "--json"]).expect(0).counts()[3], 7);
}

#[test]
fn what_is_changed_inside_a_stack_is_seen_and_reverted() {
    let Some(account) = Account::new() else { return };
    account.plinth(&["apply", "--yes"]).expect(0);
    account.plinth(&["drift"]).expect(0);
    account.front.drifts(
        "account-network",
        StackDrift {
            resource: "Vpc".to_owned(),
            kind: "AWS::EC2::VPC".to_owned(),
            property: "/EnableDnsHostnames".to_owned(),
            expected: "true".to_owned(),
            actual: "false".to_owned(),
        },
    );
    let drift = account.plinth(&["drift"]).expect(2);
    assert!(drift.out.contains("resources.Vpc.EnableDnsHostnames"), "{}", drift.out);
    let planned = account.plinth(&["plan", "--refresh", "always"]).expect(2);
    assert!(planned.out.contains("aws:cloudformation/Stack::network"), "{}", planned.out);
    let back = account.plinth(&["apply", "--yes", "--json", "--refresh", "always"]).expect(0);
    assert_eq!(back.counts(), [0, 1, 0, 0, 0], "{}", back.out);
    account.plinth(&["drift"]).expect(0);
    account.plinth(&["destroy", "--yes"]).expect(0);
}

#[test]
fn what_stands_against_a_destroy_is_told_before_anything_goes() {
    let Some(account) = Account::new() else { return };
    account.sandbox.edit("stacks/account.yaml", "forceDestroy: true", "tlsOnly: false");
    account.plinth(&["apply", "--yes"]).expect(0);
    account.call("s3", "PUT", "/account-logs/somebody", "x");
    let refused = account.plinth(&["destroy", "--yes"]).expect(1);
    assert!(
        refused.err.contains("account-logs is not empty") && refused.err.contains("forceDestroy: true"),
        "{}",
        refused.err
    );
    account.plinth(&["plan", "--refresh", "always"]).expect(0);
    account.call("s3", "DELETE", "/account-logs/somebody", "");
}

/// A network that moto cannot remove at once, and something that needs it.
const NETWORK: &str = r#"apiVersion: plinth.dev/v1
kind: Stack
name: account
cloud: { provider: aws, region: eu-central-1, accountId: "123456789012" }
resources:
  - kind: aws:cloudformation/Stack
    name: network
    inputs:
      name: account-network
      template:
        Resources:
          Vpc: { Type: "AWS::EC2::VPC", Properties: { CidrBlock: 10.3.0.0/16 } }
          Internet: { Type: "AWS::EC2::InternetGateway" }
          Attachment:
            Type: AWS::EC2::VPCGatewayAttachment
            Properties: { VpcId: { Ref: Vpc }, InternetGatewayId: { Ref: Internet } }
          Routes: { Type: "AWS::EC2::RouteTable", Properties: { VpcId: { Ref: Vpc } } }
          Subnet: { Type: "AWS::EC2::Subnet", Properties: { VpcId: { Ref: Vpc }, CidrBlock: 10.3.0.0/24 } }
          Routing:
            Type: AWS::EC2::SubnetRouteTableAssociation
            Properties: { SubnetId: { Ref: Subnet }, RouteTableId: { Ref: Routes } }
        Outputs: { VpcId: { Value: { Ref: Vpc } } }
  - { kind: "aws:logs/LogGroup", name: flows, inputs: { name: flows, tags: { vpc: "${network.VpcId}" } } }
"#;

/// What a kill in the middle of a delete leaves, where a stack whose deletion failed is forgotten.
const FORGET: &str = r#"
try:
    client("cloudformation").delete_stack(StackName="account-network")
    sys.exit("it was to fail")
except botocore.exceptions.ClientError as error:
    assert error.response["Error"]["Code"] == "DependencyViolation", error
"#;

const NETWORKS: &str = r#"
ec2 = client("ec2")
found = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]
found += [one["InternetGatewayId"] for one in ec2.describe_internet_gateways()["InternetGateways"]]
print(" ".join(sorted(found)))
"#;

#[test]
fn a_network_whose_stack_was_forgotten_is_made_anew_or_removed() {
    let Some(account) = Account::new() else { return };
    let Some(boto) = plinth_emulators::boto(&account.server.url(), "eu-central-1") else { return };
    account.sandbox.write("stacks/account.yaml", NETWORK);
    account.plinth(&["apply", "--yes"]).expect(0);
    let first = boto.run(NETWORKS);
    assert_eq!(first.split_whitespace().count(), 2, "{first}");
    // What was recorded a moment ago is trusted at first; what AWS says of the change tells that it must not be.
    for refresh in ["auto", "always"] {
        account.sandbox.edit("stacks/account.yaml", "10.3.0.0/24", "10.3.0.0/25");
        boto.run(FORGET);
        let again = account.plinth(&["apply", "--yes", "--json", "--refresh", refresh]).expect(0);
        assert_eq!(again.counts(), [0, 1, 1, 0, 0], "{}", again.out);
        account.plinth(&["plan", "--refresh", "always"]).expect(0);
        let now = boto.run(NETWORKS);
        assert!(now.split_whitespace().count() == 2 && now != first, "{now}");
        account.sandbox.edit("stacks/account.yaml", "10.3.0.0/25", "10.3.0.0/24");
        account.plinth(&["apply", "--yes"]).expect(0);
    }
    boto.run(FORGET);
    account.plinth(&["destroy", "--yes", "--refresh", "always"]).expect(0);
    assert_eq!(boto.run(NETWORKS).trim(), "");
}
