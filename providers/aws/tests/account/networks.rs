//! Networks: made, changed and removed as CloudFormation stacks, and what is left of one when its stack was forgotten.

use std::time::Duration;

use plinth_aws::Aws;
use plinth_emulators::{AwsFault, Boto, Eks};
use plinth_provider::conformance::run;
use plinth_provider::{Class, Context, PreviewRequest, Provider, ReadRequest, Recorded, Request, Urn, Value};

use crate::{REGION, both, case, create, json, provider, provider_at, urn};

#[tokio::test]
async fn a_network() {
    for server in both() {
        let inputs = r#"{ "template": {
            "Resources": {
                "Vpc": { "Type": "AWS::EC2::VPC", "Properties": { "CidrBlock": "10.8.0.0/16" } },
                "Subnet": { "Type": "AWS::EC2::Subnet", "Properties": { "VpcId": { "Ref": "Vpc" }, "CidrBlock": "10.8.0.0/24" } } },
            "Outputs": { "VpcId": { "Value": { "Ref": "Vpc" } }, "Subnet": { "Value": { "Ref": "Subnet" } } } } }"#;
        let mut case = case(urn("aws:cloudformation/Stack", "network"), inputs);
        let more = inputs.replace(
            r#""Subnet": { "Value""#,
            r#""Net": { "Value": { "Ref": "Subnet" } }, "Subnet": { "Value""#,
        );
        case.updated = Some(json(&more));
        run(&provider(&server).await, &case).await;
    }
}

/// A network with all the parts of one that can be left behind. `policy` is the address's.
fn network(name: &str, policy: &str) -> Value {
    json(&format!(
        r#"{{ "name": "{name}", "template": {{ "Resources": {{
        "Vpc": {{ "Type": "AWS::EC2::VPC", "Properties": {{ "CidrBlock": "10.8.0.0/16" }} }},
        "Internet": {{ "Type": "AWS::EC2::InternetGateway" }},
        "Attachment": {{ "Type": "AWS::EC2::VPCGatewayAttachment",
            "Properties": {{ "VpcId": {{ "Ref": "Vpc" }}, "InternetGatewayId": {{ "Ref": "Internet" }} }} }},
        "Routes": {{ "Type": "AWS::EC2::RouteTable", "Properties": {{ "VpcId": {{ "Ref": "Vpc" }} }} }},
        "Subnet": {{ "Type": "AWS::EC2::Subnet",
            "Properties": {{ "VpcId": {{ "Ref": "Vpc" }}, "CidrBlock": "10.8.0.0/24" }} }},
        "Routing": {{ "Type": "AWS::EC2::SubnetRouteTableAssociation",
            "Properties": {{ "SubnetId": {{ "Ref": "Subnet" }}, "RouteTableId": {{ "Ref": "Routes" }} }} }},
        "Address": {{ "Type": "AWS::EC2::EIP", "DeletionPolicy": "{policy}", "Properties": {{ "Domain": "vpc" }} }},
        "Nat": {{ "Type": "AWS::EC2::NatGateway", "Properties": {{
            "SubnetId": {{ "Ref": "Subnet" }}, "AllocationId": {{ "Fn::GetAtt": ["Address", "AllocationId"] }} }} }},
        "Buckets": {{ "Type": "AWS::EC2::VPCEndpoint", "Properties": {{ "VpcId": {{ "Ref": "Vpc" }},
            "VpcEndpointType": "Gateway", "ServiceName": "com.amazonaws.{REGION}.s3",
            "RouteTableIds": [{{ "Ref": "Routes" }}] }} }}
        }} }} }}"#
    ))
}

async fn made(aws: &Aws, urn: &Urn, inputs: Value) -> Recorded {
    let inputs = aws.check(urn, inputs).unwrap();
    create(aws, urn, &inputs).await
}

