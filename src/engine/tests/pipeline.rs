//! How runs use the log and their providers: entries are shared, nobody waits for more than an append, long waits go on
//! in the next run, busy systems are given time.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use plinth_provider::{
    Applied, Class, Context, Error, KindSchema, Lane, Live, OutputRef, Provider, ReadRequest, Recorded,
    Request, Resource, Result, Urn, Value,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::world::{Bench, STACK, urn};
use crate::engine::{Ended, Event, Events, Limits, Plan, Refresh, Report, Target};

/// A system that is slow, busy, or waits for a signal.
#[derive(Default)]
struct Slow {
    /// What was begun and resumed, in order.
    calls: Mutex<Vec<String>>,
    made: Mutex<Vec<String>>,
    /// `wait` returns when `signal` has been created.
    signal: Notify,
    /// Long operations hang after they were begun.
    hangs: AtomicBool,
    begun: Notify,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    refusals: AtomicUsize,
    /// More calls than this at a time are refused.
    takes: AtomicUsize,
    /// How many operations are in each lane.
    lanes: Mutex<HashMap<String, usize>>,
}

impl Slow {
    /// Works in a lane, and counts who does so at a time.
    async fn in_lane(&self, inputs: &Value) {
        let key = inputs.text_at("lane").unwrap_or_default().to_owned();
        let now = {
            let mut lanes = self.lanes.lock().unwrap();
            let now = lanes.entry(key.clone()).or_insert(0);
            *now += 1;
            *now
        };
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        *self.lanes.lock().unwrap().get_mut(&key).unwrap() -= 1;
    }
}

struct SlowProvider(Arc<Slow>);

#[async_trait]
impl Provider for SlowProvider {
    fn name(&self) -> &str {
        "slow"
    }

    fn schema(&self, _kind: &str) -> Result<KindSchema> {
        Ok(KindSchema::default())
    }

    fn check(&self, _urn: &Urn, inputs: Value) -> Result<Value> {
        Ok(inputs)
    }

