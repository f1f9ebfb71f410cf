//! The calls that every kind of object store shares, and `memory://`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};

use super::{Backend, Created};
use crate::{Error, Result};

/// Tells what an error means where it happened.
pub(super) trait Judge: fmt::Debug + Send + Sync {
    fn judge(&self, doing: &str, error: object_store::Error) -> Error;
}

/// A store, where in it our objects lie, and who judges its errors.
#[derive(Debug)]
pub(super) struct Objects<J> {
    store: Arc<dyn ObjectStore>,
    judge: J,
}

impl<J: Judge> Objects<J> {
    pub(super) fn new(store: impl ObjectStore, prefix: &str, judge: J) -> Self {
        let store: Arc<dyn ObjectStore> =
            if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) };
        Self { store, judge }
    }
}

pub(super) fn memory() -> Objects<Memory> {
    Objects::new(InMemory::new(), "", Memory)
}

#[derive(Debug)]
pub(super) struct Memory;

impl Judge for Memory {
    fn judge(&self, doing: &str, error: object_store::Error) -> Error {
        Error::Storage { doing: doing.to_owned(), why: error.to_string() }
    }
}

/// Our own tries alone: the store's would send a create again by itself, and for three minutes.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// How long anything may take.
pub(super) fn client_options(allow_http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(45))
        .with_allow_http(allow_http)
}

/// The system's error number below an error.
pub(super) fn io_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(code) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return Some(code);
        }
        source = error.source();
    }
    None
}

fn path(judge: &dyn Judge, key: &str) -> Result<Path> {
    Path::parse(key).map_err(|error| judge.judge(&format!("name {key}"), error.into()))
}

pub(super) async fn create(
    store: &dyn ObjectStore,
    judge: &dyn Judge,
    key: &str,
    bytes: Bytes,
) -> Result<Created> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match store.put_opts(&path(judge, key)?, PutPayload::from_bytes(bytes), options).await {
        Ok(_) => Ok(Created::Created),
        // S3 says with the same error that two creates met and neither won.
        Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
            Ok(Created::Exists)
        }
        Err(error) => Err(judge.judge(&format!("create {key}"), error)),
    }
}

pub(super) async fn get(store: &dyn ObjectStore, judge: &dyn Judge, key: &str) -> Result<Option<Bytes>> {
    let read = match store.get(&path(judge, key)?).await {
        Ok(found) => found.bytes().await,
        Err(error) => Err(error),
    };
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(judge.judge(&format!("read {key}"), error)),
    }
}

pub(super) async fn list(
    store: &dyn ObjectStore,
    judge: &dyn Judge,
    folder: &str,
    start: Option<&str>,
) -> Result<Vec<String>> {
    let prefix = path(judge, folder)?;
    let stream = match start {
        None => store.list(Some(&prefix)),
        Some(start) => store.list_with_offset(Some(&prefix), &path(judge, start)?),
    };
    let keys = stream.map_ok(|meta| meta.location.to_string()).try_collect::<Vec<_>>().await;
    let mut keys = match keys {
        Ok(keys) => keys,
        Err(error) if is_absent(&error) => Vec::new(),
        Err(error) => return Err(judge.judge(&format!("list {folder}"), error)),
    };
    // Not every server knows where to begin.
    if let Some(start) = start {
        keys.retain(|key| key.as_str() > start);
    }
    keys.sort_unstable();
    Ok(keys)
}

pub(super) async fn put(store: &dyn ObjectStore, judge: &dyn Judge, key: &str, bytes: Bytes) -> Result<()> {
    let put = store.put(&path(judge, key)?, PutPayload::from_bytes(bytes)).await;
    put.map(drop).map_err(|error| judge.judge(&format!("write {key}"), error))
}

pub(super) async fn delete(store: &dyn ObjectStore, judge: &dyn Judge, key: &str) -> Result<()> {
    match store.delete(&path(judge, key)?).await {
        Ok(()) => Ok(()),
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(judge.judge(&format!("delete {key}"), error)),
    }
}

