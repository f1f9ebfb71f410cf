//! Entries under `resources:` as resources of the engine: references become outputs, options become the engine's own.

use std::collections::BTreeMap;

use plinth_provider::{Map, Options, OutputRef, Path, Resource, Timeouts, Urn, UrnError, Value};
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use crate::file::{Piece, pieces, split};
use crate::model::{ResourceEntry, SecretText, Stack};

/// The annotation by which the Kubernetes provider takes over fields of other managers.
const FORCE_CONFLICTS: &str = "plinth.dev/force-conflicts";

/// A cluster that a stack makes by itself, and who may enter it.
const CLUSTER: &str = "aws:eks/Cluster";
const ACCESS: &str = "aws:eks/AccessEntry";

/// Where a tree of progress shows these resources.
const PHASE: &str = "resources";

/// The entries of a stack as resources, in their order. `connection` is how objects of Kubernetes reach the stack's
/// cluster; none means the default one.
///
/// # Errors
/// When a kind or name cannot stand in a URN, which a loaded stack file excludes.
pub fn declared(stack: &Stack, connection: Option<&Value>) -> Result<Vec<Resource>, UrnError> {
    // Collecting results would grow the list step by step, and a resource is not small.
    let mut urns = Vec::with_capacity(stack.resources.len());
    for entry in &stack.resources {
        urns.push(Urn::new(stack.name.as_str(), &entry.kind, &entry.name)?);
    }
    let names: FxHashMap<&str, &Urn> =
        stack.resources.iter().map(|entry| entry.name.as_str()).zip(&urns).collect();
    let known = Known { names, secrets: &stack.secrets };
    let names = &known.names;
    let mut resources = Vec::with_capacity(urns.len());
    for (entry, urn) in stack.resources.iter().zip(&urns) {
        let mut resource = Resource::new(urn.clone(), inputs(entry, &known));
        resource.options = options(stack, entry, names)?;
        if entry.kind.starts_with("k8s:") {
            resource.connection = connection.cloned();
        }
        resources.push(resource);
    }
    Ok(resources)
}

/// How objects of Kubernetes reach the one cluster that the entries make, and what lets people into it: both come before
/// every object. None when they make no cluster, or several.
///
/// # Errors
/// As [`declared`].
pub fn own_cluster(stack: &Stack) -> Result<Option<(Value, Vec<Urn>)>, UrnError> {
    let of = |kind: &str| -> Result<Vec<Urn>, UrnError> {
        let entries = stack.resources.iter().filter(|entry| entry.kind == kind);
        entries.map(|entry| Urn::new(stack.name.as_str(), kind, &entry.name)).collect()
    };
    let Ok([cluster]) = <[Urn; 1]>::try_from(of(CLUSTER)?) else { return Ok(None) };
    let way = OutputRef { urn: cluster, path: Path::parse("connection") };
    Ok(Some((Value::from([("cluster", Value::Output(way))]), of(ACCESS)?)))
}

/// What a former name stands for: a whole URN, or the name of a resource of the same kind in this stack.
///
/// # Errors
/// When it is neither.
pub(crate) fn former(stack: &str, kind: &str, alias: &str) -> Result<Urn, UrnError> {
    match alias.starts_with("plinth:") && alias.contains("::") {
        true => Urn::parse(alias),
        false => Urn::new(stack, kind, alias),
    }
}

fn options(stack: &Stack, entry: &ResourceEntry, names: &FxHashMap<&str, &Urn>) -> Result<Options, UrnError> {
    let alias = |alias: &String| former(stack.name.as_str(), &entry.kind, alias);
    let paths = |texts: &[String]| texts.iter().map(|text| Path::parse(text)).collect();
    Ok(Options {
        depends_on: entry
            .depends_on
            .iter()
            .filter_map(|name| names.get(name.as_str()).map(|urn| (*urn).clone()))
            .collect(),
        protect: entry.protect,
        ignore_changes: paths(&entry.ignore_changes),
        replace_on_changes: paths(&entry.replace_on_changes),
        delete_before_replace: entry.delete_before_replace,
        retain_on_delete: entry.retain_on_delete,
        timeouts: Timeouts {
            create: entry.timeouts.create.as_ref().map(crate::model::Duration::std),
            update: entry.timeouts.update.as_ref().map(crate::model::Duration::std),
            delete: entry.timeouts.delete.as_ref().map(crate::model::Duration::std),
        },
        aliases: entry.aliases.iter().map(alias).collect::<Result<_, _>>()?,
        import: entry.import.clone(),
        adopt: entry.adopt,
        phase: PHASE.to_owned(),
    })
}

/// What a reference may refer to.
struct Known<'a> {
    names: FxHashMap<&'a str, &'a Urn>,
    secrets: &'a BTreeMap<String, SecretText>,
}