    fn lanes(&self, _urn: &Urn, inputs: &Value) -> Vec<Lane> {
        let key = inputs.text_at("lane").map(str::to_owned);
        key.map(|key| Lane { key, exclusive: true }).into_iter().collect()
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        let slow = &self.0;
        let name = request.urn.name().to_owned();
        match request.urn.kind() {
            "slow:Wait" => slow.signal.notified().await,
            "slow:Signal" => slow.signal.notify_one(),
            "slow:Busy" => {
                let now = slow.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
                slow.most_in_flight.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                slow.in_flight.fetch_sub(1, Ordering::SeqCst);
                if now > slow.takes.load(Ordering::SeqCst) {
                    slow.refusals.fetch_add(1, Ordering::SeqCst);
                    let retry_after = Some(Duration::from_millis(20));
                    return Err(Error::new(Class::Throttled { retry_after }, "too many requests"));
                }
            }
            "slow:Sleep" => {
                let ms = request.inputs.text_at("ms").and_then(|ms| ms.parse().ok()).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            "slow:Laned" => slow.in_lane(request.inputs).await,
            "slow:Panic" => panic!("the unforeseen"),
            _ => match &context.handle {
                Some(handle) => slow.calls.lock().unwrap().push(format!("resume {handle}")),
                None => {
                    slow.made.lock().unwrap().push(name.clone());
                    slow.calls.lock().unwrap().push(format!("begin {name}"));
                    context.reporter.started("operation-7").await?;
                    slow.begun.notify_one();
                    if slow.hangs.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                }
            },
        }
        Ok(Applied { id: name, outputs: Value::map() })
    }

    async fn read(&self, _context: &Context, _request: ReadRequest<'_>) -> Result<Option<Live>> {
        Ok(None)
    }

    async fn update(&self, context: &Context, request: Request<'_>, _recorded: &Recorded) -> Result<Applied> {
        self.create(context, request).await
    }

    async fn delete(&self, _context: &Context, recorded: &Recorded) -> Result<()> {
        if recorded.urn.kind() == "slow:Laned" {
            self.0.in_lane(&recorded.inputs).await;
        }
        Ok(())
    }

    async fn find(&self, _context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        let made = self.0.made.lock().unwrap().contains(&request.urn.name().to_owned());
        Ok(made.then(|| Live {
            id: request.urn.name().to_owned(),
            outputs: Value::map(),
            inputs: request.inputs.clone(),
            details: serde_json::Value::Null,
        }))
    }
}

fn resource(kind: &str, name: &str, needs: &[Urn]) -> Resource {
    let mut resource = Resource::new(urn(kind, name), Value::map());
    resource.options.depends_on = needs.to_vec();
    resource
}

async fn apply(
    bench: &Bench,
    slow: &Arc<Slow>,
    resources: Vec<Resource>,
    limits: Limits,
) -> (Report, Vec<Event>) {
    let (mut engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
    engine.providers = engine.providers.with(Arc::new(SlowProvider(slow.clone())));
    engine.settings.limits = limits;
    let (events, mut receiver) = Events::channel();
    engine.events = events;
    let target = Target::new("apply", resources, &engine.providers).unwrap();
    let ended = engine.apply(&target, state, None, async |_: &Plan| true).await.unwrap();
    drop(engine);
    let mut told = Vec::new();
    while let Some(event) = receiver.recv().await {
        told.push(event);
    }
    match ended {
        Ended::Executed(report) => (*report, told),
        other => panic!("{other:?}"),
    }
}

async fn entries(bench: &Bench) -> usize {
    bench.backend.list(&format!("{STACK}/log")).await.unwrap().len()
}

/// The lease, the revision's two ends and the lease's end.
const AROUND: usize = 4;

#[tokio::test]
async fn a_layer_costs_one_append() {
    let bench = Bench::new();
    let name = |layer: usize, at: usize| format!("r{layer}-{at}");
    let mut resources = Vec::new();
    for layer in 0..6 {
        for at in 0..40 {
            let mut inputs = Value::from([("value", at as i64)]);
            if layer > 0 {
                let needed = urn("plinth:Data", &name(layer - 1, (at + 1) % 40));
                inputs.set(&"needs".into(), Value::Output(OutputRef { urn: needed, path: "value".into() }));
            }
            resources.push(Resource::new(urn("plinth:Data", &name(layer, at)), inputs));
        }
    }
    let report = bench.apply(resources).await;
    assert_eq!(report.counts.create, 240);
    // Intents of the first layer; outcomes of one with intents of the next; outcomes of the last.
    assert_eq!(entries(&bench).await, 6 + 1 + AROUND);
    assert_eq!(report.critical_path.len(), 6);
}

#[tokio::test]
async fn a_ready_step_does_not_wait_for_others_in_flight() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    // `wait` ends only when the end of the chain has been made beside it.
    let resources = vec![
        resource("slow:Wait", "wait", &[]),
        resource("plinth:Data", "a", &[]),
        resource("plinth:Data", "b", &[urn("plinth:Data", "a")]),
        resource("slow:Signal", "c", &[urn("plinth:Data", "b")]),
    ];
    let applied = apply(&bench, &slow, resources, Limits::default());
    let (report, _) =
        tokio::time::timeout(Duration::from_secs(30), applied).await.expect("nothing is held up");
    assert_eq!(report.counts.create, 4);
}

#[tokio::test]
async fn what_was_begun_before_a_kill_is_waited_for_and_not_begun_again() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    slow.hangs.store(true, Ordering::SeqCst);
    let resources = || vec![resource("slow:Long", "cluster", &[])];
    tokio::select! {
        _ = apply(&bench, &slow, resources(), Limits::default()) => panic!("it hangs"),
        () = slow.begun.notified() => {}
    }
    let state = bench.state().await;
    let handles: Vec<_> = state.pending.values().map(|pending| pending.handle.as_deref()).collect();
    assert_eq!(handles, [Some("operation-7")], "the handle is durable before the wait");
    slow.hangs.store(false, Ordering::SeqCst);
    bench.bury().await;
    let (report, _) = apply(&bench, &slow, resources(), Limits::default()).await;
    assert!(report.failures.is_empty());
    assert_eq!(*slow.calls.lock().unwrap(), ["begin cluster", "resume operation-7"]);
    let state = bench.state().await;
    assert!(state.pending.is_empty() && state.resources.values().all(|resource| !resource.unsettled));
}

