//! `plinth apply`

use std::path::{Path, PathBuf};

use clap::Args;
use plinth_state::{WrappedKey, open_tree, seal_tree};

use super::failure::{Code, Failure};
use super::run::{RunArgs, run};
use super::scope::ScopeArgs;
use super::session::Session;
use super::stack_args::{DEFAULT_STACK, StackArgs};
use crate::engine::{SavedPlan, Target};

/// Bring the stack to what its file says
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    pub(super) stack: StackArgs,
    /// A plan that `plinth plan --out` wrote: apply just that
    #[arg(value_name = "PLAN-FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    run: RunArgs,
}

const QUESTION: &str = "Apply these changes?";

impl Apply {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        let output = self.stack.output;
        self.run.approve.can_ask("apply")?;
        let Some(file) = &self.plan else {
            let mut session = Session::open(&self.stack).await?;
            session.read_ahead(self.run.refresh);
            let target = self.scope.narrow(session.target("apply")?, &session)?;
            session.let_go_of_inputs();
            return run(&session, target, self.run, output, None, QUESTION).await;
        };
        if !self.scope.is_empty() {
            return Err(Failure::new("a saved plan is applied as it was reviewed: it says itself what it leaves out")
                .help("give --target, --exclude and --replace to `plinth plan --out`, and apply the file that it writes"));
        }
        let tree = read_tree(file)?;
        let text =
            |key: &str| tree.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let rehearse = tree.get("rehearse").and_then(serde_json::Value::as_bool).unwrap_or_default();
        let planned = PathBuf::from(text("stackFile"));
        let asked = self.stack.file();
        if self.stack.stack != DEFAULT_STACK && asked != planned {
            return Err(Failure::new(format!(
                "{} is a plan of {}, and --stack asks for {}",
                file.display(),
                planned.display(),
                asked.display()
            ))
            .help("leave --stack out: the plan file says which stack it is for"));
        }
        // Which of the two is meant cannot be guessed, and one of them changes the real stack.
        if self.stack.place.rehearse && !rehearse {
            return Err(Failure::new(format!(
                "{} is a plan of the real stack, and --rehearse asks for a rehearsal",
                file.display()
            ))
            .help("plan the rehearsal: `plinth plan --rehearse --out FILE`"));
        }
        let mut stack = self.stack.clone();
        stack.stack = text("stackFile");
        stack.place.rehearse = rehearse;
        let session = Session::open(&stack).await?;
        let saved = open_plan(&session, tree, file).await?;
        if saved.stack != session.name {
            return Err(Failure::new(format!(
                "{} is a plan of stack `{}`, and {} now describes stack `{}`",
                file.display(),
                saved.stack,
                session.file.display(),
                session.name
            )));
        }
        let target = Target::new("apply", saved.declared.clone(), &session.providers)
            .map_err(|error| session.located(error))?;
        let target = Target {
            scope: saved.scope.clone(),
            settings: saved.settings.clone(),
            provenance: saved.provenance.clone(),
            stack_file_digest: saved.stack_file_digest.clone(),
            ..target
        };
        run(&session, target, self.run, output, Some(&saved.digest), QUESTION).await
    }
}

/// The key that opens the secrets of a plan file, wrapped, beside the plan.
const KEY: &str = "key";

/// Writes a plan file; its secrets are sealed with the stack's data key.
///
/// # Errors
/// When the file cannot be written.
pub async fn write_plan(session: &Session, plan: &SavedPlan, file: &Path) -> Result<(), Failure> {
    let cannot = |why: String| Failure::new(format!("the plan cannot be saved to {}: {why}", file.display()));
    let mut tree = serde_json::to_value(plan).map_err(|error| cannot(error.to_string()))?;
    if plinth_state::holds_secret(&tree) {
        let (key, wrapped) = session.log.sealing_keys(&session.state).await?;
        seal_tree(&key, &mut tree)?;
        if let Some(map) = tree.as_object_mut() {
            map.insert(
                KEY.to_owned(),
                serde_json::to_value(wrapped).map_err(|error| cannot(error.to_string()))?,
            );
        }
    }
    let text = serde_json::to_string_pretty(&tree).map_err(|error| cannot(error.to_string()))?;
    std::fs::write(file, text + "\n").map_err(|error| cannot(error.to_string()))
}

fn read_tree(file: &Path) -> Result<serde_json::Value, Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        Failure::new(format!("the plan file {} cannot be read: {error}", file.display()))
            .help("`plinth plan --out FILE` writes one; to choose a stack, use `--stack`")
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(format!("{} is not a plan file: {error}", file.display()))
            .help("`plinth plan --out FILE` writes one; to choose a stack, use `--stack`")
    })
}

async fn open_plan(
    session: &Session,
    mut tree: serde_json::Value,
    file: &Path,
) -> Result<SavedPlan, Failure> {
    let wrong = |why: String| Failure::new(format!("{}: {why}", file.display()));
    if let Some(wrapped) = tree.as_object_mut().and_then(|map| map.remove(KEY)) {
        let wrapped: WrappedKey =
            serde_json::from_value(wrapped).map_err(|error| wrong(error.to_string()))?;
        let key = session.log.unwrap_keys(&wrapped).await?;
        open_tree(&key, &mut tree)?;
    }
    SavedPlan::from_tree(tree).map_err(|error| wrong(error.to_string()))
}
