//! `plinth history`

use clap::Args;

use super::failure::{Code, Failure};
use super::session::Session;
use super::stack_args::{StackArgs, style};
use crate::present;

/// List the stack's revisions: what was run, when, what it did, where it came from
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    stack: StackArgs,
    /// Write it as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

impl History {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let session = Session::open(&self.stack).await?;
        let revisions = &session.state.revisions;
        let zone = jiff::tz::TimeZone::system();
        if self.stack.output.json {
            for revision in revisions {
                present::out(&format!("{}\n", revision_event(revision)));
            }
        } else if self.markdown {
            present::out(&present::history::markdown(&session.name, revisions, &zone));
        } else {
            present::out(&present::history::text(revisions, &zone, &style()));
            if let Some(note) = present::history::kept_from(&session.state) {
                present::out(&note);
            }
        }
        Ok(Code::Done)
    }
}

fn revision_event(revision: &plinth_state::Revision) -> serde_json::Value {
    let mut event = serde_json::json!({ "event": "revision" });
    if let (Some(event), Ok(serde_json::Value::Object(fields))) =
        (event.as_object_mut(), serde_json::to_value(revision))
    {
        event.extend(fields);
    }
    event
}
