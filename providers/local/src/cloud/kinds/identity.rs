//! `local:cloud/Identity`: a workload's right to use buckets, bound to its Kubernetes ServiceAccount.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::{Kind, Property, Value};
use serde::Serialize;

use super::{Spec, made, no_rules, same};
use crate::cloud::names;
use plinth_provider::fields::{Field, Shape, TAGS};

/// The inputs of an identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The name; one made of stack and resource when left out.
    pub name: Option<String>,
    /// The cluster's name.
    pub cluster: Property<String>,
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's ServiceAccount.
    pub service_account: String,
    /// What it may use.
    pub access: Vec<Access>,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

/// One bucket and what may be done with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The bucket's name.
    pub bucket: Property<String>,
    /// `reader`, `writer` or `admin`.
    pub role: String,
}

impl Identity {
    /// The identity of a ServiceAccount, without any access yet.
    pub fn new(cluster: impl Into<Property<String>>, namespace: &str, service_account: &str) -> Self {
        Self {
            name: None,
            cluster: cluster.into(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            access: Vec::new(),
            tags: BTreeMap::new(),
        }
    }
}

impl Kind for Identity {
    const KIND: &'static str = SPEC.name;
}

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/Identity",
    collection: "identities",
    noun: "identity",
    fields: &[
        Field::required("name", Shape::Text(names::label)).immutable(),
        Field::required("cluster", Shape::Text(names::cluster)).immutable(),
        Field::required("namespace", Shape::Text(names::label)).immutable(),
        Field::required("serviceAccount", Shape::Text(names::label)).immutable(),
        Field::default(
            "access",
            Shape::Set(&Shape::Object(&[
                Field::required("bucket", Shape::Text(names::bucket)),
                Field::default("role", Shape::Choice(&["reader", "writer", "admin"]), || "writer".into()),
            ])),
            || Value::List(Vec::new()),
        ),
        Field::optional("tags", TAGS),
    ],
    max_name: 63,
    latency: Duration::from_millis(200),
    quota: 1000,
    rules: no_rules,
    outputs,
};

fn outputs(inputs: &Value) -> Value {
    let id = made(inputs, ["cluster", "name"], |[cluster, name]| {
        format!("local:identities:{cluster}:identity/{name}").into()
    });
    let principal =
        made(inputs, ["cluster", "namespace", "serviceAccount"], |[cluster, namespace, account]| {
            format!("local:principals:{cluster}:serviceaccount/{namespace}/{account}").into()
        });
    Value::from([
        ("id", id.clone()),
        ("name", same(inputs, "name")),
        ("principal", principal),
        ("annotations", Value::from([("cloud.plinth.dev/identity", id)])),
        ("status", "ACTIVE".into()),
    ])
}
