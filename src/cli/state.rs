//! `plinth state`

use clap::{Args, Subcommand};

use super::failure::{Code, Failure};
use super::lookup::find;
use super::session::Session;
use super::stack_args::{StackArgs, style};
use crate::present;

/// Look at what is recorded
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
    /// Break the lease of another run
    Unlock {
        #[command(flatten)]
        stack: StackArgs,
        #[command(flatten)]
        approve: super::approve::ApproveArgs,
    },
}

impl State {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        match self.command {
            Command::List { stack } => list(&stack).await,
            Command::Show { stack, urn } => show(&stack, &urn).await,
            Command::Verify { stack } => verify(&stack).await,
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
    let file = args.file();
    let loaded = super::session::load(&file, &args.stack)?;
    let name = loaded.stack.name.to_string();
    let home = super::session::Home::of(&args.place, loaded.stack.settings.state.as_deref(), &name)?;
    let keys = home.keys(&args.place, loaded.stack.settings.encryption)?;
    let backend = plinth_state::open_backend(&home.url)?;
    let report = plinth_state::verify(backend, &name, keys).await?;
    let text = if args.output.json {
        present::state::verify_json(&report)
    } else {
        present::state::verify(&name, &report)
    };
    present::out(&text);
    Ok(if report.problems.is_empty() { Code::Done } else { Code::Error })
}

async fn unlock(args: &StackArgs, approve: super::approve::ApproveArgs) -> Result<Code, Failure> {
    approve.can_ask("state unlock")?;
    let session = Session::open(args).await?;
    let Some(lease) = &session.state.lease else {
        note(args, "No run holds the lease.");
        return Ok(Code::Done);
    };
    if !approve
        .ask(&format!("The lease is held by {lease}. That run stops at its next step. Break the lease?"))
    {
        return Err(Failure::new("nothing was changed: the lease stays"));
    }
    let mut state = session.state.clone();
    let by = plinth_state::Holder::current(None, "plinth state unlock");
    session.log.unlock(&mut state, by).await?;
    note(args, "The lease is broken.");
    Ok(Code::Done)
}

fn note(args: &StackArgs, text: &str) {
    present::out(&if args.output.json {
        format!("{}\n", serde_json::json!({"event": "note", "message": text}))
    } else {
        format!("{text}\n")
    });
}
