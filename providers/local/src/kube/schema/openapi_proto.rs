//! The OpenAPI v2 document in protobuf, for clients that take nothing else.
//!
//! `kubectl` asks it whether a kind can be patched with `dryRun` and `fieldValidation`, and whether it knows a
//! schema to check against. It holds the operations and no schemas: what is checked is checked by the server.

use std::sync::Arc;

use super::super::kinds::Resource;

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
    /// Adds a field of bytes.
    fn bytes(mut self, number: u64, value: &[u8]) -> Self {
        self.varint(number << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }
    fn text(self, number: u64, value: &str) -> Self {
        self.bytes(number, value.as_bytes())
    }
    fn message(self, number: u64, value: &Self) -> Self {
        self.bytes(number, &value.0)
    }
}

/// The document for a server of a version.
pub(crate) fn document(version: &str, resources: &[Arc<Resource>]) -> Vec<u8> {
    let info = Message::default().text(1, "Kubernetes").text(2, version);
    let mut paths = Message::default();
    for resource in resources.iter().filter(|r| !r.review) {
        let root = match resource.group.as_str() {
            "" => format!("/api/{}", resource.version),
            group => format!("/apis/{group}/{}", resource.version),
        };
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("{root}{scope}/{}/{{name}}", resource.plural);
        let item = Message::default().message(8, &patch(resource));
        paths = paths.message(2, &Message::default().text(1, &path).message(2, &item));
    }
    let definitions = Message::default();
    Message::default().text(1, "2.0").message(2, &info).message(8, &paths).message(9, &definitions).0
}

fn patch(resource: &Resource) -> Message {
    let mut operation = Message::default().text(5, &format!("patch{}{}", resource.version, resource.kind));
    for name in ["dryRun", "fieldManager", "fieldValidation"] {
        let query = Message::default().text(2, "query").text(4, name).text(6, "string");
        let parameter = Message::default().message(2, &Message::default().message(3, &query));
        operation = operation.message(8, &Message::default().message(1, &parameter));
    }
    let kind =
        format!("group: {:?}\nkind: {}\nversion: {}\n", resource.group, resource.kind, resource.version);
    let extension = Message::default()
        .text(1, "x-kubernetes-group-version-kind")
        .message(2, &Message::default().text(2, &kind));
    operation.message(13, &extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_varints() {
        let long = Message::default().text(1, &"x".repeat(300));
        assert_eq!(long.0[..3], [0x0a, 0xac, 0x02]);
        let document = document("v1.36.2", &[]);
        assert!(document.starts_with(&[0x0a, 3, b'2', b'.', b'0']));
    }
}
