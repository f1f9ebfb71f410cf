//! Flow control towards one API server: as many requests at once as it takes without refusing any. When it refuses one
//! with 429, the priority level that its reply names takes half as many and rests for as long as it asks; every answer
//! raises the number again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The most requests of one level at once.
const MOST: f64 = 64.0;
/// How long a level rests when the server does not say.
const REST: Duration = Duration::from_secs(1);

/// What is known of one server's priority levels.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    levels: HashMap<String, Level>,
    /// The level that requests of a sort were last seen in. A sort that was not seen yet shares the unnamed level.
    seen: HashMap<String, String>,
}

#[derive(Debug)]
struct Level {
    limit: f64,
    running: usize,
    rests_until: Option<Instant>,
}

impl Default for Level {
    fn default() -> Self {
        Self { limit: MOST, running: 0, rests_until: None }
    }
}

/// The right to have one request under way.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    flow: &'a Flow,
    sort: String,
    level: String,
}

impl Flow {
    /// Waits until one more request may go.
    pub(crate) async fn enter(&self, method: &Method, path: &str) -> Pass<'_> {
        let sort = sort_of(method, path);
        loop {
            let freed = self.freed.notified();
            let wait = {
                let mut state = self.lock();
                let level = state.seen.get(&sort).cloned().unwrap_or_default();
                let known = state.levels.entry(level.clone()).or_default();
                let now = Instant::now();
                match known.rests_until {
                    Some(until) if until > now => Some(until),
                    _ if (known.running as f64) < known.limit.max(1.0) => {
                        known.running += 1;
                        return Pass { flow: self, sort, level };
                    }
                    _ => None,
                }
            };
            match wait {
                Some(until) => tokio::time::sleep_until(until).await,
                None => freed.await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The request was answered, in the priority level that the reply names.
    pub(crate) fn answered(&self, level: Option<&str>, refused: bool, retry_after: Option<Duration>) {
        let mut state = self.flow.lock();
        let level = match level {
            Some(level) => {
                state.seen.insert(self.sort.clone(), level.to_owned());
                level
            }
            None => &self.level,
        };
        let known = state.levels.entry(level.to_owned()).or_default();
        if refused {
            known.limit = (known.limit / 2.0).max(1.0);
            known.rests_until = Some(Instant::now() + retry_after.unwrap_or(REST));
        } else {
            known.limit = (known.limit + 1.0 / known.limit).min(MOST);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(level) = self.flow.lock().levels.get_mut(&self.level) {
            level.running = level.running.saturating_sub(1);
        }
        self.flow.freed.notify_one();
    }
}

/// What the server sorts requests by that differs between ours: verb and kind of object.
fn sort_of(method: &Method, path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let root = if parts.first() == Some(&"api") { 2 } else { 3 };
    let kind = match parts.get(root) {
        Some(&"namespaces") => parts.get(root + 2).or(parts.get(root)),
        other => other,
    };
    let group = if root == 3 { parts.get(1).copied().unwrap_or_default() } else { "" };
    format!("{method} {group}/{}", kind.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST_ASKED: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn a_level_that_refuses_rests_and_takes_less() {
        let flow = Flow::default();
        let pass = flow.enter(&Method::GET, "/api/v1/namespaces/n/pods/p").await;
        pass.answered(Some("low"), true, Some(REST_ASKED));
        drop(pass);
        let begun = Instant::now();
        let other = flow.enter(&Method::GET, "/apis/apps/v1/deployments").await;
        assert!(begun.elapsed() < REST_ASKED, "another sort of request is not held back");
        drop(other);
        let pass = flow.enter(&Method::GET, "/api/v1/pods?limit=1").await;
        assert!(begun.elapsed() >= REST_ASKED);
        pass.answered(Some("low"), false, None);
        drop(pass);
        let limit = flow.lock().levels["low"].limit;
        assert!(limit > 32.0 && limit < 33.0, "{limit}");
    }

    #[tokio::test]
    async fn no_more_than_the_limit_at_once() {
        let flow = Flow::default();
        let mut held = Vec::new();
        for _ in 0..64 {
            held.push(flow.enter(&Method::GET, "/api/v1/pods").await);
        }
        let late = tokio::time::timeout(Duration::from_millis(50), flow.enter(&Method::GET, "/api/v1/pods"));
        assert!(late.await.is_err());
        held.pop();
        assert!(
            tokio::time::timeout(Duration::from_secs(1), flow.enter(&Method::GET, "/api/v1/pods"))
                .await
                .is_ok()
        );
    }

    #[test]
    fn sorts() {
        assert_eq!(sort_of(&Method::GET, "/api/v1/namespaces/n/pods/p?x=y"), "GET /pods");
        assert_eq!(sort_of(&Method::GET, "/api/v1/namespaces/n"), "GET /namespaces");
        assert_eq!(
            sort_of(&Method::PATCH, "/apis/apps/v1/namespaces/n/deployments/d"),
            "PATCH apps/deployments"
        );
        assert_eq!(sort_of(&Method::GET, "/version"), "GET /");
    }
}
