//! One apply, from opening the log to the last entry: recover, plan, ask, record the revision, execute, finish.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plinth_provider::{Error, Providers, Resource, Urn};
use plinth_state::{
    Ask, Event as LogEvent, Finish, Holder, Intent, Lease, Log, Provenance, RevisionStarted, State, Writer,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::event::{Event, Events, StepEvent, Summary};
use super::execute::{Execution, Interrupt, Limits, Report, execute};
use super::existing::look;
use super::facts::{Facts, Freshness};
use super::graph::{Desired, GraphError};
use super::plan::{Counts, Op, Plan, PlanError, Scope, Step, plan};
use super::preview::preview;
use super::recover::{RecoverError, Resolved, look_again, look_for, recover};
use super::refresh::{Reading, Refresh, RefreshError, Refreshed, due, refresh};

/// Everything that a run works with.
#[derive(Clone)]
pub struct Engine {
    /// The stack's name.
    pub stack: String,
    /// Its log.
    pub log: Log,
    /// Who does things.
    pub providers: Providers,
    /// Where to tell.
    pub events: Events,
    /// How the user stops it.
    pub interrupt: Interrupt,
    /// Limits and times.
    pub settings: Settings,
    /// What is being read already.
    pub ahead: Arc<Mutex<Option<Reading>>>,
}

/// Limits and times of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many operations may run at once.
    pub limits: Limits,
    /// How fresh facts must be.
    pub refresh: Refresh,
    /// How long the lease lasts without renewal.
    pub lease_ttl: Duration,
    /// How long to wait for another run to end.
    pub lock_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            refresh: Refresh::Auto { max_age: Duration::from_secs(60) },
            lease_ttl: Duration::from_secs(60),
            lock_timeout: Duration::ZERO,
        }
    }
}

/// What is to be applied.
#[derive(Debug, Clone)]
pub struct Target {
    /// The desired graph.
    pub desired: Desired,
    /// Which part of it is meant.
    pub scope: Scope,
    /// `apply`, `destroy`, `rollback` or `promote`.
    pub command: String,
    /// The promotable settings behind it.
    pub settings: serde_json::Value,
    /// Where it comes from, when not from the stack file alone.
    pub provenance: Option<Provenance>,
    /// Digest of the stack file.
    pub stack_file_digest: String,
}

impl Target {
    /// Builds a target from what a program declared.
    ///
    /// # Errors
    /// When the declarations are not a graph.
    pub fn new(command: &str, resources: Vec<Resource>, providers: &Providers) -> Result<Self, RunError> {
        Ok(Self {
            desired: Desired::build(resources, providers).map_err(RunError::Graph)?,
            scope: Scope::default(),
            command: command.to_owned(),
            settings: serde_json::Value::Null,
            provenance: None,
            stack_file_digest: String::new(),
        })
    }
}

/// How a run ended that did not fail outright.
#[derive(Debug)]
pub enum Ended {
    /// There was nothing to do.
    NoChanges,
    /// The user said no.
    Declined,
    /// The plan was executed, perhaps with failures.
    Executed(Box<Report>),
}

/// Why a run did not take place or stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// The declarations are not a graph.
    #[error("the stack's resources do not make a graph")]
    Graph(Vec<GraphError>),
    /// There is no plan.
    #[error("the stack cannot be planned")]
    Plan(Vec<PlanError>),
    /// Live systems could not be read.
    #[error("live systems could not be read")]
    Refresh(Vec<RefreshError>),
    /// State could not be read or written, or another run holds the lease.
    #[error(transparent)]
    State(#[from] plinth_state::Error),
    /// An earlier run's operations could not be resolved.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The user stopped it before anything was changed.
    #[error("interrupted: nothing was changed")]
    Interrupted,
    /// A saved plan no longer fits.
    #[error("the plan is out of date: {0}")]
    PlanMoved(String),
}

/// A plan, and what it was made with.
struct Tried {
    plan: Plan,
    facts: Facts,
    /// What could not be found out, of what the plan wanted to know.
    unknown: Vec<(Urn, Error)>,
}

