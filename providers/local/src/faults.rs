//! What goes wrong on purpose, so that recovery can be rehearsed. The seed decides, per request, so that a failing run
//! can be had again.
//!
//! A decision depends on the seed, the request and how often that request was made before, never on the order in which
//! different requests arrive: runs with concurrency repeat as well.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// How many times in a row one request may go wrong: whoever retries with patience always gets through.
const IN_A_ROW: u32 = 2;

/// How many requests to one address are then left alone: a try may be made of several.
const CALM: u32 = 4;

/// Which faults, and how many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// What the faults are drawn from.
    pub seed: u64,
    /// The share of changing requests that go wrong, between 0 and 1.
    pub rate: f64,
}

/// Why a text does not describe faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not describe faults: {why}; write SEED or SEED:RATE, such as 7:0.2")]
pub struct FaultsError {
    text: String,
    why: &'static str,
}

impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let error = |why| FaultsError { text: text.to_owned(), why };
        let (seed, rate) = text.split_once(':').map_or((text, None), |(seed, rate)| (seed, Some(rate)));
        let seed = seed.trim().parse().map_err(|_| error("the seed is not a whole number"))?;
        let rate = match rate {
            None => 0.2,
            Some(rate) => rate.trim().parse().map_err(|_| error("the rate is not a number"))?,
        };
        if !(0.0..=1.0).contains(&rate) {
            return Err(error("the rate is not between 0 and 1"));
        }
        Ok(Self { seed, rate })
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seed, self.rate)
    }
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is served late.
    Late(Duration),
    /// It is refused: too many requests.
    Throttled,
    /// It is refused; it may have been carried out, and was not.
    Failed,
    /// It is refused; it was not carried out.
    Unavailable,
    /// It is carried out, and the connection closed without an answer.
    LostReply,
}

/// Draws faults for the requests of one server.
#[derive(Debug)]
pub struct Draw {
    faults: Faults,
    tries: Mutex<HashMap<String, Tries>>,
}

#[derive(Debug, Default)]
struct Tries {
    made: u32,
    wrong_in_a_row: u32,
    calm: u32,
}

impl Draw {
    /// Draws with these settings.
    pub fn new(faults: Faults) -> Self {
        Self { faults, tries: Mutex::default() }
    }

    /// What happens to this request; nothing, most of the time. `what` tells requests to one address apart.
    pub fn fault(&self, method: &str, path: &str, what: &str) -> Option<Fault> {
        let key = format!("{method} {path} {what}");
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = tries.entry(key.clone()).or_default();
        let mut dice = Dice::new(self.faults.seed, &key, tries.made);
        tries.made += 1;
        if tries.calm > 0 {
            tries.calm -= 1;
            return None;
        }
        // Being late is not being wrong.
        let fault = (dice.share() < self.faults.rate).then(|| match dice.below(100) {
            0..30 => Fault::Late(Duration::from_millis(20 + dice.below(180))),
            30..50 => Fault::Throttled,
            50..60 => Fault::Failed,
            60..75 => Fault::Unavailable,
            _ => Fault::LostReply,
        });
        match fault {
            None | Some(Fault::Late(_)) => tries.wrong_in_a_row = 0,
            Some(_) if tries.wrong_in_a_row == IN_A_ROW => {
                tries.wrong_in_a_row = 0;
                tries.calm = CALM - 1;
                return None;
            }
            Some(_) => tries.wrong_in_a_row += 1,
        }
        fault
    }
}

/// Numbers out of a digest: the same for the same seed, request and try on every machine.
struct Dice {
    bytes: Vec<u8>,
    used: usize,
}

impl Dice {
    fn new(seed: u64, key: &str, attempt: u32) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(seed.to_le_bytes());
        hasher.update(attempt.to_le_bytes());
        hasher.update(key.as_bytes());
        Self { bytes: hasher.finalize().to_vec(), used: 0 }
    }

    fn number(&mut self) -> u64 {
        let mut eight = [0; 8];
        if let Some(next) = self.bytes.get(self.used..self.used + 8) {
            eight.copy_from_slice(next);
        }
        self.used += 8;
        u64::from_le_bytes(eight)
    }

    fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(faults: Faults, requests: &[&str]) -> HashMap<String, Vec<Option<Fault>>> {
        let draw = Draw::new(faults);
        let mut seen: HashMap<String, Vec<_>> = HashMap::new();
        for path in requests {
            seen.entry((*path).to_owned()).or_default().push(draw.fault("POST", path, ""));
        }
        seen
    }

    #[test]
    fn the_seed_decides_whatever_the_order() {
        let paths: Vec<String> = (0..40).map(|at| format!("/cloud/v1/buckets/{}", at % 8)).collect();
        let forward: Vec<&str> = paths.iter().map(String::as_str).collect();
        let backward: Vec<&str> = forward.iter().rev().copied().collect();
        let faults = Faults { seed: 7, rate: 0.5 };
        assert_eq!(drawn(faults, &forward), drawn(faults, &backward));
        assert_ne!(drawn(faults, &forward), drawn(Faults { seed: 8, ..faults }, &forward));
    }

    #[test]
    fn every_fault_comes_up_at_about_the_rate() {
        let draw = Draw::new(Faults { seed: 1, rate: 0.3 });
        let faults: Vec<Fault> =
            (0..2000).filter_map(|at| draw.fault("PUT", &format!("/{at}"), "")).collect();
        assert!((500..700).contains(&faults.len()), "{}", faults.len());
        for fault in [Fault::Throttled, Fault::Failed, Fault::Unavailable, Fault::LostReply] {
            assert!(faults.contains(&fault), "{fault:?}");
        }
        let never = Draw::new(Faults { seed: 1, rate: 0.0 });
        assert!((0..100).all(|at| never.fault("PUT", &format!("/{at}"), "").is_none()));
    }

    #[test]
    fn who_retries_gets_through() {
        let draw = Draw::new(Faults { seed: 3, rate: 1.0 });
        for at in 0..50 {
            let path = format!("/{at}");
            let through = |fault| matches!(fault, None | Some(Fault::Late(_)));
            assert!((0..=IN_A_ROW).any(|_| through(draw.fault("POST", &path, ""))), "{path}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!("7".parse(), Ok(Faults { seed: 7, rate: 0.2 }));
        assert_eq!("7:0.5".parse(), Ok(Faults { seed: 7, rate: 0.5 }));
        for text in ["", "x", "7:", "7:2", "-1", "7:nan"] {
            assert!(text.parse::<Faults>().is_err(), "{text}");
        }
    }
}
