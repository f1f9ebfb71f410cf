//! Refusals that pass by themselves, and how long each is waited for.

use std::time::Duration;

use plinth_provider::{Error, Result};
use tokio::time::Instant;

use super::Writer;
use crate::cluster::{Status, escaped};
use crate::schema;

/// A kind may be served only some time after its definition was established, longer with several API servers.
const KIND: Duration = Duration::from_secs(60);
/// A namespace that was just made, or a schema that was just changed, reaches every API server within this.
const SETTLE: Duration = Duration::from_secs(10);
/// What nothing promises is hardly waited for: an operator may just have made it.
const HARDLY: Duration = Duration::from_secs(3);

/// How long this write has been refused.
#[derive(Debug)]
pub(super) struct Patience {
    since: Instant,
    tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { since: Instant::now(), tries: 0 }
    }
}

impl Patience {
    /// Waits before the next try when the refusal passes by itself; gives the error when it does not.
    pub(super) async fn after(&mut self, writer: &Writer<'_>, status: Status) -> Result<()> {
        let custom = schema::built_in(&writer.gvk).is_none();
        let reason = writer.redactor.clean(&status.message);
        if status.is_namespace_terminating() || status.is_webhook_down() {
            return self.pause(writer, &reason).await;
        }
        if custom && status.is_kind_missing() {
            return self.kind_missing(writer).await;
        }
        if status.is_kind_missing() {
            return Err(Error::invalid(format!("this cluster does not serve {}", writer.gvk))
                .help("its Kubernetes version is too old for the kind, or has it switched off"));
        }
        let settles = if status.is_namespace_missing() {
            self.since.elapsed() < self.namespace_patience(writer).await?
        } else {
            let unknown_field = status.is_mistyped() && status.message.contains("not declared in schema");
            custom && unknown_field && self.since.elapsed() < SETTLE
        };
        if settles {
            return self.pause(writer, &reason).await;
        }
        Err(status.into_error(true))
    }

    /// Waits until the kind may be served.
    pub(super) async fn kind_missing(&mut self, writer: &Writer<'_>) -> Result<()> {
        writer.cluster.served.forget(&writer.gvk.group);
        let patience = match writer.cluster.is_defined(writer.context, &writer.gvk).await? {
            Some(true) | None => KIND,
            Some(false) => HARDLY,
        };
        if self.since.elapsed() < patience {
            return self.pause(writer, &format!("{} is not served yet", writer.gvk)).await;
        }
        Err(Error::invalid(format!("the cluster serves no kind {}", writer.gvk))
            .help("declare its CustomResourceDefinition in the stack, or install what brings it"))
    }

    /// Admission looks namespaces up in a cache of its own, so one that was just made may still be missed.
    async fn namespace_patience(&self, writer: &Writer<'_>) -> Result<Duration> {
        let Some(namespace) = writer.inputs.text_at("metadata.namespace") else { return Ok(HARDLY) };
        let path = format!("/api/v1/namespaces/{}", escaped(namespace));
        Ok(match writer.cluster.get(writer.context, &path).await {
            Ok(None) => HARDLY,
            _ => SETTLE,
        })
    }

    /// Waits a moment.
    pub(super) async fn again(&mut self, writer: &Writer<'_>, reason: &str) -> Result<()> {
        self.pause(writer, reason).await
    }

    async fn pause(&mut self, writer: &Writer<'_>, reason: &str) -> Result<()> {
        writer.context.reporter.waiting(reason);
        let delay = Duration::from_millis(100u64 << self.tries.min(5));
        self.tries += 1;
        let work = async {
            tokio::time::sleep(delay).await;
            Ok(())
        };
        writer.context.bounded(|| reason.to_owned(), work).await
    }
}
