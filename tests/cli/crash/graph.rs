//! What is applied, changed and destroyed, and how that ends when nothing goes wrong.

use std::time::{Duration, Instant};

use super::audit::Audit;
use super::live::{Live, Mask};
use crate::place::Place;
use crate::support::Sandbox;

/// One command in the life of a stack.
pub struct Phase {
    pub name: &'static str,
    pub command: &'static str,
    /// What the stack file says from then on.
    pub file: String,
}

/// A stack that is applied, changed and destroyed.
pub struct Graph {
    pub name: &'static str,
    /// The stack file's path.
    pub path: &'static str,
    /// What simulated latencies are multiplied with.
    pub latency: &'static str,
    pub phases: Vec<Phase>,
}

/// A phase that nothing went wrong with.
pub struct Reference {
    pub points: u64,
    pub duration: Duration,
    pub audit: Audit,
    pub live: Live,
    pub mask: Mask,
}

const FIRST: &str = include_str!("first.yaml");
const SECOND: &str = include_str!("second.yaml");

const PLATFORM: &str = "apiVersion: plinth.dev/v1\nkind: Stack\nname: crash\nextends: local.yaml\n";
const CHANGED: &str =
    "platform:\n  tempo: { enabled: false }\n  loki: { retention: 3d }\n  prometheus: { retention: 3d }\n";

impl Graph {
    /// Replacements of both orders, deletes, renames, passwords, long operations.
    pub fn synthetic() -> Self {
        Self::new("synthetic", "crash.yaml", "0.02", FIRST.to_owned(), SECOND.to_owned())
    }

    /// The whole platform of `stacks/local.yaml`.
    pub fn platform() -> Self {
        let (first, second) = (PLATFORM.to_owned(), format!("{PLATFORM}{CHANGED}"));
        Self::new("platform", "stacks/crash.yaml", "0.02", first, second)
    }

    fn new(
        name: &'static str,
        path: &'static str,
        latency: &'static str,
        first: String,
        second: String,
    ) -> Self {
        let phases = vec![
            Phase { name: "create", command: "apply", file: first },
            Phase { name: "change", command: "apply", file: second.clone() },
            Phase { name: "destroy", command: "destroy", file: second },
        ];
        Self { name, path, latency, phases }
    }

    pub fn sandbox(&self) -> Sandbox {
        match self.name {
            "platform" => Sandbox::with_stacks(),
            _ => Sandbox::new(),
        }
    }

    /// Runs everything twice without faults: how it ends, and what of that is not the same each time.
    pub fn references(&self, place: &Place) -> Vec<Reference> {
        let once = |which: u64| {
            let mut sandbox = self.sandbox();
            place.equip(&mut sandbox);
            let state = place.url(&format!("reference-{}-{which}", self.name));
            let mut found = Vec::new();
            for phase in &self.phases {
                sandbox.write(self.path, &phase.file);
                let faults = format!("0:0,latency={},audit=audit-{}", self.latency, phase.name);
                let started = Instant::now();
                let mut args = vec![phase.command, "-s", self.path, "--yes", "--json", "--faults", &faults];
                if let Some(state) = &state {
                    args.extend(["--state", state]);
                }
                sandbox.plinth(&args).expect(0);
                let audit = Audit::read(&sandbox.path(&format!("audit-{}", phase.name)));
                found.push(Reference {
                    points: audit.points.len() as u64,
                    duration: started.elapsed(),
                    audit,
                    live: Live::of(&sandbox.path(".plinth/_local")),
                    mask: Mask::new(),
                });
            }
            found
        };
        let (mut references, again) = (once(1), once(2));
        for (reference, again) in references.iter_mut().zip(&again) {
            reference.mask = reference.live.mask(&again.live);
            assert_eq!(
                reference.live.len(),
                again.live.len(),
                "the same things every time: {:?}",
                reference.mask
            );
        }
        references
    }
}
