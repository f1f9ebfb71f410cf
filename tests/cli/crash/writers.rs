//! Many processes that want different things of one stack at once, with leases too short, clocks ten minutes off and
//! pauses longer than a lease.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::audit::Audit;
use super::history::{History, entries};
use super::live::Live;
use super::round::told;
use super::settings::{Random, Settings};
use super::suite::{Figures, run};
use crate::place::Place;
use crate::support::{Ran, Sandbox};

const WRITERS: u64 = 8;
const LEASE: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(90);

/// What one writer wants: shared things its own way, and some that nobody else wants.
fn wanted(writer: u64) -> String {
    let mut text = format!(
        "apiVersion: plinth.dev/v1\nkind: Stack\nname: contested\ncloud: {{ provider: local }}\nresources:\n  \
         - {{ kind: \"local:cloud/Bucket\", name: shared, inputs: {{ name: contested, location: local-1, versioning: {}, tags: {{ by: w{writer} }} }} }}\n  \
         - {{ kind: \"local:cloud/Bucket\", name: bucket-{writer}, inputs: {{ name: contested-{writer}, location: local-1 }} }}\n  \
         - {{ kind: \"k8s:v1/Namespace\", name: app, inputs: {{ metadata: {{ name: app }} }} }}\n",
        writer.is_multiple_of(2)
    );
    for at in 0..5 {
        let after = if at == 0 { "shared".to_owned() } else { format!("map-{}", at - 1) };
        text += &format!(
            "  - {{ kind: \"k8s:v1/ConfigMap\", name: map-{at}, dependsOn: [{after}], inputs: {{ metadata: {{ name: map-{at}, namespace: app }}, data: {{ by: w{writer} }} }} }}\n"
        );
    }
    text + &format!(
        "  - {{ kind: \"k8s:v1/ConfigMap\", name: own-{writer}, dependsOn: [map-1], inputs: {{ metadata: {{ name: own-{writer}, namespace: app }}, data: {{ by: w{writer} }} }} }}\n"
    )
}

struct Contest {
    sandbox: Sandbox,
    url: String,
}

impl Contest {
    fn start(&self, number: u64, random: &mut Random, seed: u64) -> Child {
        let clock = random.below(1201) as i64 - 600;
        let storage = if random.below(4) == 0 { "0.2" } else { "0" };
        let faults =
            format!("{seed}:0,storage={storage},clock={clock},lease={},audit=audit", LEASE.as_secs_f64());
        let file = format!("w{number}.yaml");
        let args = [
            "apply",
            "-s",
            &file,
            "--yes",
            "--json",
            "--state",
            &self.url,
            "--lock-timeout",
            "3",
            "--faults",
            &faults,
        ];
        let out = std::fs::File::create(self.sandbox.path(&format!("out-{number}"))).expect("a file");
        let err = std::fs::File::create(self.sandbox.path(&format!("err-{number}"))).expect("a file");
        let child = self.sandbox.command(&args).stdout(Stdio::from(out)).stderr(Stdio::from(err)).spawn();
        child.expect("plinth starts")
    }

