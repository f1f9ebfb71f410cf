//! `cargo xtask crash`: the real binary, killed at every point, misled by lost replies and raced by itself. The same
//! tests run in the suite, a little of each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{emulators, process, workspace};

/// One way of going wrong: its name, its test, and how many rounds are worth an answer.
struct Suite {
    name: &'static str,
    test: &'static str,
    rounds: u64,
}

const SUITES: &[Suite] = &[
    Suite { name: "points", test: "crash::points::killed_at_a_point_the_next_run_converges", rounds: 120 },
    Suite {
        name: "row",
        test: "crash::points::killed_several_times_in_a_row_the_next_run_converges",
        rounds: 60,
    },
    Suite { name: "outside", test: "crash::points::killed_from_outside_the_next_run_converges", rounds: 60 },
    Suite {
        name: "platform",
        test: "crash::points::killed_at_a_point_of_the_platform_the_next_run_converges",
        rounds: 40,
    },
    Suite { name: "replies", test: "crash::replies::lost_replies_and_refusals_are_survived", rounds: 60 },
    Suite {
        name: "writers",
        test: "crash::writers::of_many_writers_each_step_is_made_by_the_one_whose_turn_it_is",
        rounds: 200,
    },
    Suite { name: "aws", test: "aws_platform::a_platform_whose_runs_are_killed_converges", rounds: 50 },
];

/// Three phases of a stack's life are killed in each round: it is created, changed and destroyed.
const POINTS_OF_A_ROUND: u64 = 3;

/// Options of `cargo xtask crash`.
#[derive(clap::Args)]
pub struct Args {
    /// What is tried: points, row, outside, platform, replies, writers, aws [default: all of them]
    suites: Vec<String>,
    /// How many crash points are tried, for the suites that count them
    #[arg(long, conflicts_with = "rounds")]
    points: Option<u64>,
    /// How many rounds of each suite are run
    #[arg(long)]
    rounds: Option<u64>,
    /// The first round; with `--rounds 1`, that one is had again
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// What everything is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds run at once
    #[arg(long, default_value_t = 6)]
    jobs: u64,
    /// Where state lives: moto, ministack, azurite, postgres (started for it), or a URL with `{}` for what tells rounds
    /// apart, such as s3://bucket/{} [default: files]
    #[arg(long, value_name = "WHERE")]
    state: Option<String>,
    /// A file that the figures are appended to
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Try this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Runs the suites, one after the other; every violation is told with the command that runs its round again.
pub fn run(args: &Args) -> Result<()> {
    let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    if let Some(unknown) = args.suites.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no suite `{unknown}`; there are {}", known.join(", "));
    }
    let mut failed = Vec::new();
    let points = tempfile::NamedTempFile::new()?;
    let asked = |suite: &Suite| args.suites.is_empty() || args.suites.iter().any(|name| name == suite.name);
    // Not needed for files; and whoever names an emulator, or means AWS, needs all of it.
    let emulated = args.state.is_some() || SUITES.iter().any(|suite| suite.name == "aws" && asked(suite));
    let tools = if emulated { emulators::install()? } else { Vec::new() };
    for suite in SUITES {
        if asked(suite) && process::stream(command(args, suite, points.path())?.envs(tools.clone())).is_err()
        {
            failed.push(suite.name);
        }
    }
    let seen = std::fs::read_to_string(&points)?;
    let seen: BTreeSet<&str> = seen.lines().collect();
    println!("distinct crash points over these suites: {}", seen.len());
    if !failed.is_empty() {
        bail!("violations in: {}", failed.join(", "));
    }
    Ok(())
}

fn command(args: &Args, suite: &Suite, seen: &Path) -> Result<Command> {
    let points = args.points.map(|points| points.div_ceil(POINTS_OF_A_ROUND).max(1));
    let rounds = args.rounds.or(points).unwrap_or(suite.rounds);
    let mut settings = format!("seed={} rounds={rounds} from={} jobs={}", args.seed, args.from, args.jobs);
    if let Some(state) = &args.state {
        settings += &format!(" state={state}");
    }
    if let Some(report) = &args.report {
        settings += &format!(" report={}", std::path::absolute(report)?.display());
    }
    settings += &format!(" points={}", seen.display());
    let mut command = crate::test::cargo(&["test", "--quiet", "--package", "plinth", "--test", "cli"]);
    if let Some(binary) = &args.binary {
        let binary = binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?;
        command.env("PLINTH_BINARY", binary);
    }
    command.args(["--", "--include-ignored", "--nocapture", "--exact", suite.test]);
    command.env("PLINTH_CRASH", settings).current_dir(workspace::root());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn settings(line: &[&str]) -> String {
        let args = Cli::parse_from([&["crash"], line].concat()).args;
        let command = command(&args, &SUITES[0], Path::new("seen")).unwrap();
        let setting = command.get_envs().find(|(name, _)| *name == "PLINTH_CRASH");
        setting.and_then(|(_, value)| value).map(|value| value.to_string_lossy().into_owned()).unwrap()
    }

    #[test]
    fn points_are_three_to_a_round() {
        assert_eq!(settings(&[]), "seed=1 rounds=120 from=0 jobs=6 points=seen");
        assert_eq!(
            settings(&["--points", "40", "--seed", "7"]),
            "seed=7 rounds=14 from=0 jobs=6 points=seen"
        );
        assert_eq!(
            settings(&["--from", "17", "--rounds", "1"]),
            "seed=1 rounds=1 from=17 jobs=6 points=seen"
        );
    }

    #[test]
    fn an_unknown_suite_is_named() {
        let args = Cli::parse_from(["crash", "nothing"]).args;
        let error = run(&args).unwrap_err().to_string();
        assert!(error.contains("`nothing`") && error.contains("writers"), "{error}");
    }
}
