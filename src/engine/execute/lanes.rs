//! Lanes: keys under which operations must not overlap.
//!
//! Whoever finds a lane taken gets a place in its line. A later comer does not pass an earlier one that it would
//! exclude, so nobody waits longer than for those before it: an exclusive operation is not kept out by shared ones that
//! follow each other without a gap. All lanes of an operation are taken at once or none, so there are no deadlocks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plinth_provider::Lane;

/// Who holds which lane, and who waits for it. Waiting is by the number of a task.
#[derive(Debug, Default)]
pub struct Lanes {
    held: HashMap<String, Holders>,
    /// By ticket.
    waiting: BTreeMap<u64, (usize, Vec<Lane>)>,
    /// The tickets in line for a lane, and whether each is exclusive.
    lines: HashMap<String, BTreeMap<u64, bool>>,
    next_ticket: u64,
}

#[derive(Debug, Default)]
struct Holders {
    exclusive: bool,
    shared: usize,
}

impl Lanes {
    /// Takes all of the lanes for a task, or puts it in line for all of them and says which one is taken.
    ///
    /// # Errors
    /// The key of a lane that is taken.
    pub fn take(&mut self, task: usize, lanes: &[Lane]) -> Result<(), String> {
        if let Some(key) = self.taken(lanes, u64::MAX) {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            for lane in lanes {
                let place = self.lines.entry(lane.key.clone()).or_default().entry(ticket).or_default();
                *place |= lane.exclusive;
            }
            self.waiting.insert(ticket, (task, lanes.to_vec()));
            return Err(key);
        }
        self.hold(lanes);
        Ok(())
    }

    /// The first of the lanes that is held, or that somebody with an earlier ticket waits for, so as to exclude.
    fn taken(&self, lanes: &[Lane], ticket: u64) -> Option<String> {
        let excludes = |lane: &&Lane| {
            let held = self
                .held
                .get(&lane.key)
                .is_some_and(|held| held.exclusive || (lane.exclusive && held.shared > 0));
            let earlier = || {
                let line = self.lines.get(&lane.key);
                line.is_some_and(|line| {
                    line.range(..ticket).any(|(_, exclusive)| *exclusive || lane.exclusive)
                })
            };
            held || earlier()
        };
        lanes.iter().find(excludes).map(|lane| lane.key.clone())
    }

