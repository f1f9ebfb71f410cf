//! `local:cloud/Cluster`: a Kubernetes cluster. Its API is the place's Kubernetes API.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_provider::{Error, Kind, Property, Result, Value};
use serde::Serialize;

use super::{Spec, default_region, made, same};
use crate::cloud::names;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};

/// The inputs of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The name; one made of stack and resource when left out.
    pub name: Option<String>,
    /// The minor version of Kubernetes, raised by one at a time.
    pub version: String,
    /// The region.
    pub region: Option<String>,
    /// The id of its network.
    pub network: Option<Property<String>>,
    /// The id of the key that encrypts Kubernetes secrets.
    pub secrets_encryption_key: Option<Property<String>>,
    /// `public`, `private` or `publicAndPrivate`.
    pub endpoint_access: Option<String>,
    /// Ranges that may reach a public endpoint.
    pub public_cidrs: Option<Vec<String>>,
    /// Kinds of control plane logs to keep.
    pub control_plane_logs: Option<Vec<String>>,
    /// Refuses to delete the cluster until this is false.
    pub deletion_protection: bool,
    /// Tags.
    pub tags: BTreeMap<String, Property<String>>,
}

impl Kind for Cluster {
    const KIND: &'static str = SPEC.name;
}

pub(super) const SPEC: Spec = Spec {
    name: "local:cloud/Cluster",
    collection: "clusters",
    noun: "cluster",
    fields: &[
        Field::required("name", Shape::Text(names::cluster)).immutable(),
        Field::required("version", Shape::Text(names::version)),
        Field::default("region", Shape::Text(names::label), default_region).immutable(),
        Field::optional("network", ANY).immutable(),
        Field::optional("secretsEncryptionKey", ANY).immutable(),
        Field::default("endpointAccess", Shape::Choice(&["public", "private", "publicAndPrivate"]), || {
            "publicAndPrivate".into()
        }),
        Field::optional("publicCidrs", Shape::Set(&Shape::Text(names::cidr))),
        Field::optional("controlPlaneLogs", Shape::Set(&Shape::Choice(LOGS))),
        Field::default("deletionProtection", Shape::Boolean, || false.into()),
        Field::optional("tags", TAGS),
    ],
    max_name: 40,
    latency: Duration::from_millis(2500),
    quota: 20,
    rules,
    outputs,
};

const LOGS: &[&str] = &["api", "audit", "authenticator", "controllerManager", "scheduler"];

fn rules(inputs: &Value) -> Result<()> {
    let ranges = inputs.get("publicCidrs").and_then(Value::as_list).unwrap_or_default();
    if inputs.text_at("endpointAccess") == Some("private") && !ranges.is_empty() {
        return Err(Error::invalid(
            "`publicCidrs` limits a public endpoint, and `endpointAccess` is `private`",
        )
        .at("publicCidrs".into())
        .help("leave `publicCidrs` out, or set `endpointAccess: publicAndPrivate`"));
    }
    Ok(())
}

fn outputs(inputs: &Value) -> Value {
    let of_name = |make: fn(&str, &str) -> String| {
        made(inputs, ["region", "name"], |[region, name]| make(region, name).into())
    };
    Value::from([
        ("id", of_name(|region, name| format!("local:clusters:{region}:cluster/{name}"))),
        ("name", same(inputs, "name")),
        ("region", same(inputs, "region")),
        ("version", same(inputs, "version")),
        // A fixed name, because the port that serves the place may change: clients are pointed there by `connection`.
        ("endpoint", of_name(|region, name| format!("https://{name}.{region}.clusters.plinth.internal"))),
        (
            "oidcIssuer",
            of_name(|region, name| {
                format!(
                    "https://oidc.{region}.plinth.internal/id/{}",
                    names::digest(&["oidc", region, name], 32)
                )
            }),
        ),
        ("connection", of_name(|_, name| format!("local:cluster/{name}"))),
        ("status", "ACTIVE".into()),
    ])
}
