//! What pins a network when its stack is to go: interfaces that the network plugin of a cluster left when its nodes went,
//! and parts of the network that CloudFormation made itself and has let go of without removing them.

use plinth_provider::{Class, Result};

use crate::ec2::{call as ec2, texts};
use crate::error::refused;
use crate::kinds::Call;

/// The tag of interfaces that the plugin makes for pods, with the machine's id.
const POD_INTERFACE: &str = "node.k8s.amazonaws.com/instance_id";

/// The parts of networks that are removed by hand where CloudFormation did not, what lets go first coming first.
const ORDER: &[(&str, &str, &str)] = &[
    ("AWS::EC2::NatGateway", "DeleteNatGateway", "NatGatewayId"),
    ("AWS::EC2::VPCEndpoint", "DeleteVpcEndpoints", "VpcEndpointId.1"),
    ("AWS::EC2::EIP", "ReleaseAddress", "AllocationId"),
    ("AWS::EC2::RouteTable", "DeleteRouteTable", "RouteTableId"),
    ("AWS::EC2::Subnet", "DeleteSubnet", "SubnetId"),
    ("AWS::EC2::InternetGateway", "DeleteInternetGateway", "InternetGatewayId"),
    ("AWS::EC2::VPC", "DeleteVpc", "VpcId"),
];

/// What a stack holds, looked up while it is still there to be asked.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<(String, String)>);

impl Held {
    /// What the stack holds now. What CloudFormation does not tell is nothing.
    pub async fn by(call: &Call<'_>, id: &str) -> Result<Self> {
        let told = call.aws.cloudformation.describe_stack_resources().stack_name(id).send().await;
        let told = told.map_err(|error| refused("cloudformation:DescribeStackResources", id, error))?;
        let held = told.stack_resources().iter().filter_map(|resource| {
            Some((resource.resource_type()?.to_owned(), resource.physical_resource_id()?.to_owned()))
        });
        Ok(Self(held.collect()))
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(of, _)| of == kind).map(|(_, id)| id.as_str())
    }

    /// Removes what pins the stack's networks, and nothing that is in use; how many things that were.
    pub async fn unpin(&self, call: &Call<'_>) -> Result<usize> {
        let mut swept = 0;
        for vpc in self.of("AWS::EC2::VPC") {
            swept += interfaces(call, vpc).await?;
        }
        for table in self.of("AWS::EC2::RouteTable") {
            swept += usize::from(route_table(call, table).await?);
        }
        Ok(swept)
    }

    /// Removes what a stack has left behind that is gone itself.
    pub async fn remove(&self, call: &Call<'_>) -> Result<()> {
        for (kind, action, parameter) in ORDER {
            for id in self.of(kind) {
                call.context.reporter.waiting(&format!("removing {id}, which its stack has left behind"));
                match *kind {
                    "AWS::EC2::RouteTable" => drop(route_table(call, id).await?),
                    "AWS::EC2::InternetGateway" => {
                        for vpc in self.of("AWS::EC2::VPC") {
                            let both = [("InternetGatewayId", id), ("VpcId", vpc)];
                            let detached = ec2(&call.aws.config, "DetachInternetGateway", &both).await;
                            // Attached nowhere, or to another network.
                            if let Err(error) = detached
                                && error.class != Class::Invalid
                            {
                                gone(Err(error))?;
                            }
                        }
                        gone(ec2(&call.aws.config, action, &[(parameter, id)]).await)?;
                    }
                    "AWS::EC2::EIP" => {
                        for allocation in allocations(call, id).await? {
                            gone(ec2(&call.aws.config, action, &[(parameter, &allocation)]).await)?;
                        }
                    }
                    _ => drop(gone(ec2(&call.aws.config, action, &[(parameter, id)]).await)?),
                }
            }
        }
        Ok(())
    }
}

/// Interfaces of pods that nothing is attached to any more.
async fn interfaces(call: &Call<'_>, vpc: &str) -> Result<usize> {
    let filters = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc),
        ("Filter.2.Name", "status"),
        ("Filter.2.Value.1", "available"),
        ("Filter.3.Name", "tag-key"),
        ("Filter.3.Value.1", POD_INTERFACE),
    ];
    let found = ec2(&call.aws.config, "DescribeNetworkInterfaces", &filters).await?;
    let mut swept = 0;
    for id in texts(&found, "networkInterfaceId") {
        call.context.reporter.waiting(&format!("removing the interface {id}, which a node has left"));
        swept += usize::from(gone(
            ec2(&call.aws.config, "DeleteNetworkInterface", &[("NetworkInterfaceId", id)]).await,
        )?);
    }
    Ok(swept)
}

async fn route_table(call: &Call<'_>, id: &str) -> Result<bool> {
    let found = match ec2(&call.aws.config, "DescribeRouteTables", &[("RouteTableId.1", id)]).await {
        Err(error) if error.class == Class::NotFound => return Ok(false),
        found => found?,
    };
    for association in texts(&found, "routeTableAssociationId") {
        gone(ec2(&call.aws.config, "DisassociateRouteTable", &[("AssociationId", association)]).await)?;
    }
    gone(ec2(&call.aws.config, "DeleteRouteTable", &[("RouteTableId", id)]).await)
}

/// CloudFormation knows addresses by themselves, EC2 lets go of them by what they are allocated under.
async fn allocations(call: &Call<'_>, address: &str) -> Result<Vec<String>> {
    let by = if address.starts_with("eipalloc-") { "AllocationId.1" } else { "PublicIp.1" };
    match ec2(&call.aws.config, "DescribeAddresses", &[(by, address)]).await {
        Ok(found) => Ok(texts(&found, "allocationId").map(str::to_owned).collect()),
        Err(error) if error.class == Class::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether the call removed something; what is gone already is as good.
fn gone(answer: Result<String>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.class == Class::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
