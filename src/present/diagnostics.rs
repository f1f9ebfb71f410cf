//! What went wrong, and what to do: `error: …`, its causes, `help: …`.

use std::error::Error;
use std::io::Write;

use super::style::{Role, Style};
use super::words::clean;

/// An error as text: the message, then what to do about it, if anybody knows.
pub fn error_text(message: &str, help: Option<&str>, style: Style) -> String {
    labelled("error", Role::Removed, message, &style) + &help_text(help, &style)
}

/// A warning as text.
pub fn warning_text(message: &str, help: Option<&str>, style: Style) -> String {
    labelled("warning", Role::Changed, message, &style) + &help_text(help, &style)
}

/// An error with everything that led to it. A cause that its effect repeats in full is not told twice.
pub fn chain_text(error: &dyn Error, help: Option<&str>, style: Style) -> String {
    let mut text = labelled("error", Role::Removed, &error.to_string(), &style);
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !said.contains(&message) {
            text.push_str(&labelled("  because", Role::Faint, &message, &style));
        }
        said = message;
        next = cause.source();
    }
    text + &help_text(help, &style)
}

/// Writes an error to standard error.
pub fn error(message: &str, help: Option<&str>, style: Style) {
    write(&error_text(message, help, style));
}

/// Writes a warning to standard error.
pub fn warning(message: &str, help: Option<&str>, style: Style) {
    write(&warning_text(message, help, style));
}

/// Writes an error with its causes to standard error.
pub fn chain(error: &dyn Error, help: Option<&str>, style: Style) {
    write(&chain_text(error, help, style));
}

fn help_text(help: Option<&str>, style: &Style) -> String {
    help.map(|help| labelled("help", Role::Running, help, style)).unwrap_or_default()
}

/// `label: text`, with every further line of the text below its first.
pub(super) fn labelled(label: &str, role: Role, text: &str, style: &Style) -> String {
    let blank = label.len() - label.trim_start().len();
    let text = clean(text.trim_end());
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut out = format!("{}{}: {first}\n", " ".repeat(blank), style.paint(role, label.trim_start()));
    for line in lines {
        if line.is_empty() {
            out.push('\n');
        } else {
            out.push_str(&format!("{}{line}\n", " ".repeat(blank + 2)));
        }
    }
    out
}

fn write(text: &str) {
    // When standard error is gone there is nowhere left to say so.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[derive(Debug, thiserror::Error)]
    #[error("the log cannot be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("bucket `state` answers 403\nrequest 42")]
    struct Inner;

    #[test]
    fn errors_say_what_why_and_what_to_do() {
        let style = Style::default();
        assert_snapshot!(chain_text(&Outer(Inner), Some("log in again"), style), @r"
        error: the log cannot be read
          because: bucket `state` answers 403
            request 42
        help: log in again
        ");
        assert_snapshot!(error_text("a\x1b[1mb", None, Style { colour: true, ..style }).escape_debug(), @r"\u{1b}[31merror\u{1b}[0m: ab\n");
    }
}