impl Known<'_> {
    /// The output of a resource, or a secret of the stack; resources of the name `secret` come first.
    fn value(&self, reference: &str) -> Value {
        match split(reference, |name| self.names.get(name).copied()) {
            (Some(urn), _, path) => Value::Output(OutputRef { urn: urn.clone(), path: Path::parse(path) }),
            (None, "secret", name) => match self.secrets.get(name) {
                Some(text) => Value::secret(text.expose()),
                // Only what is looked at or rehearsed gets here without the secret.
                None => Value::secret(format!("stand-in for the secret {name}")),
            },
            (None, ..) => format!("${{{reference}}}").as_str().into(),
        }
    }
}

fn inputs(entry: &ResourceEntry, names: &Known<'_>) -> Value {
    let mut inputs = match &entry.inputs {
        Json::Null => Value::map(),
        json => value(json, names),
    };
    let Value::Map(map) = &mut inputs else { return inputs };
    if entry.kind == "k8s:v1/Secret" {
        for key in ["data", "stringData"] {
            if let Some(Value::Map(entries)) = map.get_mut(key) {
                for entry in entries.values_mut() {
                    *entry = Value::secret(std::mem::take(entry));
                }
            }
        }
    }
    if entry.force_conflicts && entry.kind.starts_with("k8s:") {
        annotate(map, FORCE_CONFLICTS, "true");
    }
    inputs
}

fn annotate(object: &mut Map, annotation: &str, text: &str) {
    let mut map = object;
    for key in ["metadata", "annotations"] {
        let child = map.entry(key.to_owned()).or_insert_with(Value::map);
        if !matches!(child, Value::Map(_)) {
            *child = Value::map();
        }
        let Value::Map(inner) = child else { return };
        map = inner;
    }
    map.insert(annotation.to_owned(), text.into());
}

fn value(json: &Json, names: &Known<'_>) -> Value {
    match json {
        Json::String(text) if text.contains("${") => interpolated(text, names),
        Json::Array(list) => Value::List(list.iter().map(|json| value(json, names)).collect()),
        Json::Object(map) => {
            Value::Map(map.iter().map(|(key, json)| (key.clone(), value(json, names))).collect())
        }
        plain => Value::from_json(plain.clone()),
    }
}

