//! What holds when the way to the storage breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use plinth_emulators::{Fault, FaultProxy, Seen, Wire, WireFault};
use plinth_state::{Action, Backend, Error, verify};

use crate::common::{self, STACK, no_keys};

const SLOW_DOWN: &str =
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
const CONFLICT: &str = "<Error><Code>ConditionalRequestConflict</Code></Error>";
const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
const SKEWED: &str =
    "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>";
const EXPIRED: &str =
    "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";

/// How many entries are appended under each fault.
const ENTRIES: usize = 12;

/// Every fault, between the storage at `url` and a backend that `open` makes for an endpoint and a place.
pub async fn everything(url: &str, open: impl Fn(&str, &str) -> Arc<dyn Backend>) {
    let proxy = FaultProxy::before(url);
    let backend = |place: &str| open(&proxy.url(), place);

    // Every second create is carried out and its reply lost, or overtaken by an error.
    appended_under(backend("lost"), &proxy, on_creates(2, Fault::LoseReply)).await;
    appended_under(backend("landed"), &proxy, on_creates(2, Fault::AnswerAfter(500, SLOW_DOWN))).await;
    // The reply is lost, and whoever sends again by itself is told that the object exists.
    appended_under(backend("exists"), &proxy, on_creates(2, Fault::AnswerAfter(412, ""))).await;
    // Two creates met and neither won.
    appended_under(backend("conflict"), &proxy, on_creates(2, Fault::Answer(409, CONFLICT))).await;
    // Bursts: four of ten requests of any kind fail.
    for (place, fault) in [
        ("busy", Fault::Answer(503, SLOW_DOWN)),
        ("many", Fault::Answer(429, SLOW_DOWN)),
        ("cut", Fault::Drop),
    ] {
        let mut count = 0;
        appended_under(backend(place), &proxy, move |_| {
            count += 1;
            if count % 10 < 4 { fault.clone() } else { Fault::Pass }
        })
        .await;
    }
    // What does not pass is told at once.
    for (status, body, wanted) in
        [(403, DENIED, "Access Denied"), (403, SKEWED, "clock"), (400, EXPIRED, "expired: renew them")]
    {
        proxy.judge(move |_| Fault::Answer(status, body));
        let start = Instant::now();
        let error = backend("denied").get("dev/log/1.json").await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(wanted), "{error}");
        assert!(error.to_string().contains("://"), "the place is named: {error}");
        assert!(start.elapsed() < Duration::from_secs(5), "it was tried again: {:?}", start.elapsed());
        assert_eq!(proxy.take_seen().len(), 1, "it was tried again");
    }
}

/// Does this to every nth create.
fn on_creates(every: usize, fault: Fault) -> impl FnMut(&Seen) -> Fault + Send + 'static {
    let mut count = 0;
    move |seen| {
        count += usize::from(seen.creates);
        if seen.creates && count % every == 0 { fault.clone() } else { Fault::Pass }
    }
}

/// A log is written under a fault: nothing fails, nothing is there twice, nothing is missing.
async fn appended_under(
    backend: Arc<dyn Backend>,
    proxy: &FaultProxy,
    judge: impl FnMut(&Seen) -> Fault + Send + 'static,
) {
    proxy.judge(judge);
    fill(&backend).await;
    proxy.judge(|_| Fault::Pass);
    written_once(backend).await;
    proxy.take_seen();
}

/// Creates resources, one entry each, under a lease that lasts: no renewal is among the entries.
async fn fill(backend: &Arc<dyn Backend>) {
    let (log, state) = common::open(backend).await;
    let hour = Duration::from_secs(3600);
    let writer = log.acquire(state, common::holder("one"), hour, Duration::ZERO).await.unwrap();
    for n in 0..ENTRIES {
        let (op, name) = (writer.next_op(), format!("r{n}"));
        let intent = common::intends(common::intent(op, Action::Create, &name));
        let outcome = common::succeeded(op, common::recorded(&name, &name, "v"));
        writer.append(vec![intent, outcome]).await.unwrap();
    }
    writer.release().await.unwrap();
}

async fn written_once(backend: Arc<dyn Backend>) {
    let report = verify(backend, STACK, no_keys()).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
    // One for each resource, one for the lease, one for its release.
    assert_eq!(report.entries, ENTRIES as u64 + 2);
    assert_eq!(report.state.resources.len(), ENTRIES);
}

/// A database's connection breaks, loses replies, and is refused for a while.
pub async fn of_a_connection(port: u16, open: impl Fn(u16) -> Arc<dyn Backend>) {
    let wire = Wire::before(port);
    let backend = open(wire.port());
    backend.put("x/1", Bytes::from_static(b"1")).await.unwrap();
    wire.cut();
    assert_eq!(backend.get("x/1").await.unwrap(), Some(Bytes::from_static(b"1")), "after a lost connection");
    assert!(wire.connections() >= 2);

    // Every create loses its reply, and its connection.
    wire.set(WireFault::LoseReplyTo("INSERT INTO faults (key, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"));
    fill(&backend).await;
    wire.set(WireFault::Pass);
    written_once(Arc::clone(&backend)).await;

    wire.set(WireFault::Refuse);
    wire.cut();
    let waiting = tokio::spawn({
        let backend = Arc::clone(&backend);
        async move { backend.get("x/1").await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    wire.set(WireFault::Pass);
    assert_eq!(
        waiting.await.unwrap().unwrap(),
        Some(Bytes::from_static(b"1")),
        "after it could not be reached"
    );
}
