//! The fold from entries to state. Pure and total: any sequence of entries gives a state.

use std::sync::Arc;

use plinth_provider::{Recorded, Urn, Value};

use crate::{
    Action, Base, Entry, Event, Finish, Intent, Lease, OutcomeResult, PendingOp, ProvenanceKind, Revision,
    RevisionStarted, StackSecret, State, Tracked,
};

impl State {
    /// Takes an entry in. It must be the one after [`State::seq`]; [`Log`](crate::Log) sees to that.
    pub fn apply(&mut self, entry: Entry) {
        let Entry { seq, epoch, time, events, hash, .. } = entry;
        self.seq = seq;
        self.hash = hash;
        self.epoch = self.epoch.max(epoch);
        for event in events {
            self.apply_event(event, seq, time);
        }
    }

    pub(crate) fn apply_event(&mut self, event: Event, seq: u64, time: jiff::Timestamp) {
        match event {
            Event::LeaseAcquired { epoch, holder, expires } => {
                self.epoch = self.epoch.max(epoch);
                let ttl_ms = ttl_ms(time, expires);
                if let Some(lost) = self.lease.take() {
                    for pending in self.pending.values_mut().filter(|pending| pending.taken_over.is_none()) {
                        Arc::make_mut(pending).taken_over = Some(Box::new(lost.clone()));
                    }
                }
                self.lease = Some(Lease { epoch, holder, acquired: time, expires, ttl_ms });
            }
            Event::LeaseRenewed { expires } => {
                if let Some(lease) = &mut self.lease {
                    lease.expires = expires;
                    lease.ttl_ms = ttl_ms(time, expires);
                }
            }
            Event::LeaseReleased => self.lease = None,
            Event::LeaseBroken { epoch, .. } => {
                self.epoch = self.epoch.max(epoch);
                self.lease = None;
            }
            Event::KeyInstalled { key } => self.key = Some(key),
            Event::RevisionStarted(started) => self.start_revision(*started, seq, time),
            Event::RevisionFinished { revision, result, counts } => {
                self.doubtful &= result != Finish::Succeeded;
                self.change_revision(revision, |revision| {
                    revision.finished = Some(time);
                    revision.result = Some(result);
                    revision.counts = counts;
                });
            }
            Event::Intent(intent) => {
                self.next_op = self.next_op.max(intent.op.saturating_add(1));
                self.pending.insert(
                    intent.op,
                    Arc::new(PendingOp { intent: *intent, handle: None, taken_over: None }),
                );
            }
            Event::Started { op, handle } => {
                if let Some(pending) = self.pending.get_mut(&op) {
                    Arc::make_mut(pending).handle = Some(handle);
                }
            }
            Event::Outcome { op, result, duration_ms } => {
                let intent = self.pending.remove(&op).map(|pending| match Arc::try_unwrap(pending) {
                    Ok(pending) => pending.intent,
                    Err(shared) => shared.intent.clone(),
                });
                self.conclude(intent, result, duration_ms, time);
            }
            Event::Recorded { recorded } => self.record(*recorded, false, 0, time),
            Event::Forgot { urn, id } => self.forget(&urn, id.as_deref(), false),
            Event::Moved { from, to } => self.rename(&from, &to),
            Event::Edited(edit) => self.edit(edit.changes),
            Event::Incoming(incoming) => {
                self.incoming.insert(incoming.transfer, Arc::from(incoming));
            }
            Event::Received { transfer } => {
                let Some(incoming) = self.incoming.remove(&transfer) else { return };
                for tracked in &incoming.resources {
                    self.resources.insert(tracked.urn.clone(), Arc::new(tracked.clone()));
                }
            }
            Event::Declined { transfer } => {
                self.incoming.remove(&transfer);
            }
            Event::Sent { transfer, to, edit } => {
                self.edit(edit.changes);
                self.sent.insert(transfer, to);
            }
            Event::Compacted { base, revisions_from } => self.compact(base, revisions_from),
            // Whoever follows the log goes on from the base instead.
            Event::Lost { .. } => {}
            Event::Repaired(repaired) => {
                self.doubtful |= repaired.doubtful;
                self.bases.extend(repaired.bases);
                self.bases.sort_by_key(|base| base.seq);
                self.bases.dedup();
            }
            Event::Migrated { to } => self.migrated = Some(to),
            Event::SecretSet { name, value } => {
                let by = self.lease.as_ref().map(|lease| lease.holder.person()).unwrap_or_default();
                // Whatever an entry says: a stack's secret is one.
                self.secrets.insert(name, StackSecret { value: Value::secret(value), set: time, by });
            }
            Event::SecretRemoved { name } => {
                self.secrets.remove(&name);
            }
            Event::Refreshed { urn, outputs } => {
                if let Some(tracked) = self.resources.get_mut(&urn) {
                    let tracked = Arc::make_mut(tracked);
                    Arc::make_mut(&mut tracked.recorded).outputs = outputs;
                    tracked.updated_at = time;
                }
            }
        }
    }