/// A text that is one reference and nothing else takes the output's type; others are joined into a text.
fn interpolated(text: &str, names: &Known<'_>) -> Value {
    let Ok(pieces) = pieces(text) else { return text.into() };
    let mut values: Vec<Value> = pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_ref().into(),
            Piece::Reference(reference) => names.value(reference),
        })
        .collect();
    match values.len() {
        1 => values.remove(0),
        _ => Value::Concat(values),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as File;

    use super::*;
    use crate::file::load_text;

    fn declare(resources: &str) -> Vec<Resource> {
        let text = format!("apiVersion: plinth.dev/v1\nkind: Stack\nname: bench\nresources:\n{resources}");
        declared(&load_text(File::new("bench.yaml"), &text).unwrap().stack, None).unwrap()
    }

    fn reference(urn: &Urn, path: &str) -> Value {
        Value::Output(OutputRef { urn: urn.clone(), path: Path::parse(path) })
    }

    #[test]
    fn references_become_outputs() {
        let all = declare(
            "  - { kind: \"plinth:Data\", name: r0, inputs: { value: v0 } }
  - { kind: \"plinth:Data\", name: r.1, inputs: { whole: \"${r0.list[0].x}\", part: \"after ${r0.value}, $${HOME}\", list: [ \"${ r0.value }\" ], n: 1 } }
  - { kind: \"plinth:Data\", name: r2, inputs: { value: \"${r.1.whole}\" }, dependsOn: [ r0 ] }
",
        );
        let [r0, r1, r2] = &all[..] else { panic!("three resources") };
        assert_eq!(r0.urn.as_str(), "plinth:bench::plinth:Data::r0");
        assert_eq!(r1.inputs.get("whole"), Some(&reference(&r0.urn, "list[0].x")));
        assert_eq!(
            r1.inputs.get("part"),
            Some(&Value::Concat(vec!["after ".into(), reference(&r0.urn, "value"), ", ${HOME}".into()]))
        );
        assert_eq!(r1.inputs.get("list"), Some(&Value::List(vec![reference(&r0.urn, "value")])));
        assert_eq!(r2.inputs.get("value"), Some(&reference(&r1.urn, "whole")));
        assert_eq!(r2.dependencies().into_iter().collect::<Vec<_>>(), [r1.urn.clone(), r0.urn.clone()]);
    }

    #[test]
    fn secrets_of_the_stack_are_secret_wherever_they_are_used() {
        let text = "apiVersion: plinth.dev/v1\nkind: Stack\nname: bench\nresources:\n  - { kind: \"plinth:Data\", name: r0, inputs: { whole: \"${secret.DB}\", part: \"pg://u:${secret.DB}@h\", other: \"${secret.NONE}\" } }\n";
        let loaded = load_text(File::new("bench.yaml"), text).unwrap();
        assert_eq!(loaded.missing.len(), 3, "{:?}", loaded.missing);
        let secrets = crate::file::StackSecrets {
            values: [("DB".to_owned(), SecretText::new("CANARY"))].into(),
            set_with: "plinth secrets set NAME".to_owned(),
        };
        let loaded =
            crate::file::load_from_tree(loaded.tree, loaded.locations.with_secrets(secrets)).unwrap();
        let [missing] = &loaded.missing[..] else { panic!("{:?}", loaded.missing) };
        let missing = missing.to_string();
        assert!(
            missing.contains("bench.yaml:5:") && missing.contains("plinth secrets set NONE"),
            "{missing}"
        );
        let all = declared(&loaded.stack, None).unwrap();
        assert_eq!(all[0].inputs.get("whole"), Some(&Value::secret("CANARY")));
        let part = all[0].inputs.get("part").unwrap().resolve(&mut |_| None);
        assert_eq!(part, Value::secret("pg://u:CANARY@h"));
        assert!(all[0].inputs.get("other").unwrap().has_secret());
        assert!(!format!("{loaded:?} {all:?}").contains("CANARY"));
    }

    #[test]
    fn a_resource_of_the_name_secret_is_that_resource() {
        let all = declare(
            "  - { kind: \"plinth:Data\", name: secret, inputs: { value: v0 } }
  - { kind: \"plinth:Data\", name: r1, inputs: { value: \"${secret.value}\" } }
",
        );
        assert_eq!(all[1].inputs.get("value"), Some(&reference(&all[0].urn, "value")));
    }

    #[test]
    fn objects_go_to_the_cluster_that_the_entries_make() {
        let stack = |resources: &str| {
            let text = format!(
                "apiVersion: plinth.dev/v1\nkind: Stack\nname: bench\ncloud: {{ provider: aws, region: eu-central-1 }}\nresources:\n{resources}"
            );
            load_text(File::new("bench.yaml"), &text).unwrap().stack
        };
        let cluster = "  - { kind: \"aws:eks/Cluster\", name: main }\n";
        let entry = "  - { kind: \"aws:eks/AccessEntry\", name: admins }\n";
        let (connection, doors) = own_cluster(&stack(&format!("{cluster}{entry}"))).unwrap().unwrap();
        let urn = Urn::new("bench", CLUSTER, "main").unwrap();
        assert_eq!(connection.get("cluster"), Some(&reference(&urn, "connection")));
        assert_eq!(doors.iter().map(Urn::name).collect::<Vec<_>>(), ["admins"]);
        let two = format!("{cluster}{}", cluster.replace("main", "other"));
        assert_eq!(own_cluster(&stack(&two)).unwrap(), None, "which one is meant cannot be known");
    }

    #[test]
    fn options_are_carried_over() {
        let all = declare(
            "  - kind: plinth:Data
    name: new
    protect: true
    retainOnDelete: true
    deleteBeforeReplace: false
    ignoreChanges: [ a.b ]
    replaceOnChanges: [ c ]
    timeouts: { create: 1h30m }
    import: some/id
    adopt: true
    aliases: [ old, \"plinth:bench::plinth:Other::older\" ]
",
        );
        let options = &all[0].options;
        assert!(options.protect && options.retain_on_delete);
        assert_eq!(options.delete_before_replace, Some(false));
        assert_eq!(options.ignore_changes, [Path::parse("a.b")]);
        assert_eq!(options.replace_on_changes, [Path::parse("c")]);
        assert_eq!(options.timeouts.create, Some(std::time::Duration::from_secs(5400)));
        assert_eq!(options.timeouts.delete, None);
        assert_eq!((options.import.as_deref(), options.adopt), (Some("some/id"), true));
        let aliases: Vec<&str> = options.aliases.iter().map(Urn::as_str).collect();
        assert_eq!(aliases, ["plinth:bench::plinth:Data::old", "plinth:bench::plinth:Other::older"]);
    }

    #[test]
    fn secrets_are_wrapped_and_conflicts_forced_on_request() {
        let all = declare(
            "  - { kind: \"k8s:v1/Secret\", name: s, forceConflicts: true, inputs: { metadata: { name: s }, stringData: { password: hunter2 } } }
",
        );
        assert!(all[0].inputs.has_secret());
        assert!(!all[0].inputs.to_string().contains("hunter2"));
        assert_eq!(
            all[0].inputs.at(&Path::root().key("metadata").key("annotations").key(FORCE_CONFLICTS)),
            Some(&Value::from("true"))
        );
    }
}
