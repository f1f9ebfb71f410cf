//! What a process took, as the kernel counts it when the process ends.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wait4::Wait4;

use crate::process;

/// What one process took, with those it waited for.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// From its start to its end.
    pub wall: Duration,
    /// On all cores, in user and kernel space.
    pub cpu: Duration,
    /// The most memory that was resident at once, in bytes.
    pub memory: u64,
}

/// Runs a command to its end. Its output goes to a file, so that no pipe holds it up.
pub fn measure(command: &mut Command, expected: &[i32]) -> Result<Usage> {
    let said = tempfile::tempfile()?;
    let name = process::display(command);
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said.try_clone()?);
    let started = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
    let ended = child.wait4().with_context(|| format!("cannot wait for `{name}`"))?;
    let wall = started.elapsed();
    if !ended.status.code().is_some_and(|code| expected.contains(&code)) {
        bail!("`{name}` ended with {}:\n{}", ended.status, tail(said)?);
    }
    let usage = ended.rusage;
    Ok(Usage { wall, cpu: usage.utime + usage.stime, memory: usage.maxrss })
}

fn tail(mut file: std::fs::File) -> Result<String> {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
}

/// The run in the middle by wall time; its memory is the most that any run had.
pub fn median(usages: &mut [Usage]) -> Usage {
    usages.sort_by_key(|usage| usage.wall);
    let middle = usages[usages.len() / 2];
    let memory = usages.iter().map(|usage| usage.memory).max().unwrap_or(middle.memory);
    Usage { memory, ..middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_and_an_unexpected_end_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 0.05; exit 2"]);
        let usage = measure(&mut command, &[0, 2]).expect("an end that was expected");
        assert!(usage.wall >= Duration::from_millis(50) && usage.memory > 100_000, "{usage:?}");
        let error = measure(Command::new("sh").args(["-c", "echo why; exit 3"]), &[0]).expect_err("fails");
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn the_middle_of_an_odd_number_of_runs_counts() {
        let usage = |ms, memory| Usage { wall: Duration::from_millis(ms), cpu: Duration::ZERO, memory };
        let middle = median(&mut [usage(9, 1), usage(1, 5), usage(4, 2)]);
        assert_eq!((middle.wall.as_millis(), middle.memory), (4, 5));
    }
}
