//! Watching: a stream of what changes, one JSON document per line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use tokio::time::Instant;

use super::super::json::{Json, Look, json, set};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Event;
use super::super::table;
use super::negotiate::{Form, form, include, metadata};
use super::options;
use super::read::{Selectors, presented};
use super::request::{Ask, Target};

const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const BEFORE_THE_END: Duration = Duration::from_secs(2);

struct Watcher {
    server: Arc<Server>,
    resource: Arc<Resource>,
    namespace: String,
    selectors: Selectors,
    form: Form,
    include: String,
    bookmarks: bool,
    /// Everything up to here has been sent.
    version: u64,
    waiting: VecDeque<Json>,
    latest: tokio::sync::watch::Receiver<u64>,
    deadline: Instant,
    bookmark: Instant,
    columns: bool,
    done: bool,
}

/// A bookmark comes every minute, and shortly before the end of the watch; in a short one there is none.
fn next_bookmark(deadline: Instant) -> Instant {
    let now = Instant::now();
    let last = deadline.checked_sub(BEFORE_THE_END).filter(|last| *last > now);
    (now + BOOKMARK_EVERY).min(last.unwrap_or(deadline + BOOKMARK_EVERY))
}

/// Starts a watch.
pub(crate) fn watch(
    server: &Arc<Server>,
    ask: &Ask,
    resource: Arc<Resource>,
    target: &Target,
) -> Result<Response<Body>, Status> {
    let form = form(ask)?;
    let selectors = Selectors::of(ask, &resource, target)?;
    let asked = ask.query("resourceVersion").unwrap_or_default();
    let initial = options::watch(ask)?;
    let timeout = ask.query("timeoutSeconds").and_then(|t| t.parse().ok()).filter(|t| *t > 0).unwrap_or(1800);
    let latest = server.store.subscribe();
    let scope = (!target.namespace.is_empty()).then_some(target.namespace.as_str());
    let mut watcher = Watcher {
        server: Arc::clone(server),
        namespace: target.namespace.clone(),
        selectors,
        form,
        include: include(ask).to_owned(),
        bookmarks: ask.flag("allowWatchBookmarks"),
        version: 0,
        waiting: VecDeque::new(),
        latest,
        deadline: Instant::now() + Duration::from_secs(timeout),
        bookmark: next_bookmark(Instant::now() + Duration::from_secs(timeout)),
        columns: true,
        done: false,
        resource,
    };
    let from_now = asked.is_empty() || asked == "0";
    if from_now || initial {
        let (objects, version) = server.store.list(&watcher.resource.storage, scope);
        let wanted =
            if asked.is_empty() { 0 } else { options::version(asked).map_err(Status::internal_bare)? };
        if wanted > version {
            return Err(Status::too_new(wanted, version));
        }
        watcher.version = version;
        for object in &objects {
            if !watcher.selectors.matches(object) {
                continue;
            }
            let line = watcher.event("ADDED", object);
            watcher.waiting.push_back(line);
        }
        if initial && watcher.bookmarks {
            let line = watcher.bookmark(true);
            watcher.waiting.push_back(line);
        }
    } else {
        // A version that lies ahead is waited for, as long as the watch lasts.
        watcher.version = options::version(asked).map_err(Status::internal_bare)?;
    }
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let lines = watcher.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(lines), watcher))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

impl Watcher {
    /// The next lines, or none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.waiting.is_empty() {
                let mut out = String::new();
                for line in self.waiting.drain(..) {
                    out.push_str(&line.to_string());
                    out.push('\n');
                }
                return Some(out.into());
            }
            if self.done {
                return None;
            }
            self.latest.borrow_and_update();
            self.collect();
            if !self.waiting.is_empty() {
                continue;
            }
            let wake = self.deadline.min(self.bookmark);
            tokio::select! {
                changed = self.latest.changed() => self.done = changed.is_err(),
                () = tokio::time::sleep_until(wake) => {
                    self.done = Instant::now() >= self.deadline;
                    self.bookmark = next_bookmark(self.deadline);
                    if self.bookmarks && !self.done {
                        let line = self.bookmark(false);
                        self.waiting.push_back(line);
                    }
                }
            }
        }
    }

    /// Fetches what has happened since the last look.
    fn collect(&mut self) {
        let Some(events) = self.server.store.since(self.version) else {
            let status = Status::expired(format!(
                "too old resource version: {} ({})",
                self.version,
                self.server.store.version()
            ));
            self.waiting.push_back(json!({"type": "ERROR", "object": status.to_json()}));
            self.done = true;
            return;
        };
        for event in events {
            self.version = event.version;
            if event.key.resource == self.resource.storage
                && (self.namespace.is_empty() || self.namespace == event.key.namespace)
            {
                self.translate(&event);
            }
        }
    }

    /// What an event means to somebody who sees only what the selectors let through.
    fn translate(&mut self, event: &Event) {
        let before = event.before.as_ref().is_some_and(|o| self.selectors.matches(o));
        let after = event.after.as_ref().is_some_and(|o| self.selectors.matches(o));
        let line = match (&event.after, before, after) {
            (Some(object), false, true) => self.event("ADDED", object),
            (Some(object), true, true) => self.event("MODIFIED", object),
            (Some(object), true, false) => {
                // The client sees the object as it last matched, with the version at which it stopped matching.
                let mut last = event.before.as_ref().map(|o| (**o).clone()).unwrap_or_default();
                set(&mut last, "metadata.resourceVersion", object.text("metadata.resourceVersion"));
                self.event("DELETED", &last)
            }
            (None, true, _) => match &event.last {
                Some(last) => self.event("DELETED", last),
                None => return,
            },
            _ => return,
        };
        self.waiting.push_back(line);
    }

    fn event(&mut self, kind: &str, object: &Json) -> Json {
        let object = presented(&self.resource, object);
        let object = match self.form {
            Form::Whole => object,
            Form::Metadata => metadata(&object),
            Form::Table => {
                let columns = std::mem::replace(&mut self.columns, false);
                let meta = json!({"resourceVersion": object.at("metadata.resourceVersion")});
                table::table(&self.resource, &[object], &meta, &self.include, columns)
            }
        };
        json!({"type": kind, "object": object})
    }

    fn bookmark(&self, initial: bool) -> Json {
        let mut meta = json!({"resourceVersion": self.version.to_string()});
        if initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form {
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta})
            }
            Form::Table => json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": meta["resourceVersion"]}, "columnDefinitions": null,
                "rows": [{"cells": [], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}}]}),
            Form::Whole => {
                json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": meta})
            }
        };
        json!({"type": "BOOKMARK", "object": object})
    }
}
