//! The trace event format of Chrome, which Perfetto opens too: a JSON array of begins and ends.
//!
//! The file is well-formed whenever nobody writes: every write puts the closing bracket back at its end, so that the trace
//! of a run that was killed opens as well. Spans that run beside each other stand on tracks of their own.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::layer::Sink;
use super::{Attribute, Begun, Closed};

enum Message {
    Begun(Begun),
    Closed(Closed),
    End,
}

/// A trace in a file, written by a thread of its own.
#[derive(Debug)]
pub(super) struct File {
    messages: Sender<Message>,
    writer: JoinHandle<()>,
}

/// Where spans of the file are handed in.
pub(super) struct Input(Sender<Message>);

impl Sink for Input {
    fn begun(&self, span: &Begun) {
        let _ = self.0.send(Message::Begun(span.clone()));
    }

    fn closed(&self, span: &Closed) {
        let _ = self.0.send(Message::Closed(span.clone()));
    }
}

impl File {
    /// Makes the file; what was there is written over.
    pub fn create(path: &Path) -> std::io::Result<(Self, Input)> {
        let mut file = std::fs::File::create(path)?;
        file.write_all(b"[\n]\n")?;
        let (messages, received) = channel();
        let writer =
            std::thread::Builder::new().name("trace".to_owned()).spawn(move || write(file, &received))?;
        Ok((Self { messages: messages.clone(), writer }, Input(messages)))
    }

    /// Everything that was handed in is in the file when this returns.
    pub fn finish(self) {
        let _ = self.messages.send(Message::End);
        let _ = self.writer.join();
    }
}

/// What is written at once at most, in bytes.
const BATCH: usize = 1 << 16;

fn write(mut file: std::fs::File, messages: &Receiver<Message>) {
    let mut tracks = Tracks::new();
    let mut first = true;
    while let Ok(message) = messages.recv() {
        let (mut lines, mut next, mut ended) = (Vec::new(), Some(message), false);
        while let Some(message) = next {
            match message {
                Message::Begun(span) => tracks.begin(&span, &mut lines),
                Message::Closed(span) => tracks.close(&span, &mut lines),
                Message::End => ended = true,
            }
            next = if ended || lines.len() * 128 > BATCH { None } else { messages.try_recv().ok() };
        }
        let mut text = String::new();
        for line in lines {
            text.push_str(if first { "\n" } else { ",\n" });
            first = false;
            text.push_str(&line.to_string());
        }
        // Over the end of the array, which is written anew behind it.
        text.push_str("\n]\n");
        if file.seek(SeekFrom::End(-3)).and_then(|_| file.write_all(text.as_bytes())).is_err() || ended {
            // A full disk ends the trace, and nothing else.
            return;
        }
    }
}

/// Which spans are open on which track. On a track spans nest.
struct Tracks {
    process: u32,
    open: Vec<Vec<u64>>,
    /// The track of an open span.
    of: HashMap<u64, usize>,
    /// Spans that have ended before one that is nested in them.
    late: HashMap<u64, Closed>,
}

impl Tracks {
    fn new() -> Self {
        Self { process: std::process::id(), open: Vec::new(), of: HashMap::new(), late: HashMap::new() }
    }

    fn begin(&mut self, span: &Begun, lines: &mut Vec<Value>) {
        let inside = span.parent.and_then(|parent| {
            let track = *self.of.get(&parent)?;
            (self.open[track].last() == Some(&parent)).then_some(track)
        });
        let track = inside.unwrap_or_else(|| {
            self.open.iter().position(Vec::is_empty).unwrap_or_else(|| {
                self.open.push(Vec::new());
                self.open.len() - 1
            })
        });
        self.open[track].push(span.id);
        self.of.insert(span.id, track);
        lines.push(self.event("B", span.name, span.at, track, &span.attributes));
    }

    fn close(&mut self, span: &Closed, lines: &mut Vec<Value>) {
        let Some(track) = self.of.get(&span.begun.id).copied() else { return };
        self.late.insert(span.begun.id, span.clone());
        while let Some(closed) = self.open[track].last().and_then(|top| self.late.remove(top)) {
            self.open[track].pop();
            self.of.remove(&closed.begun.id);
            lines.push(self.event(
                "E",
                closed.begun.name,
                closed.at.max(span.at),
                track,
                &closed.begun.attributes,
            ));
        }
    }

    fn event(
        &self,
        phase: &str,
        name: &str,
        at: SystemTime,
        track: usize,
        attributes: &[(&'static str, Attribute)],
    ) -> Value {
        let micros = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as f64 / 1000.0;
        let arguments: Map<String, Value> =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), value_of(value))).collect();
        json!({
            "name": name, "cat": "plinth", "ph": phase, "ts": micros, "pid": self.process, "tid": track,
            "args": arguments,
        })
    }
}

fn value_of(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Text(text) => text.as_str().into(),
        Attribute::Number(number) => (*number).into(),
        Attribute::Flag(flag) => (*flag).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn begun(id: u64, parent: Option<u64>, ms: u64) -> Begun {
        let at = UNIX_EPOCH + Duration::from_millis(ms);
        Begun { id, parent, name: "step", at, attributes: vec![("urn", Attribute::Text(format!("r{id}")))] }
    }

    fn closed(span: &Begun, ms: u64) -> Closed {
        Closed { begun: span.clone(), at: UNIX_EPOCH + Duration::from_millis(ms) }
    }

    #[test]
    fn the_file_is_an_array_at_any_time_and_what_overlaps_has_tracks_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        let (file, input) = File::create(&path).unwrap();
        let read = || -> Vec<Value> { serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap() };
        assert_eq!(read(), Vec::<Value>::new());
        let (run, a, b, call) =
            (begun(1, None, 0), begun(2, Some(1), 1), begun(3, Some(1), 2), begun(4, Some(3), 3));
        for span in [&run, &a, &b, &call] {
            input.begun(span);
        }
        // As if killed now: what is in the file is well-formed, and says what had begun.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while read().len() < 4 && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(read().len(), 4);
        for (span, ms) in [(&a, 5), (&b, 6), (&call, 7), (&run, 8)] {
            input.closed(&closed(span, ms));
        }
        file.finish();
        let events = read();
        let told: Vec<(&str, &str, u64)> = events
            .iter()
            .map(|event| {
                let text = |key: &str| event[key].as_str().unwrap();
                (text("ph"), event["args"]["urn"].as_str().unwrap(), event["tid"].as_u64().unwrap())
            })
            .collect();
        let expected = [
            ("B", "r1", 0),
            ("B", "r2", 0),
            ("B", "r3", 1),
            ("B", "r4", 1),
            ("E", "r2", 0),
            // The step had ended before its call had: on a track, ends come in order.
            ("E", "r4", 1),
            ("E", "r3", 1),
            ("E", "r1", 0),
        ];
        assert_eq!(told, expected);
        assert!(events[0]["ts"].is_number() && events[0]["pid"].is_number());
    }
}
