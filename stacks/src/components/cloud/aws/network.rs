//! The network: subnets that are there, or a VPC of the stack's own as one CloudFormation stack, with a private and a
//! public subnet in every zone.

use std::net::Ipv4Addr;

use plinth_provider::Urn;
use serde_json::{Map, Value as Json, json};

use super::{STACK, Site};
use crate::kit::Build;

/// More zones than this do not fit into the division below, and no region has them.
const MOST_ZONES: usize = 6;
/// Below this, a zone's share is too small for a cluster.
const LONGEST_PREFIX: u32 = 20;

/// The subnets of nodes.
pub(super) enum Network {
    /// They exist.
    Given(Vec<String>),
    /// They are outputs of our own.
    Own {
        /// The CloudFormation stack.
        urn: Urn,
        /// The zones, in the order of the subnets.
        zones: Vec<String>,
    },
}

impl Network {
    /// Every private subnet.
    pub fn private(&self, build: &Build<'_>) -> Vec<String> {
        self.private_in(build, &[])
    }

    /// The private subnets of these zones; of all of them when none is named.
    pub fn private_in(&self, build: &Build<'_>, wanted: &[String]) -> Vec<String> {
        match self {
            // Nobody said which of them is where.
            Self::Given(ids) => ids.clone(),
            Self::Own { urn, zones } => {
                let within = |zone: &String| wanted.is_empty() || wanted.contains(zone);
                let places = zones.iter().enumerate().filter(|(_, zone)| within(zone));
                places.map(|(at, _)| build.output(urn, &private_output(at))).collect()
            }
        }
    }
}

fn private_output(at: usize) -> String {
    format!("PrivateSubnet{}", at + 1)
}

pub(super) fn declare(build: &mut Build<'_>, site: &Site<'_>) -> Network {
    let settings = &site.cloud.network;
    if !settings.subnet_ids.is_empty() {
        return Network::Given(settings.subnet_ids.clone());
    }
    let Some(plan) = Plan::of(settings.vpc_cidr.as_str(), site.zones.len()) else {
        build.error(
            format!(
                "{} in {} zones is no network that a cluster fits into",
                settings.vpc_cidr,
                site.zones.len()
            ),
            format!("set cloud.network.vpcCidr to an IPv4 range of at least a /{LONGEST_PREFIX}, and cloud.zones to at most {MOST_ZONES} zones"),
        );
        return Network::Given(Vec::new());
    };
    let template = template(site, &plan, settings.nat_per_zone);
    let inputs = json!({
        "name": format!("{}-network", site.name),
        "template": template.to_string(),
        "tags": site.tags,
    });
    let urn = build.resource(STACK, "network", &inputs);
    Network::Own { urn, zones: site.zones.clone() }
}

/// How a range is divided: private subnets take its first three quarters, public ones share the last.
#[derive(Debug, PartialEq)]
struct Plan {
    whole: String,
    private: Vec<String>,
    public: Vec<String>,
}

impl Plan {
    fn of(cidr: &str, zones: usize) -> Option<Self> {
        let (address, prefix) = cidr.split_once('/')?;
        let (address, prefix) = (address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u32>().ok()?);
        // AWS takes nothing wider.
        if !(16..=LONGEST_PREFIX).contains(&prefix) || !(1..=MOST_ZONES).contains(&zones) {
            return None;
        }
        let base = u32::from(address) & (u32::MAX << (32 - prefix));
        // Three zones or fewer have a quarter each, more have an eighth each.
        let (private, public) = if zones <= 3 { (prefix + 2, prefix + 4) } else { (prefix + 3, prefix + 5) };
        let range = |start: u32, length: u32, at: usize| {
            let at = u32::try_from(at).unwrap_or_default();
            format!("{}/{length}", Ipv4Addr::from(start + at * (1 << (32 - length))))
        };
        let last = base + 3 * (1 << (30 - prefix));
        Some(Self {
            whole: format!("{}/{prefix}", Ipv4Addr::from(base)),
            private: (0..zones).map(|at| range(base, private, at)).collect(),
            public: (0..zones).map(|at| range(last, public, at)).collect(),
        })
    }
}

fn reference(name: &str) -> Json {
    json!({ "Ref": name })
}

fn attribute(name: &str, attribute: &str) -> Json {
    json!({ "Fn::GetAtt": [name, attribute] })
}

