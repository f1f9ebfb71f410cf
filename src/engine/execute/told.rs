//! What is told of steps that could begin and may not: once, and again when it changes, but not all the time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::{Hindered, Hindrance};
use crate::engine::event::{Event, Events};

/// A limit that changes is told again after this time.
const QUIET: Duration = Duration::from_secs(10);

/// A pause that grows by less than this is still the same.
const SAME_PAUSE: Duration = Duration::from_secs(1);

/// What was told last, by provider.
#[derive(Debug, Default)]
pub(super) struct Told {
    pauses: HashMap<String, Instant>,
    limits: HashMap<Option<String>, (usize, Instant)>,
}

impl Told {
    /// Tells, if that is news.
    pub fn tell(&mut self, Hindered { provider, steps, by }: Hindered<'_>, now: Instant, events: &Events) {
        let owned = provider.map(str::to_owned);
        match (by, owned) {
            (Hindrance::Paused(until), Some(provider)) => {
                if self.pauses.get(&provider).is_some_and(|told| until < *told + SAME_PAUSE) {
                    return;
                }
                self.pauses.insert(provider.clone(), until);
                events.send(Event::Paused { provider, steps, after: until.saturating_duration_since(now) });
            }
            (Hindrance::Full(most), provider) => {
                let is_old = |(told, at): &(usize, Instant)| {
                    *told == most || now.saturating_duration_since(*at) < QUIET
                };
                if self.limits.get(&provider).is_some_and(is_old) {
                    return;
                }
                self.limits.insert(provider.clone(), (most, now));
                events.send(Event::Full { provider, steps, most });
            }
            (Hindrance::Paused(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_told_and_nothing_twice() {
        let (events, mut receiver) = Events::channel();
        let (mut told, now) = (Told::default(), Instant::now());
        let mut tell = |provider, by, second: u64| {
            let what = Hindered { provider, steps: 3, by };
            told.tell(what, now + Duration::from_secs(second), &events);
            receiver.try_recv().ok()
        };
        let pause = |second| Hindrance::Paused(now + Duration::from_secs(second));
        let after = Duration::from_secs(5);
        assert_eq!(
            tell(Some("aws"), pause(5), 0),
            Some(Event::Paused { provider: "aws".into(), steps: 3, after })
        );
        assert_eq!(tell(Some("aws"), pause(5), 1), None);
        assert!(tell(Some("aws"), pause(9), 1).is_some() && tell(Some("gcp"), pause(5), 1).is_some());
        assert_eq!(
            tell(None, Hindrance::Full(10), 1),
            Some(Event::Full { provider: None, steps: 3, most: 10 })
        );
        assert_eq!(tell(None, Hindrance::Full(10), 100), None);
        assert!(tell(Some("aws"), Hindrance::Full(4), 1).is_some());
        assert_eq!(tell(Some("aws"), Hindrance::Full(5), 2), None, "not with every step that ends");
        assert!(tell(Some("aws"), Hindrance::Full(6), 20).is_some());
    }
}