#[tokio::test]
async fn a_busy_system_gets_fewer_calls_and_the_time_it_asks_for() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    slow.takes.store(4, Ordering::SeqCst);
    let resources: Vec<Resource> = (0..80).map(|at| resource("slow:Busy", &format!("r{at}"), &[])).collect();
    let begun = Instant::now();
    let (report, told) = apply(&bench, &slow, resources, Limits::default()).await;
    assert_eq!((report.counts.create, report.failures.len()), (80, 0));
    assert!(slow.most_in_flight.load(Ordering::SeqCst) > 4, "it starts at full speed");
    let refusals = slow.refusals.load(Ordering::SeqCst);
    // All that were in flight at first are refused some times; hardly any later one is.
    assert!((4..1_000).contains(&refusals), "{refusals}");
    assert!(begun.elapsed() >= Duration::from_millis(20));
    let retries = told.iter().filter_map(|event| match event {
        Event::StepRetrying { after, reason, .. } => Some((after, reason)),
        _ => None,
    });
    for (after, reason) in retries {
        assert!(*after >= Duration::from_millis(20) && reason.contains("too many requests"));
    }
}

#[tokio::test]
async fn limits_of_the_stack_are_kept() {
    let most = async |limits: Limits| {
        let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
        slow.takes.store(usize::MAX, Ordering::SeqCst);
        let resources = (0..20).map(|at| resource("slow:Busy", &format!("r{at}"), &[])).collect();
        apply(&bench, &slow, resources, limits).await;
        slow.most_in_flight.load(Ordering::SeqCst)
    };
    let providers = [("slow".to_owned(), 3)].into();
    assert_eq!(most(Limits { total: None, providers }).await, 3);
    assert_eq!(most(Limits { total: Some(2), ..Limits::default() }).await, 2);
    assert_eq!(most(Limits::default()).await, 20);
}

#[tokio::test]
async fn a_provider_that_panics_fails_its_step_and_nothing_else() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    let resources = vec![
        resource("slow:Panic", "bad", &[]),
        resource("plinth:Data", "after", &[urn("slow:Panic", "bad")]),
        resource("plinth:Data", "beside", &[]),
    ];
    let (report, _) = apply(&bench, &slow, resources, Limits::default()).await;
    assert_eq!((report.counts.create, report.counts.failed, report.skipped), (1, 1, 1));
    assert!(report.failures[0].1.message.contains("the unforeseen"));
    assert_eq!(bench.state().await.pending.len(), 1, "the next run finds out what became of it");
}

#[tokio::test]
async fn the_summary_names_what_took_longest_and_the_critical_path() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    slow.takes.store(usize::MAX, Ordering::SeqCst);
    let busy = |name: &str| urn("slow:Busy", name);
    let resources = vec![
        resource("slow:Busy", "a", &[]),
        resource("slow:Busy", "b", &[busy("a")]),
        resource("slow:Busy", "c", &[busy("b")]),
        resource("plinth:Data", "beside", &[]),
    ];
    let (_, told) = apply(&bench, &slow, resources, Limits::default()).await;
    let Some(Event::Summary(summary)) = told.last() else { panic!("{told:?}") };
    let names: Vec<&str> = summary.critical_path.iter().map(|took| took.urn.name()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(summary.longest.len(), 4);
    assert_eq!(summary.longest[3].urn.name(), "beside");
    let json = serde_json::to_value(told.last()).unwrap();
    assert_eq!(json["critical_path"][0]["urn"], busy("a").as_str());
    assert!(json["longest"][0]["duration_ms"].as_u64().is_some_and(|ms| ms >= 4));
}

#[tokio::test]
async fn what_took_long_last_time_is_begun_first_and_what_is_new_is_weighed_by_its_kind() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    let sleeper = |name: &str, ms: u64| {
        let mut resource = resource("slow:Sleep", name, &[]);
        resource.inputs.set(&"ms".into(), ms.to_string().as_str().into());
        resource
    };
    let one_at_a_time = || Limits { total: Some(1), ..Limits::default() };
    let first = vec![sleeper("quick", 60), sleeper("slow", 200)];
    let begun = async |resources: Vec<Resource>| -> Vec<String> {
        let (_, told) = apply(&bench, &slow, resources, one_at_a_time()).await;
        let begun = told.into_iter().filter_map(|event| match event {
            Event::StepStarted { urn, .. } => Some(urn.name().to_owned()),
            _ => None,
        });
        begun.collect()
    };
    assert_eq!(begun(first).await, ["quick", "slow"], "in the program's order, as nothing is known");
    begun(Vec::new()).await;
    let again = vec![sleeper("quick", 1), sleeper("new", 1), sleeper("slow", 1)];
    assert_eq!(begun(again).await, ["slow", "new", "quick"], "it is remembered even of what was deleted");
}