    /// Lets all of them run, stops one here and there for longer than its lease, and kills a few.
    fn run(&self, random: &mut Random, seed: u64, figures: &mut Counts) -> Result<(), String> {
        let mut writers: Vec<Child> = (0..WRITERS).map(|number| self.start(number, random, seed)).collect();
        let mut stopped: Vec<(u32, Instant)> = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !writers.is_empty() {
            let now = Instant::now();
            if now > deadline {
                for writer in &mut writers {
                    let _ = writer.kill();
                    let _ = writer.wait();
                }
                return Err("a writer does not end".to_owned());
            }
            stopped.retain(|(pid, until)| {
                let over = now >= *until;
                if over {
                    signal(*pid, Signal::CONT);
                }
                !over
            });
            writers.retain_mut(|writer| match writer.try_wait() {
                Ok(Some(status)) => {
                    *figures.codes.entry(status.code().unwrap_or(-1)).or_default() += 1;
                    false
                }
                _ => true,
            });
            if !writers.is_empty() && stopped.len() < 3 && random.below(8) == 0 {
                let at = random.below(writers.len() as u64) as usize;
                let victim = &mut writers[at];
                let pid = victim.id();
                if random.below(12) == 0 {
                    let _ = victim.kill();
                    figures.kills += 1;
                } else if !stopped.iter().any(|(other, _)| *other == pid) {
                    signal(pid, Signal::STOP);
                    figures.pauses += 1;
                    let pause = LEASE.mul_f64(1.2 + random.below(100) as f64 / 100.0);
                    stopped.push((pid, now + pause));
                }
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(())
    }

    fn plinth(&self, command: &[&str]) -> Ran {
        let mut args = command.to_vec();
        args.extend(["-s", "w0.yaml", "--state", &self.url]);
        self.sandbox.plinth(&args)
    }

    /// After all of it, one run has everything its own way.
    fn settled(&self, alone: &Live) -> Result<bool, String> {
        let plain = ["apply", "--yes", "--json", "--refresh", "always", "--lock-timeout", "20"];
        let ran = self.plinth(&plain);
        if ran.code != 0 {
            return Err(format!("one plain apply did not converge\n{}", told(&ran)));
        }
        let left = self.plinth(&["plan", "--refresh", "always"]);
        if left.code != 0 {
            return Err(format!("something is left to do\n{}", told(&left)));
        }
        let verified = self.plinth(&["state", "verify"]);
        if verified.code != 0 {
            return Err(format!("the log is not whole\n{}", told(&verified)));
        }
        let live = Live::of(&self.sandbox.path(".plinth/_local"));
        let differences = alone.differences(&live);
        match differences.is_empty() {
            true => Ok(true),
            false => {
                let texts: Vec<String> = differences.into_iter().map(|(_, what)| what).collect();
                Err(format!("what lives is not what was asked for:\n  {}", texts.join("\n  ")))
            }
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may just have ended.
        let _ = kill_process(pid, signal);
    }
}

#[derive(Default)]
struct Counts {
    kills: u64,
    pauses: u64,
    codes: BTreeMap<i32, u64>,
}

fn contest(
    (settings, place): (&Settings, &Place),
    number: u64,
    alone: &Live,
    figures: &mut Figures,
) -> Result<(), (String, Sandbox)> {
    let mut sandbox = Sandbox::new();
    place.equip(&mut sandbox);
    for writer in 0..WRITERS {
        sandbox.write(&format!("w{writer}.yaml"), wanted(writer));
    }
    let files = || format!("file://{}", sandbox.path(".plinth").display());
    let url = place.url(&format!("writers-{number}")).unwrap_or_else(files);
    let contest = Contest { sandbox, url };
    let mut random = Random::new(settings.seed, number);
    let seed = settings.seed * 1_000_003 + number;
    let mut counts = Counts::default();
    let mut result = {
        // Served by a process of its own, which is not stopped.
        let faults = format!("{seed}:0.1,latency=0.3,audit=audit");
        let serving = contest.sandbox.serve(&["-s", "w0.yaml", "--state", &contest.url, "--faults", &faults]);
        let result = contest.run(&mut random, seed, &mut counts);
        serving.end();
        result
    };
    figures.kills += counts.kills;
    let audit = Audit::read(&contest.sandbox.path("audit"));
    let mut more = vec![
        ("pauses longer than a lease", counts.pauses),
        ("runs that did their work", counts.codes.get(&0).copied().unwrap_or_default()),
        ("runs that another fenced or kept out", counts.codes.get(&3).copied().unwrap_or_default()),
        ("runs that failed otherwise", counts.codes.get(&1).copied().unwrap_or_default()),
    ];
    result = result.and_then(|()| {
        let entries = entries(place, &contest.url, "contested")?;
        let mut history = History::read(&entries);
        history.compare(&audit, LEASE);
        more.push(("entries", entries.len() as u64));
        more.push(("takeovers of a held lease", history.takeovers));
        more.push(("calls begun within a lease that was lost", history.late));
        match history.wrong.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "the history is not one of writers after each other:\n  {}",
                history.wrong.join("\n  ")
            )),
        }
    });
    result = result.and_then(|()| contest.settled(alone).map(|_| ()));
    figures.more = more;
    figures.checks += 1;
    result.map_err(|what| (what, contest.sandbox))
}

#[test]
fn of_many_writers_each_step_is_made_by_the_one_whose_turn_it_is() {
    let settings = Settings::get();
    let place = settings.place();
    let alone = {
        let sandbox = Sandbox::new();
        sandbox.write("w0.yaml", wanted(0));
        sandbox.plinth(&["apply", "-s", "w0.yaml", "--yes"]).expect(0);
        Live::of(&sandbox.path(".plinth/_local"))
    };
    run("writers", 10, &settings, |number, figures| {
        contest((&settings, &place), number, &alone, figures)
            .map_err(|(what, sandbox)| (what, sandbox.keep()))
    });
}
