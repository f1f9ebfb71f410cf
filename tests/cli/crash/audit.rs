//! What a run was seen to do: the lines that `--faults …,audit=FILE` appends.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::Value as Json;

/// A point that a process reached.
#[derive(Debug, Clone)]
pub struct Point {
    pub pid: u64,
    pub at: u64,
    pub name: String,
    pub token: String,
    /// What the call or write came to.
    pub came: String,
    pub dies: bool,
}

/// Everything in an audit file.
#[derive(Debug, Default)]
pub struct Audit {
    pub points: Vec<Point>,
    /// How often each thing of the embedded cloud and cluster was made. A request that is repeated under its token makes
    /// nothing new.
    pub made: BTreeMap<String, u64>,
}

impl Audit {
    pub fn read(file: &Path) -> Self {
        let mut audit = Self::default();
        let mut tokens = HashSet::new();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            // A line that was cut short by a kill.
            let Ok(line) = serde_json::from_str::<Json>(line) else { continue };
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            if line["served"].is_string() {
                let token = text("token");
                if line["status"] == 201 && (token.is_empty() || tokens.insert(token)) {
                    *audit.made.entry(format!("{} {}", text("path"), text("name"))).or_default() += 1;
                }
                continue;
            }
            audit.points.push(Point {
                pid: line["pid"].as_u64().unwrap_or_default(),
                at: line["at"].as_u64().unwrap_or_default(),
                name: text("point"),
                token: text("token"),
                came: text("came"),
                dies: line["dies"] == true,
            });
        }
        audit
    }

    /// What was made more often than in a run that nothing went wrong with.
    pub fn made_twice(&self, reference: &Self) -> Vec<String> {
        let made = |(what, times): (&String, &u64)| {
            let usual = reference.made.get(what).copied().unwrap_or_default();
            (*times > usual).then(|| format!("{what} was made {times} times, not {usual}"))
        };
        self.made.iter().filter_map(made).collect()
    }

    /// The points at which a process died.
    pub fn deaths(&self) -> impl Iterator<Item = &str> {
        self.points.iter().filter(|point| point.dies).map(|point| point.name.as_str())
    }
}