/// Has moto delete a stack as Plinth does, and nobody there to clean up: it fails, and moto forgets the stack.
fn forget(boto: &Boto, stack: &str) {
    boto.run(&format!(
        r#"
cloudformation = client("cloudformation")
try:
    cloudformation.delete_stack(StackName="{stack}")
    sys.exit("it was to fail")
except botocore.exceptions.ClientError as error:
    assert error.response["Error"]["Code"] == "DependencyViolation", error
try:
    cloudformation.describe_stacks(StackName="{stack}")
    sys.exit("it was to be forgotten")
except botocore.exceptions.ClientError:
    pass
"#
    ));
}

/// The parts of networks that are there, but those of the account's own network, by the beginning of their ids.
fn parts(boto: &Boto) -> Vec<String> {
    let told = boto.run(
        r#"
ec2 = client("ec2")
own = {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one["IsDefault"]}
def inside(what):
    return [one for one in what if one.get("VpcId") not in own]
found = [one["VpcId"] for one in inside(ec2.describe_vpcs()["Vpcs"])]
found += [one["SubnetId"] for one in inside(ec2.describe_subnets()["Subnets"])]
found += [one["RouteTableId"] for one in inside(ec2.describe_route_tables()["RouteTables"])]
found += [one["InternetGatewayId"] for one in ec2.describe_internet_gateways()["InternetGateways"]]
found += [one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] != "deleted"]
found += [one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]]
found += [one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"] if one["State"] != "deleted"]
print(" ".join(sorted(one.split("-")[0] for one in found)))
"#,
    );
    told.split_whitespace().map(str::to_owned).collect()
}

fn context() -> Context {
    Context::new("dev", Duration::from_secs(60))
}

#[tokio::test]
async fn what_is_left_of_a_forgotten_stack_is_found_by_its_marks_and_goes() {
    let Some(server) = plinth_emulators::moto() else { return };
    let Some(boto) = plinth_emulators::boto(&server.url(), REGION) else { return };
    let aws = provider(&server).await;
    let urn = urn("aws:cloudformation/Stack", "network");
    let inputs = aws.check(&urn, network("dev-network", "Delete")).unwrap();
    let request = Request { urn: &urn, inputs: &inputs, connection: None };
    assert_eq!(parts(&boto).len(), 0);

    // By a delete, of whoever knows nothing of what went before.
    let first = create(&aws, &urn, &inputs).await;
    assert!(parts(&boto).len() > 7, "{:?}", parts(&boto));
    forget(&boto, "dev-network");
    let other = provider(&server).await;
    let live = other.read(&context(), ReadRequest { recorded: &first }).await.unwrap();
    let live = live.expect("something of it is there");
    assert_eq!(live.id, first.id);
    let drift = other.drift(&first, &live);
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!(drift[0].path.to_string(), "name");
    // Who has not read it yet is told to.
    let asked = PreviewRequest {
        urn: &urn,
        inputs: &inputs,
        connection: None,
        recorded: Some(&first),
        replaces: false,
        dependencies: &[],
        take_over: &[],
    };
    let refused = other.preview_many(&context(), &[asked]).await.remove(0).unwrap_err();
    assert_eq!(refused.class, Class::Conflict, "{refused:?}");
    other.delete(&context(), &first).await.unwrap();
    assert_eq!(parts(&boto), [""; 0]);
    assert_eq!(other.read(&context(), ReadRequest { recorded: &first }).await.unwrap(), None);

    // By who looks for what a create has made, and then deletes that.
    let second = create(&aws, &urn, &inputs).await;
    forget(&boto, "dev-network");
    let found = other.find(&context(), request).await.unwrap().expect("something of it is there");
    assert_eq!(found.id, second.id);
    let second = Recorded { id: found.id, ..second };
    other.delete(&context(), &second).await.unwrap();
    assert_eq!(parts(&boto), [""; 0]);
    assert_eq!(other.find(&context(), request).await.unwrap(), None);

    // By the next create, which makes a whole one.
    create(&aws, &urn, &inputs).await;
    let whole = parts(&boto);
    forget(&boto, "dev-network");
    let third = create(&other, &urn, &inputs).await;
    assert_eq!(parts(&boto), whole);
    // Of the forgotten one nothing is left, and the living one is not its.
    other.delete(&context(), &second).await.unwrap();
    assert_eq!(parts(&boto), whole);
    other.delete(&context(), &third).await.unwrap();
    assert_eq!(parts(&boto), [""; 0]);
}

