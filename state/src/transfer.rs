//! Moving resources from one stack's log to another's.
//!
//! Two logs cannot be appended to at once, so one entry decides: `sent` in the log of the stack that they leave. Before
//! it they are that stack's, after it the other's. The other's log holds them beforehand, as `incoming`, and says
//! afterwards what became of them: `received` or `declined`. Whoever next opens a log that has something incoming looks
//! whether it was sent, and says it in the place of a process that died in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plinth_provider::Urn;
use uuid::Uuid;

use crate::edit::{EditError, refuse};
use crate::{Ask, Backend, Clock, Edit, Error, Event, Holder, Incoming, Log, Result, State, Tracked, Writer};

/// How long the process that sends may take to notice that it no longer receives.
const PATIENCE: Duration = Duration::from_secs(10);

/// What leaves one stack for another.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    /// What is recorded otherwise in the stack that it leaves.
    pub edit: Edit,
    /// What becomes recorded in the other.
    pub resources: Vec<Tracked>,
}

impl State {
    /// Packs resources for another stack. Refused while others here need them, unless `force` is given: then these need
    /// them no more.
    ///
    /// # Errors
    /// When one is not recorded, is needed, or is not settled enough to move.
    pub fn sending(
        &self,
        urns: &[Urn],
        to: &str,
        force: bool,
        command: String,
    ) -> std::result::Result<Parcel, EditError> {
        let dependents = self.dependents(urns);
        if !dependents.is_empty() && !force {
            let list: Vec<&str> = dependents.iter().map(Urn::as_str).collect();
            return refuse(
                format!("resources that stay need what is to be moved: {}", list.join(", ")),
                "move these too, or give `--force`: then they are recorded as needing it no more",
            );
        }
        let edit = self.forgetting(urns, true, command)?;
        let names = urns
            .iter()
            .map(|urn| Ok((urn.clone(), renamed(urn, to)?)))
            .collect::<std::result::Result<BTreeMap<Urn, Urn>, EditError>>()?;
        let mut resources = Vec::new();
        for urn in urns {
            let slot = self.slot(urn);
            let (Some(tracked), true) = (slot.present, slot.superseded.is_empty()) else {
                return refuse(
                    format!("an old instance of {urn} is still to be deleted"),
                    "run `plinth apply` first: it ends the replacement",
                );
            };
            resources.push(packed(*tracked, &names, to)?);
        }
        Ok(Parcel { edit, resources })
    }

    /// Whether resources of another stack may be recorded here.
    ///
    /// # Errors
    /// When one is recorded, or is on its way here, already.
    pub fn accepting(&self, resources: &[Tracked]) -> std::result::Result<(), EditError> {
        for tracked in resources {
            let urn = &tracked.urn;
            let coming = self.incoming.values().flat_map(|incoming| &incoming.resources);
            let superseded = self.superseded.iter().any(|old| old.urn == *urn);
            let pending = self.pending.values().any(|pending| pending.intent.urn == *urn);
            if self.resources.contains_key(urn) || superseded || pending {
                return refuse(
                    format!("{urn} is recorded already"),
                    "one of the two has to go first: `plinth state rm` forgets, `plinth state mv` renames",
                );
            }
            if coming.into_iter().any(|other| other.urn == *urn) {
                return refuse(format!("{urn} is on its way already"), "run the command again");
            }
        }
        Ok(())
    }
}

fn renamed(urn: &Urn, stack: &str) -> std::result::Result<Urn, EditError> {
    Urn::new(stack, urn.kind(), urn.name()).map_err(|error| EditError {
        what: format!("{urn} cannot have that name in the stack {stack}: {error}"),
        help: "rename it with `plinth state mv` first".to_owned(),
    })
}

