//! The holder of the lease: appends with group commit, renews, stops when it is fenced.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;
use tokio::sync::{OwnedRwLockReadGuard, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::append::{Landed, create};
use crate::entry::{Place, blocking, decode_header, encode, texts};
use crate::head::Head;
use crate::log::key_seq;
use crate::ring::KeyRing;
use crate::{DataKeys, Entry, Error, Event, Log, Result, State, checkpoint};

/// An entry takes no further call's events once it holds this many bytes.
const ENTRY_BYTES: usize = 4 << 20;

/// Holds the lease of a stack and appends to its log.
///
/// Dropping it without [`Writer::release`] is what a crash is: the lease stays until it expires.
#[derive(Debug)]
pub struct Writer {
    requests: mpsc::UnboundedSender<Request>,
    shared: Arc<Shared>,
    log: Log,
    epoch: u64,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<Arc<State>>,
    next_op: AtomicU64,
    lost: CancellationToken,
    /// Until when nobody whose clock runs as fast as ours takes the lease over.
    ours_until: Mutex<Instant>,
    /// Read by whoever is about to ask for more in the same breath; written by the appender before it gathers.
    cork: Arc<tokio::sync::RwLock<()>>,
}

/// While it lives, no append begins: what is asked for meanwhile goes into one entry.
#[derive(Debug)]
pub struct Cork(#[expect(dead_code, reason = "held for its drop")] Option<OwnedRwLockReadGuard<()>>);

/// The outcome of an append that was asked for.
#[derive(Debug)]
pub struct Receipt(Receiving);

#[derive(Debug)]
enum Receiving {
    Known(Option<Result<()>>),
    Coming(oneshot::Receiver<Result<()>>),
}

impl Receipt {
    fn known(outcome: Result<()>) -> Self {
        Self(Receiving::Known(Some(outcome)))
    }
}

impl Future for Receipt {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            Receiving::Known(outcome) => Poll::Ready(outcome.take().unwrap_or_else(|| Err(closed()))),
            Receiving::Coming(outcome) => {
                Pin::new(outcome).poll(context).map(|outcome| outcome.unwrap_or_else(|_| Err(closed())))
            }
        }
    }
}

enum Request {
    Append(Append),
    Release(oneshot::Sender<Result<()>>),
}

/// One call; `texts` hold its secrets in the clear.
struct Append {
    events: Vec<Event>,
    texts: Vec<String>,
    /// The data keys from then on, when they change.
    data: Option<Box<DataKeys>>,
    done: oneshot::Sender<Result<()>>,
}

impl Writer {
    /// `asked` is when the entry that took the lease was about to be written.
    pub(crate) fn start(log: Log, state: State, id: Uuid, epoch: u64, ttl: Duration, asked: Instant) -> Self {
        let shared = Arc::new(Shared {
            next_op: AtomicU64::new(state.next_op.max(1)),
            state: RwLock::new(Arc::new(state)),
            lost: CancellationToken::new(),
            ours_until: Mutex::new(asked + ttl),
            cork: Arc::default(),
        });
        let (requests, queue) = mpsc::unbounded_channel();
        let every = ttl / 3;
        let appender = Appender {
            ring: log.ring(),
            log: log.clone(),
            shared: Arc::clone(&shared),
            id,
            epoch,
            ttl,
            every,
            renew: Instant::now() + every,
            hint: Instant::now() + every,
            upkeep: None,
            rotated: false,
        };
        tokio::spawn(appender.run(queue));
        Self { requests, shared, log, epoch }
    }

    /// Appends events; returns once they are durable. Calls made while an append is under way share the next entry;
    /// events of one call stay together and in order.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another run has taken over: stop at once. On any other error the events may or may not be
    /// in the log.
    pub async fn append(&self, events: Vec<Event>) -> Result<()> {
        self.submit(events).await
    }

    /// Seals with a new data key from now on, wrapped for the keys that the log was opened with. The earlier ones stay,
    /// sealed with it. One entry decides; the lease's end leaves a checkpoint that is sealed with the new key.
    ///
    /// # Errors
    /// When the new key cannot be wrapped, or does not open again; or as [`Writer::append`].
    pub async fn rotate(&self) -> Result<()> {
        let ring = self.log.ring();
        if ring.data.is_empty() {
            return Err(Error::Key {
                why: "the stack has no data key yet: none is needed before a secret is recorded".to_owned(),
            });
        }
        let (data, key) = ring.succeed().await?;
        self.ask(vec![Event::KeyInstalled { key }], Some(Box::new(data))).await
    }

