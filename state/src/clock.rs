//! What time a process believes it is. Safety never rests on it; it only says when a lease may be taken over.

use jiff::{SignedDuration, Timestamp};

/// The system's clock, wrong by a known amount when a rehearsal wants it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    skew: SignedDuration,
}

impl Clock {
    /// A clock that is ahead by this much, or behind when it is negative.
    pub fn skewed(skew: SignedDuration) -> Self {
        Self { skew }
    }

    /// The time by this clock.
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.skew).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_is_off_by_its_skew() {
        let ahead = Clock::skewed(SignedDuration::from_mins(10)).now();
        let off = ahead.duration_since(Timestamp::now());
        assert!((590..=600).contains(&off.as_secs()), "{off}");
        assert!(Clock::default().now() <= Timestamp::now());
    }
}
