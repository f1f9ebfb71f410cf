//! Running many rounds at once, and telling what came of them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::settings::Settings;

/// What was seen.
#[derive(Debug, Default)]
pub struct Figures {
    pub rounds: u64,
    pub kills: u64,
    /// Different points at which a process died.
    pub points: BTreeSet<String>,
    /// How often everything was where it should be after a plain run.
    pub checks: u64,
    /// Figures that one suite alone has.
    pub more: Vec<(&'static str, u64)>,
    pub violations: Vec<String>,
}

impl Figures {
    fn take(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.kills += other.kills;
        self.points.extend(other.points);
        self.checks += other.checks;
        for (name, number) in other.more {
            match self.more.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += number,
                None => self.more.push((name, number)),
            }
        }
        self.violations.extend(other.violations);
    }

    fn text(&self, suite: &str, time: Duration) -> String {
        let mut text = format!("{suite}: {} rounds", self.rounds);
        for (what, number) in [
            ("kills", self.kills),
            ("distinct crash points", self.points.len() as u64),
            ("checks of everything", self.checks),
        ] {
            if number > 0 {
                text += &format!(", {number} {what}");
            }
        }
        for (what, number) in &self.more {
            text += &format!(", {number} {what}");
        }
        text + &format!(", {} violations, {} s", self.violations.len(), time.as_secs())
    }
}

/// Runs rounds, several at once; fails with every violation and how to have it again.
pub fn run(
    suite: &str,
    few: u64,
    settings: &Settings,
    round: impl Fn(u64, &mut Figures) -> Result<(), (String, PathBuf)> + Sync,
) {
    let started = Instant::now();
    let rounds = settings.rounds(few);
    let next = AtomicU64::new(rounds.start);
    let total = Mutex::new(Figures::default());
    std::thread::scope(|scope| {
        for _ in 0..settings.jobs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= rounds.end {
                        return;
                    }
                    let mut figures = Figures { rounds: 1, ..Figures::default() };
                    if let Err((what, kept)) = round(number, &mut figures) {
                        let again = settings.replay(suite, number);
                        let kept = kept.display();
                        let text = format!("round {number}: {what}\nagain: {again}\nits folder: {kept}");
                        println!("VIOLATION {text}");
                        figures.violations.push(text);
                    }
                    let mut total = total.lock().expect("no round panics with the figures");
                    total.take(figures);
                    if total.rounds % 50 == 0 {
                        println!("{}", total.text(suite, started.elapsed()));
                    }
                }
            });
        }
    });
    let total = total.into_inner().expect("no round panics with the figures");
    let text = total.text(suite, started.elapsed());
    println!("{text}");
    for (file, text) in [
        (&settings.report, text),
        (&settings.points, total.points.iter().cloned().collect::<Vec<_>>().join("\n")),
    ] {
        let Some(file) = file.as_ref().filter(|_| !text.is_empty()) else { continue };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        writeln!(file.expect("the file can be opened"), "{text}").expect("the file can be written");
    }
    assert!(total.violations.is_empty(), "{}", total.violations.join("\n\n"));
}
