//! What is wrong with a stack file, where, why, and what to do: as data, and as plain text.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a file. Lines and columns start at 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file, as it was named by the user or by `extends`.
    pub file: PathBuf,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// The line that a diagnostic speaks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The line's text, shortened when it is very long.
    pub text: String,
    /// How many characters stand before the marked part of that text.
    pub offset: usize,
    /// How many characters are marked.
    pub length: usize,
}

/// Something that keeps a stack file from being used.
///
/// Its `Display` form is plain text in several lines without colours and without a line break at the end:
///
/// ```text
/// error: unknown key `replcas`
///   --> stacks/prod.yaml:12:7
///    |
/// 12 |       replcas: 3
///    |       ^^^^^^^
///    = help: did you mean `replicas`?
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Where, when it is at a place in a file.
    pub location: Option<Location>,
    /// Why that is wrong.
    pub why: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// The line it stands in. Absent where that line may hold a secret.
    pub snippet: Option<Snippet>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), location: None, why: None, help: None, snippet: None }
    }

    /// Says why it is wrong.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says in which file, when the place within does not matter.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.location = Some(Location { file: file.to_owned(), line: 1, column: 1 });
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)?;
        let margin = match &self.location {
            Some(location) => location.line.to_string().len(),
            None => 1,
        };
        let gap = " ".repeat(margin);
        if let Some(location) = &self.location {
            write!(formatter, "\n{gap}--> {location}")?;
            if let Some(snippet) = &self.snippet {
                let before = " ".repeat(snippet.offset);
                let marks = "^".repeat(snippet.length.max(1));
                write!(
                    formatter,
                    "\n{gap} |\n{} | {}\n{gap} | {before}{marks}",
                    location.line, snippet.text
                )?;
            }
        }
        for (word, text) in [("why", &self.why), ("help", &self.help)] {
            if let Some(text) = text {
                write!(formatter, "\n{gap} = {word}: {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// The name among `candidates` that `word` most likely was meant to be.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase();
    // Nobody mistypes a name into something much longer; and the comparison is not worth it there.
    if word.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        // Among equally near names the first in the alphabet, so that the same mistake always reads the same.
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names in a sentence: `` `a`, `b`, `c` ``.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
