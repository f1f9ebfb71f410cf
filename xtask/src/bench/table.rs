//! The table of `docs/performance.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::makespan::Makespan;
use super::measure::Usage;

const BEGIN: &str = "<!-- cargo xtask bench writes from here … -->";
const END: &str = "<!-- … to here -->";

/// What is asked for; any part may be absent.
#[derive(Clone, Copy, Default)]
pub struct Goal {
    /// At least so many times less wall time than Terraform.
    pub ratio: Option<f64>,
    /// At most so much wall time.
    pub seconds: Option<f64>,
    /// At most so much memory, in bytes.
    pub memory: Option<u64>,
    /// At most so many times the wall time of a tenth of the resources.
    pub growth: Option<f64>,
}

/// One line.
pub struct Row {
    /// What was done.
    pub work: String,
    /// By Plinth.
    pub ours: Usage,
    /// By Terraform.
    pub theirs: Option<Usage>,
    /// By Plinth with a tenth of the resources.
    pub smaller: Option<Usage>,
    /// What is asked for.
    pub goal: Goal,
}

/// All of it.
pub struct Table {
    terraform: Option<String>,
    rows: Vec<Row>,
}

impl Table {
    /// An empty one; `terraform` is its version, if it takes part.
    pub fn new(terraform: Option<String>) -> Self {
        Self { terraform, rows: Vec::new() }
    }

    /// Adds a line.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// As Markdown.
    pub fn markdown(&self, makespans: &[Makespan]) -> String {
        let mut text = format!(
            "Against {}.\n\n",
            self.terraform.as_deref().unwrap_or("nothing: Terraform was not at hand")
        );
        text.push_str(
            "| work | wall | CPU | memory | Terraform: wall | CPU | memory | times faster | goal |\n",
        );
        text.push_str("| --- | --: | --: | --: | --: | --: | --: | --: | --- |\n");
        for row in &self.rows {
            let theirs = row.theirs.map_or(["–".to_owned(), "–".to_owned(), "–".to_owned()], cells);
            let ratio = row.theirs.map(|theirs| quotient(theirs.wall, row.ours.wall));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                row.work,
                cells(row.ours).join(" | "),
                theirs.join(" | "),
                ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.0}")),
                judged(row)
            );
        }
        if !makespans.is_empty() {
            text.push_str(
                "\nMakespans, by a simulated clock:\n\n| work | makespan | goal |\n| --- | --: | --- |\n",
            );
            for makespan in makespans {
                let met = if makespan.figure <= makespan.goal { "met" } else { "**missed**" };
                let _ = writeln!(
                    text,
                    "| {} | {:.3} × {} | ≤ {:.2}: {met} |",
                    makespan.work, makespan.figure, makespan.of, makespan.goal
                );
            }
        }
        text
    }
}

fn cells(usage: Usage) -> [String; 3] {
    [seconds(usage.wall), seconds(usage.cpu), format!("{} MB", usage.memory.div_ceil(1 << 20))]
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..0.1 => format!("{:.1} ms", seconds * 1000.0),
        ..1.0 => format!("{:.0} ms", seconds * 1000.0),
        ..100.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

fn quotient(large: Duration, small: Duration) -> f64 {
    large.as_secs_f64() / small.as_secs_f64().max(1e-6)
}

/// Every part of the goal, and whether it is met; what cannot be told here is not claimed.
fn judged(row: &Row) -> String {
    let mut parts: Vec<(String, Option<bool>)> = Vec::new();
    if let Some(ratio) = row.goal.ratio {
        let met = row.theirs.map(|theirs| quotient(theirs.wall, row.ours.wall) >= ratio);
        parts.push((format!("≥ {ratio} times faster"), met));
    }
    if let Some(most) = row.goal.seconds {
        parts.push((
            format!("≤ {}", seconds(Duration::from_secs_f64(most))),
            Some(row.ours.wall.as_secs_f64() <= most),
        ));
    }
    if let Some(most) = row.goal.memory {
        parts.push((format!("≤ {} MB", most >> 20), Some(row.ours.memory <= most)));
    }
    if let Some(most) = row.goal.growth {
        let grown = row.smaller.map(|smaller| quotient(row.ours.wall, smaller.wall));
        let what = match grown {
            Some(grown) => format!("{grown:.1} times the tenth, ≤ {most}"),
            None => format!("≤ {most} times the tenth"),
        };
        parts.push((what, grown.map(|grown| grown <= most)));
    }
    let words: Vec<String> = parts
        .into_iter()
        .map(|(what, met)| match met {
            Some(true) => format!("{what}: met"),
            Some(false) => format!("{what}: **missed**"),
            None => what,
        })
        .collect();
    if words.is_empty() { "–".to_owned() } else { words.join("; ") }
}

/// Puts the text between the markers of a file.
pub fn write_into(file: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let new = spliced(&old, text)
        .with_context(|| format!("{} has lost its markers: {BEGIN} and {END}", file.display()))?;
    std::fs::write(file, new).with_context(|| file.display().to_string())
}

fn spliced(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(ms: u64, mib: u64) -> Usage {
        Usage { wall: Duration::from_millis(ms), cpu: Duration::from_millis(ms), memory: mib << 20 }
    }

    #[test]
    fn goals_are_judged_by_what_was_measured_and_else_only_named() {
        let goal =
            Goal { ratio: Some(100.0), seconds: Some(1.0), memory: Some(150 << 20), growth: Some(12.0) };
        let row =
            Row { work: "w".into(), ours: usage(500, 200), theirs: None, smaller: Some(usage(50, 1)), goal };
        assert_eq!(
            judged(&row),
            "≥ 100 times faster; ≤ 1.00 s: met; ≤ 150 MB: **missed**; 10.0 times the tenth, ≤ 12: met"
        );
        let row = Row { theirs: Some(usage(50_000, 1)), smaller: None, ..row };
        assert!(judged(&row).starts_with("≥ 100 times faster: met;"));
        assert!(judged(&row).ends_with("; ≤ 12 times the tenth"));
    }

    #[test]
    fn the_table_stands_between_its_markers_and_nothing_else_changes() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = spliced(&old, "| new |\n").expect("markers");
        assert_eq!(new, format!("before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"));
        assert_eq!(spliced("no markers", "x"), None);
    }
}
