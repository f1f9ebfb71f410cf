//! A stack's log, opened while the rest of its file is still judged: both take about as long, and neither needs the other.

use plinth_stacks::file::Draft;
use plinth_stacks::model::Settings;
use plinth_state::{Log, State};
use tokio::task::JoinHandle;

use super::failure::Failure;
use super::session::Home;
use super::stack_args::StackArgs;

/// A log that is being opened. Dropping it drops what was read; opening changes nothing.
pub struct Opening {
    name: String,
    settings: Settings,
    task: JoinHandle<plinth_state::Result<(Log, State)>>,
}

impl Opening {
    /// Begins, if the file says where state lives and nothing is wrong with that. Whatever is wrong is told by who opens
    /// the log after the file was judged.
    pub fn begin(args: &StackArgs, draft: &Draft) -> Option<Self> {
        let (name, settings) = draft.outline()?;
        let home = Home::of(&args.place, settings.state.as_deref(), &name).ok()?;
        let keys = home.keys(&args.place, &settings.encryption).ok()?;
        let stack = name.clone();
        let open = async move { Log::open(super::storage::open(&home.url).await?, &stack, keys).await };
        Some(Self { name, settings, task: tokio::spawn(open) })
    }

    /// Whether it is the log of this stack.
    pub fn fits(&self, name: &str, settings: &Settings) -> bool {
        self.name == name
            && self.settings.state == settings.state
            && self.settings.encryption == settings.encryption
    }

    /// The log, and the state that it tells.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn opened(self) -> Result<(Log, State), Failure> {
        match self.task.await {
            Ok(opened) => Ok(opened?),
            Err(error) => Err(Failure::new(format!("the log was not opened: {error}"))),
        }
    }
}