/// Whether an object is absent, and not the whole bucket.
fn is_absent(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && !Said::of(error).no_bucket()
}

/// What a server has said.
#[derive(Debug)]
pub(super) struct Said {
    /// The whole error in words.
    pub text: String,
    /// The status of its reply.
    pub status: Option<u16>,
    /// Its own code for the error.
    pub code: Option<String>,
}

impl Said {
    pub(super) fn of(error: &object_store::Error) -> Self {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = error.source();
        }
        let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
        let status = after("status code: ").and_then(|rest| rest.get(..3)?.parse().ok());
        let code = after("<Code>").and_then(|rest| Some(rest.split_once("</Code>")?.0.to_owned()));
        Self { text, status, code }
    }

    /// Whether the bucket itself is missing.
    pub(super) fn no_bucket(&self) -> bool {
        self.is(&["NoSuchBucket", "ContainerNotFound", "ResourceNotFound"])
    }

    /// Whether its code is one of these.
    pub(super) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// The essence, for a message: the server's code and words when there are any.
    pub(super) fn why(&self) -> String {
        let words = self.text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
        match (&self.code, words) {
            (Some(code), Some((words, _))) => {
                format!("{code}: {}", words.split('\n').next().unwrap_or(words).trim_end_matches('.'))
            }
            (Some(code), None) => code.clone(),
            _ => self.text.clone(),
        }
    }
}

/// What a cloud's error means: one verdict for all, with each cloud's own words for what to do.
pub(super) struct Advice {
    /// What to do when something is denied.
    pub denied: String,
    /// What to do when the credentials are not accepted.
    pub credentials: &'static str,
    /// What to do when the bucket is missing.
    pub bucket: &'static str,
}

pub(super) fn verdict(place: &str, doing: &str, error: &object_store::Error, advice: Advice) -> Error {
    let said = Said::of(error);
    let refused = |why: String, help: &str| Error::Refused {
        place: place.to_owned(),
        doing: doing.to_owned(),
        why,
        help: help.to_owned(),
    };
    let clock = ["RequestTimeTooSkewed", "RequestExpired"];
    if said.is(&clock) || said.text.contains("date header too old") {
        return refused(said.why(), "set this machine's clock right: it differs too much from the server's");
    }
    if said.no_bucket() {
        return refused(said.why(), advice.bucket);
    }
    let expired = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];
    if said.is(&expired) {
        return refused(
            said.why(),
            &format!("the credentials have expired: renew them; {}", advice.credentials),
        );
    }
    let unknown = [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "AuthenticationFailed",
        "InvalidToken",
        "InvalidAuthenticationInfo",
    ];
    if said.is(&unknown)
        || matches!(error, object_store::Error::Unauthenticated { .. })
        || said.status == Some(401)
        || said.text.contains("failed to authenticate the request")
    {
        return refused(said.why(), advice.credentials);
    }
    if matches!(error, object_store::Error::PermissionDenied { .. }) || said.status == Some(403) {
        return refused(said.why(), &advice.denied);
    }
    if said.is(&["AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"])
        || matches!(said.status, Some(301 | 307))
        || said.text.contains("redirect without LOCATION")
    {
        return refused(said.why(), "the bucket is in another region: name its region in the URL, ?region=…");
    }
    match said.status {
        Some(408 | 409 | 429) | None | Some(500..) => {
            Error::Storage { doing: format!("{doing} at {place}"), why: said.why() }
        }
        Some(_) => refused(said.why(), "see the server's words, and the URL's parameters"),
    }
}

#[async_trait]
impl<J: Judge> Backend for Objects<J> {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        create(&*self.store, &self.judge, key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        get(&*self.store, &self.judge, key).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>> {
        list(&*self.store, &self.judge, folder, None).await
    }

    async fn list_after(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        list(&*self.store, &self.judge, folder, Some(start)).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        put(&*self.store, &self.judge, key, bytes).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        delete(&*self.store, &self.judge, key).await
    }
}
