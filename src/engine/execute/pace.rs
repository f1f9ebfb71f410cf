//! How many operations a provider takes at once: found out while running. Additive increase, multiplicative decrease.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Refusals within this time are one sign of the same congestion, and cut once.
const ONE_SIGN: Duration = Duration::from_secs(1);

/// One provider's pace. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Pace(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// What the stack or the provider allows at most.
    most: usize,
    /// What the system seems to take now.
    window: f64,
    in_flight: usize,
    cut: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Pace {
    /// Begins at the most that is allowed: a system that is not busy is used in full from the start.
    pub fn new(most: Option<usize>) -> Self {
        let most = most.unwrap_or(usize::MAX).max(1);
        Self(Arc::new(Mutex::new(State {
            most,
            window: most as f64,
            in_flight: 0,
            cut: None,
            paused_until: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another operation may begin now.
    pub fn has_room(&self, now: Instant) -> bool {
        let state = self.state();
        (state.in_flight as f64) < state.window.floor() && state.paused_until.is_none_or(|until| until <= now)
    }

    /// How many operations it takes at a time now.
    pub fn takes(&self) -> usize {
        self.state().window.floor() as usize
    }

    /// When a pause that the system asked for is over, if one is on.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.state().paused_until.filter(|until| *until > now)
    }

    /// An operation begins.
    pub fn begin(&self) {
        self.state().in_flight += 1;
    }

    /// An operation has ended; a call that got through makes room for more.
    pub fn end(&self, got_through: bool) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        if got_through && state.window < state.most as f64 {
            state.window = (state.window + 1.0 / state.window).min(state.most as f64);
        }
    }

    /// The system refused a call for there being too many.
    pub fn throttled(&self, retry_after: Option<Duration>, now: Instant) {
        let mut state = self.state();
        if state.cut.is_none_or(|cut| now.saturating_duration_since(cut) >= ONE_SIGN) {
            state.cut = Some(now);
            // What is in flight is what was too much, however much more was allowed.
            state.window = (state.window.min(state.in_flight as f64) / 2.0).max(1.0);
        }
        if let Some(after) = retry_after {
            let until = now + after;
            state.paused_until = Some(state.paused_until.map_or(until, |earlier| earlier.max(until)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(pace: &Pace, now: Instant) -> usize {
        let mut begun = 0;
        while pace.has_room(now) && begun < 1000 {
            pace.begin();
            begun += 1;
        }
        begun
    }

    #[test]
    fn refusals_halve_what_is_in_flight_once_per_burst_and_successes_add_one_per_round() {
        let (pace, now) = (Pace::new(Some(64)), Instant::now());
        assert_eq!(begun(&pace, now), 64);
        for _ in 0..64 {
            pace.throttled(None, now);
        }
        assert_eq!(begun(&pace, now), 0);
        (0..64).for_each(|_| pace.end(false));
        assert_eq!(begun(&pace, now), 32);
        // A round of successes.
        (0..32).for_each(|_| pace.end(true));
        assert_eq!(begun(&pace, now), 32);
        pace.end(true);
        pace.end(true);
        assert_eq!(begun(&pace, now), 3, "one more than before");
        pace.throttled(None, now + ONE_SIGN);
        (0..33).for_each(|_| pace.end(false));
        assert_eq!(begun(&pace, now), 16);
    }

    #[test]
    fn what_the_system_asks_for_is_waited_and_one_is_always_let_through() {
        let (pace, now) = (Pace::new(Some(2)), Instant::now());
        pace.begin();
        for second in 0..20 {
            pace.throttled(None, now + Duration::from_secs(second));
        }
        pace.throttled(Some(Duration::from_secs(30)), now);
        pace.end(false);
        assert!(!pace.has_room(now));
        assert_eq!(pace.paused_until(now), Some(now + Duration::from_secs(30)));
        let later = now + Duration::from_secs(30);
        assert!(pace.has_room(later) && pace.paused_until(later).is_none());
    }

    #[test]
    fn nothing_limits_what_touches_no_system_and_a_limit_is_never_passed() {
        let now = Instant::now();
        assert_eq!(begun(&Pace::new(None), now), 1000);
        let pace = Pace::new(Some(3));
        for _ in 0..50 {
            pace.begin();
            pace.end(true);
        }
        assert_eq!(begun(&pace, now), 3);
    }
}