    fn compact(&mut self, base: Base, revisions_from: u64) {
        self.bases.retain(|old| old.seq > base.seq);
        self.bases.insert(0, base);
        self.revisions_from = self.revisions_from.max(revisions_from);
        let from = self.revisions_from;
        // What a revision in force was promoted with is needed as long as it is in force.
        let kept = self.revisions.iter().filter(|revision| revision.number >= from);
        let promotions: Vec<u64> = kept.filter_map(|revision| revision.promotion).collect();
        self.revisions.retain(|revision| revision.number >= from || promotions.contains(&revision.number));
    }

    fn start_revision(&mut self, started: RevisionStarted, seq: u64, time: jiff::Timestamp) {
        let RevisionStarted { revision: number, command, declared, settings, provenance, stack_file_digest } =
            started;
        for urn in declared.removed {
            self.declared.remove(&urn);
        }
        for resource in declared.set {
            self.declared.set(Arc::new(resource));
        }
        self.forget_the_gone();
        let promotion = match &provenance {
            Some(from) if from.kind == ProvenanceKind::Promotion => Some(number),
            Some(from) if from.kind == ProvenanceKind::Rollback => {
                self.revision(from.revision).and_then(|revision| revision.promotion)
            }
            _ => self.revisions.last().and_then(|last| last.promotion),
        };
        // A run that was killed never said how its revision ended; the next one says it for it.
        if let Some(last) = self.revisions.last_mut().filter(|last| last.result.is_none()) {
            Arc::make_mut(last).result = Some(Finish::Interrupted);
        }
        let revision = Arc::new(Revision {
            number,
            command,
            seq,
            started: time,
            finished: None,
            result: None,
            counts: Default::default(),
            provenance,
            settings,
            stack_file_digest,
            promotion,
        });
        match self.revisions.binary_search_by_key(&number, |revision| revision.number) {
            Ok(at) => self.revisions[at] = revision,
            Err(at) => self.revisions.insert(at, revision),
        }
    }

    fn change_revision(&mut self, number: u64, change: impl FnOnce(&mut Revision)) {
        if let Ok(at) = self.revisions.binary_search_by_key(&number, |revision| revision.number) {
            change(Arc::make_mut(&mut self.revisions[at]));
        }
    }

