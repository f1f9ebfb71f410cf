//! Calls of providers: what is done at once is done here, what has to wait goes on in a task of its own.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use futures::FutureExt;
use tokio_util::task::AbortOnDropHandle;

/// Runs a call to its end. A call that returns without waiting costs no task; one that waits runs beside everything
/// else, and is abandoned when this future is dropped.
///
/// # Errors
/// What a call that panicked said.
pub async fn apart<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    let mut call = Box::pin(AssertUnwindSafe(call).catch_unwind());
    let ended = match futures::poll!(call.as_mut()) {
        Poll::Ready(ended) => ended,
        Poll::Pending => match AbortOnDropHandle::new(tokio::spawn(call)).await {
            Ok(ended) => ended,
            Err(error) => return Err(error.to_string()),
        },
    };
    ended.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_before_and_after_the_first_wait_is_an_error() {
        assert_eq!(apart(async { 7 }).await, Ok(7));
        let early = apart(async { panic!("early") }).await;
        assert_eq!(early, Err::<(), _>("early".to_owned()));
        let late = apart(async {
            tokio::task::yield_now().await;
            panic!("late {}", 1)
        });
        assert_eq!(late.await, Err::<(), _>("late 1".to_owned()));
    }
}
