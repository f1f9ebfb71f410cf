//! How much is tried. The suite tries a little, by fixed seeds; `cargo xtask crash` asks for more.

use std::path::PathBuf;

use crate::place::Place;

/// What `PLINTH_CRASH` asks for, such as `seed=7 rounds=120 jobs=4`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many rounds of a kind are run; each kind's own small number when not said.
    pub rounds: Option<u64>,
    /// The first round: with `rounds=1`, one round is had again.
    pub from: u64,
    /// How many rounds run at once.
    pub jobs: usize,
    /// Where state lives, as `Place::find` reads it; beside the cloud when not said.
    pub state: Option<String>,
    /// A file that the figures are appended to.
    pub report: Option<PathBuf>,
    /// A file that every crash point seen is appended to, so that they can be counted over several suites.
    pub points: Option<PathBuf>,
}

impl Settings {
    pub fn get() -> Self {
        let mut settings =
            Self { seed: 1, rounds: None, from: 0, jobs: 4, state: None, report: None, points: None };
        let text = std::env::var("PLINTH_CRASH").unwrap_or_default();
        for setting in text.split_whitespace() {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let number =
                || value.parse::<u64>().unwrap_or_else(|error| panic!("PLINTH_CRASH: {setting}: {error}"));
            match name {
                "seed" => settings.seed = number(),
                "rounds" => settings.rounds = Some(number()),
                "from" => settings.from = number(),
                "jobs" => settings.jobs = number().max(1) as usize,
                "state" => settings.state = Some(value.to_owned()),
                "report" => settings.report = Some(value.into()),
                "points" => settings.points = Some(value.into()),
                _ => panic!("PLINTH_CRASH: `{setting}` is not known"),
            }
        }
        settings
    }

    /// The rounds to run, and the command that runs one of them again.
    pub fn rounds(&self, few: u64) -> std::ops::Range<u64> {
        self.from..self.from + self.rounds.unwrap_or(few)
    }

    /// Where state lives. Started once for a suite.
    pub fn place(&self) -> Place {
        Place::find(self.state.as_deref()).expect("the emulators are installed, as `cargo xtask crash` does")
    }

    pub fn replay(&self, suite: &str, round: u64) -> String {
        let state = self.state.as_ref().map(|state| format!(" --state {state}")).unwrap_or_default();
        format!("cargo xtask crash {suite} --seed {} --from {round} --rounds 1{state}", self.seed)
    }
}

/// A small generator: the same numbers for the same seed on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, round: u64) -> Self {
        let mut random =
            Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round.wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.below(2);
        random
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }

    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }
}
