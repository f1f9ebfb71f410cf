//! What planning needs to know of resources: default names, dependencies that follow from names, lanes. Pure.

use std::collections::HashMap;

pub use plinth_provider::naming::keep as keep_name;
use plinth_provider::{Lane, Recorded, Resource, Urn, Value, naming};

use crate::cloud::{CloudKind, Record, named, sanitized};

/// The inputs, with a name when they have none: of stack and resource, so that stacks can share a place. What belongs to
/// a cluster needs no stack in its name.
pub fn with_name(kind: CloudKind, urn: &Urn, inputs: Value) -> Value {
    let mut map = match inputs {
        Value::Null => Default::default(),
        Value::Map(map) => map,
        other => return other,
    };
    if map.get("name").is_none_or(|name| *name == Value::Null) {
        let text = match kind {
            CloudKind::NodePool | CloudKind::AddOn => urn.name().to_owned(),
            _ => format!("{}-{}", urn.stack(), urn.name()),
        };
        map.insert("name".to_owned(), sanitized(&text, kind.spec().max_name).into());
    }
    Value::Map(map)
}

/// The inputs of an instance that can stand beside the recorded one, when the name is left to us: under the next number.
pub fn beside(recorded: &Recorded, declared: &Value, desired: &Value) -> Option<Value> {
    let kind = CloudKind::parse(recorded.urn.kind()).ok()?;
    let base = with_name(kind, &recorded.urn, Value::map());
    naming::beside(recorded, declared, desired, base.text_at("name")?, kind.spec().max_name)
}

/// Whether the one names the other: the cloud does not let go of what is in use.
pub fn uses(dependent: &Recorded, dependency: &Recorded) -> bool {
    let kinds = (CloudKind::parse(dependent.urn.kind()), CloudKind::parse(dependency.urn.kind()));
    let (Ok(kind), Ok(of)) = kinds else { return false };
    let name = of.full_name(&dependency.inputs);
    named(kind, &dependent.inputs)
        .into_iter()
        .any(|(_, used, text)| used == of && (Some(&text) == name.as_ref() || text == dependency.id))
}

/// The record of what is recorded: by its name, else by its id, which is all that an import knows.
pub fn found_in<'a>(list: &'a [Record], kind: CloudKind, recorded: &Recorded) -> Option<&'a Record> {
    match kind.full_name(&recorded.inputs) {
        Some(name) => list.iter().find(|record| record.name == name),
        None => list.iter().find(|record| record.id() == recorded.id || record.name == recorded.id),
    }
}

/// One mutation of a cluster at a time; its node pools and add-ons change side by side, but not with the cluster.
pub fn lanes(kind: CloudKind, inputs: &Value) -> Vec<Lane> {
    let (input, exclusive) = match kind {
        CloudKind::Cluster => ("name", true),
        CloudKind::NodePool | CloudKind::AddOn => ("cluster", false),
        _ => return Vec::new(),
    };
    let cluster = inputs.text_at(input);
    cluster.map(|name| Lane { key: format!("local:cluster/{name}"), exclusive }).into_iter().collect()
}

/// Who names whom, where names are written out instead of referred to.
pub fn dependencies(resources: &[&Resource]) -> Vec<(Urn, Urn)> {
    let known: Vec<(CloudKind, &Urn, Value)> = resources
        .iter()
        .filter_map(|resource| {
            let kind = CloudKind::parse(resource.urn.kind()).ok()?;
            Some((kind, &resource.urn, with_name(kind, &resource.urn, resource.inputs.clone())))
        })
        .collect();
    let mut by_name: HashMap<(CloudKind, String), &Urn> = HashMap::new();
    for (kind, urn, inputs) in &known {
        if let Some(name) = kind.full_name(inputs) {
            by_name.insert((*kind, name), urn);
        }
        if let Ok(checked) = kind.check(inputs.clone())
            && let Some(id) = (kind.spec().outputs)(&checked).text_at("id")
        {
            by_name.insert((*kind, id.to_owned()), urn);
        }
    }
    let mut found = Vec::new();
    for (kind, urn, inputs) in &known {
        for (_, of, name) in named(*kind, inputs) {
            if let Some(dependency) = by_name.get(&(of, name))
                && dependency != urn
            {
                found.push(((*urn).clone(), (*dependency).clone()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: &str, name: &str, inputs: Value) -> Resource {
        Resource::new(Urn::new("dev", kind, name).unwrap(), inputs)
    }

    #[test]
    fn names_make_dependencies() {
        let cluster = resource("local:cloud/Cluster", "main", Value::from([("version", "1.35")]));
        let pool = resource("local:cloud/NodePool", "general", Value::from([("cluster", "dev-main")]));
        let bucket = resource("local:cloud/Bucket", "logs", Value::map());
        let access = Value::List(vec![Value::from([("bucket", "dev-logs")])]);
        let identity = resource(
            "local:cloud/Identity",
            "loki",
            Value::from([
                ("cluster", Value::from("dev-main")),
                ("namespace", "loki".into()),
                ("serviceAccount", "loki".into()),
                ("access", access),
            ]),
        );
        let found = dependencies(&[&cluster, &pool, &bucket, &identity]);
        let want = [
            (pool.urn, cluster.urn.clone()),
            (identity.urn.clone(), cluster.urn),
            (identity.urn, bucket.urn),
        ];
        assert_eq!(found, want);
    }

    fn recorded(of: &Resource, inputs: Value) -> Recorded {
        Recorded {
            urn: of.urn.clone(),
            id: String::new(),
            inputs,
            outputs: Value::Null,
            connection: None,
            dependencies: Vec::new(),
            options: Default::default(),
            unsettled: false,
        }
    }

    #[test]
    fn a_name_that_is_left_to_us_is_numbered_and_kept() {
        let bucket = resource("local:cloud/Bucket", "logs", Value::map());
        let check = |inputs: Value| with_name(CloudKind::Bucket, &bucket.urn, inputs);
        let first = recorded(&bucket, check(Value::map()));
        assert_eq!(keep_name(&first, &Value::map(), check(Value::map())), check(Value::map()));
        let second = beside(&first, &Value::map(), &check(Value::map())).unwrap();
        assert_eq!(second.text_at("name"), Some("dev-logs-2"));
        let second = recorded(&bucket, second);
        assert_eq!(keep_name(&second, &Value::map(), check(Value::map())), second.inputs);
        let third = beside(&second, &Value::map(), &second.inputs).unwrap();
        assert_eq!(third.text_at("name"), Some("dev-logs-3"));
        let given = Value::from([("name", "mine")]);
        assert_eq!(beside(&second, &given, &given), None, "a name that was given stays");
        assert_eq!(keep_name(&second, &given, given.clone()), given);
    }

    #[test]
    fn a_cluster_is_changed_alone_and_pools_side_by_side() {
        let pool = Value::from([("cluster", "main"), ("name", "a")]);
        let [lane] = &lanes(CloudKind::NodePool, &pool)[..] else { panic!() };
        let [alone] = &lanes(CloudKind::Cluster, &Value::from([("name", "main")]))[..] else { panic!() };
        assert_eq!(lane.key, alone.key);
        assert!(alone.exclusive && !lane.exclusive);
        assert!(lanes(CloudKind::Bucket, &Value::from([("name", "b")])).is_empty());
    }
}
