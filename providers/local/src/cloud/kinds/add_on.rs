//! `local:cloud/AddOn`: a part of a cluster that the cloud installs and keeps, such as its storage driver.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::{Kind, Property, Value};
use serde::Serialize;

use super::{Spec, made, no_rules, same};
use crate::cloud::names;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};

/// The inputs of an add-on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOn {
    /// The cluster's name.
    pub cluster: Property<String>,
    /// The add-on's name, such as `csi-driver` or `dns`.
    pub name: Option<String>,
    /// Its version; the cloud's choice when left out.
    pub version: Option<String>,
    /// Its settings.
    pub configuration: BTreeMap<String, Property<String>>,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

impl AddOn {
    /// An add-on of a cluster, in the cloud's version.
    pub fn new(cluster: impl Into<Property<String>>, name: &str) -> Self {
        Self {
            cluster: cluster.into(),
            name: Some(name.to_owned()),
            version: None,
            configuration: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }
}

impl Kind for AddOn {
    const KIND: &'static str = SPEC.name;
}

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/AddOn",
    collection: "addOns",
    noun: "add-on",
    fields: &[
        Field::required("cluster", Shape::Text(names::cluster)).immutable(),
        Field::required("name", Shape::Text(names::label)).immutable(),
        Field::default("version", ANY, || "default".into()),
        Field::optional("configuration", TAGS),
        Field::optional("tags", TAGS),
    ],
    max_name: 63,
    latency: Duration::from_millis(300),
    quota: 200,
    rules: no_rules,
    outputs,
};

fn outputs(inputs: &Value) -> Value {
    Value::from([
        (
            "id",
            made(inputs, ["cluster", "name"], |[cluster, name]| {
                format!("local:clusters:{cluster}:add-on/{name}").into()
            }),
        ),
        ("name", same(inputs, "name")),
        ("cluster", same(inputs, "cluster")),
        ("version", same(inputs, "version")),
        ("status", "ACTIVE".into()),
    ])
}
