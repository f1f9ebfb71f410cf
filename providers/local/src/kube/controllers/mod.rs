//! Simulated controllers: what makes objects come to life. One file per controller.
//!
//! All of them share one queue and one task. A change is mapped to the objects it concerns, each of these is
//! reconciled from what is stored, and a controller may ask to be called again after a while. Nothing runs
//! when nothing changes, and after a restart everything is looked at once.

mod aggregation;
mod autoscalers;
mod budgets;
mod ca_injector;
mod certificates;
mod cron;
mod daemon_sets;
mod definitions;
mod deployments;
mod endpoints;
mod external_secrets;
mod faults;
mod garbage;
mod ingresses;
mod jobs;
mod kit;
mod kubelet;
mod load_balancers;
mod namespaces;
mod quotas;
mod replica_sets;
mod schedule;
mod scheduler;
mod serving_authority;
mod stateful_sets;
mod volumes;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::json::Json;
use super::server::Server;
use super::status::Status;
use super::store::Key;

pub(crate) use kit::set_condition;

/// What a reconciliation asks for: nothing, or to be repeated after a while.
pub(crate) type Again = Option<Duration>;

/// One controller.
pub(crate) trait Controller: Send + Sync {
    /// Which of its objects a change concerns. `object` is the new state, or the last one of a deleted object.
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key>;

    /// Brings the world closer to what an object asks for. The object may be gone.
    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status>;
}

fn all() -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(namespaces::Namespaces),
        Box::new(definitions::Definitions),
        Box::new(deployments::Deployments),
        Box::new(replica_sets::ReplicaSets),
        Box::new(stateful_sets::StatefulSets),
        Box::new(daemon_sets::DaemonSets),
        Box::new(jobs::Jobs),
        Box::new(cron::CronJobs),
        Box::new(volumes::Volumes::default()),
        Box::new(scheduler::Scheduler),
        Box::new(kubelet::Kubelet::default()),
        Box::new(endpoints::Endpoints),
        Box::new(load_balancers::LoadBalancers::default()),
        Box::new(ingresses::Ingresses),
        Box::new(budgets::Budgets),
        Box::new(autoscalers::Autoscalers),
        Box::new(certificates::Certificates::default()),
        Box::new(serving_authority::ServingAuthority),
        Box::new(ca_injector::CaInjector),
        Box::new(external_secrets::ExternalSecrets),
        Box::new(aggregation::Aggregation),
        Box::new(quotas::Quotas),
        Box::new(garbage::Garbage),
    ]
}

type Item = (usize, Key);

#[derive(Default)]
struct Queue {
    ready: VecDeque<Item>,
    queued: HashSet<Item>,
    timers: BTreeMap<(Instant, u64), Item>,
    armed: HashMap<Item, (Instant, u64)>,
    failures: HashMap<Item, u32>,
    counter: u64,
}

impl Queue {
    fn push(&mut self, item: Item) {
        if self.queued.insert(item.clone()) {
            self.ready.push_back(item);
        }
    }

    fn later(&mut self, item: Item, delay: Duration) {
        let due = Instant::now() + delay;
        if let Some(armed) = self.armed.get(&item) {
            if armed.0 <= due {
                return;
            }
            self.timers.remove(armed);
        }
        self.counter += 1;
        self.timers.insert((due, self.counter), item.clone());
        self.armed.insert(item, (due, self.counter));
    }

    fn fire(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.timers.first_entry().filter(|e| e.key().0 <= now) {
            let item = entry.remove();
            self.armed.remove(&item);
            self.push(item);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.ready.pop_front()?;
        self.queued.remove(&item);
        Some(item)
    }

    fn next(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }
}

/// Runs all controllers until the server is gone.
pub(crate) async fn run(weak: Weak<Server>) {
    let controllers = all();
    let mut queue = Queue::default();
    let Some(server) = weak.upgrade() else { return };
    let mut latest = server.store.subscribe();
    let mut version = look_at_everything(&server, &controllers, &mut queue);
    drop(server);
    loop {
        let Some(server) = weak.upgrade() else { return };
        latest.borrow_and_update();
        version = collect(&server, &controllers, &mut queue, version);
        queue.fire();
        if let Some(item) = queue.pop() {
            work(&server, &controllers, &mut queue, item);
            drop(server);
            tokio::task::yield_now().await;
            continue;
        }
        drop(server);
        let wait = async {
            match queue.next() {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = latest.changed() => if changed.is_err() { return },
            () = wait => {}
        }
    }
}

fn work(server: &Server, controllers: &[Box<dyn Controller>], queue: &mut Queue, item: Item) {
    match controllers[item.0].reconcile(server, &item.1) {
        Ok(again) => {
            queue.failures.remove(&item);
            if let Some(delay) = again {
                queue.later(item, delay);
            }
        }
        Err(status) => {
            let failures = queue.failures.entry(item.clone()).or_insert(0);
            *failures = (*failures + 1).min(10);
            let delay = Duration::from_millis(20 << *failures);
            tracing::debug!(%status, key = ?item.1, "reconciliation failed, it will be repeated");
            queue.later(item, delay);
        }
    }
}

/// Queues everything there is, as after a start.
fn look_at_everything(server: &Server, controllers: &[Box<dyn Controller>], queue: &mut Queue) -> u64 {
    let version = server.store.version();
    for resource in server.store.resources() {
        for object in server.store.list(&resource, None).0 {
            let key = Key::new(&resource, super::json::namespace(&object), super::json::name(&object));
            notice(server, controllers, queue, &key, &object, false);
        }
    }
    version
}

fn collect(server: &Server, controllers: &[Box<dyn Controller>], queue: &mut Queue, version: u64) -> u64 {
    let Some(events) = server.store.since(version) else {
        return look_at_everything(server, controllers, queue);
    };
    let mut version = version;
    for event in events {
        version = event.version;
        if let Some(object) = event.after.as_ref().or(event.last.as_ref()) {
            notice(server, controllers, queue, &event.key, object, event.after.is_none());
        }
    }
    version
}

fn notice(
    server: &Server,
    controllers: &[Box<dyn Controller>],
    queue: &mut Queue,
    key: &Key,
    object: &Json,
    deleted: bool,
) {
    for (index, controller) in controllers.iter().enumerate() {
        for concerned in controller.concerns(server, key, object, deleted) {
            queue.push((index, concerned));
        }
    }
}
