//! What pins a network when its stack is to go: interfaces that the network plugin of a cluster left when its nodes went,
//! and parts of the network that CloudFormation made itself and has let go of without removing them.

use std::net::IpAddr;

use plinth_provider::{Class, Result};

use crate::ec2::{call as ec2, texts};
use crate::error::refused;
use crate::kinds::Call;
use crate::wait::{Look, until};

/// The tag of interfaces that the plugin makes for pods, with the machine's id.
const POD_INTERFACE: &str = "node.k8s.amazonaws.com/instance_id";

/// A part of a network that is removed by hand where CloudFormation did not.
#[derive(Debug)]
struct Part {
    kind: &'static str,
    /// What its ids begin with.
    prefix: &'static str,
    /// EC2's name of an id of it.
    id: &'static str,
    describe: &'static str,
    delete: &'static str,
}

/// In this order, what lets go first coming first.
const PARTS: &[Part] = &[
    part("AWS::EC2::NatGateway", "nat", "NatGatewayId", "DescribeNatGateways", "DeleteNatGateway"),
    part("AWS::EC2::VPCEndpoint", "vpce", "VpcEndpointId", "DescribeVpcEndpoints", "DeleteVpcEndpoints"),
    part("AWS::EC2::EIP", "eipalloc", "AllocationId", "DescribeAddresses", "ReleaseAddress"),
    part("AWS::EC2::SecurityGroup", "sg", "GroupId", "DescribeSecurityGroups", "DeleteSecurityGroup"),
    part("AWS::EC2::RouteTable", "rtb", "RouteTableId", "DescribeRouteTables", "DeleteRouteTable"),
    part("AWS::EC2::Subnet", "subnet", "SubnetId", "DescribeSubnets", "DeleteSubnet"),
    part(INTERNET, "igw", "InternetGatewayId", "DescribeInternetGateways", "DeleteInternetGateway"),
    part(VPC, "vpc", "VpcId", "DescribeVpcs", "DeleteVpc"),
];

const INTERNET: &str = "AWS::EC2::InternetGateway";
const VPC: &str = "AWS::EC2::VPC";

const fn part(
    kind: &'static str,
    prefix: &'static str,
    id: &'static str,
    describe: &'static str,
    delete: &'static str,
) -> Part {
    Part { kind, prefix, id, describe, delete }
}

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

    /// What of these ids is there, by the way they begin; nothing but parts of networks is told from them.
    pub async fn of_ids(call: &Call<'_>, ids: impl Iterator<Item = &str>) -> Result<Self> {
        let mut held = Vec::new();
        for id in ids {
            if let Some(part) = part_of(id)
                && described(call, part, id).await?.is_some()
            {
                held.push((part.kind.to_owned(), id.to_owned()));
            }
        }
        Ok(Self(held))
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, id)| id.as_str())
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(of, _)| of == kind).map(|(_, id)| id.as_str())
    }

    /// Removes what pins the stack's networks, and nothing that is in use; how many things that were.
    pub async fn unpin(&self, call: &Call<'_>) -> Result<usize> {
        let mut swept = 0;
        for vpc in self.of(VPC) {
            swept += interfaces(call, vpc).await?;
        }
        for table in self.of("AWS::EC2::RouteTable") {
            swept += usize::from(route_table(call, table).await?);
        }
        Ok(swept)
    }

    /// Removes what a stack has left behind that is gone itself, and what pins it.
    pub async fn remove(&self, call: &Call<'_>) -> Result<()> {
        self.unpin(call).await?;
        for part in PARTS {
            for id in self.of(part.kind) {
                call.context.reporter.waiting(&format!("removing {id}, which its stack has left behind"));
                match part.prefix {
                    "nat" => {
                        if delete(call, part, id).await? {
                            gone_at_last(call, part, id).await?;
                        }
                    }
                    "vpce" => endpoint(call, part, id).await?,
                    "eipalloc" => {
                        for allocation in allocations(call, part, id).await? {
                            delete(call, part, &allocation).await?;
                        }
                    }
                    "rtb" => drop(route_table(call, id).await?),
                    "igw" => {
                        self.detach(call, id).await?;
                        delete(call, part, id).await?;
                    }
                    _ => drop(delete(call, part, id).await?),
                }
            }
        }
        Ok(())
    }

    /// Takes a gateway to the internet off the networks.
    async fn detach(&self, call: &Call<'_>, id: &str) -> Result<()> {
        for vpc in self.of(VPC) {
            let both = [("InternetGatewayId", id), ("VpcId", vpc)];
            match ec2(&call.aws.config, "DetachInternetGateway", &both).await {
                // Attached nowhere, or to another network.
                Err(error) if error.class == Class::Invalid => {}
                detached => drop(gone(detached)?),
            }
        }
        Ok(())
    }
}

