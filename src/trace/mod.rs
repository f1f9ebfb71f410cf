//! Traces of Plinth itself: spans of commands, runs, steps, provider calls and appends, into a file that Perfetto and
//! Chrome open, to a collector by OTLP, or both.
//!
//! Only spans of our own code are taken, with what they say of themselves: names, URNs, classes of errors; never inputs,
//! outputs or messages of systems. When neither is asked for, nothing is installed and a span costs a comparison.

mod chrome;
mod layer;
mod otlp;
mod protobuf;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing_subscriber::layer::SubscriberExt;

use self::layer::{Recorder, Sink};
pub use self::otlp::{Collector, Encoding};

/// One attribute of a span.
#[derive(Debug, Clone, PartialEq)]
enum Attribute {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// A span that has begun.
#[derive(Debug, Clone)]
struct Begun {
    /// Unique in this process, and not zero.
    id: u64,
    parent: Option<u64>,
    name: &'static str,
    at: SystemTime,
    attributes: Vec<(&'static str, Attribute)>,
}

/// A span that has ended; attributes may have been added meanwhile.
#[derive(Debug, Clone)]
struct Closed {
    begun: Begun,
    at: SystemTime,
}

/// Where traces go.
#[derive(Debug, Default)]
pub struct Destinations<'a> {
    /// A file for Perfetto or Chrome.
    pub file: Option<&'a Path>,
    /// A collector.
    pub collector: Option<Collector>,
}

/// Traces as long as it lives.
#[derive(Debug, Default)]
pub struct Tracing {
    file: Option<chrome::File>,
    collector: Option<otlp::Exporter>,
}

/// Begins to trace, for the rest of the process.
///
/// # Errors
/// When the file cannot be made.
pub fn start(destinations: Destinations<'_>) -> std::io::Result<Tracing> {
    let mut tracing = Tracing::default();
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    if let Some(path) = destinations.file {
        let (file, sink) = chrome::File::create(path)?;
        tracing.file = Some(file);
        sinks.push(Arc::new(sink));
    }
    if let Some(collector) = destinations.collector {
        let (exporter, sink) = otlp::Exporter::start(collector)?;
        tracing.collector = Some(exporter);
        sinks.push(Arc::new(sink));
    }
    if !sinks.is_empty() {
        // Somebody who embeds us may trace already; then that is what counts.
        let _ = tracing::subscriber::set_global_default(
            tracing_subscriber::registry().with(Recorder::new(sinks)),
        );
    }
    Ok(tracing)
}

/// How long the end of a command may wait for a collector.
const PATIENCE: Duration = Duration::from_secs(2);

impl Tracing {
    /// Brings what is under way to its destinations. Says what did not get there.
    pub fn finish(self) -> Option<String> {
        if let Some(file) = self.file {
            file.finish();
        }
        self.collector.and_then(|collector| collector.finish(PATIENCE))
    }
}
