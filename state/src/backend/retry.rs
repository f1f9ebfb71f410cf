//! How often something is tried: after errors that pass, for a bounded time, at random moments.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Backend, Created};
use crate::{Error, Result};

/// The longest pause after the first try; it doubles with each.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause there is.
const LONGEST: Duration = Duration::from_secs(2);
/// How many tries there are.
const TRIES: u32 = 10;
/// After this long nothing is tried any more, however few the tries were: each may have taken its whole time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tries of one thing.
pub(crate) struct Retry {
    tries: u32,
    until: Instant,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self { tries: 1, until: Instant::now() + PATIENCE }
    }

    /// Waits for the next try, when there is one and the error may pass; gives the error back when not.
    ///
    /// The pause is any length up to its bound: writers that failed together do not come back together.
    pub(crate) async fn pause(&mut self, error: Error) -> Result<()> {
        if !error.may_pass() || self.tries >= TRIES || Instant::now() >= self.until {
            return Err(error);
        }
        let bound = LONGEST.min(FIRST * 2_u32.pow(self.tries - 1));
        self.tries += 1;
        tracing::debug!(%error, tries = self.tries, "trying again");
        tokio::time::sleep(bound.mul_f64(rand::random::<f64>())).await;
        Ok(())
    }
}

/// Storage that is tried again, as far as that is safe.
#[derive(Debug)]
pub(super) struct Patient<B> {
    inner: B,
}

impl<B> Patient<B> {
    pub(super) fn new(inner: B) -> Self {
        Self { inner }
    }
}

macro_rules! patiently {
    ($call:expr) => {{
        let mut retry = Retry::new();
        loop {
            match $call.await {
                Ok(done) => return Ok(done),
                Err(error) => retry.pause(error).await?,
            }
        }
    }};
}

#[async_trait]
impl<B: Backend> Backend for Patient<B> {
    /// Once: only who knows the bytes' meaning can tell an own object that is there from another's.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        self.inner.create(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        patiently!(self.inner.get(key))
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        patiently!(self.inner.list(folder))
    }

    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        patiently!(self.inner.list_after(folder, start))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        patiently!(self.inner.put(key, bytes.clone()))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        patiently!(self.inner.delete(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_are_bounded_in_number_and_time() {
        let passing = || Error::Storage { doing: "read x".into(), why: "reset".into() };
        let mut retry = Retry::new();
        let mut tries = 1;
        while retry.pause(passing()).await.is_ok() {
            tries += 1;
        }
        assert_eq!(tries, TRIES);

        let mut retry = Retry::new();
        tokio::time::advance(PATIENCE).await;
        assert!(retry.pause(passing()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_not_tried_again() {
        let denied = Error::Refused {
            place: "s3://b".into(),
            doing: "read x".into(),
            why: "denied".into(),
            help: "allow it".into(),
        };
        let start = Instant::now();
        assert!(Retry::new().pause(denied).await.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO, "it waited");
    }
}
