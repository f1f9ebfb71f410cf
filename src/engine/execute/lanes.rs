//! Lanes: keys under which operations must not overlap.

use std::collections::HashMap;

use plinth_provider::Lane;

/// Who holds which lane.
#[derive(Debug, Default)]
pub struct Lanes(HashMap<String, Holders>);

#[derive(Debug, Default)]
struct Holders {
    exclusive: bool,
    shared: usize,
}

impl Lanes {
    /// Takes all of the lanes, or none of them.
    pub fn try_take(&mut self, lanes: &[Lane]) -> bool {
        let free = lanes.iter().all(|lane| {
            self.0.get(&lane.key).is_none_or(|held| !held.exclusive && (held.shared == 0 || !lane.exclusive))
        });
        if free {
            for lane in lanes {
                let held = self.0.entry(lane.key.clone()).or_default();
                if lane.exclusive {
                    held.exclusive = true;
                } else {
                    held.shared += 1;
                }
            }
        }
        free
    }

    /// Gives them back.
    pub fn release(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            let Some(held) = self.0.get_mut(&lane.key) else { continue };
            if lane.exclusive {
                held.exclusive = false;
            } else {
                held.shared = held.shared.saturating_sub(1);
            }
            if !held.exclusive && held.shared == 0 {
                self.0.remove(&lane.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(key: &str, exclusive: bool) -> Lane {
        Lane { key: key.to_owned(), exclusive }
    }

    #[test]
    fn exclusive_holders_exclude_everybody_and_shared_ones_only_them() {
        let mut lanes = Lanes::default();
        assert!(lanes.try_take(&[lane("a", true)]));
        assert!(!lanes.try_take(&[lane("a", true)]));
        assert!(!lanes.try_take(&[lane("a", false), lane("b", true)]));
        assert!(lanes.try_take(&[lane("b", false)]), "a refused take holds nothing");
        assert!(lanes.try_take(&[lane("b", false)]));
        assert!(!lanes.try_take(&[lane("b", true)]));
        lanes.release(&[lane("b", false)]);
        lanes.release(&[lane("b", false)]);
        assert!(lanes.try_take(&[lane("b", true)]));
        lanes.release(&[lane("a", true)]);
        assert!(lanes.try_take(&[lane("a", false)]));
    }
}
