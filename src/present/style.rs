//! How text may look: colour or none, and how wide.

use console::{measure_text_width, truncate_str};

/// How text may look. The command line decides: it knows whether there is a terminal, and `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences for colours may be written.
    pub colour: bool,
    /// How many columns there are.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, width: 100 }
    }
}

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Added,
    Changed,
    Removed,
    Running,
    Strong,
    Faint,
}

impl Style {
    /// Text in the colour of its role; unchanged without colours.
    pub(crate) fn paint(&self, role: Role, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match role {
            Role::Added => "32",
            Role::Changed => "33",
            Role::Removed => "31",
            Role::Running => "36",
            Role::Strong => "1",
            Role::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    measure_text_width(text)
}

/// A text in at most so many columns; what is cut off shows as `…`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    truncate_str(text, columns, "…").into_owned()
}

/// A text in at least so many columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// A line broken between words, what follows below its beginning. A word that is too long for a line stays whole.
pub(crate) fn wrap(line: &str, columns: usize) -> Vec<String> {
    let blank = line.len() - line.trim_start().len();
    let indent = blank + 2;
    if width(line) <= columns || columns <= indent + 20 {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    let mut current = line[..blank].to_owned();
    let mut empty = true;
    for word in line[blank..].split(' ') {
        if !empty && width(&current) + 1 + width(word) > columns {
            lines.push(std::mem::replace(&mut current, " ".repeat(indent)));
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_breaks_between_words_only() {
        let line = "  note: a sentence of words, longer than the window";
        assert_eq!(wrap(line, 30), ["  note: a sentence of words,", "    longer than the window"]);
        let long = format!("{} {}", "a".repeat(40), "b".repeat(40));
        assert_eq!(wrap(&long, 30), ["a".repeat(40), format!("  {}", "b".repeat(40))]);
        assert_eq!(wrap("short", 30), ["short"]);
        assert_eq!(wrap("", 30), [""]);
    }

    #[test]
    fn cutting_and_padding_count_columns_and_not_bytes() {
        assert_eq!(cut("größer", 4), "grö…");
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("any", 0), "");
        assert_eq!(width(&cut("日本語のテキスト", 7)), 7);
        assert_eq!(pad("日本", 6), "日本  ");
        let style = Style { colour: true, width: 80 };
        assert_eq!(width(&style.paint(Role::Added, "four")), 4);
    }
}
