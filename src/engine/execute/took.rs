//! What a run spent its time on: the longest steps, and the chain of steps that could not have been any shorter.

use std::time::Duration;

use crate::engine::schedule::Schedule;

/// How many of the longest steps are named.
pub const NAMED: usize = 5;

/// The tasks that took longest, longest first.
pub fn longest(durations: &[Option<Duration>]) -> Vec<usize> {
    let mut finished: Vec<usize> = (0..durations.len()).filter(|task| durations[*task].is_some()).collect();
    let by_length = |task: &usize| (std::cmp::Reverse(durations[*task]), *task);
    if finished.len() > NAMED {
        finished.select_nth_unstable_by_key(NAMED, by_length);
        finished.truncate(NAMED);
    }
    finished.sort_unstable_by_key(by_length);
    finished
}

/// The chain that took longest in sum, first task first; tasks that did nothing are left out.
pub fn critical_path(schedule: &Schedule, durations: &[Option<Duration>]) -> Vec<usize> {
    let mut ends: Vec<(Duration, Option<usize>)> = vec![(Duration::ZERO, None); durations.len()];
    for task in &schedule.order {
        let end = ends[*task].0 + durations[*task].unwrap_or_default();
        ends[*task].0 = end;
        for dependent in &schedule.tasks[*task].dependents {
            if end > ends[*dependent].0 || ends[*dependent].1.is_none() {
                ends[*dependent] = (end, Some(*task));
            }
        }
    }
    let last = (0..ends.len()).max_by_key(|task| (ends[*task].0, std::cmp::Reverse(*task)));
    let mut path: Vec<usize> = std::iter::successors(last, |task| ends[*task].1).collect();
    path.retain(|task| durations[*task].is_some());
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schedule::{Task, Work};

    fn seconds(number: u64) -> Option<Duration> {
        Some(Duration::from_secs(number))
    }

    fn schedule(dependents: &[&[usize]]) -> Schedule {
        let task = |(step, dependents): (usize, &&[usize])| Task {
            step,
            work: Work::Make,
            dependents: dependents.to_vec(),
            waits_for: 0,
            remaining: Duration::ZERO,
        };
        let tasks: Vec<Task> = dependents.iter().enumerate().map(task).collect();
        Schedule { order: (0..tasks.len()).collect(), tasks }
    }

    #[test]
    fn the_chain_that_took_longest_is_found_through_what_did_nothing() {
        // 0 → 2 → 4, 1 → 3 → 4; 2 did nothing.
        let schedule = schedule(&[&[2], &[3], &[4], &[4], &[], &[]]);
        let durations = [seconds(5), seconds(1), None, seconds(3), seconds(1), seconds(4)];
        assert_eq!(critical_path(&schedule, &durations), [0, 4]);
        let durations = [seconds(2), seconds(1), None, seconds(3), seconds(1), seconds(4)];
        assert_eq!(critical_path(&schedule, &durations), [1, 3, 4]);
        assert_eq!(longest(&durations), [5, 3, 0, 1, 4]);
        assert_eq!(critical_path(&self::schedule(&[]), &[]), Vec::<usize>::new());
    }

    #[test]
    fn five_are_named_and_ties_go_by_plan_order() {
        let durations: Vec<Option<Duration>> = (0..20).map(|at| seconds(at % 3)).collect();
        assert_eq!(longest(&durations), [2, 5, 8, 11, 14]);
    }
}