/// Which part has such an id.
fn part_of(id: &str) -> Option<&'static Part> {
    // Some that imitate EC2 know addresses by themselves.
    let prefix = if id.parse::<IpAddr>().is_ok() { "eipalloc" } else { id.split_once('-')?.0 };
    PARTS.iter().find(|part| part.prefix == prefix)
}

/// What EC2 says of a part. It shows some for a while after they are gone.
async fn described(call: &Call<'_>, part: &Part, id: &str) -> Result<Option<String>> {
    let by = if id.parse::<IpAddr>().is_ok() { "PublicIp" } else { part.id };
    match ec2(&call.aws.config, part.describe, &[(&format!("{by}.1"), id)]).await {
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(told) => Ok(Some(told).filter(|told| is_told(told, id))),
    }
}

fn is_told(told: &str, id: &str) -> bool {
    let is_gone = texts(told, "state").next().is_some_and(|state| state.eq_ignore_ascii_case("deleted"));
    told.contains(&format!(">{id}<")) && !is_gone
}

async fn delete(call: &Call<'_>, part: &Part, id: &str) -> Result<bool> {
    gone(ec2(&call.aws.config, part.delete, &[(part.id, id)]).await)
}

/// Waits until a gateway is gone; before that it holds its address and its subnet.
async fn gone_at_last(call: &Call<'_>, part: &Part, id: &str) -> Result<()> {
    until(call.context, call.settings.poll, || async {
        Ok(match described(call, part, id).await? {
            None => Look::Done(()),
            Some(_) => Look::Waiting(format!("{id} is going")),
        })
    })
    .await
}

/// An endpoint lets go of its routes first: they may be gone already, in which some see a reason to refuse.
async fn endpoint(call: &Call<'_>, part: &Part, id: &str) -> Result<()> {
    let Some(found) = described(call, part, id).await? else { return Ok(()) };
    let tables = texts(&found, "routeTableIdSet").flat_map(|set| texts(set, "item"));
    let tables: Vec<(String, &str)> =
        (1..).zip(tables).map(|(at, table)| (format!("RemoveRouteTableId.{at}"), table)).collect();
    if !tables.is_empty() {
        let mut parameters = vec![(part.id, id)];
        parameters.extend(tables.iter().map(|(key, table)| (key.as_str(), *table)));
        gone(ec2(&call.aws.config, "ModifyVpcEndpoint", &parameters).await)?;
    }
    gone(ec2(&call.aws.config, part.delete, &[("VpcEndpointId.1", id)]).await).map(drop)
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
async fn allocations(call: &Call<'_>, part: &Part, address: &str) -> Result<Vec<String>> {
    let found = described(call, part, address).await?;
    Ok(found.iter().flat_map(|found| texts(found, "allocationId")).map(str::to_owned).collect())
}

/// Whether the call removed something; what is gone already is as good.
fn gone(answer: Result<String>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.class == Class::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_told_by_its_id() {
        for part in PARTS {
            assert_eq!(part_of(&format!("{}-1", part.prefix)).map(|found| found.kind), Some(part.kind));
        }
        assert_eq!(part_of("203.0.113.7").map(|found| found.kind), Some("AWS::EC2::EIP"));
        assert!(["i-1", "vol-1", "vpc", ""].iter().all(|id| part_of(id).is_none()));
    }

    #[test]
    fn what_is_only_shown_for_a_while_is_gone() {
        let told =
            |id, state| format!("<item><natGatewayId>{id}</natGatewayId><state>{state}</state></item>");
        assert!(is_told(&told("nat-1", "deleting"), "nat-1"));
        assert!(!is_told(&told("nat-1", "Deleted"), "nat-1"));
        assert!(!is_told(&told("nat-1", "available"), "nat-2"));
    }
}
