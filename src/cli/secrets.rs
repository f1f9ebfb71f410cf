//! `plinth secrets`

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use plinth_provider::Value;
use plinth_stacks::file::check_secret_name;
use plinth_state::{Event, Former, Writer};

use super::failure::{Code, Failure};
use super::session::{Session, azure_credentials, holder};
use super::stack_args::{StackArgs, style};
use crate::present::{self, secrets::Listed};

/// Set, list and remove the stack's secrets, and change the keys that protect them
#[derive(Debug, Args)]
pub struct Secrets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a secret that the stack file uses as `fromStack: NAME` or `${secret.NAME}`
    ///
    /// The value is read from --value-file, from standard input, or, on a terminal, from a prompt that does not show it;
    /// never from the command line, which other users and the shell's history can see. One line end after it is not part of it.
    Set {
        #[command(flatten)]
        common: Common,
        /// Its name: letters, digits, `_` and `-`
        #[arg(value_name = "NAME")]
        name: String,
        /// Refused, but told why
        #[arg(hide = true)]
        value: Option<String>,
        /// Read the value from a file; `-` is standard input
        #[arg(long, value_name = "FILE")]
        value_file: Option<PathBuf>,
    },
    /// List the secrets: their names, when they were set, who uses them; never their values
    List {
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Remove a secret
    Rm {
        #[command(flatten)]
        common: Common,
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Remove it although the stack file uses it
        #[arg(long)]
        force: bool,
    },
    /// Seal with a new data key from now on, protected by what the stack file's `settings.encryption` says now
    ///
    /// To change from one key to another, or to add or remove a recipient: edit the stack file, then run this. Where the secrets
    /// were protected by a passphrase until now, give it in PLINTH_OLD_PASSPHRASE; where by an identity file, it is looked for
    /// where it was, or in --old-identity. Cloud keys are asked by the name in the log.
    Rotate {
        #[command(flatten)]
        common: Common,
        /// The passphrase until now
        #[arg(long, env = "PLINTH_OLD_PASSPHRASE", hide_env_values = true, hide = true)]
        old_passphrase: Option<String>,
        /// The identity file until now
        #[arg(long, env = "PLINTH_OLD_IDENTITY", value_name = "FILE")]
        old_identity: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    stack: StackArgs,
    /// How long to wait for another run of the stack to end, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    lock_timeout: u64,
}

impl Secrets {
    /// Runs the command.
    pub async fn run(self) -> Result<Code, Failure> {
        match self.command {
            Command::Set { common, name, value, value_file } => {
                if value.is_some() {
                    return Err(Failure::new(
                        "a secret is not given on the command line, where others can see it",
                    )
                    .help(format!(
                        "give it on standard input or with --value-file: plinth secrets set {} < FILE",
                        shown(&name)
                    )));
                }
                set(&common, &name, value_file).await
            }
            Command::List { stack } => list(&stack).await,
            Command::Rm { common, name, force } => remove(&common, &name, force).await,
            Command::Rotate { common, old_passphrase, old_identity } => {
                rotate(&common, old_passphrase, old_identity).await
            }
        }
    }
}

/// A name that is none may be a value in the wrong place.
fn shown(name: &str) -> &str {
    if check_secret_name(name).is_ok() { name } else { "NAME" }
}

async fn set(common: &Common, name: &str, file: Option<PathBuf>) -> Result<Code, Failure> {
    check_secret_name(name).map_err(|why| {
        Failure::new(format!("this cannot name a secret: {why}"))
            .help("the first argument is the name; the value is read from standard input")
    })?;
    // The stack is opened first: nobody types a secret for nothing.
    let session = Session::open(&common.stack).await?;
    let value = Value::secret(read_value(name, file)?);
    if session.state.secrets.get(name).is_some_and(|secret| secret.value == value) {
        told(
            &session,
            common,
            name,
            "unchanged",
            &format!("The secret {name} of {} has this value already.", session.name),
        );
        return Ok(Code::Done);
    }
    let events = vec![Event::SecretSet { name: name.to_owned(), value }];
    under_lease(&session, common, "secrets set", async |writer| writer.append(events).await).await?;
    let used = uses(&session, name);
    let next = match used.len() {
        0 => format!("nothing uses it yet: refer to it as `fromStack: {name}` or `${{secret.{name}}}`"),
        _ => format!("used by {}; `plinth apply` brings it there", used.join(", ")),
    };
    told(&session, common, name, "set", &format!("The secret {name} of {} is set; {next}.", session.name));
    Ok(Code::Done)
}

/// The value; its last line end is not part of it.
fn read_value(name: &str, file: Option<PathBuf>) -> Result<String, Failure> {
    let cannot = |from: &str, why: &dyn std::fmt::Display| {
        Failure::new(format!("the value of {name} cannot be read from {from}: {why}"))
    };
    let stdin = file.as_ref().is_none_or(|file| file.as_os_str() == "-");
    let bytes = if stdin && std::io::stdin().is_terminal() {
        if !std::io::stderr().is_terminal() {
            return Err(Failure::new("there is no terminal to ask for the value on").help("use --value-file"));
        }
        present::err(&format!("Value of {name} (not shown): "));
        console::Term::stderr()
            .read_secure_line()
            .map_err(|error| cannot("the terminal", &error))?
            .into_bytes()
    } else if stdin {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| cannot("standard input", &error))?;
        bytes
    } else {
        let file = file.unwrap_or_default();
        std::fs::read(&file).map_err(|error| cannot(&file.display().to_string(), &error))?
    };
    let mut value = String::from_utf8(bytes).map_err(|_| {
        Failure::new(format!("the value of {name} is not text")).help("encode it, for example with base64")
    })?;
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    if value.is_empty() {
        return Err(Failure::new(format!("the value of {name} is empty"))
            .help("`plinth secrets rm` removes a secret"));
    }
    Ok(value)
}

