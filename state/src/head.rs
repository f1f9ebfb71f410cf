//! A hint at how far the log had come: evidence when its last entries are gone. Nothing rests on it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::lines::{Builder, Flaw, Parsed, VERSION};
use crate::{Log, Result, State, WrappedKey};

/// The last entry that a writer knew to be durable when it wrote this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    version: u64,
    pub stack: String,
    pub seq: u64,
    pub hash: String,
    /// The wrapped data key once more, should the entry that installed it be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<WrappedKey>,
}

impl Head {
    pub fn of(stack: &str, state: &State) -> Self {
        Self {
            version: VERSION,
            stack: stack.to_owned(),
            seq: state.seq,
            hash: state.hash.clone(),
            key: state.key.clone(),
        }
    }

    pub fn encode(&self) -> Result<Bytes> {
        Ok(Builder::new(self)?.finish().0.into())
    }

    pub fn decode(bytes: &[u8], stack: &str) -> Result<Self, Flaw> {
        let head: Self = Parsed::new(bytes)?.header()?;
        if head.stack == stack {
            Ok(head)
        } else {
            Err(Flaw::Damage(format!("it belongs to the stack `{}`", head.stack)))
        }
    }
}

impl Log {
    /// The hint, if there is one that can be read.
    pub(crate) async fn head(&self) -> Result<Option<Head>> {
        let Some(bytes) = self.backend().get(&self.head_key()).await? else { return Ok(None) };
        match Head::decode(&bytes, self.stack()) {
            Ok(head) => Ok(Some(head)),
            Err(flaw) => {
                tracing::warn!(%flaw, "passing over a hint at the log's end that cannot be read");
                Ok(None)
            }
        }
    }

    pub(crate) async fn put_head(&self, head: &Head) -> Result<()> {
        self.backend().put(&self.head_key(), head.encode()?).await
    }
}
