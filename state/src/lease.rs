//! The right to append, and who holds it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The person, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it runs.
    pub command: String,
    /// What tells this process from another of the same number: boot, process namespace, start time.
    /// Empty when the system does not say; nobody then takes it for dead before its lease has expired.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub process: String,
}

impl Holder {
    /// This process.
    pub fn current(user: Option<String>, command: impl Into<String>) -> Self {
        let pid = std::process::id();
        Self {
            host: read("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown host".to_owned()),
            pid,
            user,
            command: command.into(),
            process: process(pid).unwrap_or_default(),
        }
    }

    /// The person and the machine, as far as known.
    pub fn person(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }

    /// Whether it is certain that the process is gone: it ran on this very system and is not there any more.
    pub fn is_dead(&self) -> bool {
        let Some((system, _)) = self.process.rsplit_once('/') else { return false };
        let Some(own) = process(std::process::id()) else { return false };
        let same_system = own.rsplit_once('/').is_some_and(|(mine, _)| mine == system);
        let same_host = read("/proc/sys/kernel/hostname").is_some_and(|host| host == self.host);
        same_system && same_host && process(self.pid).as_deref() != Some(self.process.as_str())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{} (process {}, `{}`)", self.host, self.pid, self.command)
    }
}

/// A lease as the log has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Its epoch.
    pub epoch: u64,
    /// Who holds it.
    pub holder: Holder,
    /// Since when.
    pub acquired: jiff::Timestamp,
    /// When it may be taken over, by its holder's clock.
    pub expires: jiff::Timestamp,
    /// How long it lasts without renewal, in milliseconds.
    #[serde(rename = "ttlMs", default)]
    pub ttl_ms: u64,
}

/// How wrong two clocks may be together before an expired lease is believed to be expired without watching it.
/// Clouds refuse requests whose clock is off by a third of that.
const DOUBT: jiff::SignedDuration = jiff::SignedDuration::from_mins(45);

impl Lease {
    /// Whether it is over beyond doubt: its holder is known to be dead, or it expired so long ago that no clock can be
    /// that wrong.
    pub fn is_over(&self, now: jiff::Timestamp) -> bool {
        now.duration_since(self.expires) >= DOUBT || self.holder.is_dead()
    }

    /// Whether it is over by our clock, which may be ahead of its holder's: reason enough to watch it.
    pub fn looks_over(&self, now: jiff::Timestamp) -> bool {
        now >= self.expires
    }

    /// How long it lasts without renewal. Whoever sees no sign of life for that long may take it over.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {:.0}, until {:.0} unless renewed", self.holder, self.acquired, self.expires)
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// `<boot>/<process namespace>/<start time>` of a process that lives; `None` when it does not or cannot be told.
fn process(pid: u32) -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = read(format!("/proc/{pid}/stat"))?;
    // The command's name stands in parentheses and may hold anything; the fields after it are plain.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let run_state = fields.next()?;
    if matches!(run_state, "Z" | "X") {
        return None;
    }
    let start = fields.nth(18)?;
    Some(format!("{boot}/{}/{start}", namespace.display()))
}
