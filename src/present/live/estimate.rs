//! How long it still takes, said only as exactly as it is known.

use std::time::Duration;

use super::super::words::seconds;

/// The rest of a run that was estimated to take `estimate`, has run for `elapsed`, and is done to a part of
/// `progress` (0 to 1). Earlier runs are believed at first, the pace of this one more and more.
pub(super) fn remaining(estimate: Duration, elapsed: Duration, progress: f64) -> Option<Duration> {
    let progress = progress.clamp(0.0, 1.0);
    let elapsed = elapsed.as_secs_f64();
    let pace = if progress > 0.0 { elapsed / progress } else { 0.0 };
    let total = if estimate.is_zero() {
        // Without earlier runs a pace is worth something only after a while.
        if progress < 0.2 {
            return None;
        }
        pace
    } else {
        // Steps differ in length, and the long ones end last: a pace counted in steps is believed late, or as far
        // as the estimate is used up.
        let used_up = (elapsed / estimate.as_secs_f64()).min(1.0);
        let weight = (progress * progress).max(progress * used_up);
        estimate.as_secs_f64() * (1.0 - weight) + pace * weight
    };
    let left = total - elapsed;
    (left > 0.0).then(|| Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX))
}

/// The same in words.
pub(super) fn text(estimate: Duration, elapsed: Duration, progress: f64) -> String {
    if progress >= 1.0 {
        return String::new();
    }
    match remaining(estimate, elapsed, progress) {
        Some(left) => format!("about {} left", seconds(rounded(left))),
        None if estimate.is_zero() => String::new(),
        None => format!("longer than the estimated {}", seconds(rounded(estimate))),
    }
}

/// No more digits than the estimate deserves.
fn rounded(left: Duration) -> Duration {
    let step = match left.as_secs() {
        0..10 => 1,
        10..60 => 5,
        60..600 => 10,
        _ => 60,
    };
    Duration::from_secs((left.as_secs() / step + 1).saturating_mul(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn earlier_runs_rule_at_first_and_the_pace_later() {
        assert_eq!(remaining(s(100), s(0), 0.0), Some(s(100)));
        // Half done in twice the expected time: between the two.
        assert_eq!(remaining(s(100), s(100), 0.5), Some(s(50)));
        let late = remaining(s(100), s(180), 0.9).unwrap();
        assert!(late > s(9) && late < s(20), "{late:?}");
    }

    #[test]
    fn nothing_is_claimed_that_nobody_knows() {
        assert_eq!(remaining(s(0), s(5), 0.1), None);
        assert_eq!(text(s(0), s(5), 0.1), "");
        assert_eq!(text(s(60), s(90), 0.0), "longer than the estimated 1m 10s");
        assert_eq!(text(s(300), s(0), 0.0), "about 5m 10s left");
        assert_eq!(text(s(300), s(10), 1.0), "");
    }

    #[test]
    fn remaining_never_panics() {
        for progress in [f64::NAN, -1.0, 0.0, 1e-300, 1.0, 7.0] {
            let _ = remaining(Duration::MAX, s(1), progress.clamp(0.0, 1.0));
            let _ = text(s(1), Duration::from_secs(u64::MAX / 4), progress);
        }
    }
}
