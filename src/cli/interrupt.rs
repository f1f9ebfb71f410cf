//! Signals: the first one stops starting, the second one stops at once. SIGTERM is both, some seconds apart.

use crate::engine::Interrupt;

/// How long steps in flight may go on after SIGTERM. Kubernetes and CI runners kill after 10 to 30 seconds.
const TERMINATION_GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// An interrupt that SIGINT and SIGTERM drive. Must be called inside the runtime.
pub fn on_signals() -> Interrupt {
    let interrupt = Interrupt::default();
    let driven = interrupt.clone();
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        let mut grace = None;
        for asked in [&driven.stop, &driven.stop_now] {
            let terminated = async {
                match &mut terminate {
                    Some(terminate) => terminate.recv().await,
                    None => std::future::pending().await,
                }
            };
            let patience = async {
                match grace {
                    Some(grace) => tokio::time::sleep(grace).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = tokio::signal::ctrl_c() => if result.is_err() { return },
                // Whoever sends SIGTERM kills soon after; abandoning in good time is better than being killed.
                _ = terminated => grace = Some(TERMINATION_GRACE),
                () = patience => {}
            }
            asked.cancel();
        }
    });
    interrupt
}
