//! What pins a network when its stack is to go: interfaces that the network plugin of a cluster left when its nodes went,
//! and route tables that CloudFormation made itself and does not let go of everywhere.

use plinth_provider::{Class, Result};

use crate::ec2::{call as ec2, texts};
use crate::error::refused;
use crate::kinds::{Call, text};

/// The tag of interfaces that the plugin makes for pods, with the machine's id.
const POD_INTERFACE: &str = "node.k8s.amazonaws.com/instance_id";

/// Removes what stands in the way of the stack's networks, and nothing that is in use; how many things that were.
pub(super) async fn sweep(call: &Call<'_>, id: &str) -> Result<usize> {
    let name = text(call.inputs, "name")?;
    let held = call.aws.cloudformation.describe_stack_resources().stack_name(name).send().await;
    let held = held.map_err(|error| refused("cloudformation:DescribeStackResources", id, error))?;
    let of = |kind: &str| -> Vec<String> {
        let resources = held.stack_resources().iter();
        let of_kind = resources.filter(|resource| resource.resource_type() == Some(kind));
        of_kind.filter_map(|resource| resource.physical_resource_id().map(str::to_owned)).collect()
    };
    let mut swept = 0;
    for vpc in of("AWS::EC2::VPC") {
        swept += interfaces(call, &vpc).await?;
    }
    for table in of("AWS::EC2::RouteTable") {
        swept += usize::from(route_table(call, &table).await?);
    }
    Ok(swept)
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

/// Whether the call removed something; what is gone already is as good.
fn gone(answer: Result<String>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.class == Class::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