/// A resource as the other stack records it: under its name there, and to be written once more, for what it is marked
/// with still says whose it was.
fn packed(
    mut tracked: Tracked,
    names: &BTreeMap<Urn, Urn>,
    to: &str,
) -> std::result::Result<Tracked, EditError> {
    let follow = |urns: &mut Vec<Urn>| -> std::result::Result<(), EditError> {
        for urn in urns.iter_mut() {
            *urn = match names.get(urn) {
                Some(name) => name.clone(),
                None => renamed(urn, to)?,
            };
        }
        Ok(())
    };
    let recorded = Arc::make_mut(&mut tracked.recorded);
    recorded.urn = renamed(&recorded.urn, to)?;
    follow(&mut recorded.dependencies)?;
    follow(&mut recorded.options.depends_on)?;
    recorded.unsettled = true;
    tracked.created_revision = 0;
    Ok(tracked)
}

/// A move of resources between two stacks.
pub struct Transfer<'a> {
    /// The log that they leave, and its state.
    pub from: (&'a Log, State),
    /// The log that they come to, and its state.
    pub to: (&'a Log, State),
    /// The URL of the log that they leave, without secrets: where the other stack looks whether they were sent.
    pub from_url: String,
    /// Which resources.
    pub urns: Vec<Urn>,
    /// Although others need them.
    pub force: bool,
    /// What was run.
    pub command: String,
    /// Who moves them.
    pub holder: Holder,
    /// How long the leases last.
    pub ttl: Duration,
    /// How long to wait for other runs of the two stacks to end.
    pub lock_timeout: Duration,
}

impl Transfer<'_> {
    /// What is to be moved, by the states that are known now.
    ///
    /// # Errors
    /// As [`State::sending`] and [`State::accepting`].
    pub fn parcel(&self) -> std::result::Result<Parcel, EditError> {
        self.pack(&self.from.1, &self.to.1)
    }

    fn pack(&self, from: &State, to: &State) -> std::result::Result<Parcel, EditError> {
        let mut parcel = from.sending(&self.urns, self.to.0.stack(), self.force, self.command.clone())?;
        to.accepting(&parcel.resources)?;
        // What they need and what neither moves along nor is there already has no name in the other stack.
        let moved: Vec<Urn> = parcel.resources.iter().map(|tracked| tracked.urn.clone()).collect();
        let known = |urn: &Urn| moved.contains(urn) || to.resources.contains_key(urn);
        for tracked in &mut parcel.resources {
            let recorded = Arc::make_mut(&mut tracked.recorded);
            recorded.dependencies.retain(known);
            recorded.options.depends_on.retain(known);
        }
        Ok(parcel)
    }

    /// Moves them.
    ///
    /// # Errors
    /// The outer error is the logs': another run holds a lease, storage fails. The inner one says why they cannot move.
    pub async fn run(self) -> Result<std::result::Result<Parcel, EditError>> {
        // Two transfers in opposite directions do not wait for each other.
        let (from, to) = if self.from.0.stack() < self.to.0.stack() {
            let from = self.lease(&self.from).await?;
            (from, self.lease(&self.to).await)
        } else {
            let to = self.lease(&self.to).await?;
            match self.lease(&self.from).await {
                Ok(from) => (from, Ok(to)),
                Err(error) => {
                    to.release().await?;
                    return Err(error);
                }
            }
        };
        let to = match to {
            Ok(to) => to,
            Err(error) => {
                from.release().await?;
                return Err(error);
            }
        };
        let moved = self.send(&from, &to).await;
        let released = (to.release().await, from.release().await);
        let moved = moved?;
        released.0.and(released.1)?;
        Ok(moved)
    }

    async fn lease(&self, (log, state): &(&Log, State)) -> Result<Writer> {
        log.acquire(state.clone(), self.holder.clone(), self.ttl, self.lock_timeout).await
    }

    async fn send(&self, from: &Writer, to: &Writer) -> Result<std::result::Result<Parcel, EditError>> {
        let parcel = match self.pack(&from.state(), &to.state()) {
            Ok(parcel) => parcel,
            Err(error) => return Ok(Err(error)),
        };
        let transfer = Uuid::new_v4();
        let incoming = Incoming {
            transfer,
            command: self.command.clone(),
            from: from.log().stack().to_owned(),
            from_url: self.from_url.clone(),
            epoch: from.epoch(),
            resources: parcel.resources.clone(),
        };
        to.append(vec![Event::Incoming(Box::new(incoming))]).await?;
        let edit = Box::new(parcel.edit.clone());
        from.append(vec![Event::Sent { transfer, to: to.log().stack().to_owned(), edit }]).await?;
        to.append(vec![Event::Received { transfer }]).await?;
        Ok(Ok(parcel))
    }
}

