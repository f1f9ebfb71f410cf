//! What the one who applies a stack has to be allowed: by kind, no more than that.
//!
//! Here: putting together the policy. Which kind needs what is in [`table`]; what is missing of it, as far as IAM tells,
//! in [`simulate`].

mod simulate;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use plinth_provider::{Urn, Value};
use serde_json::{Value as Json, json};

pub use simulate::{Missing, missing};

/// Where the resources are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account's number, or `*` where it is not known.
    pub account: String,
    /// The stack, by whose tag what has no name of its own is told apart.
    pub stack: String,
}

impl Place {
    /// A place in a region, whose name tells the partition.
    pub fn new(region: &str, account: Option<&str>, stack: &str) -> Self {
        let partition = match region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.unwrap_or("*").to_owned(),
            stack: stack.to_owned(),
        }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    /// IAM knows no regions.
    fn iam(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.account)
    }

    /// Names of buckets are the world's.
    fn s3(&self, resource: &str) -> String {
        format!("arn:{}:s3:::{resource}", self.partition)
    }
}

/// What one kind needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub actions: Vec<&'static str>,
    pub resource: String,
    /// Only on what carries the stack's tag.
    pub tagged: bool,
}

/// One statement of a policy: actions on resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The actions, in order.
    pub actions: Vec<String>,
    /// The ARNs, in order; `*` for actions that know no resources.
    pub resources: Vec<String>,
    /// Whether it holds only for what carries the stack's tag.
    pub tagged: bool,
}

/// What a stack needs to be allowed, and what could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// The statements, in a stable order.
    pub statements: Vec<Statement>,
    /// Types in CloudFormation templates of which Plinth does not know what they need.
    pub unknown: Vec<String>,
    place: Place,
}

impl Permissions {
    /// The permissions of resources of the kinds `aws:…`, with checked inputs; others need none.
    pub fn of<'a>(place: Place, resources: impl IntoIterator<Item = (&'a Urn, &'a Value)>) -> Self {
        let mut needs = BTreeSet::new();
        let mut unknown = BTreeSet::new();
        for (urn, inputs) in resources {
            if urn.kind().starts_with("aws:") {
                needs.extend(table::needs(urn.kind(), inputs, &place, &mut unknown));
            }
        }
        // The same actions on many resources are one statement.
        let mut by_actions: BTreeMap<(bool, Vec<&str>), BTreeSet<String>> = BTreeMap::new();
        let mut by_resource: BTreeMap<(bool, String), BTreeSet<&str>> = BTreeMap::new();
        for need in needs {
            by_resource.entry((need.tagged, need.resource)).or_default().extend(need.actions);
        }
        for ((tagged, resource), actions) in by_resource {
            by_actions.entry((tagged, actions.into_iter().collect())).or_default().insert(resource);
        }
        let statements = by_actions
            .into_iter()
            .map(|((tagged, actions), resources)| Statement {
                actions: actions.into_iter().map(str::to_owned).collect(),
                resources: resources.into_iter().collect(),
                tagged,
            })
            .collect();
        Self { statements, unknown: unknown.into_iter().collect(), place }
    }

    /// As IAM writes policies.
    pub fn policy(&self) -> Json {
        let statement = |statement: &Statement| {
            let mut json =
                json!({ "Effect": "Allow", "Action": statement.actions, "Resource": statement.resources });
            if statement.tagged {
                let key = format!("aws:ResourceTag/{}", crate::marks::STACK);
                json["Condition"] = json!({ "StringEquals": { key: self.place.stack } });
            }
            json
        };
        json!({
            "Version": "2012-10-17",
            "Statement": self.statements.iter().map(statement).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_needs_something_and_nothing_needs_everything() {
        let place = Place::new("eu-central-1", Some("123456789012"), "dev");
        for kind in crate::kinds::names() {
            let urn = Urn::new("dev", kind, "x").unwrap();
            let inputs = Value::from([("name", "x"), ("cluster", "c"), ("path", "/")]);
            let permissions = Permissions::of(place.clone(), [(&urn, &inputs)]);
            assert!(!permissions.statements.is_empty(), "{kind}");
            for statement in &permissions.statements {
                let wild = |action: &String| action.ends_with(":*") || action == "*";
                assert!(!statement.actions.iter().any(wild), "{kind}: {statement:?}");
                assert!(statement.actions.iter().all(|action| action.contains(':')), "{kind}: {statement:?}");
            }
        }
    }

    #[test]
    fn alike_statements_are_one() {
        let place = Place::new("eu-central-1", None, "dev");
        let urns = ["one", "two"].map(|name| Urn::new("dev", "aws:iam/Role", name).unwrap());
        let inputs = ["one", "two"].map(|name| Value::from([("name", name), ("path", "/")]));
        let permissions = Permissions::of(place, urns.iter().zip(&inputs));
        let roles: Vec<_> = permissions
            .statements
            .iter()
            .filter(|statement| statement.actions.contains(&"iam:CreateRole".to_owned()))
            .collect();
        assert_eq!(roles.len(), 1);
        assert_eq!(roles[0].resources, ["arn:aws:iam::*:role/one", "arn:aws:iam::*:role/two"]);
    }
}
