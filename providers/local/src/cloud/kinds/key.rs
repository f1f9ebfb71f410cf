//! `local:cloud/Key`: an encryption key for Kubernetes secrets and buckets.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::{Kind, Property, Value};
use serde::Serialize;

use super::{Spec, default_region, made, no_rules, same};
use crate::cloud::names;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};

/// The inputs of a key.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The name; one made of stack and resource when left out.
    pub name: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// After how many days its material is renewed.
    pub rotation_days: Option<u32>,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

impl Kind for Key {
    const KIND: &'static str = SPEC.name;
}

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/Key",
    collection: "keys",
    noun: "key",
    fields: &[
        Field::required("name", Shape::Text(names::label)).immutable(),
        Field::default("region", Shape::Text(names::label), default_region).immutable(),
        Field::optional("description", ANY),
        Field::default("rotationDays", Shape::Integer(90, 2560), || Value::from(365)),
        Field::optional("tags", TAGS),
    ],
    max_name: 63,
    latency: Duration::from_millis(200),
    quota: 100,
    rules: no_rules,
    outputs,
};

fn outputs(inputs: &Value) -> Value {
    let id = made(inputs, ["region", "name"], |[region, name]| {
        format!("local:kms:{region}:key/{}", names::digest(&["key", region, name], 32)).into()
    });
    Value::from([
        ("id", id.clone()),
        ("arn", id),
        ("name", same(inputs, "name")),
        ("region", same(inputs, "region")),
        ("status", "ACTIVE".into()),
    ])
}
