//! `plinth state`

mod edit;
mod export;
mod migrate;
mod transfer;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use plinth_state::{Holder, Keys};

use super::approve::ApproveArgs;
use super::failure::{Code, Failure};
use super::lookup::find;
use super::session::{Home, Session};
use super::stack_args::{StackArgs, style};
use crate::present;

/// Look at what is recorded, change it, check it, mend it, move it
#[derive(Debug, Args)]
pub struct State {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every recorded resource
    List {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Show what is recorded of one resource; secrets are masked
    Show {
        #[command(flatten)]
        stack: StackArgs,
        /// The resource's URN, or the end of it
        #[arg(value_name = "URN")]
        urn: String,
    },
    /// Check every entry's checksum and hash, and the checkpoint against the log
    Verify {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Mend a damaged log: keep what can be proven, set aside what is damaged, list what is lost
    Repair {
        #[command(flatten)]
        stack: StackArgs,
        #[command(flatten)]
        approve: ApproveArgs,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Give a resource another name, references to it follow; or move resources to another stack's state
    #[command(
        override_usage = "plinth state mv [OPTIONS] <RESOURCE> <NAME>\n       plinth state mv [OPTIONS] --to-stack <STACK> <RESOURCE>..."
    )]
    Mv {
        #[command(flatten)]
        stack: StackArgs,
        /// The resource, by URN, by kind and name, or by name where that is unique, and its new name or whole URN.
        /// With `--to-stack` any number of resources; `*` stands for anything
        #[arg(value_name = "RESOURCE", required = true)]
        names: Vec<String>,
        /// The stack that shall have them: a name (`stacks/<NAME>.yaml`) or the path of a stack file
        #[arg(long, value_name = "STACK")]
        to_stack: Option<String>,
        /// With `--to-stack`: move them although resources that stay need them
        #[arg(long, requires = "to_stack")]
        force: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Forget resources; nothing is deleted
    Rm {
        #[command(flatten)]
        stack: StackArgs,
        /// The resources, by URN, by kind and name, or by name where that is unique
        #[arg(value_name = "RESOURCE", required = true)]
        resources: Vec<String>,
        /// Forget them although others need them
        #[arg(long)]
        force: bool,
        /// Accepted for scripts; nothing is asked, for it can be taken back
        #[arg(short, long, hide = true)]
        yes: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Write everything that is recorded as JSON; secrets are sealed
    Export {
        #[command(flatten)]
        stack: StackArgs,
        /// Write to a file, for its owner alone [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Write secrets in the clear
        #[arg(long)]
        show_secrets: bool,
        #[command(flatten)]
        approve: ApproveArgs,
    },
    /// Record what an export holds; no system is asked or touched
    Import {
        #[command(flatten)]
        stack: StackArgs,
        /// What `plinth state export` wrote; `-` for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only these resources [default: all]
        #[arg(value_name = "RESOURCE")]
        resources: Vec<String>,
        /// Record them as they are given although they are recorded otherwise
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Take back an `mv`, `rm` or `import`
    Undo {
        #[command(flatten)]
        stack: StackArgs,
        /// The entry of the log that it made [default: the last one]
        #[arg(value_name = "ENTRY")]
        entry: Option<u64>,
        #[command(flatten)]
        lock: LockArgs,
    },
    Migrate(migrate::Migrate),
    /// Break the lease of another run
    Unlock {
        #[command(flatten)]
        stack: StackArgs,
        #[command(flatten)]
        approve: ApproveArgs,
    },
}

/// How long the lease of a command lasts that changes nothing but state.
const LEASE: Duration = Duration::from_secs(60);

/// How long a command waits for another run of the stack.
#[derive(Debug, Clone, Copy, Args)]
pub struct LockArgs {
    /// How long to wait for another run of the stack to end, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    lock_timeout: u64,
}

impl LockArgs {
    /// As a duration.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(self.lock_timeout)
    }
}

/// Where a stack's state lives, without opening it: a log that is damaged cannot be.
struct Place {
    name: String,
    home: Home,
    keys: Keys,
}

impl Place {
    fn of(args: &StackArgs) -> Result<Self, Failure> {
        let loaded = super::session::load(&args.file(), &args.stack)?;
        let name = loaded.stack.name.to_string();
        let home = Home::of(&args.place, loaded.stack.settings.state.as_deref(), &name)?;
        let keys = home.keys(&args.place, &loaded.stack.settings.encryption)?;
        Ok(Self { name, home, keys })
    }
}

impl State {
    /// Whether it tells as events what it does.
    pub(super) fn writes_events(&self) -> bool {
        match &self.command {
            Command::List { stack }
            | Command::Show { stack, .. }
            | Command::Verify { stack }
            | Command::Repair { stack, .. }
            | Command::Mv { stack, .. }
            | Command::Rm { stack, .. }
            | Command::Export { stack, .. }
            | Command::Import { stack, .. }
            | Command::Undo { stack, .. }
            | Command::Unlock { stack, .. } => stack.output.json,
            Command::Migrate(migrate) => migrate.output.json,
        }
    }

    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        match self.command {
            Command::List { stack } => list(&stack).await,
            Command::Show { stack, urn } => show(&stack, &urn).await,
            Command::Verify { stack } => verify(&stack).await,
            Command::Repair { stack, approve, lock } => repair(&stack, approve, lock).await,
            Command::Mv { stack, names, to_stack: Some(to), force, lock } => {
                transfer::run(&stack, &names, &to, force, lock).await
            }
            Command::Mv { stack, names, lock, .. } => match names.as_slice() {
                [from, to] => edit::rename(&stack, from, to, lock).await,
                _ => Err(Failure::new("`state mv` takes a resource and its new name").help(
                    "with `--to-stack STACK` it takes any number of resources, and moves them to that stack",
                )),
            },
            Command::Rm { stack, resources, force, lock, .. } => {
                edit::remove(&stack, &resources, force, lock).await
            }
            Command::Export { stack, out, show_secrets, approve } => {
                export::export(&stack, out.as_deref(), show_secrets, approve).await
            }
            Command::Import { stack, file, resources, force, lock } => {
                export::import(&stack, &file, &resources, force, lock).await
            }
            Command::Undo { stack, entry, lock } => edit::undo(&stack, entry, lock).await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Unlock { stack, approve } => unlock(&stack, approve).await,
        }
    }
}

async fn list(args: &StackArgs) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    for tracked in session.state.resources.values() {
        if args.output.json {
            let event = serde_json::json!({
                "event": "resource", "urn": tracked.urn, "id": tracked.id, "updated": tracked.updated_at,
            });
            present::out(&format!("{event}\n"));
        } else {
            present::out(&format!("{}\n", tracked.urn));
        }
    }
    Ok(Code::Done)
}

async fn show(args: &StackArgs, wanted: &str) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    let (urn, path) = find(wanted, session.state.resources.keys())?;
    if !path.is_root() {
        return Err(Failure::new(format!("`{wanted}` names a value of {urn}, not a resource"))
            .help("`plinth output` prints single values"));
    }
    let tracked = &session.state.resources[&urn];
    if args.output.json {
        // Values serialize with their secrets masked.
        let event = serde_json::json!({
            "event": "resource", "urn": urn, "id": tracked.id,
            "inputs": tracked.inputs, "outputs": tracked.outputs, "connection": tracked.connection,
            "dependencies": tracked.dependencies, "options": tracked.options, "unsettled": tracked.unsettled,
            "createdRevision": tracked.created_revision, "updated": tracked.updated_at,
        });
        present::out(&format!("{event}\n"));
    } else {
        present::out(&present::state::resource(tracked, &style()));
    }
    Ok(Code::Done)
}

