//! Failures that an object asks for: what a cluster does to people, on purpose and where it can be looked at.
//!
//! The annotation stands on the object that is to fail; for the pods of a workload, on its template.

use super::super::json::{Json, annotation};

/// The annotation.
pub(super) const FAULT: &str = "simulation.plinth.dev/fault";

/// What an object asks for. A number after a colon says after how many attempts it stops failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The images of a pod cannot be pulled.
    ImagePull(u32),
    /// The containers of a pod end as soon as they have started.
    CrashLoop(u32),
    /// No node takes a pod.
    Unschedulable,
    /// A pod runs and is never ready.
    NotReady,
    /// A claim gets no volume, a Service no address.
    Pending,
}

/// The fault of an object, if it asks for one that is known.
pub(super) fn of(object: &Json) -> Option<Fault> {
    let text = annotation(object, FAULT)?;
    let (kind, attempts) = match text.split_once(':') {
        Some((kind, attempts)) => (kind, attempts.parse().ok()?),
        None => (text, u32::MAX),
    };
    Some(match kind {
        "image-pull" => Fault::ImagePull(attempts),
        "crash-loop" => Fault::CrashLoop(attempts),
        "unschedulable" => Fault::Unschedulable,
        "not-ready" => Fault::NotReady,
        "pending" => Fault::Pending,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::json::json;
    use super::*;

    #[test]
    fn faults_are_read_with_their_number_of_attempts() {
        let asks = |text: &str| of(&json!({"metadata": {"annotations": {FAULT: text}}}));
        assert_eq!(asks("crash-loop"), Some(Fault::CrashLoop(u32::MAX)));
        assert_eq!(asks("image-pull:2"), Some(Fault::ImagePull(2)));
        assert_eq!(asks("pending"), Some(Fault::Pending));
        assert_eq!((asks("nonsense"), asks("crash-loop:x")), (None, None));
        assert_eq!(of(&json!({})), None);
    }
}
