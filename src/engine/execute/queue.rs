//! The ready tasks: which of them begins next. The longest remaining path goes first, as far as its provider has room.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;

/// How many operations may run at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// In all; as many as there are when absent.
    pub total: Option<usize>,
    /// By the prefix of the provider's kinds; the provider's own limit when absent.
    pub providers: BTreeMap<String, usize>,
}

/// A ready task: the longest remaining path goes first, ties in plan order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    remaining: Duration,
    first: std::cmp::Reverse<usize>,
}

/// Tasks by who does them; the first group is of those that touch no system.
#[derive(Debug)]
pub struct Queue {
    groups: Vec<Group>,
    names: HashMap<String, usize>,
    limits: Limits,
    in_flight: usize,
}

#[derive(Debug)]
struct Group {
    /// Whose it is; empty for what touches no system.
    provider: String,
    ready: BinaryHeap<Ready>,
    /// What limits it, if something does.
    pace: Option<Pace>,
}

/// Ready tasks that may not begin.
#[derive(Debug, PartialEq, Eq)]
pub struct Hindered<'a> {
    /// Whose they are; of anybody's when absent.
    pub provider: Option<&'a str>,
    /// How many.
    pub steps: usize,
    /// Why not.
    pub by: Hindrance,
}

/// Why ready tasks may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// The system asked for a pause until then.
    Paused(Instant),
    /// As many as may run do.
    Full(usize),
}

/// The group of what touches no system.
pub const NO_SYSTEM: usize = 0;

impl Queue {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        let no_system = Group { provider: String::new(), ready: BinaryHeap::new(), pace: None };
        Self { groups: vec![no_system], names: HashMap::new(), limits, in_flight: 0 }
    }

    /// The group of a provider, whose own limit is `usual`.
    pub fn group(&mut self, provider: &str, usual: Option<usize>) -> usize {
        if let Some(group) = self.names.get(provider) {
            return *group;
        }
        let most = self.limits.providers.get(provider).copied().or(usual);
        self.groups.push(Group {
            provider: provider.to_owned(),
            ready: BinaryHeap::new(),
            pace: Some(Pace::new(most)),
        });
        let group = self.groups.len() - 1;
        self.names.insert(provider.to_owned(), group);
        group
    }

    /// The pace of a group, if something limits it.
    pub fn pace(&self, group: usize) -> Option<&Pace> {
        self.groups[group].pace.as_ref()
    }

    /// A task is ready.
    pub fn push(&mut self, group: usize, task: usize, remaining: Duration) {
        self.groups[group].ready.push(Ready { remaining, first: std::cmp::Reverse(task) });
    }

    /// The task that begins now, if one may.
    pub fn pop(&mut self, now: Instant) -> Option<usize> {
        let full = self.limits.total.is_some_and(|total| self.in_flight >= total);
        let may = |group: &&mut Group| match &group.pace {
            None => true,
            Some(pace) => !group.ready.is_empty() && !full && pace.has_room(now),
        };
        let best = self
            .groups
            .iter_mut()
            .filter(may)
            .max_by(|one, other| one.ready.peek().cmp(&other.ready.peek()))?;
        best.ready.pop().map(|ready| ready.first.0)
    }

    /// A task of a group does something from now on.
    pub fn begin(&mut self, group: usize) {
        if let Some(pace) = self.pace(group) {
            pace.begin();
            self.in_flight += 1;
        }
    }

    /// It has ended.
    pub fn end(&mut self, group: usize, got_through: bool) {
        if let Some(pace) = self.pace(group) {
            pace.end(got_through);
            self.in_flight -= 1;
        }
    }

    /// When the next pause ends that ready tasks wait for.
    pub fn next_pause(&self, now: Instant) -> Option<Instant> {
        let waiting = self.groups.iter().filter(|group| !group.ready.is_empty());
        waiting.filter_map(|group| group.pace.as_ref()?.paused_until(now)).min()
    }

    /// What keeps ready tasks from beginning.
    pub fn hindered(&self, now: Instant) -> Vec<Hindered<'_>> {
        let waiting = || self.groups.iter().filter(|group| group.pace.is_some() && !group.ready.is_empty());
        if let Some(total) = self.limits.total.filter(|total| self.in_flight >= *total) {
            let steps = waiting().map(|group| group.ready.len()).sum();
            let all = Hindered { provider: None, steps, by: Hindrance::Full(total) };
            return if steps == 0 { Vec::new() } else { vec![all] };
        }
        let hindered = waiting().filter_map(|group| {
            let pace = group.pace.as_ref()?;
            let by = match pace.paused_until(now) {
                Some(until) => Hindrance::Paused(until),
                None if pace.has_room(now) => return None,
                None => Hindrance::Full(pace.takes()),
            };
            Some(Hindered { provider: Some(&group.provider), steps: group.ready.len(), by })
        });
        hindered.collect()
    }

    /// The tasks that never began.
    pub fn left(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().flat_map(|group| group.ready.iter().map(|ready| ready.first.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_goes_first_where_there_is_room() {
        let limits = Limits { total: Some(3), providers: BTreeMap::from([("slow".to_owned(), 1)]) };
        let mut queue = Queue::new(limits);
        let now = Instant::now();
        let (slow, quick) = (queue.group("slow", Some(64)), queue.group("quick", None));
        assert_eq!(queue.group("slow", None), slow);
        for (group, task, seconds) in
            [(slow, 0, 9), (slow, 1, 8), (quick, 2, 1), (quick, 3, 2), (quick, 4, 2), (NO_SYSTEM, 5, 0)]
        {
            queue.push(group, task, Duration::from_secs(seconds));
        }
        let mut begun = Vec::new();
        while let Some(task) = queue.pop(now) {
            queue.begin([slow, slow, quick, quick, quick, NO_SYSTEM][task]);
            begun.push(task);
        }
        assert_eq!(begun, [0, 3, 4, 5], "one of the slow, three in all, and what touches nothing");
        let full = |provider, steps, most| Hindered { provider, steps, by: Hindrance::Full(most) };
        assert_eq!(queue.hindered(now), [full(None, 2, 3)]);
        queue.end(quick, true);
        assert_eq!(queue.pop(now), Some(2));
        assert_eq!(queue.hindered(now), [full(Some("slow"), 1, 1)]);
        let pause = Duration::from_secs(5);
        queue.pace(slow).unwrap().throttled(Some(pause), now);
        let paused = Hindered { provider: Some("slow"), steps: 1, by: Hindrance::Paused(now + pause) };
        assert_eq!(queue.hindered(now), [paused]);
        let now = now + pause;
        queue.end(slow, true);
        assert_eq!(queue.pop(now), Some(1));
        let mut left: Vec<usize> = queue.left().collect();
        left.sort_unstable();
        assert_eq!(left, Vec::<usize>::new());
    }
}