/// The template. Names of subnets and tags are those by which load balancers look for their place.
fn template(site: &Site<'_>, plan: &Plan, nat_per_zone: bool) -> Json {
    let mut resources = Map::new();
    let mut add = |name: &str, kind: &str, properties: Json| {
        resources.insert(name.to_owned(), json!({ "Type": kind, "Properties": properties }));
    };
    let tags = |what: &str, role: Option<&str>| {
        let mut tags = vec![json!({ "Key": "Name", "Value": format!("{}-{what}", site.name) })];
        if let Some(role) = role {
            tags.push(json!({ "Key": role, "Value": "1" }));
            tags.push(json!({ "Key": format!("kubernetes.io/cluster/{}", site.name), "Value": "shared" }));
        }
        tags
    };
    add(
        "Vpc",
        "AWS::EC2::VPC",
        json!({
            "CidrBlock": plan.whole, "EnableDnsSupport": true, "EnableDnsHostnames": true, "Tags": tags("vpc", None),
        }),
    );
    add("Internet", "AWS::EC2::InternetGateway", json!({ "Tags": tags("internet", None) }));
    add(
        "InternetAttachment",
        "AWS::EC2::VPCGatewayAttachment",
        json!({ "VpcId": reference("Vpc"), "InternetGatewayId": reference("Internet") }),
    );
    add(
        "PublicRoutes",
        "AWS::EC2::RouteTable",
        json!({ "VpcId": reference("Vpc"), "Tags": tags("public", None) }),
    );
    add(
        "PublicRoute",
        "AWS::EC2::Route",
        json!({
            "RouteTableId": reference("PublicRoutes"),
            "DestinationCidrBlock": "0.0.0.0/0",
            "GatewayId": reference("Internet"),
        }),
    );
    let mut tables = vec![reference("PublicRoutes")];
    for (at, zone) in site.zones.iter().enumerate() {
        let number = at + 1;
        let (public, private) = (format!("PublicSubnet{number}"), format!("PrivateSubnet{number}"));
        let subnet = |range: &str, name: &str, role: &str, open: bool| {
            json!({
                "VpcId": reference("Vpc"), "CidrBlock": range, "AvailabilityZone": zone,
                "MapPublicIpOnLaunch": open, "Tags": tags(&format!("{name}-{zone}"), Some(role)),
            })
        };
        let role = "kubernetes.io/role/elb";
        add(&public, "AWS::EC2::Subnet", subnet(&plan.public[at], "public", role, true));
        let role = "kubernetes.io/role/internal-elb";
        add(&private, "AWS::EC2::Subnet", subnet(&plan.private[at], "private", role, false));
        add(
            &format!("PublicRouting{number}"),
            "AWS::EC2::SubnetRouteTableAssociation",
            json!({ "SubnetId": reference(&public), "RouteTableId": reference("PublicRoutes") }),
        );
        let gateway = if nat_per_zone { format!("Nat{number}") } else { "Nat1".to_owned() };
        if nat_per_zone || at == 0 {
            let address = format!("NatAddress{number}");
            add(
                &address,
                "AWS::EC2::EIP",
                json!({ "Domain": "vpc", "Tags": tags(&format!("nat-{zone}"), None) }),
            );
            add(
                &gateway,
                "AWS::EC2::NatGateway",
                json!({
                    "SubnetId": reference(&public),
                    "AllocationId": attribute(&address, "AllocationId"),
                    "Tags": tags(&format!("nat-{zone}"), None),
                }),
            );
        }
        let table = format!("PrivateRoutes{number}");
        add(
            &table,
            "AWS::EC2::RouteTable",
            json!({ "VpcId": reference("Vpc"), "Tags": tags(&format!("private-{zone}"), None) }),
        );
        add(
            &format!("PrivateRoute{number}"),
            "AWS::EC2::Route",
            json!({
                "RouteTableId": reference(&table),
                "DestinationCidrBlock": "0.0.0.0/0",
                "NatGatewayId": reference(&gateway),
            }),
        );
        add(
            &format!("PrivateRouting{number}"),
            "AWS::EC2::SubnetRouteTableAssociation",
            json!({ "SubnetId": reference(&private), "RouteTableId": reference(&table) }),
        );
        tables.push(reference(&table));
    }
    // Traffic to buckets neither leaves the network nor pays for a NAT gateway.
    add(
        "Buckets",
        "AWS::EC2::VPCEndpoint",
        json!({
            "VpcId": reference("Vpc"),
            "VpcEndpointType": "Gateway",
            "ServiceName": format!("com.amazonaws.{}.s3", site.cloud.region),
            "RouteTableIds": tables,
        }),
    );
    // A route to the internet and an address of it need the gateway to be attached; nothing in them says so.
    for (name, resource) in &mut resources {
        if name == "PublicRoute" || name.starts_with("NatAddress") || name.starts_with("Nat") {
            resource["DependsOn"] = "InternetAttachment".into();
        }
    }
    let mut outputs = Map::new();
    outputs.insert("VpcId".to_owned(), json!({ "Value": reference("Vpc") }));
    for at in 0..site.zones.len() {
        for name in [private_output(at), format!("PublicSubnet{}", at + 1)] {
            outputs.insert(name.clone(), json!({ "Value": reference(&name) }));
        }
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("The network of the cluster {}", site.name),
        "Resources": resources,
        "Outputs": outputs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(range: &str) -> (u64, u64) {
        let (address, prefix) = range.split_once('/').unwrap();
        let start = u64::from(u32::from(address.parse::<Ipv4Addr>().unwrap()));
        (start, start + (1 << (32 - prefix.parse::<u32>().unwrap())))
    }

    #[test]
    fn ranges_are_apart_and_within_the_whole() {
        for (cidr, zones) in
            [("10.0.0.0/16", 3), ("10.7.16.0/20", 3), ("172.16.5.9/18", 6), ("10.0.0.0/16", 1)]
        {
            let plan = Plan::of(cidr, zones).unwrap();
            let (first, last) = ends(&plan.whole);
            let mut all: Vec<_> = plan.private.iter().chain(&plan.public).map(|range| ends(range)).collect();
            assert_eq!(all.len(), 2 * zones);
            all.sort_unstable();
            assert!(all[0].0 >= first && all[all.len() - 1].1 <= last, "{plan:?}");
            assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{plan:?}");
        }
        assert_eq!(Plan::of("10.0.0.0/16", 3).unwrap().private[1], "10.0.64.0/18");
        for (cidr, zones) in [("10.0.0.0/24", 3), ("10.0.0.0/8", 3), ("fd00::/16", 3), ("10.0.0.0/16", 7)] {
            assert_eq!(Plan::of(cidr, zones), None, "{cidr}");
        }
    }
}