impl Engine {
    /// Plans against what is recorded now. Takes no lease and writes nothing. A system that is out of reach makes the plan
    /// less exact, and the plan says so, unless everything is to be read.
    ///
    /// # Errors
    /// As [`RunError`].
    pub async fn plan(&self, target: &Target, state: &State) -> Result<(Plan, Facts), RunError> {
        self.unless_stopped(self.plan_to_the_end(target, state)).await
    }

    /// What changes nothing ends as soon as the user wants it to.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.interrupt.stop.cancelled() => Err(RunError::Interrupted),
            done = work => done,
        }
    }

    async fn plan_to_the_end(&self, target: &Target, state: &State) -> Result<(Plan, Facts), RunError> {
        let mut read = self.read(state).await;
        let mut notes = Vec::new();
        if let (Refresh::Auto { .. }, true) = (self.settings.refresh, read.is_out_of_reach()) {
            notes.push(out_of_reach(&read.failed));
            read.failed.clear();
        }
        let Tried { mut plan, facts, unknown } = self.tried(target, state, read).await?;
        let freshness = plan.freshness;
        notes.append(&mut plan.notes);
        plan.notes = notes;
        plan.notes.extend(self.trust(freshness));
        if let Some((_, error)) = unknown.first() {
            plan.notes.push(format!(
                "whether {} to be made exist already could not be found out: {}",
                resources(unknown.len()),
                error.message
            ));
        }
        if !state.pending.is_empty() {
            let operations = match state.pending.len() {
                1 => "1 operation".to_owned(),
                many => format!("{many} operations"),
            };
            let now = self.log.clock().now();
            let at_work = state.lease.as_ref().filter(|lease| !lease.is_over(now) && !lease.looks_over(now));
            plan.notes.push(match at_work {
                Some(lease) => format!(
                    "another run is under way, with {operations} at the moment, so the plan may still change: {lease}"
                ),
                None => format!(
                    "an interrupted run left {operations} without an outcome; apply finds out first what became of that, \
                     so the plan may still change"
                ),
            });
            // What a later run has looked into already, and left open to be sure, asks for nothing.
            let open = state.pending.values().filter(|pending| pending.taken_over.is_none());
            plan.open = if at_work.is_some() { 0 } else { open.count() };
        }
        Ok((plan, facts))
    }

    /// What a plan says of the facts that nobody has read for it.
    fn trust(&self, freshness: Freshness) -> Option<String> {
        let taken = match freshness.trusted {
            0 => return None,
            1 => "1 resource is taken as it was recorded".to_owned(),
            count => format!("{count} resources are taken as they were recorded"),
        };
        match self.settings.refresh {
            Refresh::Auto { max_age } => Some(format!(
                "{taken} within the last {} s; `--refresh always` reads them all",
                max_age.as_secs()
            )),
            Refresh::Never => Some(format!("{taken}; nothing was read")),
            Refresh::Always => None,
        }
    }

    /// Reads what is to be read, or takes what was read ahead.
    async fn read(&self, state: &State) -> Refreshed {
        let (wanted, now) = (self.settings.refresh, self.log.clock().now());
        let resources = due(state, wanted, now);
        if resources > 0 {
            self.events.send(Event::Refreshing { resources });
        }
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ahead = match ahead {
            Some(reading) => reading.finish(state).await,
            None => None,
        };
        let read = match ahead {
            Some(read) => read,
            None => refresh(state, wanted, now, &self.providers, &self.interrupt.stop_now).await,
        };
        read.tell(&self.events);
        read
    }

    /// Plans; and plans again with what was found to exist already.
    async fn plan_looking(
        &self,
        target: &Target,
        state: &State,
        facts: &mut Facts,
    ) -> Result<(Plan, Vec<(Urn, Error)>), RunError> {
        let plan = self.plan_with(target, state, facts)?;
        let imports = |step: &Step| step.op == Op::Import;
        if self.settings.refresh == Refresh::Never && !plan.steps.iter().any(imports) {
            return Ok((plan, Vec::new()));
        }
        let cancel = &self.interrupt.stop_now;
        if plan.has_changes() {
            self.events.send(Event::Asking { changes: plan.changes().count() });
        }
        let existing = look(&plan, &target.scope, &self.providers, cancel).await;
        let mut errors = existing.errors;
        let mut found = None;
        if !existing.found.is_empty() {
            facts.existing = existing.found;
            match self.plan_with(target, state, facts) {
                Ok(plan) => found = Some(plan),
                Err(RunError::Plan(more)) => errors.extend(more),
                Err(other) => return Err(other),
            }
        }
        if errors.is_empty() {
            return Ok((found.unwrap_or(plan), existing.unknown));
        }
        // Everything that is wrong, at once: also what the system would refuse of the rest.
        let named: HashSet<Urn> = errors.iter().map(|error| error.urn().clone()).collect();
        let refused = preview(&plan, &self.providers, cancel).await.refused;
        errors.extend(refused.into_iter().filter(|error| !named.contains(error.urn())));
        Err(RunError::Plan(errors))
    }

    /// Plans with what was read, and asks live systems what they say of the changes; where they would refuse to change
    /// something in place, the plan replaces it.
    async fn tried(&self, target: &Target, state: &State, read: Refreshed) -> Result<Tried, RunError> {
        let mut freshness = read.freshness;
        let mut facts = read.whole().map_err(RunError::Refresh)?;
        let (mut plan, mut unknown) = self.plan_looking(target, state, &mut facts).await?;
        if self.settings.refresh == Refresh::Never || !plan.has_changes() {
            return Ok(Tried { plan: Plan { freshness, ..plan }, facts, unknown });
        }
        let cancel = &self.interrupt.stop_now;
        let mut found = preview(&plan, &self.providers, cancel).await;
        if found.disputed.iter().any(|urn| facts.get(urn).is_none()) {
            // Somebody has changed what was trusted as recorded.
            let now = self.log.clock().now();
            let read = refresh(state, Refresh::Always, now, &self.providers, cancel).await;
            freshness = read.freshness;
            facts = read.whole().map_err(RunError::Refresh)?;
            (plan, unknown) = self.plan_looking(target, state, &mut facts).await?;
            found = preview(&plan, &self.providers, cancel).await;
        }
        if !found.refused.is_empty() {
            return Err(RunError::Plan(found.refused));
        }
        if !found.replaces.is_empty() {
            facts.replaces = found.replaces;
            plan = self.plan_with(target, state, &facts)?;
        }
        plan.notes.extend(found.notes);
        Ok(Tried { plan: Plan { freshness, ..plan }, facts, unknown })
    }

    fn plan_with(&self, target: &Target, state: &State, facts: &Facts) -> Result<Plan, RunError> {
        let plan = tracing::info_span!("plan")
            .in_scope(|| plan(&target.desired, state, facts, &self.providers, &target.scope))
            .map_err(RunError::Plan)?;
        Ok(Plan { stack: self.stack.clone(), ..plan })
    }

    /// Tells a plan, step by step, and its summary.
    pub fn tell(&self, plan: &Plan, started: Instant) {
        self.tell_steps(plan);
        self.summarize(plan.counts(), plan.left_out.len(), started, None);
    }

    fn tell_steps(&self, plan: &Plan) {
        self.events.send(Event::Facts(plan.freshness));
        for step in plan.changes() {
            self.events.send(Event::Step(Box::new(StepEvent::from(step))));
        }
        for left_out in &plan.left_out {
            self.events.send(Event::LeftOut(left_out.clone()));
        }
        for note in &plan.notes {
            self.events.send(Event::Note { message: note.clone() });
        }
    }

    /// Applies. `approve` is asked once the plan is told; `expected` is the digest of a saved plan.
    ///
    /// # Errors
    /// When nothing was done, or the log stopped taking entries. Failures of steps are in the report.
    pub async fn apply(
        &self,
        target: &Target,
        state: State,
        expected: Option<&str>,
        approve: impl AsyncFn(&Plan) -> bool,
    ) -> Result<Ended, RunError> {
        self.apply_telling(target, state, expected, approve, async |_| {}).await
    }

    /// As [`apply`](Self::apply); `closing` may tell more of what became of it before the summary, which is the last word.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn apply_telling(
        &self,
        target: &Target,
        state: State,
        expected: Option<&str>,
        approve: impl AsyncFn(&Plan) -> bool,
        closing: impl AsyncFn(&Ended),
    ) -> Result<Ended, RunError> {
        let started = Instant::now();
        let (mut writer, mut facts) = (None, None);
        let mut handles = HashMap::new();
        let mut state = state;
        // What an interrupted run may have created although nothing of it was found.
        let mut doubts = Vec::new();
        if !state.pending.is_empty() || state.doubtful {
            let held = self.unless_stopped(self.acquire(state, &target.command)).await?;
            let resolve = async { Ok(self.resolve(target, &held).await?) };
            match self.unless_stopped(resolve).await {
                Ok(resolved) => (doubts, handles) = (resolved.doubts, resolved.handles),
                Err(error) => {
                    let _ = held.release().await;
                    return Err(error);
                }
            }
            state = (*held.state()).clone();
            writer = Some(held);
        }
        let approving = self.approved(target, &state, expected, &approve, &mut facts);
        let result = self.unless_stopped(approving).await;
        let approved = match result {
            Ok(Some(plan)) => plan,
            ended => {
                self.release(writer, doubts).await;
                return ended.map(|_| Ended::Declined);
            }
        };
        if !has_work(&approved) {
            self.release(writer, doubts).await;
            self.summarize(approved.counts(), approved.left_out.len(), started, None);
            return Ok(Ended::NoChanges);
        }
        let writer = match writer {
            Some(writer) => writer,
            None => self.unless_stopped(self.acquire(state, &target.command)).await?,
        };
        let under_lease = UnderLease { approved, facts: facts.unwrap_or_default(), handles, expected };
        let result = self.under_lease(target, under_lease, &writer, &approve, &mut doubts).await;
        // Whatever it still tells comes before the summary, which is the last word.
        self.release(Some(writer), doubts).await;
        if let Ok(ended) = &result {
            closing(ended).await;
        }
        match &result {
            Ok(Ended::Executed(report)) => {
                self.summarize(report.counts, report.left_out, started, Some(report));
                if let Some(error) = &report.log_failure {
                    return Err(RunError::State(error.clone()));
                }
            }
            // Another run did it all meanwhile.
            Ok(Ended::NoChanges) => {
                let same = target.desired.resources().len() as u64;
                self.summarize(Counts { same, ..Counts::default() }, 0, started, None);
            }
            _ => {}
        }
        result
    }

    /// Finds out what became of what an earlier run began, and of what a repaired log may not tell.
    async fn resolve(&self, target: &Target, writer: &Writer) -> Result<Resolved, RecoverError> {
        let stop_now = &self.interrupt.stop_now;
        let resolved = recover(writer, &self.providers, &self.events, stop_now).await?;
        if writer.state().doubtful {
            look_for(&target.desired, writer, &self.providers, &self.events, stop_now).await?;
        }
        Ok(resolved)
    }

    /// Plans, tells the plan and has it approved; `None` when the user said no.
    async fn approved(
        &self,
        target: &Target,
        state: &State,
        expected: Option<&str>,
        approve: &impl AsyncFn(&Plan) -> bool,
        facts: &mut Option<Facts>,
    ) -> Result<Option<Plan>, RunError> {
        let read = self.read(state).await;
        let Tried { mut plan, facts: read, unknown } = self.tried(target, state, read).await?;
        plan.notes.extend(self.trust(plan.freshness));
        // What is to be taken over must be known before that is approved.
        let unread = |step: &&Step| step.op == Op::Import && !read.existing.contains_key(&step.urn);
        if let Some(step) = plan.steps.iter().find(unread) {
            let known = unknown.into_iter().find(|(urn, _)| *urn == step.urn);
            let (urn, error) = known.unwrap_or_else(|| {
                let why = "where it is becomes known only once what it depends on is there; apply that first";
                (step.urn.clone(), Error::invalid(format!("it cannot be taken over yet: {why}")))
            });
            return Err(RunError::Refresh(vec![RefreshError { urn, error }]));
        }
        check_expected(&plan, expected)?;
        self.tell_steps(&plan);
        *facts = Some(read);
        if plan.has_changes() && !approve(&plan).await {
            return Ok(None);
        }
        Ok(Some(plan))
    }

    #[allow(clippy::too_many_arguments)]
    async fn under_lease(
        &self,
        target: &Target,
        UnderLease { approved, facts, mut handles, expected }: UnderLease<'_>,
        writer: &Arc<Writer>,
        approve: &impl AsyncFn(&Plan) -> bool,
        doubts: &mut Vec<Intent>,
    ) -> Result<Ended, RunError> {
        let state = writer.state();
        // Between the plan and the lease another run may have worked; what was approved must still be what happens.
        let known = |op: &u64| doubts.iter().any(|intent| intent.op == *op);
        if !state.pending.keys().all(known) {
            drop(state);
            let stop_now = &self.interrupt.stop_now;
            let resolved = recover(writer, &self.providers, &self.events, stop_now).await?;
            (*doubts, handles) = (resolved.doubts, resolved.handles);
        }
        let state = writer.state();
        // When nothing was appended since but the lease, planning again would give the same.
        let unmoved = state.seq <= approved.base_seq + 1;
        let digest = approved.digest();
        let plan = if unmoved { approved } else { self.plan_with(target, &state, &facts)? };
        if !unmoved && plan.digest() != digest {
            check_expected(&plan, expected)?;
            self.events.send(Event::Note {
                message: "another run has changed the stack meanwhile; this is the plan now".into(),
            });
            self.tell_steps(&plan);
            if !self.unless_stopped(async { Ok(approve(&plan).await) }).await? {
                return Ok(Ended::Declined);
            }
        }
        if !has_work(&plan) {
            return Ok(Ended::NoChanges);
        }
        if self.interrupt.stop.is_cancelled() {
            return Err(RunError::Interrupted);
        }
        let revision = state.next_revision();
        writer.append(vec![self.revision_started(target, &state, &plan, revision)]).await?;
        self.events.send(Event::Started {
            command: target.command.clone(),
            stack: self.stack.clone(),
            revision: Some(revision),
        });
        let span = tracing::info_span!("run", command = target.command.as_str(), revision);
        let _told =
            AbortOnDropHandle::new(tokio::spawn(tell_of(self.interrupt.clone(), self.events.clone())));
        let mut report = execute(
            &plan,
            Execution {
                stack: &self.stack,
                desired: &target.desired,
                state: &state,
                providers: &self.providers,
                writer: Arc::clone(writer),
                events: self.events.clone(),
                limits: self.settings.limits.clone(),
                handles,
                interrupt: self.interrupt.clone(),
                doubts: doubts.iter().map(|intent| (intent.urn.clone(), intent.op)).collect(),
            },
        )
        .instrument(span)
        .await;
        drop(state);
        report.left_out = plan.left_out.len();
        if report.log_failure.is_some() {
            return Ok(Ended::Executed(Box::new(report)));
        }
        let result = match (report.interrupted, report.failures.is_empty()) {
            (true, _) => Finish::Interrupted,
            (false, true) => Finish::Succeeded,
            (false, false) => Finish::Failed,
        };
        let mut counts = report.counts.to_map();
        if report.skipped > 0 {
            counts.insert("skipped".to_owned(), report.skipped);
        }
        if report.left_out > 0 {
            counts.insert("leftOut".to_owned(), report.left_out as u64);
        }
        writer.append(vec![LogEvent::RevisionFinished { revision, result, counts }]).await?;
        Ok(Ended::Executed(Box::new(report)))
    }

    /// A revision records as declared what it works on and nothing else: what a partial one leaves out stays as the one
    /// before it declared it, and no settings are proved by it.
    fn revision_started(&self, target: &Target, state: &State, plan: &Plan, revision: u64) -> LogEvent {
        let mut declared = state.delta(target.desired.resources());
        let is_partial = target.scope.is_partial();
        if is_partial {
            let within: HashSet<&Urn> = plan
                .steps
                .iter()
                .flat_map(|step| [Some(&step.urn), step.moved_from.as_ref()])
                .flatten()
                .collect();
            declared.set.retain(|resource| within.contains(&resource.urn));
            declared.removed.retain(|urn| within.contains(urn));
        }
        let settings = if is_partial { serde_json::Value::Null } else { target.settings.clone() };
        LogEvent::RevisionStarted(Box::new(RevisionStarted {
            revision,
            command: target.command.clone(),
            declared,
            settings,
            provenance: target.provenance.clone(),
            stack_file_digest: target.stack_file_digest.clone(),
        }))
    }

    async fn acquire(&self, state: State, command: &str) -> Result<Arc<Writer>, RunError> {
        let holder = Holder::current(None, format!("plinth {command}"));
        let (ttl, timeout) = (self.settings.lease_ttl, self.settings.lock_timeout);
        let waiting = |lease: &Lease, left: Duration| {
            self.events.send(Event::Locked { lease: lease.to_string(), up_to: left });
        };
        let ask = Ask { holder, ttl, lock_timeout: timeout, waiting: &waiting };
        Ok(Arc::new(self.log.acquire_telling(state, ask).await?))
    }

    /// Gives the lease back. That this fails costs the next run a wait at most, so it is told and not returned.
    async fn release(&self, writer: Option<Arc<Writer>>, doubts: Vec<Intent>) {
        let Some(writer) = writer else { return };
        let stop_now = &self.interrupt.stop_now;
        if !doubts.is_empty()
            && !writer.lost().is_cancelled()
            && let Err(error) = look_again(&writer, doubts, &self.providers, &self.events, stop_now).await
        {
            self.events.send(Event::Note { message: error.to_string() });
        }
        if let Err(error) = writer.release().await
            && !error.is_fenced()
        {
            self.events.send(Event::Note { message: format!("the lease could not be given back: {error}") });
        }
    }

    fn summarize(&self, counts: Counts, left_out: usize, started: Instant, report: Option<&Report>) {
        let (longest, critical_path) = match report {
            Some(report) => (report.longest.clone(), report.critical_path.clone()),
            None => Default::default(),
        };
        let unfinished = report.map_or(0, |report| report.unfinished);
        let stopped = report.and_then(|report| report.log_failure.as_ref()).map(ToString::to_string);
        let duration = started.elapsed();
        let summary = Summary { counts, duration, longest, critical_path, left_out, unfinished, stopped };
        self.events.send(Event::Summary(summary));
    }
}

