//! One change: `path: old → new`; texts of several lines by line.

use plinth_provider::{Change, Path, Value};
use similar::{ChangeTag, TextDiff};

use super::super::style::{Role, Style, cut, width};
use super::super::words::clean;

/// Unchanged lines shown around a changed one.
const CONTEXT: usize = 2;
/// Changed lines of one text before the rest is only counted.
const LINES: usize = 40;

/// A change as lines, the first without indentation of its own.
pub(super) fn lines(change: &Change, forced: bool, style: &Style, columns: usize) -> Vec<String> {
    let path = path_text(&change.path);
    let forces = if forced { style.paint(Role::Removed, "  (forces replacement)") } else { String::new() };
    if let (Some(Value::String(before)), Some(Value::String(after))) = (&change.before, &change.after)
        && (before.trim_end().contains('\n') || after.trim_end().contains('\n'))
    {
        let mut lines = vec![format!("{path}:{forces}")];
        lines.extend(by_line(before, after, style, columns));
        return lines;
    }
    let room = columns.saturating_sub(width(&path) + width(&forces) + 2);
    let (before, after) = (plain(change.before.as_ref()), plain(change.after.as_ref()));
    let value = match (before, after) {
        (Some(before), Some(after)) if is_secret(change) && before == after => {
            style.paint(Role::Changed, &format!("{before}, changed"))
        }
        (Some(before), Some(after)) => {
            let (before, after) = shorten(&before, &after, room.saturating_sub(3));
            format!("{} → {}", style.paint(Role::Removed, &before), style.paint(Role::Added, &after))
        }
        (None, Some(after)) => style.paint(Role::Added, &format!("+ {}", cut(&after, room.max(20)))),
        (Some(before), None) => style.paint(Role::Removed, &format!("- {}", cut(&before, room.max(20)))),
        (None, None) => String::new(),
    };
    vec![format!("{path}: {value}{forces}")]
}

/// A path as text; the whole value as `(all)`.
pub(in crate::present) fn path_text(path: &Path) -> String {
    if path.is_root() { "(all)".to_owned() } else { clean(&path.to_string()) }
}

/// A value on one line: secrets masked, unknowns marked, nothing that moves a cursor.
pub(in crate::present) fn value_text(value: &Value) -> String {
    clean(&value.to_string())
}

fn plain(value: Option<&Value>) -> Option<String> {
    value.map(value_text)
}

fn is_secret(change: &Change) -> bool {
    let secret = |value: &Option<Value>| value.as_ref().is_some_and(Value::has_secret);
    secret(&change.before) || secret(&change.after)
}

/// Two texts in the given columns together. A long beginning that both share is left out, so that what differs stays.
pub(in crate::present) fn shorten(before: &str, after: &str, columns: usize) -> (String, String) {
    if width(before) + width(after) <= columns {
        return (before.to_owned(), after.to_owned());
    }
    let each = (columns / 2).max(12);
    let shared = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let differs = before.chars().count().max(after.chars().count()) - shared;
    // What both share is shown as far as there is room beside what differs, but never nothing of it.
    let context = each.saturating_sub(differs + 1).max(6);
    if shared <= context {
        return (cut(before, each), cut(after, each));
    }
    let tail =
        |text: &str| cut(&format!("…{}", text.chars().skip(shared - context).collect::<String>()), each);
    (tail(before), tail(after))
}

fn by_line(before: &str, after: &str, style: &Style, columns: usize) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    let mut left_out = 0;
    for (at, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if at > 0 {
            lines.push(style.paint(Role::Faint, "    …"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if lines.len() >= LINES {
                left_out += 1;
                continue;
            }
            let (mark, role) = match change.tag() {
                ChangeTag::Delete => ("-", Role::Removed),
                ChangeTag::Insert => ("+", Role::Added),
                ChangeTag::Equal => (" ", Role::Faint),
            };
            let text = clean(change.value().trim_end_matches(['\n', '\r']));
            lines.push(style.paint(role, &cut(&format!("  {mark} {text}"), columns.max(20))));
        }
    }
    if left_out > 0 {
        let more = super::super::words::count(left_out, "more line");
        lines.push(style.paint(Role::Faint, &format!("    … {more}")));
    }
    lines
}
