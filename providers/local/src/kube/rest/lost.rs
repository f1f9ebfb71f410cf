//! A reply that never arrives, although the work was done.

/// Marks a response that must not reach the client; as an error it closes the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostReply;

impl std::fmt::Display for LostReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was closed before a reply was received")
    }
}

impl std::error::Error for LostReply {}
