//! `plinth state mv --to-stack`: resources from one stack's state to another's.

use plinth_provider::{Urn, Value};
use plinth_stacks::model::Cloud;
use plinth_state::{State, Transfer, shown_url};

use super::super::failure::Failure;
use super::super::lookup::select;
use super::super::session::Session;
use super::{Code, LEASE, LockArgs, StackArgs, edit, holder, note};
use crate::present;

/// Moves resources to another stack.
pub async fn run(
    args: &StackArgs,
    wanted: &[String],
    to: &str,
    force: bool,
    lock: LockArgs,
) -> Result<Code, Failure> {
    let from = Session::open(args).await?;
    let there = StackArgs { stack: to.to_owned(), ..args.clone() };
    let to = from.open_beside(&there).await?;
    if from.name == to.name {
        return Err(Failure::new(format!("`{}` is the stack that they are in", to.name))
            .help("`plinth state mv RESOURCE NAME` renames within a stack"));
    }
    let urns = match named(&from.state, wanted) {
        Ok(urns) => urns,
        // Whoever runs the command again finds them where they were to go.
        Err(failure) => {
            return match named(&to.state, wanted) {
                Ok(_) => {
                    note(args, &format!("{} has them already; there was nothing to change.", to.name));
                    Ok(Code::Done)
                }
                Err(_) => Err(failure),
            };
        }
    };
    fits(&from, &to, &urns)?;
    let list = urns.iter().map(Urn::as_str).collect::<Vec<_>>().join(" ");
    let transfer = Transfer {
        from: (&from.log, from.state.clone()),
        to: (&to.log, to.state.clone()),
        from_url: shown_url(&from.home.url),
        urns: urns.clone(),
        force,
        command: format!("state mv {list} --to-stack {}", to.name),
        holder: holder("state mv"),
        ttl: LEASE,
        lock_timeout: lock.timeout(),
    };
    // Refused before anything is written, where that is clear already.
    transfer.parcel()?;
    let parcel = transfer.run().await??;
    let arrived: Vec<&Urn> = parcel.resources.iter().map(|tracked| &tracked.urn).collect();
    let names: Vec<&str> = arrived.iter().map(|urn| urn.short()).collect();
    let back = edit::command(
        format!("plinth state mv {} --to-stack {}", names.join(" "), quoted(&args.stack)),
        &there,
    );
    present::out(&if args.output.json {
        let event = serde_json::json!({
            "event": "moved", "stack": from.name, "to": to.name, "urns": urns, "became": arrived, "undo": back,
        });
        format!("{event}\n")
    } else {
        format!(
            "Moved {} from {} to {}: {}. No system was asked or touched.\nDeclare what was moved in the stack file of {}, \
             and no longer in that of {}; the next apply of {} marks what exists as its own.\nTo take it back: {back}\n",
            present::count(urns.len() as u64, "resource"),
            from.name,
            to.name,
            present::clean(&names.join(", ")),
            to.name,
            from.name,
            to.name,
        )
    });
    Ok(Code::Done)
}

fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn named(state: &State, wanted: &[String]) -> Result<Vec<Urn>, Failure> {
    let all: Vec<&Urn> = state.resources.keys().collect();
    Ok(select(wanted, &all)?.into_iter().collect())
}

/// Refuses a stack from which what exists cannot be reached.
fn fits(from: &Session, to: &Session, urns: &[Urn]) -> Result<(), Failure> {
    if let Some(why) = apart(from, to) {
        return Err(Failure::new(format!(
            "{} and {} do not live in the same cloud: {why}",
            from.name, to.name
        ))
        .help("what exists stays where it is, so both stacks must reach it alike"));
    }
    for urn in urns {
        if to.providers.of(urn.kind()).is_err() {
            return Err(Failure::new(format!("the stack {} has no provider for {urn}", to.name)));
        }
        // A cluster that a stack makes is reached by what it recorded of it.
        let connection = from.state.resources.get(urn).and_then(|tracked| tracked.connection.as_ref());
        let provider = urn.kind().split(':').next();
        let others: Vec<Option<&Value>> = to
            .state
            .resources
            .values()
            .filter(|tracked| tracked.urn.kind().split(':').next() == provider)
            .map(|tracked| tracked.connection.as_ref())
            .collect();
        if !others.is_empty() && !others.contains(&connection) {
            return Err(Failure::new(format!(
                "{urn} is reached in another way than everything of its kind in {}: it lives in another cluster",
                to.name
            ))
            .help("what exists stays where it is, so both stacks must reach it alike"));
        }
    }
    Ok(())
}

/// In what the clouds of two stacks differ that decides what they reach.
fn apart(from: &Session, to: &Session) -> Option<String> {
    let differ = |what: &str, one: &str, other: &str| {
        (one != other).then(|| format!("their {what} are `{one}` and `{other}`"))
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    if from.place.is_some() && to.place.is_some() {
        let shown = |session: &Session| session.home.place.display().to_string();
        return differ("places", &shown(from), &shown(to));
    }
    match (&from.loaded.stack.cloud, &to.loaded.stack.cloud) {
        (Cloud::Existing(one), Cloud::Existing(other)) => {
            let file = |session: &Session, file: &Option<String>| {
                file.as_ref().map(|file| session.loaded.stack.directory.join(file).display().to_string())
            };
            differ(
                "kubeconfigs",
                &text(&file(from, &one.kubeconfig.as_ref().map(ToString::to_string))),
                &text(&file(to, &other.kubeconfig.as_ref().map(ToString::to_string))),
            )
            .or_else(|| differ("contexts", &text(&one.context), &text(&other.context)))
        }
        (Cloud::Aws(one), Cloud::Aws(other)) => differ("regions", &one.region, &other.region)
            .or_else(|| differ("accounts", &text(&one.account_id), &text(&other.account_id)))
            .or_else(|| differ("roles", &text(&one.role_arn), &text(&other.role_arn))),
        (Cloud::Gcp(one), Cloud::Gcp(other)) => differ("projects", &one.project, &other.project)
            .or_else(|| differ("regions", &one.region, &other.region)),
        (Cloud::Azure(one), Cloud::Azure(other)) => {
            differ("subscriptions", &one.subscription, &other.subscription)
                .or_else(|| differ("resource groups", &one.resource_group, &other.resource_group))
        }
        (one, other) => differ("clouds", one.name(), other.name()),
    }
}
