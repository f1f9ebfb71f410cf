//! The one primitive that the log rests on: create if absent, seen through lost replies.

use bytes::Bytes;

use crate::backend::retry::Retry;
use crate::{Backend, Created, Result};

/// What stands under a key after a create.
pub(crate) enum Landed {
    /// What we wrote.
    Ours,
    /// What somebody else wrote, or we ourselves wrote earlier.
    Other(Bytes),
}

/// Creates an object and finds out for certain whether it is ours. The bytes must be unique to this attempt.
///
/// A store may keep an object and lose the reply, send the request again by itself and then report our own object as
/// existing, or report a conflict where nothing is: in all these cases reading back decides.
pub(crate) async fn create(backend: &dyn Backend, key: &str, bytes: &Bytes) -> Result<Landed> {
    let mut retry = Retry::new();
    loop {
        let failure = match backend.create(key, bytes.clone()).await {
            Ok(Created::Created) => return Ok(Landed::Ours),
            Ok(Created::Exists) => None,
            Err(error) => Some(error),
        };
        let failure = match (backend.get(key).await, failure) {
            (Ok(Some(found)), _) if found == *bytes => return Ok(Landed::Ours),
            (Ok(Some(found)), _) => return Ok(Landed::Other(found)),
            (_, Some(error)) | (Err(error), None) => error,
            (Ok(None), None) => crate::Error::Storage {
                doing: format!("create {key}"),
                why: "it says that the object exists, and that it does not".to_owned(),
            },
        };
        retry.pause(failure).await?;
    }
}
