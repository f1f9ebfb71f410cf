//! `local:cloud/Network`: an address space with a subnet per zone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use plinth_provider::{Error, Kind, Property, Result, Value};
use serde::Serialize;

use super::{Spec, default_region, made, same};
use crate::cloud::names;
use plinth_provider::fields::{Field, Shape, TAGS};

/// The inputs of a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The name; one made of stack and resource when left out.
    pub name: Option<String>,
    /// The address range, such as `10.0.0.0/16`.
    pub cidr: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The zones that get a subnet; three of the region when left out.
    pub zones: Option<Vec<String>>,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

impl Kind for Network {
    const KIND: &'static str = SPEC.name;
}

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/Network",
    collection: "networks",
    noun: "network",
    fields: &[
        Field::required("name", Shape::Text(names::label)).immutable(),
        Field::default("cidr", Shape::Text(names::network_cidr), || "10.0.0.0/16".into()).immutable(),
        Field::default("region", Shape::Text(names::label), default_region).immutable(),
        Field::optional("zones", Shape::List(&Shape::Text(names::label))).immutable(),
        Field::optional("tags", TAGS),
    ],
    max_name: 63,
    latency: Duration::from_millis(400),
    quota: 50,
    rules,
    outputs,
};

fn rules(inputs: &Value) -> Result<()> {
    let zones = inputs.get("zones").and_then(Value::as_list).unwrap_or_default();
    if inputs.get("zones").is_some_and(|zones| zones.as_list().is_some_and(<[Value]>::is_empty)) {
        return Err(Error::invalid("`zones` is empty").at("zones".into()).help("name at least one zone"));
    }
    if zones.len() > 16 {
        return Err(Error::invalid("`zones` has more than 16 zones").at("zones".into()));
    }
    Ok(())
}

fn outputs(inputs: &Value) -> Value {
    let id = made(inputs, ["region", "name"], |[region, name]| id(region, name).into());
    let subnets = subnets(inputs);
    let ids = match &subnets {
        Value::List(list) => Value::List(list.iter().map(|subnet| same(subnet, "id")).collect()),
        _ => Value::Unknown,
    };
    Value::from([
        ("id", id),
        ("name", same(inputs, "name")),
        ("region", same(inputs, "region")),
        ("cidr", same(inputs, "cidr")),
        ("subnetIds", ids),
        ("subnets", subnets),
        ("status", "ACTIVE".into()),
    ])
}

fn id(region: &str, name: &str) -> String {
    format!("net-{}", names::digest(&["network", region, name], 17))
}

fn subnets(inputs: &Value) -> Value {
    let zones = match inputs.get("zones") {
        None => made(inputs, ["region"], |[region]| super::zones_of(region).into()),
        Some(zones) => zones.clone(),
    };
    if zones.has_unknown() {
        return Value::Unknown;
    }
    made(inputs, ["region", "name", "cidr"], |[region, name, cidr]| {
        let (address, bits) = names::range(cidr).unwrap_or((Ipv4Addr::UNSPECIFIED, 8));
        // Sixteen equal parts leave room for zones that come later.
        let size = 1u32 << (32 - bits - 4).min(31);
        let subnet = |(at, zone): (usize, &Value)| {
            let zone = zone.as_str().unwrap_or_default();
            let base = Ipv4Addr::from(u32::from(address).saturating_add(size.saturating_mul(at as u32)));
            Value::from([
                ("id", format!("subnet-{}", names::digest(&["subnet", region, name, zone], 17))),
                ("zone", zone.to_owned()),
                ("cidr", format!("{base}/{}", bits + 4)),
            ])
        };
        Value::List(zones.as_list().unwrap_or_default().iter().enumerate().map(subnet).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudKind;

    #[test]
    fn subnets_split_the_range_by_zone() {
        let inputs =
            CloudKind::Network.check(Value::from([("name", "main"), ("cidr", "10.1.0.0/16")])).unwrap();
        let outputs = outputs(&inputs);
        let cidrs: Vec<_> = outputs
            .get("subnets")
            .and_then(Value::as_list)
            .unwrap()
            .iter()
            .filter_map(|subnet| subnet.text_at("cidr"))
            .collect();
        assert_eq!(cidrs, ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/20"]);
        assert_eq!(outputs.get("subnetIds").and_then(Value::as_list).unwrap().len(), 3);
    }
}