async fn verify(args: &StackArgs) -> Result<Code, Failure> {
    let Place { name, home, keys, .. } = Place::of(args)?;
    let backend = super::storage::open(&home.url).await?;
    let report = plinth_state::verify(backend, &name, keys).await?;
    let text = if args.output.json {
        present::state::verify_json(&report)
    } else {
        present::state::verify(&name, &report)
    };
    present::out(&text);
    Ok(if report.problems.is_empty() { Code::Done } else { Code::Error })
}

async fn repair(args: &StackArgs, approve: ApproveArgs, lock: LockArgs) -> Result<Code, Failure> {
    approve.can_ask("state repair")?;
    let Place { name, home, keys, .. } = Place::of(args)?;
    let backend = super::storage::open(&home.url).await?;
    let Some(repair) = plinth_state::plan_repair(backend, &name, keys).await? else {
        note(args, &format!("The log of {name} is whole: there is nothing to repair."));
        return Ok(Code::Done);
    };
    let tell = |mending: &plinth_state::Mending, done: bool| {
        present::out(&if args.output.json {
            present::state::mending_json(mending, done)
        } else if done {
            present::state::mended(&name, mending)
        } else {
            present::state::mending(&name, mending)
        });
    };
    tell(&repair.mending, false);
    if !approve.ask("Repair the log?").await {
        return Err(Failure::new("nothing was changed: the log stays damaged"));
    }
    let mending = repair.run(holder("state repair"), LEASE, lock.timeout()).await?;
    tell(&mending, true);
    Ok(Code::Done)
}

async fn unlock(args: &StackArgs, approve: ApproveArgs) -> Result<Code, Failure> {
    approve.can_ask("state unlock")?;
    let session = Session::open(args).await?;
    let Some(lease) = &session.state.lease else {
        note(args, "No run holds the lease.");
        return Ok(Code::Done);
    };
    present::out(&if args.output.json {
        present::state::held_json(&session.name, lease)
    } else {
        present::state::unlock_warning(&session.name, lease)
    });
    if !approve.ask("Break the lease?").await {
        return Err(Failure::new("nothing was changed: the lease stays"));
    }
    let mut state = session.state.clone();
    let ended = session.log.unlock(&mut state, holder("state unlock")).await?;
    match ended {
        Some(ended) => note(args, &format!("The lease of {} is broken.", ended.holder)),
        None => note(args, "The run has ended meanwhile, and its lease with it."),
    }
    Ok(Code::Done)
}

fn holder(command: &str) -> Holder {
    super::session::holder(&format!("plinth {command}"))
}

fn note(args: &StackArgs, text: &str) {
    present::out(&if args.output.json {
        format!("{}\n", serde_json::json!({"event": "note", "message": text}))
    } else {
        format!("{text}\n")
    });
}
