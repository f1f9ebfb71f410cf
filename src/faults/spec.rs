//! How faults are asked for: `SEED[:RATE][,NAME=VALUE…]`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use plinth_local::Faults;

/// Which faults, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// What goes wrong with requests to the embedded cloud and cluster.
    pub requests: Faults,
    /// The share of writes to state storage that go wrong, between 0 and 1.
    pub storage: f64,
    /// Where this process dies.
    pub crash: Option<Crash>,
    /// How wrong this process's clock is.
    pub clock: SignedDuration,
    /// How long the lease lasts, instead of what it usually does.
    pub lease: Option<Duration>,
    /// Multiplies the embedded cloud's latencies.
    pub latency: f64,
    /// How long every request to the embedded Kubernetes API takes at least.
    pub distance: Duration,
    /// A file that every point that is reached is appended to.
    pub audit: Option<PathBuf>,
}

/// A point to die at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crash {
    /// The one of this number, counted from 1 in the order in which they are reached.
    Number(u64),
    /// The one of this name, as the audit file has it.
    Name(String),
}

/// Why a text does not describe faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The seed or the rate is wrong.
    #[error(transparent)]
    Requests(#[from] plinth_local::FaultsError),
    /// A setting is wrong.
    #[error("`{setting}` does not describe faults: {why}")]
    Setting {
        /// The setting as given.
        setting: String,
        /// What is wrong with it.
        why: String,
    },
}

const SETTINGS: &str = "the settings are crash=POINT, storage=RATE, clock=SECONDS, lease=SECONDS, latency=FACTOR, \
                        distance=MILLISECONDS and audit=FILE, as in 7:0.2,crash=183";

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut parts = text.split(',');
        let requests = parts.next().unwrap_or_default().parse()?;
        let mut spec = Self {
            requests,
            storage: 0.0,
            crash: None,
            clock: SignedDuration::ZERO,
            lease: None,
            latency: 1.0,
            distance: Duration::ZERO,
            audit: None,
        };
        for setting in parts {
            let wrong = |why: &str| SpecError::Setting { setting: setting.to_owned(), why: why.to_owned() };
            let (name, value) = setting.split_once('=').ok_or_else(|| wrong(SETTINGS))?;
            let number = |from: f64, to: f64, what: &str| match value.parse::<f64>() {
                Ok(number) if (from..=to).contains(&number) => Ok(number),
                _ => Err(wrong(&format!("it takes {what}"))),
            };
            match name {
                "crash" => spec.crash = Some(crash(value).ok_or_else(|| wrong("it names no point"))?),
                "storage" => spec.storage = number(0.0, 1.0, "a rate between 0 and 1")?,
                "clock" => {
                    let seconds = number(-1e8, 1e8, "seconds, such as -600")?;
                    spec.clock = SignedDuration::from_millis((seconds * 1000.0) as i64);
                }
                "lease" => {
                    spec.lease = Some(Duration::from_secs_f64(number(0.1, 1e6, "seconds, such as 2")?));
                }
                "latency" => spec.latency = number(0.0, 1e3, "a factor, such as 0.1")?,
                "distance" => {
                    let milliseconds = number(0.0, 60_000.0, "milliseconds, such as 5")?;
                    spec.distance = Duration::from_secs_f64(milliseconds / 1000.0);
                }
                "audit" if !value.is_empty() => spec.audit = Some(PathBuf::from(value)),
                "audit" => return Err(wrong("it names no file")),
                _ => return Err(wrong(SETTINGS)),
            }
        }
        Ok(spec)
    }
}

fn crash(value: &str) -> Option<Crash> {
    match value.parse() {
        Ok(0) => None,
        Ok(number) => Some(Crash::Number(number)),
        Err(_) if value.is_empty() => None,
        Err(_) => Some(Crash::Name(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_alone_is_what_it_always_was() {
        let spec: Spec = "7:0.5".parse().unwrap();
        assert_eq!(spec.requests, Faults { seed: 7, rate: 0.5 });
        assert_eq!((spec.storage, spec.crash, spec.latency), (0.0, None, 1.0));
        assert!(spec.clock.is_zero() && spec.lease.is_none() && spec.audit.is_none());
    }

    #[test]
    fn every_setting() {
        let text = "7,crash=183,storage=0.3,clock=-600,lease=1.5,latency=0.1,distance=5,audit=a b.ndjson";
        let spec: Spec = text.parse().unwrap();
        assert_eq!(spec.crash, Some(Crash::Number(183)));
        assert_eq!(spec.clock, SignedDuration::from_mins(-10));
        assert_eq!(spec.lease, Some(Duration::from_millis(1500)));
        assert_eq!((spec.storage, spec.latency), (0.3, 0.1));
        assert_eq!(spec.distance, Duration::from_millis(5));
        assert_eq!(spec.audit, Some(PathBuf::from("a b.ndjson")));
        let named: Spec = "7:0,crash=after append 3".parse().unwrap();
        assert_eq!(named.crash, Some(Crash::Name("after append 3".into())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("x,crash=1", "`x`"),
            ("7,crash=0", "crash=0"),
            ("7,crash=", "names no point"),
            ("7,storage=2", "between 0 and 1"),
            ("7,lease=0", "seconds"),
            ("7,latency=nan", "a factor"),
            ("7,distance=-1", "milliseconds"),
            ("7,audit=", "names no file"),
            ("7,crush=1", "crash=POINT"),
            ("7,", "crash=POINT"),
        ] {
            let error = text.parse::<Spec>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