    fn hold(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            let held = self.held.entry(lane.key.clone()).or_default();
            if lane.exclusive {
                held.exclusive = true;
            } else {
                held.shared += 1;
            }
        }
    }

    /// Gives the lanes back; the tasks whose turn has come hold theirs from now on, and are returned in order.
    pub fn release(&mut self, lanes: &[Lane]) -> Vec<usize> {
        for lane in lanes {
            let Some(held) = self.held.get_mut(&lane.key) else { continue };
            if lane.exclusive {
                held.exclusive = false;
            } else {
                held.shared = held.shared.saturating_sub(1);
            }
            if !held.exclusive && held.shared == 0 {
                self.held.remove(&lane.key);
            }
        }
        // Letting somebody go shortens the lines of all of that one's lanes.
        let mut lines: BTreeSet<String> = lanes.iter().map(|lane| lane.key.clone()).collect();
        let mut admitted = Vec::new();
        while let Some(key) = lines.pop_first() {
            let tickets: Vec<(u64, bool)> = self
                .lines
                .get(&key)
                .into_iter()
                .flatten()
                .map(|(ticket, exclusive)| (*ticket, *exclusive))
                .collect();
            for (ticket, exclusive) in tickets {
                let Some((_, wanted)) = self.waiting.get(&ticket) else { continue };
                if self.taken(wanted, ticket).is_some() {
                    if exclusive {
                        // Whoever stands behind it in this line has to wait for it.
                        break;
                    }
                    continue;
                }
                let Some((task, wanted)) = self.waiting.remove(&ticket) else { continue };
                for lane in &wanted {
                    if let Some(line) = self.lines.get_mut(&lane.key) {
                        line.remove(&ticket);
                        if line.is_empty() {
                            self.lines.remove(&lane.key);
                        }
                    }
                    if lane.key != key {
                        lines.insert(lane.key.clone());
                    }
                }
                self.hold(&wanted);
                admitted.push(task);
            }
        }
        admitted
    }

    /// The tasks in line.
    pub fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        self.waiting.values().map(|(task, _)| *task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lane(key: &str, exclusive: bool) -> Lane {
        Lane { key: key.to_owned(), exclusive }
    }

    #[test]
    fn exclusive_holders_exclude_everybody_and_shared_ones_only_them() {
        let mut lanes = Lanes::default();
        let (all, some) = ([lane("a", true)], [lane("a", false)]);
        assert_eq!(lanes.take(0, &some), Ok(()));
        assert_eq!(lanes.take(1, &some), Ok(()));
        assert_eq!(lanes.take(2, &all), Err("a".to_owned()));
        // It does not conflict with those that hold the lane, but with one that came before it.
        assert_eq!(lanes.take(3, &some), Err("a".to_owned()));
        assert_eq!(lanes.take(4, &[lane("b", true)]), Ok(()), "another lane is another matter");
        assert_eq!(lanes.release(&some), Vec::<usize>::new());
        assert_eq!(lanes.release(&some), [2]);
        assert_eq!(lanes.release(&all), [3]);
        assert_eq!(lanes.waiting().count(), 0);
    }

    #[test]
    fn who_waits_for_two_lanes_holds_neither() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.take(0, &[lane("a", true)]), Ok(()));
        assert_eq!(lanes.take(1, &[lane("a", false), lane("b", false)]), Err("a".to_owned()));
        assert_eq!(lanes.take(2, &[lane("b", false)]), Ok(()));
        assert_eq!(lanes.release(&[lane("a", true)]), [1]);
    }

    proptest! {
        /// Operations with random lanes, begun and ended in a random order, new ones coming all the time: holders never
        /// exclude each other, nobody is passed by a later comer that it excludes, and everybody gets a turn.
        #[test]
        fn nobody_overlaps_and_nobody_starves(
            tasks in proptest::collection::vec(
                proptest::collection::btree_map(0usize..4, any::<bool>(), 1..3), 1..40),
            ends in proptest::collection::vec(any::<proptest::sample::Index>(), 200),
        ) {
            let wanted: Vec<Vec<Lane>> = tasks.iter()
                .map(|lanes| lanes.iter().map(|(key, exclusive)| lane(&key.to_string(), *exclusive)).collect())
                .collect();
            let conflict = |one: usize, other: usize| wanted[one].iter().any(|a| {
                wanted[other].iter().any(|b| a.key == b.key && (a.exclusive || b.exclusive))
            });
            let mut lanes = Lanes::default();
            let (mut running, mut waiting): (Vec<usize>, Vec<usize>) = Default::default();
            let mut done = 0;
            let mut coming = 0..wanted.len();
            for end in ends {
                let begun = match coming.next() {
                    Some(task) if lanes.take(task, &wanted[task]).is_ok() => vec![task],
                    Some(task) => {
                        waiting.push(task);
                        vec![]
                    }
                    None => vec![],
                };
                let begun = if begun.is_empty() && !running.is_empty() {
                    let ended = running.swap_remove(end.index(running.len()));
                    done += 1;
                    lanes.release(&wanted[ended])
                } else {
                    begun
                };
                for task in begun {
                    waiting.retain(|waits| *waits != task);
                    prop_assert!(!running.iter().any(|other| conflict(task, *other)), "{task} overlaps");
                    let passed = waiting.iter().find(|waits| **waits < task && conflict(task, **waits));
                    prop_assert!(passed.is_none(), "{task} passes {passed:?}");
                    running.push(task);
                }
                // Nobody waits without a reason.
                for waits in &waiting {
                    let behind = waiting.iter().any(|other| other < waits && conflict(*waits, *other));
                    prop_assert!(behind || running.iter().any(|other| conflict(*waits, *other)), "{waits}");
                }
            }
            prop_assert!(done + running.len() + waiting.len() == wanted.len() || coming.next().is_some() || done > 0);
            while let Some(ended) = running.pop() {
                running.extend(lanes.release(&wanted[ended]));
            }
            prop_assert_eq!(lanes.waiting().count(), 0, "everybody gets a turn");
        }
    }
}