#[tokio::test]
async fn nothing_but_what_a_forgotten_stack_of_the_same_resource_made_is_touched() {
    let Some(server) = plinth_emulators::moto() else { return };
    let Some(boto) = plinth_emulators::boto(&server.url(), REGION) else { return };
    let aws = provider(&server).await;
    let main = urn("aws:cloudformation/Stack", "network");
    let other = Urn::new("prod", "aws:cloudformation/Stack", "network").unwrap();
    // Another stack's network whose stack is forgotten, and one of the very same marks whose stack lives.
    made(&aws, &other, network("prod-network", "Delete")).await;
    let before = parts(&boto);
    forget(&boto, "prod-network");
    let left = parts(&boto);
    made(&aws, &main, network("dev-living", "Delete")).await;
    let both = parts(&boto);
    assert!(left.len() <= before.len() && both.len() == left.len() + before.len());

    let ours = made(&aws, &main, network("dev-network", "Delete")).await;
    forget(&boto, "dev-network");
    aws.delete(&context(), &ours).await.unwrap();
    assert_eq!(parts(&boto), both);

    // What is to outlive its stack does.
    let ours = made(&aws, &main, network("dev-network", "Retain")).await;
    forget(&boto, "dev-network");
    aws.delete(&context(), &ours).await.unwrap();
    let mut kept = both;
    kept.push("eipalloc".to_owned());
    kept.sort();
    assert_eq!(parts(&boto), kept);
    assert_eq!(aws.read(&context(), ReadRequest { recorded: &ours }).await.unwrap(), None);
}

#[tokio::test]
async fn interfaces_that_nodes_left_go_with_their_network() {
    let Some(server) = plinth_emulators::moto() else { return };
    let Some(boto) = plinth_emulators::boto(&server.url(), REGION) else { return };
    let aws = provider(&server).await;
    let main = urn("aws:cloudformation/Stack", "network");
    let ours = made(&aws, &main, network("dev-network", "Delete")).await;
    // The network plugin's, free again since its machine is gone; and somebody's in another network.
    boto.run(
        r#"
ec2 = client("ec2")
def interface(subnet):
    made = ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
    ec2.create_tags(Resources=[made], Tags=[{"Key": "node.k8s.amazonaws.com/instance_id", "Value": "i-1"}])
subnets = ec2.describe_subnets()["Subnets"]
own = {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one["IsDefault"]}
interface(next(one for one in subnets if one["VpcId"] not in own))
interface(next(one for one in subnets if one["VpcId"] in own))
"#,
    );
    aws.delete(&context(), &ours).await.unwrap();
    assert_eq!(parts(&boto), [""; 0]);
    let left = boto.run(
        r#"
tagged = [{"Name": "tag-key", "Values": ["node.k8s.amazonaws.com/instance_id"]}]
print(len(client("ec2").describe_network_interfaces(Filters=tagged)["NetworkInterfaces"]))
"#,
    );
    assert_eq!(left.trim(), "1", "what is elsewhere stays");
}

#[tokio::test]
async fn who_may_not_look_for_what_was_left_makes_and_removes_networks_all_the_same() {
    let Some(server) = plinth_emulators::moto() else { return };
    let front = Eks::before(&server.url());
    front.judge(|call| match call.service.as_str() {
        "ec2" => AwsFault::Refuse(
            403,
            "UnauthorizedOperation",
            "You are not authorized: ec2:DescribeTags".to_owned(),
        ),
        _ => AwsFault::Pass,
    });
    let aws = provider_at(&front.url()).await;
    let main = urn("aws:cloudformation/Stack", "network");
    let template = r#"{ "template": { "Resources": {
        "Vpc": { "Type": "AWS::EC2::VPC", "Properties": { "CidrBlock": "10.8.0.0/16" } } } } }"#;
    let ours = made(&aws, &main, json(template)).await;
    aws.delete(&context(), &ours).await.unwrap();
    assert_eq!(aws.read(&context(), ReadRequest { recorded: &ours }).await.unwrap(), None);
}
