//! Types of objects: what fields there are, and how lists and maps merge.
//!
//! One arena of nodes serves all built-in kinds; every version of a custom resource brings its own. What
//! happens with a type (validation, merging, ownership) lives elsewhere.

pub(crate) mod builtin;
pub(crate) mod conform;
pub(crate) mod crd;
pub(crate) mod lists;
pub(crate) mod omit;
pub(crate) mod openapi;
mod openapi_proto;

use std::collections::HashMap;
use std::sync::Arc;

use super::json::Json;

/// What a leaf may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    String,
    Integer { bits: u8 },
    Number,
    Boolean,
    Quantity,
    IntOrString,
    Bytes,
    Time,
}

/// How two lists come together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ListKind {
    Atomic,
    Set,
    /// Items are identified by these fields, each with the value it takes when absent.
    Map(Vec<(String, Option<Json>)>),
}

/// The shape of a value.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Anything at all; its type is read off the value.
    Any,
    Scalar(Scalar),
    Object {
        fields: HashMap<String, usize>,
        /// The type of entries that are not declared fields; none means they are unknown.
        extra: Option<usize>,
    },
    List {
        item: usize,
        kind: ListKind,
    },
}

/// One type.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub shape: Shape,
    /// A map or struct that is replaced as a whole.
    pub atomic: bool,
    /// The Go struct's name, for error texts.
    pub name: String,
    /// Fields that are written even when empty.
    pub required: Vec<String>,
}

impl Node {
    pub fn new(shape: Shape) -> Self {
        Self { shape, atomic: false, name: String::new(), required: Vec::new() }
    }
}

/// All types that know each other.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pub nodes: Vec<Node>,
}

impl Arena {
    /// Adds a type and returns its number.
    pub fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

/// A type, together with the arena in which its number means something.
#[derive(Debug, Clone)]
pub(crate) struct TypeRef {
    pub arena: Arc<Arena>,
    pub id: usize,
}

impl TypeRef {
    /// The type itself.
    pub fn node(&self) -> &Node {
        &self.arena.nodes[self.id]
    }
    /// Another type of the same arena.
    pub fn to(&self, id: usize) -> Self {
        Self { arena: Arc::clone(&self.arena), id }
    }
    /// The type of a field, declared or not.
    pub fn field(&self, name: &str) -> Option<Self> {
        match &self.node().shape {
            Shape::Object { fields, extra } => fields.get(name).copied().or(*extra).map(|id| self.to(id)),
            Shape::Any => Some(self.clone()),
            _ => None,
        }
    }
    /// Whether a field is declared, rather than an entry of a free map.
    pub fn declares(&self, name: &str) -> bool {
        matches!(&self.node().shape, Shape::Object { fields, .. } if fields.contains_key(name))
    }
    /// The type of the items of a list.
    pub fn item(&self) -> Option<Self> {
        match &self.node().shape {
            Shape::List { item, .. } => Some(self.to(*item)),
            Shape::Any => Some(self.clone()),
            _ => None,
        }
    }
    /// The type at a dotted path.
    #[cfg(test)]
    pub fn path(&self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self.clone(), |t, p| if p == "*" { t.item() } else { t.field(p) })
    }
}
