//! One life of a stack in a folder of its own, and what must be true of it after each command, however that went.

use std::cell::Cell;
use std::process::Stdio;
use std::time::Duration;

use super::audit::Audit;
use super::graph::{Graph, Phase, Reference};
use super::live::Live;
use crate::place::Place;
use crate::support::{Ran, Sandbox};

pub struct Round<'a> {
    pub graph: &'a Graph,
    pub sandbox: Sandbox,
    state: Option<String>,
    /// How often a process was killed.
    pub kills: Cell<u64>,
}

impl<'a> Round<'a> {
    pub fn new(graph: &'a Graph, place: &Place, name: &str) -> Self {
        let mut sandbox = graph.sandbox();
        place.equip(&mut sandbox);
        Self { graph, sandbox, state: place.url(name), kills: Cell::new(0) }
    }

    /// From now on the stack file says what it says in this phase.
    pub fn begin(&self, phase: &Phase) {
        self.sandbox.write(self.graph.path, &phase.file);
    }

    fn args<'s>(&'s self, command: &[&'s str]) -> Vec<&'s str> {
        let mut args = command.to_vec();
        args.extend(["-s", self.graph.path]);
        if let Some(state) = &self.state {
            args.extend(["--state", state]);
        }
        args
    }

    pub fn plinth(&self, command: &[&str]) -> Ran {
        self.sandbox.plinth(&self.args(command))
    }

    /// The phase's command, with these faults.
    pub fn run(&self, phase: &Phase, faults: &str) -> Ran {
        let faults = self.faults(phase, faults);
        let ran = self.plinth(&[phase.command, "--yes", "--json", "--faults", &faults]);
        if ran.code == -1 {
            self.kills.set(self.kills.get() + 1);
        }
        ran
    }

    fn faults(&self, phase: &Phase, faults: &str) -> String {
        format!("{faults},latency={},audit=audit-{}", self.graph.latency, phase.name)
    }

    /// The phase's command, killed from outside after this long.
    pub fn run_for(&self, phase: &Phase, time: Duration) {
        let faults = self.faults(phase, "0:0");
        let args = self.args(&[phase.command, "--yes", "--json", "--faults", &faults]);
        let mut run = self
            .sandbox
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("plinth starts");
        std::thread::sleep(time);
        if run.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = run.kill();
            self.kills.set(self.kills.get() + 1);
        }
        run.wait().expect("plinth ends");
    }

    pub fn audit(&self, phase: &Phase) -> Audit {
        Audit::read(&self.sandbox.path(&format!("audit-{}", phase.name)))
    }

    /// One plain run of the phase's command brings everything to where a run that was left alone brings it.
    pub fn converge(&self, phase: &Phase, reference: &Reference) -> Result<(), String> {
        let ran = self.run(phase, "0:0");
        if ran.code != 0 {
            return Err(format!("one plain {} did not converge\n{}", phase.command, told(&ran)));
        }
        self.settled(phase, reference)
    }

    /// Everything is where a run that was left alone brings it.
    pub fn settled(&self, phase: &Phase, reference: &Reference) -> Result<(), String> {
        let live = Live::of(&self.sandbox.path(".plinth/_local"));
        let differences = reference.live.differences(&live);
        let wrong: Vec<&str> = differences
            .iter()
            .filter(|(place, _)| !reference.mask.contains(place))
            .map(|(_, what)| what.as_str())
            .collect();
        if !wrong.is_empty() {
            return Err(format!("what lives is not what was asked for:\n  {}", wrong.join("\n  ")));
        }
        let twice = self.audit(phase).made_twice(&reference.audit);
        if !twice.is_empty() {
            return Err(format!("made more often than needed:\n  {}", twice.join("\n  ")));
        }
        if phase.command == "destroy" {
            let listed = self.plinth(&["state", "list"]);
            if listed.code != 0 || !listed.out.is_empty() {
                return Err(format!("something is still recorded\n{}", told(&listed)));
            }
        } else {
            for command in [&["plan", "--refresh", "always"][..], &["drift"]] {
                let ran = self.plinth(command);
                if ran.code != 0 {
                    return Err(format!(
                        "`plinth {}` finds something left to do\n{}",
                        command.join(" "),
                        told(&ran)
                    ));
                }
            }
        }
        let verified = self.plinth(&["state", "verify"]);
        if verified.code != 0 {
            return Err(format!("the log is not whole\n{}", told(&verified)));
        }
        Ok(())
    }
}

/// What a run said, as far as it is of interest.
pub fn told(ran: &Ran) -> String {
    let out: Vec<&str> = ran.out.lines().filter(|line| !line.contains("\"step_started\"")).collect();
    let from = out.len().saturating_sub(12);
    format!("exit code {}\n{}\n{}", ran.code, out[from..].join("\n"), ran.err)
}
