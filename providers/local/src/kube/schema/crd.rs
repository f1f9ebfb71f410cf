//! The type of a custom resource, read off the structural schema in its definition.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::json::{Json, Look};
use super::{Arena, ListKind, Node, Scalar, Shape, TypeRef, builtin};

/// Compiles `openAPIV3Schema`. `metadata`, `apiVersion` and `kind` are what they are in every object.
pub(crate) fn compile(schema: &Json) -> TypeRef {
    let mut arena = Arena::default();
    let root = node_of(&mut arena, schema);
    let id = arena.add(root);
    embed(&mut arena, id);
    TypeRef { arena: Arc::new(arena), id }
}

/// Gives a type the fields that every object has.
fn embed(arena: &mut Arena, id: usize) {
    let meta = copy_builtin(arena, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let text = arena.add(Node::new(Shape::Scalar(Scalar::String)));
    if let Shape::Any = arena.nodes[id].shape {
        let any = arena.add(Node::new(Shape::Any));
        arena.nodes[id].shape = Shape::Object { fields: HashMap::new(), extra: Some(any) };
    }
    if let Shape::Object { fields, .. } = &mut arena.nodes[id].shape {
        fields.insert("metadata".into(), meta);
        fields.insert("apiVersion".into(), text);
        fields.insert("kind".into(), text);
    }
}

/// Copies a built-in type, with what it refers to, into this arena.
fn copy_builtin(arena: &mut Arena, name: &str) -> usize {
    fn go(arena: &mut Arena, from: &TypeRef, done: &mut HashMap<usize, usize>) -> usize {
        if let Some(id) = done.get(&from.id) {
            return *id;
        }
        let id = arena.add(from.node().clone());
        done.insert(from.id, id);
        let shape = match &from.node().shape {
            Shape::Object { fields, extra } => Shape::Object {
                fields: fields.iter().map(|(k, v)| (k.clone(), go(arena, &from.to(*v), done))).collect(),
                extra: extra.map(|e| go(arena, &from.to(e), done)),
            },
            Shape::List { item, kind } => {
                Shape::List { item: go(arena, &from.to(*item), done), kind: kind.clone() }
            }
            other => other.clone(),
        };
        arena.nodes[id].shape = shape;
        id
    }
    match builtin::builtin().by_name(name) {
        Some(from) => go(arena, &from, &mut HashMap::new()),
        None => arena.add(Node::new(Shape::Any)),
    }
}

fn type_of(arena: &mut Arena, schema: &Json) -> usize {
    let node = node_of(arena, schema);
    let embedded = schema.yes("x-kubernetes-embedded-resource");
    let id = arena.add(node);
    if embedded {
        embed(arena, id);
    }
    id
}

fn node_of(arena: &mut Arena, schema: &Json) -> Node {
    if schema.yes("x-kubernetes-int-or-string") {
        return Node::new(Shape::Scalar(Scalar::IntOrString));
    }
    let preserve = schema.yes("x-kubernetes-preserve-unknown-fields");
    match schema.text("type") {
        "string" => Node::new(Shape::Scalar(Scalar::String)),
        "integer" => Node::new(Shape::Scalar(Scalar::Integer { bits: 64 })),
        "number" => Node::new(Shape::Scalar(Scalar::Number)),
        "boolean" => Node::new(Shape::Scalar(Scalar::Boolean)),
        "array" => {
            let item = type_of(arena, schema.at("items"));
            Node::new(Shape::List { item, kind: list_kind(schema) })
        }
        "object" | "" => {
            let extra = match schema.get("additionalProperties") {
                Some(inner @ Json::Object(_)) => Some(type_of(arena, inner)),
                Some(Json::Bool(true)) => Some(arena.add(Node::new(Shape::Any))),
                _ if preserve => Some(arena.add(Node::new(Shape::Any))),
                _ => None,
            };
            let mut fields = HashMap::new();
            if let Some(properties) = schema.map("properties") {
                for (name, inner) in properties {
                    let id = type_of(arena, inner);
                    fields.insert(name.clone(), id);
                }
            } else if preserve && !schema.has("additionalProperties") {
                return Node::new(Shape::Any);
            }
            let mut node = Node::new(Shape::Object { fields, extra });
            node.atomic = schema.text("x-kubernetes-map-type") == "atomic";
            node
        }
        _ => Node::new(Shape::Any),
    }
}

fn list_kind(schema: &Json) -> ListKind {
    match schema.text("x-kubernetes-list-type") {
        "set" => ListKind::Set,
        "map" => ListKind::Map(
            schema
                .list("x-kubernetes-list-map-keys")
                .iter()
                .filter_map(Json::as_str)
                .map(|key| {
                    let default = schema.at("items.properties").get(key).and_then(|p| p.get("default"));
                    (key.to_owned(), default.cloned())
                })
                .collect(),
        ),
        _ => ListKind::Atomic,
    }
}
