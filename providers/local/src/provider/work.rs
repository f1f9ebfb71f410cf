//! Creating, changing and removing: submit, record the operation, wait for its end, look at what came of it.

use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use plinth_provider::{Class, Context, Error, Recorded, Request, Result, Urn, Value};

use super::client::{Client, Failure};
use super::plan;
use crate::cloud::{CloudKind, Code, Owner, Progress, Record, Refusal, Status, Submission};

/// How long one look at an operation waits for its end.
const LOOK: Duration = Duration::from_millis(400);

/// What a call waits for now: shown while it waits, and named when the deadline passes.
struct Watch<'a> {
    client: &'a Client,
    context: &'a Context,
    now: Mutex<String>,
}

impl<'a> Watch<'a> {
    fn new(client: &'a Client, context: &'a Context, now: String) -> Self {
        Self { client, context, now: Mutex::new(now) }
    }

    fn says(&self) -> String {
        self.now.lock().map(|now| now.clone()).unwrap_or_default()
    }

    fn waiting(&self, reason: String) {
        self.context.reporter.waiting(&reason);
        if let Ok(mut now) = self.now.lock() {
            *now = reason;
        }
    }

    /// Waits for an operation. One that is forgotten has ended; what came of it shows in the resource.
    async fn until_done(&self, id: &str) -> Result<()> {
        loop {
            let Some(waited) = self.client.operation(id, LOOK).await? else { return Ok(()) };
            let operation = waited.operation;
            let what = format!("{} `{}`", operation.kind.spec().noun, operation.name);
            match operation.progress {
                Progress::Done => return Ok(()),
                Progress::Failed => {
                    let why = operation.error.unwrap_or_else(|| "the cloud does not say why".to_owned());
                    let message = format!("{} of {what} failed: {why}", operation.action);
                    return Err(Error::unavailable(message));
                }
                Progress::Running => {
                    self.waiting(format!("{what} {}, {} %", operation.status(), waited.percent))
                }
            }
        }
    }

    /// Waits until what is in the way of a request is over.
    async fn until_free(&self, refusal: &Refusal) -> Result<()> {
        self.waiting(refusal.message.clone());
        match &refusal.operation {
            // How the other one ends is not our concern.
            Some(id) if !id.is_empty() => match self.until_done(id).await {
                Err(error) if error.class != Class::Unavailable => Err(error),
                _ => Ok(()),
            },
            _ => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
        }
    }

    /// Waits for what runs on a resource, and reads it again.
    async fn settled(&self, kind: CloudKind, name: &str) -> Result<Option<Record>> {
        loop {
            let Some(record) = self.client.get(kind, name).await? else { return Ok(None) };
            let Some(id) = &record.operation else { return Ok(Some(record)) };
            self.until_done(id).await?;
        }
    }

    /// Begins a change as often as it takes until nothing is in the way, and waits for its end.
    async fn change(&self, method: Method, kind: CloudKind, name: &str, submission: &Submission) -> Ended {
        loop {
            match self.client.submit(method.clone(), kind, name, submission).await {
                Ok(accepted) => {
                    if let Some(operation) = accepted.operation {
                        self.context.reporter.started(&operation.id).await?;
                        self.until_done(&operation.id).await?;
                    }
                    return Ok(());
                }
                Err(Failure::Refused(refusal)) if refusal.code == Code::Busy => {
                    self.until_free(&refusal).await?
                }
                Err(failure) => return Err(Stop::Failed(failure)),
            }
        }
    }

    /// An earlier run began an operation and did not see its end.
    async fn resume(&self) -> Result<()> {
        match &self.context.handle {
            Some(id) => match self.until_done(id).await {
                // What failed then is tried again now.
                Err(error) if error.class == Class::Unavailable => Ok(()),
                result => result,
            },
            None => Ok(()),
        }
    }
}

type Ended = std::result::Result<(), Stop>;