    /// Asks for an append, without waiting for it. Calls take their places in the log in the order in which they are
    /// made.
    pub fn submit(&self, events: Vec<Event>) -> Receipt {
        self.ask(events, None)
    }

    fn ask(&self, events: Vec<Event>, data: Option<Box<DataKeys>>) -> Receipt {
        if events.is_empty() {
            return Receipt::known(Ok(()));
        }
        let texts = match texts(&events) {
            Ok(texts) => texts,
            Err(error) => return Receipt::known(Err(error)),
        };
        let (done, outcome) = oneshot::channel();
        match self.requests.send(Request::Append(Append { events, texts, data, done })) {
            Ok(()) => Receipt(Receiving::Coming(outcome)),
            Err(_) => Receipt::known(Err(closed())),
        }
    }

    /// Holds the next append back until the cork is dropped, so that everything that is asked for in one go shares an
    /// entry. Never hold it across an await. An append that is under way goes on.
    #[must_use]
    pub fn cork(&self) -> Cork {
        Cork(Arc::clone(&self.shared.cork).try_read_owned().ok())
    }

    /// Makes sure, before something is done to a system, that the lease is still this writer's: at once while it cannot
    /// have expired; else, after a pause of this process or an outage of storage, by renewing it first.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub async fn hold(&self) -> Result<()> {
        if Instant::now() < *self.shared.ours_until.lock().unwrap_or_else(PoisonError::into_inner)
            && !self.shared.lost.is_cancelled()
        {
            return Ok(());
        }
        let (done, outcome) = oneshot::channel();
        let nothing = Append { events: Vec::new(), texts: Vec::new(), data: None, done };
        self.requests.send(Request::Append(nothing)).map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }

    /// State with everything that was appended so far. Cheap; do not keep it longer than needed, the next append then
    /// has to copy.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number for an intent, unique in this log.
    pub fn next_op(&self) -> u64 {
        self.shared.next_op.fetch_add(1, Ordering::Relaxed)
    }

    /// Cancelled as soon as it is known that another run has taken the lease: whatever is in flight should stop.
    pub fn lost(&self) -> &CancellationToken {
        &self.shared.lost
    }

    /// The epoch of the lease.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The log that it appends to.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Gives the lease back, after everything that was asked before. Later appends fail.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub async fn release(&self) -> Result<()> {
        let (done, outcome) = oneshot::channel();
        self.requests.send(Request::Release(done)).map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }
}

fn closed() -> Error {
    Error::Closed { why: "its lease was released, or its runtime has ended".to_owned() }
}

/// The task that does the appends.
struct Appender {
    log: Log,
    shared: Arc<Shared>,
    ring: KeyRing,
    id: Uuid,
    epoch: u64,
    ttl: Duration,
    every: Duration,
    renew: Instant,
    /// When the hint at the log's end is next written.
    hint: Instant,
    /// Writing of a checkpoint or of the hint at the log's end, beside the appends.
    upkeep: Option<JoinHandle<()>>,
    /// The data keys have changed: what was written before must not be the newest checkpoint.
    rotated: bool,
}

