//! Signals: the first one stops starting, the second one stops at once.

use crate::engine::Interrupt;

/// An interrupt that SIGINT and SIGTERM drive. Must be called inside the runtime.
pub fn on_signals() -> Interrupt {
    let interrupt = Interrupt::default();
    let driven = interrupt.clone();
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        for asked in [&driven.stop, &driven.stop_now] {
            let terminated = async {
                match &mut terminate {
                    Some(terminate) => terminate.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = tokio::signal::ctrl_c() => if result.is_err() { return },
                _ = terminated => {}
            }
            asked.cancel();
        }
    });
    interrupt
}
