//! A value as lines: one for every place in it that holds something.

use plinth_provider::{Path, Value};

use super::super::style::cut;
use super::super::words::clean;
use super::change::{path_text, value_text};

/// Every leaf of a value as `path: value`, cut to the width; texts of several lines below their path.
pub(in crate::present) fn leaves(value: &Value, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    walk(&mut lines, &Path::root(), value, columns);
    lines
}

fn walk(lines: &mut Vec<String>, path: &Path, value: &Value, columns: usize) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| walk(lines, &path.key(key), value, columns));
        }
        Value::List(list) if !list.is_empty() => {
            list.iter().enumerate().for_each(|(at, value)| walk(lines, &path.index(at), value, columns));
        }
        Value::Null | Value::Map(_) if path.is_root() => {}
        Value::String(long) if long.trim_end().contains('\n') => {
            lines.push(format!("{}:", path_text(path)));
            lines.extend(clean(long).lines().map(|line| cut(&format!("  {line}"), columns)));
        }
        leaf => lines.push(cut(&format!("{}: {}", path_text(path), value_text(leaf)), columns)),
    }
}
