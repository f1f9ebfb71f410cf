//! Durations, counts and verbs, the same everywhere.

use std::time::Duration;

use crate::engine::Op;

/// A duration as people say it: `840ms`, `12s`, `1m 32s`, `2h 05m`.
pub fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    if millis < 9_950 {
        return format!("{:.1}s", duration.as_secs_f64());
    }
    let seconds = (millis + 500) / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

/// A duration in whole seconds, for what is redrawn all the time.
pub(crate) fn seconds(elapsed: Duration) -> String {
    if elapsed.as_secs() < 10 {
        return format!("{}s", elapsed.as_secs());
    }
    duration(Duration::from_secs(elapsed.as_secs()))
}

/// A number of things, singular or plural: `1 resource`, `3 resources`.
pub fn count(number: u64, thing: &str) -> String {
    match (number, thing) {
        (1, thing) => format!("1 {thing}"),
        (number, thing) if thing.ends_with("ry") => {
            format!("{number} {}ies", thing.trim_end_matches('y'))
        }
        (number, thing) => format!("{number} {thing}s"),
    }
}

/// A number of bytes as people say it.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A text without anything that could move a terminal's cursor or change its colours; line breaks stay.
pub fn clean(text: &str) -> String {
    console::strip_ansi_codes(text)
        .chars()
        .flat_map(|c| {
            let escaped = c.is_control() && c != '\n';
            let plain = (!escaped).then_some(c);
            let escape = escaped.then(|| c.escape_default());
            plain.into_iter().chain(escape.into_iter().flatten())
        })
        .collect()
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is being done: `creating`.
pub(crate) fn doing(action: &str) -> &str {
    match action {
        "create" => "creating",
        "update" => "updating",
        "replace" => "replacing",
        "delete" => "deleting",
        "forget" => "forgetting",
        other => other,
    }
}

/// What was done: `created`.
pub(crate) fn done(action: &str) -> &str {
    match action {
        "create" => "created",
        "update" => "updated",
        "replace" => "replaced",
        "delete" => "deleted",
        "forget" => "forgot",
        other => other,
    }
}

/// What is done, where one half of a replacement is meant: `create new`.
pub(crate) fn half(op: Op, action: &str) -> String {
    match (op, action) {
        (Op::Replace, "create") => "replace: create".to_owned(),
        (Op::Replace, "delete") => "replace: delete".to_owned(),
        (Op::Replace, "forget") => "replace: forget".to_owned(),
        (_, action) => action.to_owned(),
    }
}

/// An error's class as a person reads it: `notFound` becomes `not found`.
pub(crate) fn class(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_uppercase() {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
    }
    text
}

/// Enumerates: `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        let say = |millis| duration(Duration::from_millis(millis));
        assert_eq!(say(0), "0ms");
        assert_eq!(say(840), "840ms");
        assert_eq!(say(1_250), "1.2s");
        assert_eq!(say(9_960), "10s");
        assert_eq!(say(59_700), "1m 00s");
        assert_eq!(say(92_000), "1m 32s");
        assert_eq!(say(7_500_000), "2h 05m");
    }

    #[test]
    fn words_agree_with_numbers() {
        assert_eq!(count(1, "resource"), "1 resource");
        assert_eq!(count(0, "resource"), "0 resources");
        assert_eq!(count(2, "entry"), "2 entries");
        assert_eq!(class("unknownOutcome"), "unknown outcome");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn nothing_from_outside_moves_the_cursor() {
        assert_eq!(clean("a\x1b[2Jb\x07\r\nc"), "ab\\u{7}\\r\nc");
        assert_eq!(one_line("a\n  b\t c"), "a b\\t c");
    }
}