/// Finds out what became of everything that is on its way to a stack, and records it: for a process that died on the
/// way. Does nothing while a run holds the stack's lease, for it may be that very process.
///
/// # Errors
/// When the other stack's log cannot be read, or was put back to an older state of itself.
pub async fn settle(
    log: &Log,
    state: State,
    holder: impl FnOnce() -> Holder,
    ttl: Duration,
    open: impl AsyncFn(&str) -> Result<Arc<dyn Backend>>,
) -> Result<State> {
    if state.incoming.is_empty() {
        return Ok(state);
    }
    let holder = holder();
    let nothing = |_: &crate::Lease, _: Duration| {};
    let ask = Ask { holder: holder.clone(), ttl, lock_timeout: Duration::ZERO, waiting: &nothing };
    let writer = match log.take(state.clone(), ask).await {
        Err(Error::Held { .. }) => return Ok(state),
        taken => taken?,
    };
    let settled = settle_held(&writer, &holder, open).await;
    let mut state = (*writer.state()).clone();
    writer.release().await?;
    settled?;
    log.refresh(&mut state).await?;
    Ok(state)
}

async fn settle_held(
    writer: &Writer,
    holder: &Holder,
    open: impl AsyncFn(&str) -> Result<Arc<dyn Backend>>,
) -> Result<()> {
    let incoming: Vec<Arc<Incoming>> = writer.state().incoming.values().cloned().collect();
    for incoming in incoming {
        let backend = open(&incoming.from_url).await?;
        let sent = was_sent(&incoming, backend, writer.log().clock(), holder).await?;
        let transfer = incoming.transfer;
        let event = if sent { Event::Received { transfer } } else { Event::Declined { transfer } };
        writer.append(vec![event]).await?;
    }
    Ok(())
}

/// Whether what is on its way was sent. If it was not, it cannot be any more once this returns.
async fn was_sent(
    incoming: &Incoming,
    backend: Arc<dyn Backend>,
    clock: Clock,
    holder: &Holder,
) -> Result<bool> {
    let (log, mut state) = Log::skim(backend, &incoming.from, clock).await?;
    let nothing = |_: &crate::Lease, _: Duration| {};
    let ask = Ask { holder: holder.clone(), ttl: PATIENCE, lock_timeout: PATIENCE, waiting: &nothing };
    loop {
        if state.sent.contains_key(&incoming.transfer) {
            return Ok(true);
        }
        if state.epoch < incoming.epoch {
            return Err(Error::Transfer {
                from: incoming.from.clone(),
                why: format!(
                    "its log at {} ends before they were sent: restore it, or remove the storage's older copy",
                    incoming.from_url
                ),
            });
        }
        if state.lease.as_ref().is_none_or(|lease| lease.epoch != incoming.epoch) {
            return Ok(false);
        }
        log.wait_until_free(&mut state, &ask).await?;
        if state.lease.as_ref().is_none_or(|lease| lease.epoch != incoming.epoch) {
            continue;
        }
        // Whoever holds it is dead, or so it seems: it sends nothing after this.
        let epoch = state.epoch + 1;
        let event = Event::LeaseBroken { epoch, by: holder.clone() };
        match log.append(&mut state, Uuid::new_v4(), epoch, vec![event]).await {
            Ok(()) => return Ok(state.sent.contains_key(&incoming.transfer)),
            Err(Error::Moved { .. }) => log.refresh(&mut state).await?,
            Err(error) => return Err(error),
        }
    }
}
