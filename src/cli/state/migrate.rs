//! `plinth state migrate`

use std::path::PathBuf;

use clap::Args;
use plinth_stacks::model::Encryption;
use plinth_state::{Former, Migration};

use super::super::failure::{Code, Failure};
use super::super::session::{Home, azure_credentials};
use super::super::stack_args::{OutputArgs, PlaceArgs};
use super::{LockArgs, holder};
use crate::present;

/// Move state to other storage: copied, verified, resumable; the old place then says where it went
#[derive(Debug, Args)]
pub struct Migrate {
    /// Where state lives
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it shall live
    #[arg(long, value_name = "URL")]
    to: String,
    /// Only this stack, by its name in the state [default: every stack]
    #[arg(short, long, value_name = "STACK")]
    stack: Option<String>,
    /// The passphrase that protects secrets in state; without one, an identity file beside the state does
    #[arg(long, env = "PLINTH_PASSPHRASE", hide_env_values = true, hide = true)]
    passphrase: Option<String>,
    /// The age identity file that opens secrets in state [default: one beside the state]
    #[arg(long, env = "PLINTH_IDENTITY", hide = true, value_name = "FILE")]
    identity: Option<PathBuf>,
    #[command(flatten)]
    lock: LockArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

impl Migrate {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        if self.from.trim_end_matches('/') == self.to.trim_end_matches('/') {
            return Err(Failure::new("`--from` and `--to` are the same"));
        }
        let place = |url: &str| PlaceArgs {
            state: Some(url.to_owned()),
            rehearse: false,
            faults: None,
            passphrase: self.passphrase.clone(),
            identity: self.identity.clone(),
        };
        let old = Home::of(&place(&self.from), None, "")?;
        let new = Home::of(&place(&self.to), None, "")?;
        // What is recorded and printed has no password in it.
        let (from_url, to_url) = (plinth_state::shown_url(&old.url), plinth_state::shown_url(&new.url));
        let keys = old.keys(&place(&self.from), &Encryption::Auto)?;
        let migration = Migration {
            from: crate::cli::storage::open(&old.url).await?,
            to: crate::cli::storage::open(&new.url).await?,
            to_url: to_url.clone(),
            keys,
            // There is no stack file here: the log says which key each stack needs.
            former: Former {
                passphrase: self.passphrase.clone(),
                identity: Some(self.identity.clone().unwrap_or_else(|| old.identity.clone())),
                azure: azure_credentials(),
            },
            holder: holder("state migrate"),
            lock_timeout: self.lock.timeout(),
        };
        let stacks = match &self.stack {
            Some(stack) => vec![stack.clone()],
            None => plinth_state::stacks(&*migration.from).await?,
        };
        if stacks.is_empty() {
            return Err(Failure::new(format!("there is no stack's state in {from_url}")));
        }
        let brought = bring_identity(&old, &new)?;
        for stack in &stacks {
            let moved = migration.run(stack).await?;
            let event = serde_json::json!({
                "event": "migrated", "stack": stack, "from": from_url, "to": to_url, "copied": moved.copied,
                "present": moved.present, "entries": moved.entries, "resources": moved.resources,
            });
            present::out(&if self.output.json {
                format!("{event}\n")
            } else {
                let objects = present::count(moved.copied, "object");
                let there = if moved.present > 0 {
                    format!(", {} were there already", moved.present)
                } else {
                    String::new()
                };
                format!(
                    "Moved {stack}: {objects} copied{there}; {} and {} verified.\n",
                    present::count(moved.entries, "entry"),
                    present::count(moved.resources as u64, "resource"),
                )
            });
        }
        if !self.output.json {
            if brought {
                present::out(&format!("The key of its secrets was copied to {}.\n", new.identity.display()));
            }
            present::out(&format!(
                "Set `settings.state: {}` in the stack file, or `--state`. Runs against the old place stop and say so.\n",
                to_url
            ));
        }
        Ok(Code::Done)
    }
}

/// The identity file lies beside the state: it goes along, and stays at the old place too.
fn bring_identity(old: &Home, new: &Home) -> Result<bool, Failure> {
    if old.identity == new.identity || !old.identity.exists() || new.identity.exists() {
        return Ok(false);
    }
    let failed = |error: std::io::Error| {
        Failure::new(format!("the identity file {} cannot be copied: {error}", old.identity.display()))
    };
    if let Some(folder) = new.identity.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // A copy keeps the permissions.
    std::fs::copy(&old.identity, &new.identity).map_err(failed)?;
    Ok(true)
}