enum Stop {
    Failed(Failure),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Stop {
    fn safe(self) -> Error {
        match self {
            Self::Failed(failure) => failure.safe(),
            Self::Error(error) => error,
        }
    }
}

fn identity(urn: &Urn, inputs: &Value) -> Result<(CloudKind, String)> {
    let kind = CloudKind::parse(urn.kind())?;
    let name = kind
        .full_name(inputs)
        .ok_or_else(|| Error::invalid(format!("{urn} has no name")).at("name".into()))?;
    Ok((kind, name))
}

fn owner(context: &Context, urn: &Urn) -> Owner {
    Owner { stack: context.stack.clone(), urn: urn.as_str().to_owned() }
}

fn submission(context: &Context, urn: &Urn, inputs: &Value) -> Submission {
    Submission {
        inputs: inputs.expose(),
        tags: Some(owner(context, urn)),
        takes_over: None,
        client_token: context.token.clone(),
    }
}

/// What was moved here from another stack's state is recorded as not settled, and has that one's tags until it is written.
fn taken_over(recorded: &Recorded) -> Option<String> {
    recorded.unsettled.then(|| recorded.id.clone())
}

fn vanished(kind: CloudKind, name: &str) -> Error {
    Error::new(Class::NotFound, format!("{} `{name}` is gone", kind.spec().noun))
}

pub async fn create(client: &Client, context: &Context, request: Request<'_>) -> Result<Record> {
    let (kind, name) = identity(request.urn, request.inputs)?;
    let watch = Watch::new(client, context, format!("creating {} `{name}`", kind.spec().noun));
    let submission = submission(context, request.urn, request.inputs);
    let work = async {
        watch.resume().await?;
        match watch.change(Method::POST, kind, &name, &submission).await {
            Ok(()) => {}
            Err(Stop::Failed(Failure::Refused(refusal))) if refusal.code == Code::AlreadyExists => {
                adopt(&watch, kind, &name, &submission, *refusal).await?;
            }
            Err(Stop::Failed(failure)) => return Err(failure.of_create()),
            Err(Stop::Error(error)) => return Err(error),
        }
        watch.settled(kind, &name).await?.ok_or_else(|| vanished(kind, &name))
    };
    context.bounded(|| watch.says(), work).await
}

/// What exists and is ours is brought to the inputs; anything else is left alone.
async fn adopt(
    watch: &Watch<'_>,
    kind: CloudKind,
    name: &str,
    submission: &Submission,
    refusal: Refusal,
) -> Result<()> {
    let Some(record) = watch.client.get(kind, name).await? else {
        return Err(Error::unavailable(format!("{} `{name}` has just gone", kind.spec().noun)));
    };
    if record.tags != submission.tags {
        return Err(Failure::Refused(Box::new(refusal)).of_create());
    }
    if let Some(id) = &record.operation
        && let Err(error) = watch.until_done(id).await
        && error.class != Class::Unavailable
    {
        return Err(error);
    }
    watch.change(Method::PUT, kind, name, submission).await.map_err(Stop::safe)
}

pub async fn update(
    client: &Client,
    context: &Context,
    request: Request<'_>,
    recorded: &Recorded,
) -> Result<Record> {
    let (kind, name) = identity(request.urn, request.inputs)?;
    let watch = Watch::new(client, context, format!("updating {} `{name}`", kind.spec().noun));
    let submission =
        Submission { takes_over: taken_over(recorded), ..submission(context, request.urn, request.inputs) };
    let work = async {
        watch.resume().await?;
        watch.change(Method::PUT, kind, &name, &submission).await.map_err(Stop::safe)?;
        watch.settled(kind, &name).await?.ok_or_else(|| vanished(kind, &name))
    };
    context.bounded(|| watch.says(), work).await
}

pub async fn delete(client: &Client, context: &Context, recorded: &Recorded) -> Result<()> {
    let (kind, name) = identity(&recorded.urn, &recorded.inputs)?;
    let watch = Watch::new(client, context, format!("deleting {} `{name}`", kind.spec().noun));
    let mut how = Value::map();
    for path in kind.schema().at_delete {
        if let Some(value) = recorded.inputs.at(&path) {
            how.set(&path, value.clone());
        }
    }
    let submission =
        Submission { takes_over: taken_over(recorded), ..submission(context, &recorded.urn, &how) };
    let work = async {
        watch.resume().await?;
        match watch.change(Method::DELETE, kind, &name, &submission).await {
            Ok(()) => Ok(()),
            Err(Stop::Failed(Failure::Refused(refusal))) if refusal.code == Code::NotFound => Ok(()),
            Err(stop) => Err(stop.safe()),
        }
    };
    context.bounded(|| watch.says(), work).await
}

pub async fn read(client: &Client, context: &Context, recorded: &Recorded) -> Result<Option<Record>> {
    let kind = CloudKind::parse(recorded.urn.kind())?;
    let work = async {
        match kind.full_name(&recorded.inputs) {
            Some(name) => client.get(kind, &name).await,
            None => Ok(plan::found_in(&client.list(kind).await?, kind, recorded).cloned()),
        }
    };
    match context.bounded(|| format!("reading {}", recorded.urn), work).await? {
        Some(record) => going(client, context, record).await,
        None => Ok(None),
    }
}

/// What is about to go is waited for: whoever asks now must not build on it.
pub async fn going(client: &Client, context: &Context, record: Record) -> Result<Option<Record>> {
    if record.status != Status::Deleting {
        return Ok(Some(record));
    }
    let what = format!("{} `{}` to be gone", record.kind.spec().noun, record.name);
    let watch = Watch::new(client, context, format!("waiting for {what}"));
    context.bounded(|| watch.says(), watch.settled(record.kind, &record.name)).await
}

/// Waits for what runs on it: what is found is ready, or gone.
pub async fn find(client: &Client, context: &Context, request: Request<'_>) -> Result<Option<Record>> {
    let (kind, name) = identity(request.urn, request.inputs)?;
    let watch = Watch::new(client, context, format!("looking for {} `{name}`", kind.spec().noun));
    let work = async {
        let ours = |record: &Record| record.tags.as_ref() == Some(&owner(context, request.urn));
        match client.get(kind, &name).await? {
            Some(record) if ours(&record) => match watch.settled(kind, &name).await {
                // It is there, whatever became of the operation.
                Err(error) if error.class == Class::Unavailable => client.get(kind, &name).await,
                settled => settled,
            },
            _ => Ok(None),
        }
    };
    let found = context.bounded(|| watch.says(), work).await?;
    Ok(found.filter(|record| record.status != Status::Deleting))
}

/// What stands under the name that the inputs say, whoever made it.
pub async fn occupant(client: &Client, context: &Context, request: Request<'_>) -> Result<Option<Record>> {
    let kind = CloudKind::parse(request.urn.kind())?;
    let Some(name) = kind.full_name(request.inputs) else { return Ok(None) };
    let asked = client.get(kind, &name);
    let found = context.bounded(|| format!("looking for {} `{name}`", kind.spec().noun), asked).await?;
    Ok(found.filter(|record| record.status != Status::Deleting))
}
