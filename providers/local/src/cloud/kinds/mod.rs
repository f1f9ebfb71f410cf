//! The kinds of the simulated cloud: one file each, with its inputs, its own rules, what comes out of it, and the typed
//! form that programs declare it with.
//!
//! Everything here is pure. What depends on other resources (references, quotas, locks) is in `rules`; what takes time
//! is in `operations`.

mod add_on;
mod bucket;
mod cluster;
mod identity;
mod key;
mod network;
mod node_pool;

use std::time::Duration;

use plinth_provider::{Error, KindSchema, Result, Value};
use serde::{Deserialize, Serialize};

use plinth_provider::did_you_mean;
use plinth_provider::fields::{self, Field};

pub use add_on::AddOn;
pub use bucket::{Bucket, Encryption, LifecycleRule, Replication};
pub use cluster::Cluster;
pub use identity::{Access, Identity};
pub use key::Key;
pub use network::Network;
pub use node_pool::{NodePool, Taint};
pub(crate) use node_pool::{node_names, size};

/// The region of resources that name none.
pub const REGION: &str = "local-1";

/// The quota and the speed of a kind, and the pure functions over its inputs.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The kind's name, such as `local:cloud/Cluster`.
    pub name: &'static str,
    /// Its name in the cloud's addresses.
    pub collection: &'static str,
    /// What people call one.
    pub noun: &'static str,
    /// Its inputs.
    pub fields: &'static [Field],
    /// The longest name that it may have.
    pub max_name: usize,
    /// How long creating one takes, before scaling. Updates take two fifths of it, deletes half.
    pub latency: Duration,
    /// How many a cloud may hold.
    pub quota: usize,
    /// Rules between inputs.
    pub rules: fn(&Value) -> Result<()>,
    /// The outputs, as far as the inputs tell; they tell all of them once they are known.
    pub outputs: fn(&Value) -> Value,
}

/// A kind of the simulated cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CloudKind {
    /// An address space with a subnet per zone.
    Network,
    /// An encryption key.
    Key,
    /// A Kubernetes cluster.
    Cluster,
    /// A group of equal nodes of a cluster.
    NodePool,
    /// A bucket of objects.
    Bucket,
    /// A workload's right to use buckets.
    Identity,
    /// A part of a cluster that the cloud installs.
    AddOn,
}

impl CloudKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Network, Self::Key, Self::Cluster, Self::NodePool, Self::Bucket, Self::Identity, Self::AddOn];

    /// What defines it.
    pub const fn spec(self) -> &'static Spec {
        match self {
            Self::Network => &network::SPEC,
            Self::Key => &key::SPEC,
            Self::Cluster => &cluster::SPEC,
            Self::NodePool => &node_pool::SPEC,
            Self::Bucket => &bucket::SPEC,
            Self::Identity => &identity::SPEC,
            Self::AddOn => &add_on::SPEC,
        }
    }

    /// The kind of a name such as `local:cloud/Cluster`.
    ///
    /// # Errors
    /// When there is none; the help names similar ones.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.spec().name == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.spec().name).collect();
            Error::invalid(format!("there is no kind `{name}`")).help(did_you_mean(name, &names))
        })
    }

    /// The kind whose collection has this name in the cloud's addresses.
    pub fn of_collection(collection: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.spec().collection == collection)
    }

    /// Validates inputs and brings them to normal form.
    ///
    /// # Errors
    /// With the path of what is wrong.
    pub fn check(self, inputs: Value) -> Result<Value> {
        let checked = fields::check(self.spec().fields, inputs)?;
        (self.spec().rules)(&checked)?;
        Ok(checked)
    }

    /// The name that is unique among the resources of the kind: with the cluster's in front for what belongs to one.
    pub fn full_name(self, inputs: &Value) -> Option<String> {
        let name = inputs.get("name")?.as_str()?;
        match self {
            Self::NodePool | Self::AddOn => Some(format!("{}/{name}", inputs.get("cluster")?.as_str()?)),
            _ => Some(name.to_owned()),
        }
    }

    /// What the engine plans with.
    pub fn schema(self) -> KindSchema {
        let spec = self.spec();
        let immutable: Vec<&str> =
            spec.fields.iter().filter(|field| field.immutable).map(|field| field.name).collect();
        let sets = fields::sets(spec.fields);
        KindSchema {
            immutable: KindSchema::patterns(&immutable),
            at_delete: fields::at_delete(spec.fields),
            set_like: KindSchema::patterns(&sets.iter().map(String::as_str).collect::<Vec<_>>()),
            // Names are unique, and a resource's name is among its inputs.
            delete_before_replace: true,
            usual_duration: spec.latency,
            default_timeout: Duration::from_secs(120),
            ..KindSchema::default()
        }
    }
}

