//! What goes wrong on purpose, decided per request by a seed so that a failing run can be had again.

use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What happens to one mutating request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Nothing out of the ordinary.
    None,
    /// The request is served, later.
    Delay(Duration),
    /// The request is refused without being looked at.
    Refuse {
        /// 429, 500 or 503.
        code: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u32>,
    },
    /// The request is carried out and the connection then closed without a reply.
    LoseReply,
}

/// Decides, for every mutating request, what goes wrong.
pub trait Faults: Send + Sync {
    /// The fault for a request.
    fn decide(&self, method: &str, path: &str) -> Fault;
}

impl<F: Fn(&str, &str) -> Fault + Send + Sync> Faults for F {
    fn decide(&self, method: &str, path: &str) -> Fault {
        self(method, path)
    }
}

/// Faults at random, the same ones for the same seed and order of requests.
#[derive(Debug)]
pub struct Seeded {
    rate: f64,
    rng: Mutex<SmallRng>,
}

impl Seeded {
    /// Faults for a share of requests between 0 and 1.
    pub fn new(seed: u64, rate: f64) -> Self {
        Self { rate: rate.clamp(0.0, 1.0), rng: Mutex::new(SmallRng::seed_from_u64(seed)) }
    }
}

impl Faults for Seeded {
    fn decide(&self, _: &str, _: &str) -> Fault {
        let mut rng = self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !rng.random_bool(self.rate) {
            return Fault::None;
        }
        match rng.random_range(0..5) {
            0 => Fault::Delay(Duration::from_millis(rng.random_range(1..150))),
            1 => Fault::Refuse { code: 429, retry_after: Some(1) },
            2 => Fault::Refuse { code: 503, retry_after: None },
            3 => Fault::Refuse { code: 500, retry_after: None },
            _ => Fault::LoseReply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let faults = Seeded::new(seed, 0.5);
            (0..50).map(|_| faults.decide("POST", "/x")).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).contains(&Fault::LoseReply));
        let never = Seeded::new(1, 0.0);
        assert!((0..50).all(|_| never.decide("POST", "/x") == Fault::None));
    }
}
