//! Updates: EKS gives each change an id, lets one happen at a time, and says by that id how it ended. The state of the
//! cluster alone says less: it turns ACTIVE while an update is still going on.

use aws_sdk_eks::types::{Update, UpdateStatus};
use plinth_provider::{Class, Error, Result};

use super::{Call, is_under_way, issues};
use crate::error::{is_missing, refused};
use crate::wait::{Look, until};

/// What is changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    Cluster,
    NodeGroup(&'a str),
    AddOn(&'a str),
}

/// What is changed, and in which cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub cluster: &'a str,
    pub of: Of<'a>,
}

/// How an attempt to change something began.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is done.
    Done,
    /// Something else was in the way; that is over now. What still differs has to be looked up again.
    Waited,
}

/// The handle of an update that an earlier run began.
const HANDLE: &str = "update:";

impl Target<'_> {
    fn noun(&self) -> String {
        match self.of {
            Of::Cluster => format!("the cluster {}", self.cluster),
            Of::NodeGroup(name) => format!("the node group {name}"),
            Of::AddOn(name) => format!("the add-on {name}"),
        }
    }

    async fn look(&self, call: &Call<'_>, id: &str) -> Result<Option<Update>> {
        let ask = call.aws.eks.describe_update().name(self.cluster).update_id(id);
        let ask = match self.of {
            Of::Cluster => ask,
            Of::NodeGroup(name) => ask.nodegroup_name(name),
            Of::AddOn(name) => ask.addon_name(name),
        };
        match ask.send().await {
            Ok(answer) => Ok(answer.update),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(refused("eks:DescribeUpdate", &format!("{id} of {}", self.noun()), error)),
        }
    }

    /// Waits until an update has ended, however it ends. One that EKS does not know any more has.
    async fn ended(&self, call: &Call<'_>, id: &str) -> Result<Option<Update>> {
        until(call.context, call.settings.poll, || async {
            Ok(match self.look(call, id).await? {
                Some(update) if update.status() == Some(&UpdateStatus::InProgress) => {
                    let kind = update.r#type().map_or("a change", |kind| kind.as_str());
                    let said = errors(&update);
                    let colon = if said.is_empty() { "" } else { ": " };
                    Look::Waiting(format!("{}: {kind} is in progress{colon}{said}", self.noun()))
                }
                ended => Look::Done(ended),
            })
        })
        .await
    }

    /// Waits for the end of an update of ours; one that failed is an error with EKS's reasons.
    async fn done(&self, call: &Call<'_>, id: &str) -> Result<()> {
        let Some(update) = self.ended(call, id).await? else { return Ok(()) };
        let status = match update.status() {
            Some(UpdateStatus::Failed) => "failed",
            Some(UpdateStatus::Cancelled) => "was cancelled",
            _ => return Ok(()),
        };
        let kind = update.r#type().map_or("the change", |kind| kind.as_str());
        let said = errors(&update);
        let why = if said.is_empty() { "EKS does not say why" } else { &said };
        let error = Error::invalid(format!("{}: {kind} {status}: {why}", self.noun()));
        Err(if said.contains("PodEvictionFailure") {
            error.help(
                "a pod did not leave its node in time, most likely for a PodDisruptionBudget that allows no disruption \
                 (`kubectl get pdb -A` shows which); relax it and run again, or set `force: true` to go on in spite of it",
            )
        } else {
            error.help("put right what it says and run the same command again")
        })
    }

    /// Waits for what an earlier run began. How that ended shows in what then still differs.
    pub async fn resume(&self, call: &Call<'_>) -> Result<()> {
        let Some(id) = call.context.handle.as_deref().and_then(|handle| handle.strip_prefix(HANDLE)) else {
            return Ok(());
        };
        self.ended(call, id).await.map(drop)
    }

    /// What became of an attempt to begin an update: its end is waited for under a recorded handle; when something else
    /// is under way, the end of that is.
    pub async fn follow(&self, call: &Call<'_>, begun: Result<Option<Update>>) -> Result<Begun> {
        match begun {
            Ok(update) => {
                if let Some(id) = update.as_ref().and_then(Update::id) {
                    call.context.reporter.started(&format!("{HANDLE}{id}")).await?;
                    self.done(call, id).await?;
                }
                Ok(Begun::Done)
            }
            Err(error) if is_under_way(&error) => {
                self.unblocked(call, &error).await?;
                Ok(Begun::Waited)
            }
            // A repeated request meets the end of its first try.
            Err(error) if error.message.contains("already at the desired configuration") => Ok(Begun::Waited),
            Err(error) => Err(error),
        }
    }

    /// Waits until what a refusal tells of is over: the update that it names, else a moment.
    pub async fn unblocked(&self, call: &Call<'_>, refusal: &Error) -> Result<()> {
        call.context.reporter.waiting(&refusal.message);
        if let Some(id) = update_id(&refusal.message) {
            // It may be the cluster's or one of a part of it; what is unknown under the one is looked up under the other.
            let cluster = Target { cluster: self.cluster, of: Of::Cluster };
            if cluster.look(call, &id).await?.is_some() {
                return cluster.ended(call, &id).await.map(drop);
            }
            if self.look(call, &id).await?.is_some() {
                return self.ended(call, &id).await.map(drop);
            }
        }
        let pause = call.settings.poll.0.max(std::time::Duration::from_millis(20));
        let late = || refusal.message.clone();
        call.context
            .bounded(late, async {
                tokio::time::sleep(pause).await;
                Ok(())
            })
            .await
    }
}

/// Repeats a call while something else is under way with the cluster.
pub(super) async fn when_free<T, Calling>(
    call: &Call<'_>,
    target: Target<'_>,
    mut attempt: impl FnMut() -> Calling,
) -> Result<T>
where
    Calling: Future<Output = Result<T>>,
{
    loop {
        match attempt().await {
            Err(error) if is_under_way(&error) => target.unblocked(call, &error).await?,
            result => return result,
        }
        if call.context.cancel.is_cancelled() {
            return Err(Error::new(Class::Cancelled, "interrupted"));
        }
    }
}

fn errors(update: &Update) -> String {
    issues(update.errors().iter().map(|error| {
        (error.error_code().map(|code| code.as_str()), error.error_message(), error.resource_ids())
    }))
}

/// The id of the update that a refusal names: a UUID somewhere in its words.
fn update_id(text: &str) -> Option<String> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |word: &&str| {
        let groups: Vec<&str> = word.split('-').collect();
        groups.len() == GROUPS.len()
            && groups.iter().zip(GROUPS).all(|(group, length)| {
                group.len() == length && group.chars().all(|letter| letter.is_ascii_hexdigit())
            })
    };
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.find(is_uuid).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_is_in_the_way() {
        let said = "Cannot LoggingUpdate because cluster dev currently has update \
                    2f6b5b9c-0a4e-4d3c-9d7e-8c1f0f3f1a11 in progress (ResourceInUseException)";
        assert_eq!(update_id(said).as_deref(), Some("2f6b5b9c-0a4e-4d3c-9d7e-8c1f0f3f1a11"));
        assert_eq!(update_id("an update is in progress"), None);
    }
}