/// Tells that the user wants a run to stop, as long as there is something to stop.
async fn tell_of(interrupt: Interrupt, events: Events) {
    interrupt.stop.cancelled().await;
    events.send(Event::Interrupted { at_once: false });
    interrupt.stop_now.cancelled().await;
    events.send(Event::Interrupted { at_once: true });
}

/// What is brought along when the lease has been taken.
struct UnderLease<'a> {
    approved: Plan,
    facts: Facts,
    handles: HashMap<Urn, String>,
    expected: Option<&'a str>,
}

/// Whether there is anything to do or to record.
fn has_work(plan: &Plan) -> bool {
    plan.has_changes() || plan.steps.iter().any(|step| step.adjust)
}

fn check_expected(plan: &Plan, expected: Option<&str>) -> Result<(), RunError> {
    match expected {
        Some(expected) if plan.digest() != expected => Err(RunError::PlanMoved(
            "the stack has changed since the plan was made, and planning again gives another plan".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn resources(count: usize) -> String {
    if count == 1 { "1 resource".to_owned() } else { format!("{count} resources") }
}

fn out_of_reach(failed: &[RefreshError]) -> String {
    let why = failed.first().map(|first| first.error.message.as_str()).unwrap_or_default();
    format!(
        "{} could not be read and are taken as they were recorded: {why}; `--refresh never` does not try, `--refresh always` insists",
        resources(failed.len())
    )
}