#[tokio::test]
async fn lanes_never_overlap_and_what_waits_for_one_is_told_and_comes_to_its_turn() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    let laned = |at: usize| {
        let mut resource = resource("slow:Laned", &format!("r{at}"), &[]);
        resource.inputs.set(&"lane".into(), ["east", "west"][at % 2].into());
        resource
    };
    let resources: Vec<Resource> = (0..12).map(laned).chain([resource("slow:Long", "free", &[])]).collect();
    let (report, told) = apply(&bench, &slow, resources, Limits::default()).await;
    assert_eq!((report.counts.create, report.failures.len()), (13, 0), "everybody gets a turn");
    assert_eq!(slow.most_in_flight.load(Ordering::SeqCst), 1, "one at a time in each");
    let waits = told.iter().filter_map(|event| match event {
        Event::StepWaiting { urn, reason } => Some((urn.name(), reason.as_str())),
        _ => None,
    });
    let waits: HashMap<_, _> = waits.collect();
    assert_eq!(waits.len(), 10, "{waits:?}");
    let reasons: HashSet<&str> = waits.into_values().collect();
    assert!(reasons.contains("its turn: `east` takes one change at a time") && reasons.len() == 2);
    // Neither lane nor anything else has waited for the other.
    let begun: Vec<&Urn> = told
        .iter()
        .filter_map(|event| match event {
            Event::StepStarted { urn, .. } => Some(urn),
            _ => None,
        })
        .collect();
    assert!(begun.iter().position(|urn| urn.name() == "free").is_some_and(|at| at < 3), "{begun:?}");
    let (report, _) = apply(&bench, &slow, Vec::new(), Limits::default()).await;
    assert_eq!((report.counts.delete, slow.most_in_flight.load(Ordering::SeqCst)), (13, 1), "deletes, too");
}

#[tokio::test]
async fn what_keeps_ready_steps_from_beginning_is_told() {
    let (bench, slow) = (Bench::new(), Arc::<Slow>::default());
    slow.takes.store(2, Ordering::SeqCst);
    let resources: Vec<Resource> = (0..30).map(|at| resource("slow:Busy", &format!("r{at}"), &[])).collect();
    let limits = Limits { total: Some(8), ..Limits::default() };
    let (_, told) = apply(&bench, &slow, resources, limits).await;
    let full = Event::Full { provider: None, steps: 22, most: 8 };
    assert_eq!(told.iter().filter(|event| **event == full).count(), 1, "once");
    let pause = told.iter().find_map(|event| match event {
        Event::Paused { provider, steps, after } => Some((provider.as_str(), *steps, *after)),
        _ => None,
    });
    let Some(("slow", 1.., after)) = pause else { panic!("{pause:?}") };
    assert!(after <= Duration::from_millis(20), "{after:?}");
}

#[tokio::test]
async fn a_plan_says_what_it_trusts_and_of_what_age() {
    let bench = Bench::new();
    let all = vec![resource("plinth:Data", "a", &[]), resource("plinth:Data", "b", &[])];
    bench.apply(all.clone()).await;
    let notes = async |refresh: Refresh| {
        let (mut engine, state) = bench.engine(bench.backend.clone()).await.unwrap();
        engine.settings.refresh = refresh;
        let target = Target::new("plan", all.clone(), &engine.providers).unwrap();
        let (plan, _) = engine.plan(&target, &state).await.unwrap();
        (plan.notes, plan.freshness.trusted)
    };
    let (said, trusted) = notes(Refresh::Auto { max_age: Duration::from_secs(300) }).await;
    let within = "2 resources are taken as they were recorded within the last 300 s; `--refresh always` reads them all";
    assert_eq!((said, trusted), (vec![within.to_owned()], 2));
    assert_eq!(notes(Refresh::Always).await, (Vec::new(), 0));
    let (said, _) = notes(Refresh::Never).await;
    assert_eq!(said, ["2 resources are taken as they were recorded; nothing was read"]);
}
