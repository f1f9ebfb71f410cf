//! A stack's log, opened while the stack file is read and judged: both take about as long, and neither needs the other.

use std::path::Path;

use plinth_stacks::file::{self, Draft};
use plinth_stacks::model::Settings;
use plinth_state::{Log, State, folder_of};
use tokio::sync::oneshot;

use super::failure::Failure;
use super::session::Home;
use super::stack_args::StackArgs;

/// A log that is being opened. Dropping it drops what was read; opening changes nothing.
pub struct Opening {
    name: String,
    settings: Settings,
    opened: oneshot::Receiver<plinth_state::Result<(Log, State)>>,
}

impl Opening {
    /// Begins before the stack file is read, if it is a large one that tells at a glance where state lives.
    pub fn at_a_glance(args: &StackArgs, file: &Path) -> Option<Self> {
        Self::begin(args, file::outline(file)?)
    }

    /// Begins before the stack file is judged, if it says where state lives and nothing is wrong with that. Whatever is
    /// wrong is told by who opens the log after the file was judged.
    pub fn of_draft(args: &StackArgs, draft: &Draft) -> Option<Self> {
        Self::begin(args, draft.outline()?)
    }

    fn begin(args: &StackArgs, (name, settings): (String, Settings)) -> Option<Self> {
        let home = Home::of(&args.place, settings.state.as_deref(), &name).ok()?;
        let keys = home.keys(&args.place, &settings.encryption).ok()?;
        let stack = name.clone();
        let (tell, opened) = oneshot::channel();
        if folder_of(&home.url).is_some() && keys.are_local() {
            // What lies on this machine is read fastest by one thread that does nothing else.
            let open = move || {
                let backend = futures::executor::block_on(super::storage::open(&home.url))?;
                Log::open_here(backend, &stack, keys)
            };
            std::thread::Builder::new()
                .name("plinth-open".to_owned())
                .spawn(move || {
                    // First what the file is judged by: whoever reads it needs that at once, and the log only then.
                    file::prepare();
                    drop(tell.send(open()));
                })
                .ok()?;
        } else {
            let open = async move { Log::open(super::storage::open(&home.url).await?, &stack, keys).await };
            tokio::spawn(async move { drop(tell.send(open.await)) });
            tokio::spawn(async { file::prepare() });
        }
        Some(Self { name, settings, opened })
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
        match self.opened.await {
            Ok(opened) => Ok(opened?),
            Err(_) => Err(Failure::new("the log was not opened: its reader ended early")),
        }
    }
}
