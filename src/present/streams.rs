//! Whole texts to standard output and standard error.

use std::io::Write;

/// Writes a text to standard output.
pub fn out(text: &str) {
    // A reader that has gone away, as `head` does, is no failure.
    let mut stream = std::io::stdout().lock();
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}

/// Writes a text to standard error.
pub fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a question, after which the answer is typed on the same line.
pub fn prompt(question: &str) {
    out(&format!("\n{question}"));
}