impl Appender {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Request>) {
        loop {
            let first = tokio::select! {
                biased;
                request = queue.recv() => match request {
                    Some(request) => Some(request),
                    None => return,
                },
                () = tokio::time::sleep_until(self.renew) => None,
            };
            // Whoever is about to ask for an append gets to do so.
            tokio::task::yield_now().await;
            drop(self.shared.cork.write().await);
            let batch = Batch::gather(first, &mut queue);
            let Batch { mut events, mut texts, data, waiting, release } = batch;
            let mut compacted = false;
            if release.is_some()
                && let Some(event) = self.compaction().await
                && let Ok(text) = self::texts(std::slice::from_ref(&event))
            {
                texts.extend(text);
                events.push(event);
                compacted = true;
            }
            let span = tracing::info_span!("append", seq = tracing::field::Empty, events = events.len());
            let outcome = self.commit(events, texts, release.is_some()).instrument(span).await;
            if let Some(data) = data.filter(|_| outcome.is_ok()) {
                self.ring.data = *data;
                self.log.keep(&self.ring);
                self.rotated = true;
            }
            if outcome.as_ref().is_err_and(Error::is_fenced) {
                self.shared.lost.cancel();
            }
            for done in waiting {
                // A caller that is gone does not want to know.
                let _ = done.send(outcome.clone());
            }
            if let Some(release) = release {
                if outcome.is_ok() {
                    self.tidy_up(compacted).await;
                }
                let _ = release.send(outcome);
                return;
            }
            match outcome {
                Err(error) if error.is_fenced() => return refuse(&mut queue, &error).await,
                Err(error) => tracing::warn!(%error, "an append to the state log failed"),
                Ok(()) => self.keep_up(),
            }
        }
    }

    /// Appends one entry: the callers' events, and the lease's own when they are due.
    async fn commit(&mut self, mut events: Vec<Event>, mut texts: Vec<String>, release: bool) -> Result<()> {
        let mut lease = None;
        if release {
            lease = Some(Event::LeaseReleased);
        } else if Instant::now() >= self.renew || events.is_empty() {
            // Counted from the try, not from its success: a store that is down must not be asked without a pause.
            self.renew = Instant::now() + self.every;
            lease = Some(Event::LeaseRenewed { expires: self.log.clock().now() + self.ttl });
        }
        let renewed = lease.is_some().then(|| Instant::now() + self.ttl);
        if let Some(event) = lease {
            texts.extend(self::texts(std::slice::from_ref(&event))?);
            events.push(event);
        }
        loop {
            let state = Arc::clone(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner));
            let seq = state.seq + 1;
            tracing::Span::current().record("seq", seq);
            let stack = self.log.stack();
            let time = self.log.clock().now();
            let place = Place { stack, seq, prev: &state.hash, epoch: self.epoch, writer: self.id, time };
            let mut encoded = encode(place, events, &texts, &self.ring).await?;
            // Not shared while the state changes: a shared one would have to be copied.
            drop(state);
            match create(self.log.backend(), &self.log.entry_key(seq), &encoded.bytes).await? {
                Landed::Ours => {
                    if let Some(data) = encoded.installs {
                        self.ring.data = data;
                        self.log.keep(&self.ring);
                    }
                    self.take_in(encoded.entry, encoded.bytes.len());
                    if let Some(until) = renewed {
                        *self.shared.ours_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
                    }
                    return Ok(());
                }
                Landed::Other(found) => {
                    self.take_in_own(seq, found).await?;
                    events = std::mem::take(&mut encoded.entry.events);
                    if encoded.installs.is_some() {
                        events.remove(0);
                    }
                }
            }
        }
    }

    fn take_in(&self, entry: Entry, bytes: usize) {
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut state).apply(entry);
        self.log.tail().bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Takes in what stands where we wanted to append: an entry of ours whose append was given up although it landed.
    /// Anything else means that another run has taken the lease.
    async fn take_in_own(&mut self, seq: u64, found: bytes::Bytes) -> Result<()> {
        let damaged = |flaw: crate::lines::Flaw| flaw.into_error(seq, &self.log.entry_key(seq));
        let (header, _) = decode_header(&found).map_err(damaged)?;
        let length = found.len();
        let mut ring = self.ring.clone();
        if header.writer != self.id {
            let by = match self.log.decode(seq, &found, &mut ring).await {
                Ok(Ok(entry)) => entry.events.iter().find_map(|event| match event {
                    Event::LeaseAcquired { holder, .. } | Event::LeaseBroken { by: holder, .. } => {
                        Some(holder.to_string())
                    }
                    _ => None,
                }),
                _ => None,
            };
            let by = by.unwrap_or_else(|| format!("the writer {} with entry {seq}", header.writer));
            return Err(Error::Fenced { stack: self.log.stack().to_owned(), by });
        }
        let state = Arc::clone(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner));
        let entry = self.log.linked(seq, found, &state, &mut ring).await?;
        drop(state);
        self.ring = ring;
        self.log.keep(&self.ring);
        self.take_in(entry, length);
        Ok(())
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts the writing of a checkpoint when the tail has grown, and of the hint at the log's end now and then. Appends
    /// go on meanwhile; the next one copies the map of resources once.
    fn keep_up(&mut self) {
        if self.upkeep.as_ref().is_some_and(|upkeep| !upkeep.is_finished()) {
            return;
        }
        let state = self.state();
        let checkpoint = self.log.tail().is_long(state.seq, true);
        if checkpoint || Instant::now() >= self.hint {
            self.hint = Instant::now() + self.every;
            let log = self.log.clone();
            self.upkeep = Some(tokio::spawn(async move { upkeep(&log, state, checkpoint).await }));
        }
    }

    /// What a run leaves for the next: a checkpoint when there is much after the last one, and the hint.
    async fn tidy_up(&mut self, compacted: bool) {
        if let Some(upkeep) = self.upkeep.take() {
            let _ = upkeep.await;
        }
        let state = self.state();
        let checkpoint = compacted || self.rotated || self.log.tail().is_long(state.seq, false);
        upkeep(&self.log, Arc::clone(&state), checkpoint).await;
        if compacted && let Err(error) = self.log.remove_compacted(&state).await {
            tracing::warn!(%error, "old entries of the state log were not removed; the next compaction does it");
        }
    }

    /// The event that ends the keeping of old revisions, if some need not be kept.
    async fn compaction(&mut self) -> Option<Event> {
        if let Some(upkeep) = self.upkeep.take() {
            let _ = upkeep.await;
        }
        let state = self.state();
        match self.log.compaction(&state, self.log.clock().now()).await {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "the state log was not compacted");
                None
            }
        }
    }
}

