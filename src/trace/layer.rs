//! From `tracing`'s spans to ours.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{Attribute, Begun, Closed};

/// Takes spans. Must not block: it is called from wherever a span begins and ends.
pub(super) trait Sink: Send + Sync {
    /// A span begins.
    fn begun(&self, span: &Begun);
    /// A span has ended.
    fn closed(&self, span: &Closed);
}

/// Hands the spans of our own code to sinks.
pub(super) struct Recorder {
    sinks: Vec<Arc<dyn Sink>>,
    next: AtomicU64,
}

impl Recorder {
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self { sinks, next: AtomicU64::new(1) }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    // `plinth`, `plinth::…`, `plinth_state::…`; what libraries say of requests may hold anything.
    metadata.is_span() && metadata.target().starts_with("plinth")
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        is_ours(metadata) && *metadata.level() <= tracing::Level::INFO
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut visitor = Visitor::default();
        attributes.record(&mut visitor);
        let begun = Begun {
            // Those of `tracing` are given out again once a span is closed.
            id: self.next.fetch_add(1, Ordering::Relaxed),
            parent: span.parent().and_then(|parent| Some(parent.extensions().get::<Begun>()?.id)),
            name: attributes.metadata().name(),
            at: SystemTime::now(),
            attributes: visitor.0,
        };
        self.sinks.iter().for_each(|sink| sink.begun(&begun));
        span.extensions_mut().insert(begun);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut visitor = Visitor::default();
        values.record(&mut visitor);
        if let Some(begun) = span.extensions_mut().get_mut::<Begun>() {
            begun.attributes.append(&mut visitor.0);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(begun) = span.extensions_mut().remove::<Begun>() else { return };
        let closed = Closed { begun, at: SystemTime::now() };
        self.sinks.iter().for_each(|sink| sink.closed(&closed));
    }
}

#[derive(Default)]
struct Visitor(Vec<(&'static str, Attribute)>);

impl Visit for Visitor {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Attribute::Number(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), Attribute::Number(i64::try_from(value).unwrap_or(i64::MAX))));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Attribute::Flag(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Attribute::Text(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), Attribute::Text(format!("{value:?}"))));
    }
}
