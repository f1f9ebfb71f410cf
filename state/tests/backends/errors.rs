//! What a person is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use plinth_state::{Backend, Error};

/// A bucket that is not there is told, and is not taken for an empty one.
pub async fn no_bucket(backend: Arc<dyn Backend>, place: &str) {
    refused(backend, &[place, "does not make the"]).await;
}

/// Everything is refused at once, in these words.
pub async fn refused(backend: Arc<dyn Backend>, words: &[&str]) {
    let start = Instant::now();
    for error in [
        backend.get("dev/log/1.json").await.unwrap_err(),
        backend.list("dev/log").await.unwrap_err(),
        backend.create("dev/log/1.json", Bytes::from_static(b"x")).await.unwrap_err(),
        backend.put("dev/log/1.json", Bytes::from_static(b"x")).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        for word in words {
            assert!(text.contains(word), "{word:?} is missing in: {text}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20), "it was tried again: {:?}", start.elapsed());
}
