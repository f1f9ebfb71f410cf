//! Whole texts to standard output and standard error.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Why standard output could not be written, the first time.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Standard output. What cannot be written is remembered, so that no command ends well that has lost what it said.
#[derive(Debug)]
pub struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        noted(io::stdout().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        noted(io::stdout().lock().flush())
    }
}

fn noted<T>(result: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &result
        // A reader that has gone away, as `head` does, is no failure; nor is a write that is tried again.
        && !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted)
    {
        let _ = UNWRITTEN.set(error.to_string());
    }
    result
}

/// Why something that was written to standard output did not get there.
pub fn unwritten() -> Option<&'static str> {
    UNWRITTEN.get().map(String::as_str)
}

/// Writes a text to standard output.
pub fn out(text: &str) {
    let _ = Out.write_all(text.as_bytes());
    let _ = Out.flush();
}

/// Writes a text to standard error.
pub fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a question, after which the answer is typed on the same line.
pub fn prompt(question: &str) {
    out(&format!("\n{question}"));
}
