//! The points at which a process can be made to die, counted and written down as they are reached.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use super::Crash;

/// Counts points, writes them down, and dies at the chosen one.
#[derive(Debug)]
pub struct Points {
    crash: Option<Crash>,
    audit: Option<File>,
    reached: Mutex<Reached>,
}

#[derive(Debug, Default)]
struct Reached {
    number: u64,
    by_name: HashMap<String, u64>,
}

impl Points {
    /// Points that are appended to a file, if there is one.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn new(crash: Option<Crash>, audit: Option<&Path>) -> std::io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { crash, audit: audit.map(open).transpose()?, reached: Mutex::default() })
    }

    /// This process is at a point now; it does not return when that is the one to die at. A point that is reached again
    /// has `#2` after its name, and so on.
    pub fn reach(&self, name: &str, details: &[(&str, &str)]) {
        // What it does now was decided before it waits for its turn to write that down.
        let at = now();
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.number += 1;
        let number = reached.number;
        let times = reached.by_name.entry(name.to_owned()).or_default();
        *times += 1;
        let name = if *times == 1 { name.to_owned() } else { format!("{name} #{times}") };
        let dies = match &self.crash {
            Some(Crash::Number(wanted)) => *wanted == number,
            Some(Crash::Name(wanted)) => *wanted == name,
            None => false,
        };
        if let Some(audit) = &self.audit {
            let mut line = json!({"pid": std::process::id(), "at": at, "n": number, "point": name});
            for (key, value) in details {
                line[*key] = Json::from(*value);
            }
            if dies {
                line["dies"] = true.into();
            }
            // Written under the lock and in one piece: lines stand in the order in which points were reached. Losing
            // one would only hide something from whoever reads the file.
            let _ = (&*audit).write_all(format!("{line}\n").as_bytes());
        }
        if dies {
            die();
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Ends this process the way `kill -9` does: no destructor runs, no buffer is written.
fn die() -> ! {
    #[cfg(unix)]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
