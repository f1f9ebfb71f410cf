//! A stack's data keys and what opens them: which ones are known, and taking in those that the log installs.

use crate::{DataKey, DataKeys, Event, Former, Keys, Result, WrappedKey};

/// The data keys that are known and what opens others.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    pub stack: String,
    pub keys: Keys,
    pub former: Option<Former>,
    pub data: DataKeys,
}

impl KeyRing {
    /// The stack's first data key and the event that installs it.
    pub async fn make(&self) -> Result<(DataKeys, Event)> {
        let (data, key) = self.keys.generate(&self.stack).await?;
        Ok((data, Event::KeyInstalled { key }))
    }

    /// A new data key after the known ones, wrapped for the keys configured now, with the earlier ones sealed in it.
    pub async fn succeed(&self) -> Result<(DataKeys, WrappedKey)> {
        let data = self.data.succeeded_by(DataKey::generate());
        let key = self.keys.wrap(&self.stack, &data).await?;
        Ok((data, key))
    }

    /// Whether a wrapped key brings nothing new.
    pub fn covers(&self, key: &WrappedKey) -> bool {
        match &key.id {
            Some(id) => self.data.has(id),
            // Format version 1 had one data key, however often it was wrapped.
            None => !self.data.is_empty(),
        }
    }

    /// Opens a wrapped data key, by the means until now where the present ones do not.
    pub async fn open(&self, key: &WrappedKey) -> Result<DataKeys> {
        let opened = self.keys.open(&self.stack, key).await;
        let (Err(error), Some(former)) = (&opened, &self.former) else { return opened };
        let Some(former) = former.keys_of(key).filter(|former| *former != self.keys) else {
            return Err(error.clone());
        };
        former.open(&self.stack, key).await
    }

    /// Takes over the data keys found in the log.
    pub async fn install(&mut self, key: &WrappedKey) -> Result<()> {
        self.data = self.open(key).await?.with_older(&self.data);
        Ok(())
    }
}
