//! What a program declares, and what state records of it.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{OutputRef, Path, Urn, UrnError, Value, exposed, typed};

/// One thing with a lifecycle, as declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its identity; carries the kind.
    pub urn: Urn,
    /// What we ask for.
    #[serde(with = "exposed")]
    pub inputs: Value,
    /// How the provider reaches the system it lives in (which cluster), when the kind alone does not say.
    /// It never holds credentials, only what they are looked up by. May hold outputs.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Value>,
    /// How the engine treats it.
    #[serde(default, skip_serializing_if = "Options::is_default")]
    pub options: Options,
}

impl Resource {
    /// A resource with default options.
    pub fn new(urn: Urn, inputs: Value) -> Self {
        Self { urn, inputs, connection: None, options: Options::default() }
    }

    /// Every resource that this one needs: by reference, by connection, or declared.
    pub fn dependencies(&self) -> BTreeSet<Urn> {
        let mut found: BTreeSet<Urn> = self.options.depends_on.iter().cloned().collect();
        let mut visit = |reference: &OutputRef| {
            found.insert(reference.urn.clone());
        };
        self.inputs.references(&mut visit);
        if let Some(connection) = &self.connection {
            connection.references(&mut visit);
        }
        found
    }
}

/// How the engine treats a resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Dependencies beside those that references make.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Urn>,
    /// Refuse to delete or replace it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Inputs whose changes are left alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_changes: Vec<Path>,
    /// Inputs whose changes force a replacement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replace_on_changes: Vec<Path>,
    /// Overrides the kind's order of replacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_before_replace: Option<bool>,
    /// Forget it instead of deleting it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retain_on_delete: bool,
    /// Deadlines of its operations.
    #[serde(skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// Former URNs: a renamed resource is not recreated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Urn>,
    /// The system's own id of something that exists already: it is taken over instead of made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    /// What exists already where this would be made is taken over, if nobody's marks are on it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// Where a tree of progress shows it, such as `storage` or `loki`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
}

impl Options {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Deadlines of a resource's operations; absent means the kind's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// Creating, including becoming ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<Duration>,
    /// Updating, including becoming ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Duration>,
    /// Deleting, until it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<Duration>,
}

impl Timeouts {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What state records of a resource that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its identity.
    pub urn: Urn,
    /// The system's own identity of it: an ARN, `namespace/name`, ….
    pub id: String,
    /// What we asked for: resolved, in the provider's normal form.
    #[serde(with = "exposed")]
    pub inputs: Value,
    /// What came back.
    #[serde(with = "exposed")]
    pub outputs: Value,
    /// How it was reached.
    #[serde(with = "exposed", default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Value>,
    /// What it needed when it was last applied: deletes run in the reverse of this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Urn>,
    /// The options when it was last applied.
    #[serde(default, skip_serializing_if = "Options::is_default")]
    pub options: Options,
    /// Its last operation was interrupted or failed half-way, so live may differ from the inputs: the next run
    /// brings it to the desired inputs again, whatever the difference says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsettled: bool,
}

/// A typed kind: a struct of inputs that knows its kind.
pub trait Kind: Serialize {
    /// The kind's name, such as `local:cloud/Bucket`.
    const KIND: &'static str;
}

/// A declared resource whose outputs can be referred to.
#[derive(Debug, Clone)]
pub struct Typed<K> {
    urn: Urn,
    kind: PhantomData<fn() -> K>,
}

impl<K> Typed<K> {
    /// Its identity.
    pub fn urn(&self) -> &Urn {
        &self.urn
    }

    /// A reference to one of its outputs. Using it makes a dependency.
    pub fn output(&self, path: &str) -> OutputRef {
        OutputRef { urn: self.urn.clone(), path: Path::parse(path) }
    }

    /// One of its outputs as a text that may stand inside other texts of typed inputs; see [`OutputRef::mark`].
    pub fn text(&self, path: &str) -> String {
        self.output(path).mark()
    }
}

/// What a program writes its resources into.
#[derive(Debug)]
pub struct Program {
    stack: String,
    resources: Vec<Resource>,
}

impl Program {
    /// An empty program of a stack.
    pub fn new(stack: &str) -> Self {
        Self { stack: stack.to_owned(), resources: Vec::new() }
    }

    /// The stack's name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// The URN that a resource of this stack has.
    ///
    /// # Errors
    /// When kind or name cannot stand in a URN.
    pub fn urn(&self, kind: &str, name: &str) -> Result<Urn, UrnError> {
        Urn::new(&self.stack, kind, name)
    }

    /// Declares a typed resource.
    ///
    /// # Errors
    /// When the name cannot stand in a URN or the inputs do not serialize.
    pub fn declare<K: Kind>(&mut self, name: &str, inputs: &K) -> crate::Result<Typed<K>> {
        self.declare_as(K::KIND, name, inputs)
    }

    /// Declares a resource of a type that does not itself know its kind.
    ///
    /// # Errors
    /// As [`Program::declare`].
    pub fn declare_as<T: Serialize>(
        &mut self,
        kind: &str,
        name: &str,
        inputs: &T,
    ) -> crate::Result<Typed<T>> {
        let urn = self.urn(kind, name).map_err(|error| crate::Error::invalid(error.to_string()))?;
        let inputs =
            typed(inputs).map_err(|error| crate::Error::invalid(format!("inputs of {urn}: {error}")))?;
        self.add(Resource::new(urn.clone(), inputs));
        Ok(Typed { urn, kind: PhantomData })
    }

    /// Declares a resource.
    pub fn add(&mut self, resource: Resource) {
        self.resources.push(resource);
    }

    /// The resource declared last or at `urn`, to set its options.
    pub fn resource_mut(&mut self, urn: &Urn) -> Option<&mut Resource> {
        self.resources.iter_mut().rev().find(|resource| resource.urn == *urn)
    }

    /// Everything that was declared, in order.
    pub fn into_resources(self) -> Vec<Resource> {
        self.resources
    }
}