/// Writes what is not needed, only useful: without it, opening reads more, and less is noticed.
async fn upkeep(log: &Log, state: Arc<State>, checkpoint: bool) {
    let head = Head::of(log.stack(), &state);
    if checkpoint && let Err(error) = write_checkpoint(log, state).await {
        tracing::warn!(%error, "no checkpoint of the state was written");
    }
    if let Err(error) = log.put_head(&head).await {
        tracing::warn!(%error, "the hint at the log's end was not written");
    }
}

async fn write_checkpoint(log: &Log, state: Arc<State>) -> Result<()> {
    let (seq, bases) = (state.seq, state.bases.clone());
    let (stack, keys) = (log.stack().to_owned(), log.data_keys());
    let bytes = blocking(move || checkpoint::encode(&stack, &state, &keys)).await?;
    let backend = log.backend();
    let size = bytes.len() as u64;
    backend.put(&log.checkpoint_key(seq), bytes).await?;
    log.tail().restart(seq, size);
    let mut keys = backend.list(&log.checkpoint_folder()).await?;
    keys.retain(|key| !bases.iter().any(|base| key_seq(key) == Some(base.seq)));
    for old in keys.iter().rev().skip(checkpoint::KEPT) {
        backend.delete(old).await?;
    }
    Ok(())
}

/// The calls that one entry answers.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    texts: Vec<String>,
    data: Option<Box<DataKeys>>,
    waiting: Vec<oneshot::Sender<Result<()>>>,
    release: Option<oneshot::Sender<Result<()>>>,
}

impl Batch {
    /// Everything that waits now, up to an entry's size and no further than a release.
    fn gather(first: Option<Request>, queue: &mut mpsc::UnboundedReceiver<Request>) -> Self {
        let mut batch = Self::default();
        let mut bytes = 0;
        let mut next = first.or_else(|| queue.try_recv().ok());
        while let Some(request) = next {
            match request {
                Request::Append(Append { mut events, mut texts, data, done }) => {
                    batch.data = data.or(batch.data);
                    bytes += texts.iter().map(String::len).sum::<usize>();
                    batch.events.append(&mut events);
                    batch.texts.append(&mut texts);
                    batch.waiting.push(done);
                }
                Request::Release(done) => {
                    batch.release = Some(done);
                    break;
                }
            }
            if bytes >= ENTRY_BYTES {
                break;
            }
            next = queue.try_recv().ok();
        }
        batch
    }
}

/// Answers every later call with the error that ended the writer.
async fn refuse(queue: &mut mpsc::UnboundedReceiver<Request>, error: &Error) {
    while let Some(request) = queue.recv().await {
        let done = match request {
            Request::Append(Append { done, .. }) | Request::Release(done) => done,
        };
        let _ = done.send(Err(error.clone()));
    }
}