async fn list(args: &StackArgs) -> Result<Code, Failure> {
    let session = Session::open(args).await?;
    let mut names: Vec<&str> = session.state.secrets.keys().map(String::as_str).collect();
    for used in &session.loaded.secret_uses {
        if !names.contains(&used.name.as_str()) {
            names.push(&used.name);
        }
    }
    names.sort_unstable();
    let listed: Vec<Listed<'_>> = names
        .into_iter()
        .map(|name| Listed { name, secret: session.state.secrets.get(name), used_by: uses(&session, name) })
        .collect();
    let text = if args.output.json {
        present::secrets::json(&listed)
    } else {
        present::secrets::text(&session.name, &listed, &jiff::tz::TimeZone::system(), &style())
    };
    present::out(&text);
    Ok(Code::Done)
}

async fn remove(common: &Common, name: &str, force: bool) -> Result<Code, Failure> {
    let session = Session::open(&common.stack).await?;
    if !session.state.secrets.contains_key(name) {
        return Err(Failure::new(format!("stack `{}` has no secret `{}`", session.name, shown(name)))
            .help("`plinth secrets list` lists them"));
    }
    let used = uses(&session, name);
    if !used.is_empty() && !force {
        return Err(Failure::new(format!("the secret `{name}` is used by {}", used.join(", ")))
            .help("take it out of the stack file first, or give --force: nothing can be applied then until it is set again"));
    }
    let events = vec![Event::SecretRemoved { name: name.to_owned() }];
    under_lease(&session, common, "secrets rm", async |writer| writer.append(events).await).await?;
    told(&session, common, name, "removed", &format!("The secret {name} of {} is removed.", session.name));
    Ok(Code::Done)
}

async fn rotate(
    common: &Common,
    old_passphrase: Option<String>,
    old_identity: Option<PathBuf>,
) -> Result<Code, Failure> {
    let given = &common.stack.place;
    let former = |home: &super::session::Home| {
        Some(Former {
            passphrase: old_passphrase.clone().or_else(|| given.passphrase.clone()),
            identity: Some(
                old_identity
                    .clone()
                    .or_else(|| given.identity.clone())
                    .unwrap_or_else(|| home.identity.clone()),
            ),
            azure: azure_credentials(),
        })
    };
    let session = Session::open_quietly(&common.stack, former).await?;
    let Some(before) = session.state.key.clone() else {
        told_rotated(
            common,
            &session,
            0,
            &format!("Stack {} has no secrets yet: there is no data key to rotate.", session.name),
        );
        return Ok(Code::Done);
    };
    under_lease(&session, common, "secrets rotate", async |writer| writer.rotate().await).await?;
    let earlier = session.log.data_keys().older().len();
    let keys = session.log.keys();
    let over = if keys.wraps_as(&before) {
        String::new()
    } else {
        format!(", and no longer by {}", before.opened_by())
    };
    let text = format!(
        "A new data key seals the secrets of {} from now on; it is protected by {keys}{over}. {} open{} what {} sealed.\n\
         Whoever could read the secrets before may have kept them: where that matters, set new values too.",
        session.name,
        present::count(earlier as u64, "earlier key"),
        if earlier == 1 { "s" } else { "" },
        if earlier == 1 { "it" } else { "they" },
    );
    told_rotated(common, &session, earlier, &text);
    Ok(Code::Done)
}

async fn under_lease(
    session: &Session,
    common: &Common,
    command: &str,
    work: impl AsyncFnOnce(&Writer) -> plinth_state::Result<()>,
) -> Result<(), Failure> {
    let settings = crate::engine::Settings::default();
    let (holder, wait) = (holder(&format!("plinth {command}")), Duration::from_secs(common.lock_timeout));
    let writer = session.log.acquire(session.state.clone(), holder, settings.lease_ttl, wait).await?;
    let done = work(&writer).await;
    let released = writer.release().await;
    done?;
    Ok(released?)
}

/// Who uses a secret, as a person calls it.
fn uses(session: &Session, name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for used in session.loaded.secret_uses.iter().filter(|used| used.name == name) {
        let user = used.resource.clone().unwrap_or_else(|| used.path.to_string());
        if !found.contains(&user) {
            found.push(user);
        }
    }
    found
}

fn told(session: &Session, common: &Common, name: &str, action: &str, text: &str) {
    present::out(&if common.stack.output.json {
        let event = serde_json::json!({
            "event": "secret", "stack": session.name, "name": name, "action": action, "usedBy": uses(session, name),
        });
        format!("{event}\n")
    } else {
        format!("{text}\n")
    });
}

fn told_rotated(common: &Common, session: &Session, earlier: usize, text: &str) {
    present::out(&if common.stack.output.json {
        let event = serde_json::json!({
            "event": "rotated", "stack": session.name, "earlierKeys": earlier, "protectedBy": session.log.keys().to_string(),
        });
        format!("{event}\n")
    } else {
        format!("{text}\n")
    });
}