/// An output made of inputs: unknown while one of them is, secret when one of them is.
pub(crate) fn made<const N: usize>(
    inputs: &Value,
    names: [&str; N],
    make: impl FnOnce([&str; N]) -> Value,
) -> Value {
    let mut texts = [""; N];
    let mut secret = false;
    for (text, name) in texts.iter_mut().zip(names) {
        let Some(value) = inputs.get(name) else { return Value::Unknown };
        secret |= value.has_secret();
        match value.as_str() {
            Some(known) => *text = known,
            None => return Value::Unknown,
        }
    }
    if secret { Value::secret(make(texts)) } else { make(texts) }
}

/// An output that is an input.
pub(crate) fn same(inputs: &Value, name: &str) -> Value {
    inputs.get(name).cloned().unwrap_or_default()
}

/// The number at an input, if it is known.
pub(crate) fn number(inputs: &Value, name: &str) -> Option<i64> {
    match inputs.get(name)? {
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// The zones of a region.
pub(crate) fn zones_of(region: &str) -> Vec<String> {
    ["a", "b", "c"].iter().map(|letter| format!("{region}{letter}")).collect()
}

fn default_region() -> Value {
    REGION.into()
}

fn no_rules(_: &Value) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use plinth_provider::{Kind, OutputRef, Property, Urn, typed};

    use super::*;

    fn checked<K: Kind>(inputs: &K) -> Value {
        let kind = CloudKind::parse(K::KIND).unwrap();
        let mut inputs = typed(inputs).unwrap();
        if inputs.get("name").is_none() {
            inputs.set(&"name".into(), "some".into());
        }
        kind.check(inputs).unwrap()
    }

    #[test]
    fn the_typed_forms_are_accepted() {
        let other = |path: &str| {
            let urn = Urn::new("dev", "local:cloud/Network", "main").unwrap();
            Property::Output(OutputRef { urn, path: path.into() })
        };
        checked(&Network::default());
        checked(&Key { rotation_days: Some(90), ..Key::default() });
        let cluster =
            Cluster { version: "1.35".to_owned(), network: Some(other("id")), ..Cluster::default() };
        assert!(checked(&cluster).get("network").is_some_and(Value::has_unknown));
        let taint = Taint { key: "only".to_owned(), value: None, effect: "NoSchedule".to_owned() };
        checked(&NodePool { taints: vec![taint], ..NodePool::new(other("name")) });
        let rule =
            LifecycleRule { id: "old".to_owned(), expiration_days: Some(30), ..LifecycleRule::default() };
        checked(&Bucket { lifecycle: vec![rule], ..Bucket::default() });
        let access = vec![Access { bucket: other("name"), role: "writer".to_owned() }];
        checked(&Identity { access, ..Identity::new("main", "loki", "loki") });
        checked(&AddOn::new("main", "dns"));
    }

    #[test]
    fn kinds_that_do_not_exist_have_similar_ones() {
        let error = CloudKind::parse("local:cloud/Custer").unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `local:cloud/Cluster`?"));
    }
}
