//! Storage whose every write is a point before and after it, and some of whose writes go wrong.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use plinth_local::{Draw, Fault, Faults};
use plinth_state::{Backend, Created, Error, Result};

use super::{Points, Spec};

#[derive(Debug)]
pub struct Shaky {
    inner: Arc<dyn Backend>,
    points: Arc<Points>,
    draw: Draw,
}

impl Shaky {
    pub fn new(inner: Arc<dyn Backend>, points: Arc<Points>, spec: &Spec) -> Self {
        let draw = Draw::new(Faults { seed: spec.requests.seed, rate: spec.storage });
        Self { inner, points, draw }
    }

    fn before(&self, what: &str) {
        self.points.reach(&format!("before {what}"), &[]);
    }

    fn after<T>(&self, what: &str, result: &Result<T>, came: impl Fn(&T) -> &'static str) {
        let came = result.as_ref().map_or("failed", came);
        self.points.reach(&format!("after {what}"), &[("came", came)]);
    }

    async fn draw(&self, method: &str, key: &str) -> Option<Fault> {
        let fault = self.draw.fault(method, key, "");
        if let Some(Fault::Late(by)) = fault {
            tokio::time::sleep(by).await;
            return None;
        }
        fault
    }

    async fn created(&self, key: &str, bytes: Bytes) -> Result<Created> {
        match self.draw("create", key).await {
            Some(Fault::LostReply) => {
                self.inner.create(key, bytes).await?;
                Err(on_purpose("create", key, "the reply is lost"))
            }
            // What S3 says with 409 of two that write at once: neither has won.
            Some(Fault::Unavailable) => Ok(Created::Exists),
            Some(Fault::Throttled) => Err(on_purpose("create", key, "too many requests")),
            Some(_) => Err(on_purpose("create", key, "an internal error")),
            None => self.inner.create(key, bytes).await,
        }
    }
}

fn on_purpose(doing: &str, key: &str, why: &str) -> Error {
    Error::Storage { doing: format!("{doing} {key}"), why: format!("{why} (on purpose)") }
}

/// `dev/log/00000000000000000017.json` as `log 17`.
fn short(key: &str) -> String {
    let mut parts = key.rsplit('/');
    let name = parts.next().unwrap_or(key);
    let number = name.strip_suffix(".json").and_then(|digits| digits.parse::<u64>().ok());
    match (number, parts.next()) {
        (Some(number), Some(folder)) => format!("{folder} {number}"),
        _ => key.to_owned(),
    }
}

#[async_trait]
impl Backend for Shaky {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let what = format!("append to {}", short(key));
        self.before(&what);
        let result = self.created(key, bytes).await;
        self.after(&what, &result, |created| match created {
            Created::Created => "created",
            Created::Exists => "exists",
        });
        result
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.inner.get(key).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.inner.list(folder).await
    }

    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        self.inner.list_after(folder, start).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let what = format!("write {}", short(key));
        self.before(&what);
        let result = match self.draw("put", key).await {
            None => self.inner.put(key, bytes).await,
            Some(Fault::LostReply) => {
                self.inner.put(key, bytes).await.and(Err(on_purpose("write", key, "the reply is lost")))
            }
            Some(_) => Err(on_purpose("write", key, "unavailable")),
        };
        self.after(&what, &result, |()| "ok");
        result
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let what = format!("remove {}", short(key));
        self.before(&what);
        let result = self.inner.delete(key).await;
        self.after(&what, &result, |()| "ok");
        result
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn points_of_the_log_are_named_by_position() {
        assert_eq!(short("dev/log/00000000000000000017.json"), "log 17");
        assert_eq!(short("dev/checkpoint/00000000000000000050.json"), "checkpoint 50");
        assert_eq!(short("dev/other"), "dev/other");
    }
}
