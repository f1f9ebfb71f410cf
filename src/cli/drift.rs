//! `plinth drift`

use clap::{Args, ValueEnum};

use super::failure::{Code, Failure};
use super::interrupt;
use super::session::Session;
use super::stack_args::{StackArgs, style};
use crate::engine::{Events, RunError, drift};
use crate::present::{self, drift as report};

/// Compare live systems with what was recorded; exits with 2 when something differs
#[derive(Debug, Args)]
pub struct Drift {
    #[command(flatten)]
    stack: StackArgs,
    /// How to write the report
    #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Markdown,
    Sarif,
    Prometheus,
}

impl Drift {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let session = Session::open(&self.stack).await?;
        session.check_account(true).await?;
        let (events, receiver) = Events::channel();
        let json = self.stack.output.json;
        let pump = json.then(|| present::Pump::start(receiver, super::run::presenter(self.stack.output)));
        let interrupt = interrupt::on_signals();
        let found = drift(&session.state, &session.providers, &events, &interrupt.stop).await;
        drop(events);
        if let Some(pump) = pump {
            pump.finish().await;
        }
        session.close().await;
        if interrupt.stop.is_cancelled() {
            return Err(RunError::Interrupted.into());
        }
        let found = found.map_err(|errors| session.located(RunError::Refresh(errors)))?;
        if !json {
            let now = jiff::Timestamp::now();
            present::out(&match self.format {
                Format::Text => report::text(&session.name, &found, &style()),
                Format::Json => report::json(&session.name, &found),
                Format::Markdown => report::markdown(&session.name, &found),
                Format::Sarif => report::sarif(&session.name, &found),
                Format::Prometheus => report::prometheus(&session.name, &found, now),
            });
        }
        Ok(if found.drifted.is_empty() { Code::Done } else { Code::Pending })
    }
}
