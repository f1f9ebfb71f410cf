//! NDJSON: one event per line.

use std::io::Write;

use super::Presenter;
use crate::engine::Event;

pub(super) struct Json {
    out: Box<dyn Write + Send>,
}

impl Json {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out }
    }
}

impl Presenter for Json {
    fn event(&mut self, event: &Event) {
        // Nobody can be told that nobody listens; the run goes on.
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let _ = self.out.write_all(&line);
            let _ = self.out.flush();
        }
    }

    fn finish(&mut self) {
        let _ = self.out.flush();
    }
}
