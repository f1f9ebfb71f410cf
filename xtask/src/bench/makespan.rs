//! Makespans: figures of the scheduler under a simulated clock, and of whole applies in round trips. The engine's own tests compute and assert them, and
//! print them as they do; here they are only collected.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{process, workspace};

const TESTS: [&str; 2] = ["engine::tests::makespan", "engine::tests::rounds"];
const MARK: &str = "FIGURE ";

/// One figure.
#[derive(Debug, PartialEq)]
pub struct Makespan {
    /// What was simulated.
    pub work: String,
    /// The makespan, as a multiple of `of`.
    pub figure: f64,
    /// What it is measured by.
    pub of: String,
    /// What it may be at most.
    pub goal: f64,
}

/// Runs the tests and reads their figures.
pub fn collect() -> Result<Vec<Makespan>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let args = ["test", "--package", "plinth", "--lib", "--quiet", "--", "--nocapture"];
    command.current_dir(workspace::root()).args(args).args(TESTS);
    let said = process::capture(&mut command)?;
    let mut found = said.lines().filter_map(parse).collect::<Result<Vec<_>>>()?;
    ensure!(!found.is_empty(), "`{}` told no figures", TESTS.join("` and `"));
    found.sort_by(|one, other| one.work.cmp(&other.work));
    Ok(found)
}

/// `FIGURE work | figure | of | goal`, wherever in the line the harness put it.
fn parse(line: &str) -> Option<Result<Makespan>> {
    let (_, said) = line.split_once(MARK)?;
    let parts: Vec<&str> = said.split('|').map(str::trim).collect();
    let number = |at: usize| -> Result<f64> {
        parts.get(at).context("too few parts")?.parse().with_context(|| format!("in `{line}`"))
    };
    let text = |at: usize| parts.get(at).map(ToString::to_string).context("too few parts");
    Some((|| Ok(Makespan { work: text(0)?, figure: number(1)?, of: text(2)?, goal: number(3)? }))())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_whatever_stands_around_them() {
        let found =
            parse("test engine::x ... FIGURE prod | 1.01 | the critical path | 1.02").expect("a figure");
        let expected =
            Makespan { work: "prod".into(), figure: 1.01, of: "the critical path".into(), goal: 1.02 };
        assert_eq!(found.expect("well-formed"), expected);
        assert!(parse("ok").is_none());
        assert!(parse("FIGURE prod | much").is_some_and(|result| result.is_err()));
    }
}
