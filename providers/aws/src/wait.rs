//! Waiting for what AWS does in its own time: look, tell, wait longer each time.

use std::time::Duration;

use plinth_provider::{Class, Context, Error, Result};

/// What one look found.
#[derive(Debug)]
pub(crate) enum Look<T> {
    /// It is done.
    Done(T),
    /// Not yet; this is why.
    Waiting(String),
}

/// Looks until it is done, telling what is waited for. The pauses double from the first to the last of `poll`.
pub(crate) async fn until<T: Send, Looking>(
    context: &Context,
    poll: (Duration, Duration),
    mut look: impl FnMut() -> Looking + Send,
) -> Result<T>
where
    Looking: Future<Output = Result<Look<T>>> + Send,
{
    let (mut pause, longest) = poll;
    let mut said = String::from("the first answer");
    loop {
        let looked = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(interrupted()),
            () = tokio::time::sleep_until(context.deadline) => return Err(late(&said)),
            looked = look() => looked,
        };
        match looked {
            Ok(Look::Done(done)) => return Ok(done),
            Ok(Look::Waiting(reason)) => {
                context.reporter.waiting(&reason);
                said = reason;
            }
            // A look that failed for the moment is looked again.
            Err(error) if error.is_retryable() => context.reporter.waiting(&error.message),
            Err(error) => return Err(error),
        }
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(interrupted()),
            () = tokio::time::sleep_until(context.deadline) => return Err(late(&said)),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(longest);
    }
}

/// Repeats a call while it fails in a way that passes by itself: a principal that IAM has made and other services do not
/// know yet, an update of somebody else that is still going on. `patience` bounds it; the context's deadline does as well.
pub(crate) async fn again<T: Send, Calling>(
    context: &Context,
    patience: Duration,
    passes: impl Fn(&Error) -> bool + Send,
    mut call: impl FnMut() -> Calling + Send,
) -> Result<T>
where
    Calling: Future<Output = Result<T>> + Send,
{
    let end = context.deadline.min(tokio::time::Instant::now() + patience);
    let mut pause = Duration::from_millis(500);
    loop {
        let error = match call().await {
            Err(error) if passes(&error) => error,
            result => return result,
        };
        if tokio::time::Instant::now() + pause >= end {
            return Err(error);
        }
        context.reporter.waiting(&error.message);
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(interrupted()),
            () = tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>())) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

fn interrupted() -> Error {
    Error::new(Class::Cancelled, "interrupted")
}

fn late(said: &str) -> Error {
    Error::new(Class::Timeout, format!("the deadline passed: {said}"))
}
