//! Aligned columns.

use super::style::{cut, pad, width};

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the beginning.
    Left,
    /// At the end: numbers.
    Right,
}

/// A table of texts. Widths are counted in terminal columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    header: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more column.
    #[must_use]
    pub fn column(mut self, title: &str, align: Align) -> Self {
        self.header.push((title.to_owned(), align));
        self
    }

    /// One more row. Missing cells are empty, surplus ones are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().take(self.header.len()).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, two blanks between columns. A table that is too wide loses text of its last column.
    pub fn text(&self, columns: usize) -> String {
        let widths: Vec<usize> = (0..self.header.len())
            .map(|at| {
                let cells = self.rows.iter().map(|row| width(&row[at]));
                cells.chain([width(&self.header[at].0)]).max().unwrap_or_default()
            })
            .collect();
        let titles: Vec<String> = self.header.iter().map(|(title, _)| title.clone()).collect();
        let mut text = String::new();
        let titled = titles.iter().any(|title| !title.is_empty());
        for row in titled.then_some(&titles).into_iter().chain(&self.rows) {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .zip(&self.header)
                .map(|((cell, columns), (_, align))| match align {
                    Align::Left => pad(cell, *columns),
                    Align::Right => format!("{}{cell}", " ".repeat(columns.saturating_sub(width(cell)))),
                })
                .collect();
            text.push_str(&cut(cells.join("  ").trim_end(), columns));
            text.push('\n');
        }
        text
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.header.iter().map(|(title, _)| title.clone()).collect());
        text.push_str(&line(
            self.header
                .iter()
                .map(|(_, align)| if *align == Align::Right { "---:" } else { "---" }.to_owned())
                .collect(),
        ));
        for row in &self.rows {
            text.push_str(&line(
                row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect(),
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn columns_are_aligned_by_what_the_eye_sees() {
        let mut table =
            Table::new().column("name", Align::Left).column("n", Align::Right).column("note", Align::Left);
        table.row(["日本".into(), "7".into(), "wide letters".into()]);
        table.row(["b".into(), "123".into()]);
        assert_snapshot!(table.text(20), @r"
        name    n  note
        日本    7  wide let…
        b     123
        ");
        assert_snapshot!(table.markdown(), @r"
        | name | n | note |
        | --- | ---: | --- |
        | 日本 | 7 | wide letters |
        | b | 123 |  |
        ");
    }
}
