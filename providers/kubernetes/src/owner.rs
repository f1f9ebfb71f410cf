//! The marks on an object that say whose it is, and the annotations by which a user steers this provider.

use plinth_provider::{Recorded, Urn};
use serde_json::Value as Json;

use crate::tree;

/// The field manager of everything that Plinth applies. One constant: a manager under another name conflicts with its
/// own earlier self.
pub(crate) const MANAGER: &str = "plinth";
/// Label: the stack that an object belongs to.
pub(crate) const STACK: &str = "plinth.dev/stack";
/// Annotation: the resource that an object is.
pub(crate) const URN: &str = "plinth.dev/urn";
/// Annotation: `"false"` does not wait until the object is ready.
pub(crate) const WAIT: &str = "plinth.dev/wait";
/// Annotation: `"true"` takes over fields that other managers own.
pub(crate) const FORCE: &str = "plinth.dev/force-conflicts";
/// Annotation on a StatefulSet: `"true"` keeps the claims made from its templates when it is deleted.
pub(crate) const RETAIN_VOLUMES: &str = "plinth.dev/retain-volumes";
/// Annotation on a CustomResourceDefinition: `"true"` deletes the objects of the kind with it.
pub(crate) const DELETE_INSTANCES: &str = "plinth.dev/delete-instances";

/// Annotation on what makes pods: a variable that an admission webhook gives to their containers. A pod that was
/// admitted without it never gets it, so it is evicted for another one.
pub(crate) const ADMITTED_WITH: &str = "plinth.dev/admitted-with";

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This very resource's.
    Ours,
    /// Another resource's, or another stack's.
    Other { stack: String, urn: String },
    /// Not made by Plinth, or it lost its marks.
    Nobody,
}

/// Reads the marks of a live object.
pub(crate) fn owner_of(object: &Json, urn: &Urn) -> Owner {
    let stack = tree::label(object, STACK);
    let marked = tree::annotation(object, URN);
    match (stack, marked) {
        (None, None) => Owner::Nobody,
        (Some(stack), Some(marked)) if stack == urn.stack() && marked == urn.as_str() => Owner::Ours,
        (stack, marked) => Owner::Other {
            stack: stack.unwrap_or("an unknown stack").to_owned(),
            urn: marked.unwrap_or("an unknown resource").to_owned(),
        },
    }
}

/// The stack that a live object is labelled with, when it is not this one.
pub(crate) fn foreign_stack<'a>(object: &'a Json, urn: &Urn) -> Option<&'a str> {
    tree::label(object, STACK).filter(|stack| *stack != urn.stack())
}

/// The stack that a recorded object was lost to. One that was moved here from another stack's state still carries that
/// stack's label: it is recorded with its own uid, and as not settled, until it is written with the marks of this one.
pub(crate) fn lost_to<'a>(object: &'a Json, recorded: &Recorded) -> Option<&'a str> {
    let known = recorded.outputs.text_at("metadata.uid");
    let moved_here = recorded.unsettled && known.is_some() && tree::text(object, "metadata.uid") == known;
    foreign_stack(object, &recorded.urn).filter(|_| !moved_here)
}

/// Who has written an object, each named once.
pub(crate) fn managers(object: &Json) -> Vec<&str> {
    let mut names: Vec<&str> = tree::items(object, "metadata.managedFields")
        .filter(|entry| tree::text(entry, "subresource").is_none())
        .filter_map(|entry| tree::text(entry, "manager"))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn marks_are_read() {
        let urn = Urn::new("s", "k8s:v1/ConfigMap", "c").unwrap();
        let object = |stack: &str, urn: &str| json!({"metadata": {"labels": {STACK: stack}, "annotations": {URN: urn}}});
        assert_eq!(owner_of(&object("s", urn.as_str()), &urn), Owner::Ours);
        assert!(matches!(owner_of(&object("t", urn.as_str()), &urn), Owner::Other { .. }));
        assert!(matches!(owner_of(&object("s", "plinth:s::k8s:v1/ConfigMap::d"), &urn), Owner::Other { .. }));
        assert_eq!(owner_of(&json!({"metadata": {}}), &urn), Owner::Nobody);
        assert_eq!(foreign_stack(&object("t", "x"), &urn), Some("t"));
    }
}
