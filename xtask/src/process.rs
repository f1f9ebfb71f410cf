//! Starting other programs, with errors that show what was started and what it said.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The command as a person would type it, for messages.
pub fn display(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        let _ = write!(line, " {}", arg.to_string_lossy());
    }
    line
}

/// Runs a command whose output is for the person watching.
pub fn stream(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", display(command));
    let status = command.stdin(Stdio::null()).status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", display(command));
    }
    Ok(())
}

/// Runs a command quietly and returns its standard output; on failure the error carries all that it said.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({})\n{}\n{}",
            display(command),
            output.status,
            stdout.trim_end(),
            stderr.trim_end()
        );
    }
    Ok(stdout)
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`: is it installed and on PATH?", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_returns_standard_output() {
        let text = capture(Command::new("sh").args(["-c", "echo out; echo err >&2"])).expect("runs");
        assert_eq!(text, "out\n");
    }

    #[test]
    fn a_failure_tells_command_status_and_output() {
        let error =
            capture(Command::new("sh").args(["-c", "echo before; echo why >&2; exit 7"])).expect_err("fails");
        let text = format!("{error:#}");
        for part in ["sh -c", "7", "before", "why"] {
            assert!(text.contains(part), "{part:?} missing in {text}");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut Command::new("no-such-program-here")).expect_err("cannot start");
        assert!(format!("{error:#}").contains("cannot start `no-such-program-here`"));
    }
}