    fn conclude(
        &mut self,
        intent: Option<Intent>,
        result: OutcomeResult,
        duration_ms: u64,
        time: jiff::Timestamp,
    ) {
        // What recovery found out took as long as nobody knows; it is recorded as unsettled, or in no time.
        let teaches = match &result {
            OutcomeResult::Succeeded { recorded } => !recorded.unsettled,
            OutcomeResult::Deleted => duration_ms > 0,
            OutcomeResult::Failed { .. } | OutcomeResult::NotHappened => false,
        };
        if let (Some(intent), true) = (&intent, teaches) {
            self.learned.learn(intent, duration_ms);
        }
        let replaces =
            intent.as_ref().is_some_and(|intent| intent.replaces && intent.action == Action::Create);
        match result {
            OutcomeResult::Failed { recorded: Some(mut recorded), .. } => {
                // What still stands was copied when the operation began; names that it depends on may be others by now.
                let present = self.resources.get(&recorded.urn).filter(|present| present.id == recorded.id);
                if let (Some(present), Some(Action::Update | Action::Delete)) =
                    (present, intent.map(|intent| intent.action))
                {
                    recorded.dependencies.clone_from(&present.dependencies);
                }
                self.record(*recorded, replaces, duration_ms, time);
            }
            OutcomeResult::Succeeded { recorded } => self.record(*recorded, replaces, duration_ms, time),
            OutcomeResult::Deleted => {
                if let Some(intent) = intent {
                    self.forget(&intent.urn, intent.id.as_deref(), intent.replaces);
                }
            }
            OutcomeResult::Failed { recorded: None, .. } | OutcomeResult::NotHappened => {}
        }
    }

    fn record(&mut self, recorded: Recorded, replaces: bool, duration_ms: u64, time: jiff::Timestamp) {
        let before = self.resources.get(&recorded.urn);
        let created_revision = match before {
            Some(before) if before.id == recorded.id => before.created_revision,
            _ => self.revisions.last().map_or(0, |revision| revision.number),
        };
        if let Some(before) = before.filter(|before| replaces && before.id != recorded.id) {
            self.superseded.push(Arc::clone(&before.recorded));
        }
        // An instance that was to go and is taken over again is the present one, and not to go any more.
        self.superseded.retain(|old| old.urn != recorded.urn || old.id != recorded.id);
        let urn = recorded.urn.clone();
        let tracked =
            Tracked { recorded: Arc::new(recorded), created_revision, updated_at: time, duration_ms };
        self.resources.insert(urn, Arc::new(tracked));
    }

    /// Drops one instance: the present one, unless the id or `superseded` says that it is an old one.
    fn forget(&mut self, urn: &Urn, id: Option<&str>, superseded: bool) {
        let present = self.resources.get(urn).is_some_and(|present| id.is_none_or(|id| id == present.id));
        let old = |old: &Arc<Recorded>| old.urn == *urn && id.is_none_or(|id| id == old.id);
        let old = self.superseded.iter().position(old);
        match old {
            Some(at) if superseded || !present => {
                self.superseded.remove(at);
            }
            // Where orders contradict each other, the old instance of a replacement may go before its successor comes:
            // then it is still the present one.
            _ if present && (!superseded || id.is_some()) => {
                self.resources.remove(urn);
            }
            _ => {}
        }
    }

    fn rename(&mut self, from: &Urn, to: &Urn) {
        if from == to {
            return;
        }
        self.learned.rename(from, to);
        if let Some(mut tracked) = self.resources.remove(from) {
            Arc::make_mut(&mut Arc::make_mut(&mut tracked).recorded).urn = to.clone();
            self.resources.insert(to.clone(), tracked);
        }
        self.declared.rename(from, to);
        for old in &mut self.superseded {
            if old.urn == *from {
                Arc::make_mut(old).urn = to.clone();
            }
        }
        let follow = |dependencies: &mut Vec<Urn>| {
            dependencies.iter_mut().filter(|urn| *urn == from).for_each(|urn| *urn = to.clone());
        };
        for tracked in self.resources.values_mut().filter(|tracked| tracked.dependencies.contains(from)) {
            follow(&mut Arc::make_mut(&mut Arc::make_mut(tracked).recorded).dependencies);
        }
        for old in self.superseded.iter_mut().filter(|old| old.dependencies.contains(from)) {
            follow(&mut Arc::make_mut(old).dependencies);
        }
    }
}

/// How long a lease lasts without renewal, by the clock that wrote both times.
fn ttl_ms(time: jiff::Timestamp, expires: jiff::Timestamp) -> u64 {
    u64::try_from(expires.duration_since(time).as_millis()).unwrap_or(0)
}
