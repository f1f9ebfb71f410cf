//! From the engine's channel to a presenter.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Presenter;
use crate::engine::Event;

const TICK: Duration = Duration::from_millis(100);

/// Shows every event until all senders are gone, then says how it ended.
pub async fn pump(receiver: UnboundedReceiver<Event>, presenter: Box<dyn Presenter>) {
    let (_control, orders) = mpsc::unbounded_channel();
    run(receiver, presenter, orders, false).await;
}

enum Order {
    /// Show what is there already, then leave the terminal alone until the next event.
    Hold(oneshot::Sender<()>),
    /// Show what is there already, and end.
    Finish,
}

/// A pump that runs in a task of its own and can be told to wait while somebody else uses the terminal.
#[derive(Debug)]
pub struct Pump {
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

/// The terminal is free until the next event.
#[derive(Debug)]
pub struct Held(());

impl Pump {
    /// Begins to show events.
    pub fn start(receiver: UnboundedReceiver<Event>, presenter: Box<dyn Presenter>) -> Self {
        let (orders, control) = mpsc::unbounded_channel();
        Self { orders, task: tokio::spawn(run(receiver, presenter, control, true)) }
    }

    /// Returns once everything that was told is shown and nothing moves any more: the terminal can be used for a
    /// plan or a question. The next event makes things move again.
    pub async fn hold(&self) -> Held {
        let (tell, told) = oneshot::channel();
        if self.orders.send(Order::Hold(tell)).is_ok() {
            let _ = told.await;
        }
        Held(())
    }

    /// Shows what was told and how it ended.
    pub async fn finish(self) {
        let _ = self.orders.send(Order::Finish);
        let _ = self.task.await;
    }
}

async fn run(
    mut receiver: UnboundedReceiver<Event>,
    mut presenter: Box<dyn Presenter>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut ordered: bool,
) {
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => presenter.tick(),
            event = receiver.recv() => match event {
                Some(event) => presenter.event(&event),
                None => break,
            },
            order = orders.recv(), if ordered => match order {
                Some(Order::Hold(told)) => {
                    drain(&mut receiver, presenter.as_mut());
                    presenter.hold();
                    let _ = told.send(());
                }
                Some(Order::Finish) => {
                    drain(&mut receiver, presenter.as_mut());
                    break;
                }
                None => ordered = false,
            },
        }
    }
    presenter.finish();
}

fn drain(receiver: &mut UnboundedReceiver<Event>, presenter: &mut dyn Presenter) {
    while let Ok(event) = receiver.try_recv() {
        presenter.event(&event);
    }
}
