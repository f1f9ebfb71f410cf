//! The provider of `board:Notice`: a board is a folder, a notice a text file in it.
//!
//! A file's first line is the mark of whose it is. What nobody's or another's mark is on is never overwritten by a create
//! and never deleted.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use plinth::{
    Applied, Class, Context, Error, Kind, KindSchema, Live, Occupant, Owner, Path, Provider, ReadRequest,
    Recorded, Request, Result, Urn, Value,
};

use crate::notice::Notice;

const MARK: &str = "Notice of ";
const PINNED: &str = "Pinned: ";

/// The provider of the kinds that begin with `board:`.
pub struct Board {
    folder: PathBuf,
}

/// A notice as its file has it.
struct Posted {
    mark: Option<String>,
    inputs: Value,
}

impl Board {
    /// A board in a folder, which the first notice makes.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, title: &str) -> PathBuf {
        self.folder.join(format!("{title}.txt"))
    }

    fn outputs(&self, title: &str) -> Value {
        Value::from([
            ("title", Value::from(title)),
            ("file", self.file(title).to_string_lossy().into_owned().into()),
        ])
    }

    async fn look(&self, title: &str) -> Result<Option<Posted>> {
        match tokio::fs::read_to_string(self.file(title)).await {
            Ok(text) => Ok(Some(Posted::parse(title, &text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", title, &error)),
        }
    }

    /// The file changes as a whole or not at all: a new one takes the place of the old one.
    async fn post(&self, request: Request<'_>) -> Result<Applied> {
        let title = title(request.inputs)?;
        let write = async {
            tokio::fs::create_dir_all(&self.folder).await?;
            let draft = self.folder.join(format!(".{title}.draft"));
            tokio::fs::write(&draft, text(request)).await?;
            tokio::fs::rename(&draft, self.file(title)).await
        };
        write.await.map_err(|error| self.failed("write", title, &error))?;
        Ok(Applied { id: title.to_owned(), outputs: self.outputs(title) })
    }

    fn live(&self, title: &str, posted: Posted) -> Live {
        Live {
            id: title.to_owned(),
            outputs: self.outputs(title),
            inputs: posted.inputs,
            details: Default::default(),
        }
    }

    fn failed(&self, what: &str, title: &str, error: &std::io::Error) -> Error {
        let class = match error.kind() {
            ErrorKind::PermissionDenied => Class::Denied,
            ErrorKind::InvalidData | ErrorKind::IsADirectory | ErrorKind::NotADirectory => Class::Invalid,
            _ => Class::Unavailable,
        };
        Error::new(class, format!("cannot {what} {}: {error}", self.file(title).display()))
    }
}

impl Posted {
    fn parse(title: &str, text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or(("", text));
        let find = |key: &str| head.lines().find_map(|line| line.strip_prefix(key));
        let inputs = Value::from([
            ("title", title.into()),
            ("text", body.strip_suffix('\n').unwrap_or(body).into()),
            ("pinned", Value::from(find(PINNED) == Some("true"))),
        ]);
        Self { mark: find(MARK).map(str::to_owned), inputs }
    }

    fn owner(&self, urn: &Urn) -> Owner {
        match self.mark.as_deref() {
            Some(mark) if mark == urn.as_str() => Owner::Ours,
            Some(mark) => {
                let stack = Urn::parse(mark).map_or_else(|_| "?".to_owned(), |urn| urn.stack().to_owned());
                Owner::Other { stack, urn: mark.to_owned() }
            }
            None => Owner::Nobody,
        }
    }
}

fn text(request: Request<'_>) -> String {
    let pinned = request.inputs.get("pinned") == Some(&Value::Bool(true));
    let body = request.inputs.text_at("text").unwrap_or_default();
    format!("{MARK}{}\n{PINNED}{pinned}\n\n{body}\n", request.urn)
}

fn title(inputs: &Value) -> Result<&str> {
    inputs.text_at("title").ok_or_else(|| Error::invalid("`title` is missing").at("title".into()))
}

fn taken(title: &str) -> Error {
    Error::new(Class::AlreadyExists, format!("a notice `{title}` hangs there already, and is not this one"))
        .help("give this one another title, or take that one down")
}

/// What an input may be, in words.
fn check_input(key: &str, value: &Value) -> std::result::Result<(), &'static str> {
    let plain = |text: &str| {
        (1..=60).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match (key, value) {
        ("title" | "text" | "pinned", Value::Unknown) => Ok(()),
        ("title", value) if value.as_str().is_some_and(plain) => Ok(()),
        ("title", _) => Err("is up to 60 lower-case letters, digits and dashes"),
        ("text", value) if value.has_secret() => Err("is for everybody to read; it cannot hold a secret"),
        ("text", Value::String(_)) => Ok(()),
        ("text", _) => Err("is a text"),
        ("pinned", Value::Bool(_)) => Ok(()),
        ("pinned", _) => Err("is `true` or `false`"),
        _ => Err("is not an input; those are `title`, `text` and `pinned`"),
    }
}

#[async_trait]
impl Provider for Board {
    fn name(&self) -> &str {
        "board"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        if kind != Notice::KIND {
            return Err(
                Error::invalid(format!("there is no kind `{kind}`")).help("the kind is `board:Notice`")
            );
        }
        Ok(KindSchema {
            immutable: KindSchema::patterns(&["title"]),
            usual_duration: Duration::from_millis(5),
            default_timeout: Duration::from_secs(30),
            ..KindSchema::default()
        })
    }

    fn check(&self, urn: &Urn, mut inputs: Value) -> Result<Value> {
        self.schema(urn.kind())?;
        if inputs == Value::Unknown {
            return Ok(inputs);
        }
        let Value::Map(map) = &mut inputs else {
            return Err(Error::invalid("inputs are a map"));
        };
        map.entry("pinned".to_owned()).or_insert(Value::Bool(false));
        for (key, value) in map.iter() {
            check_input(key, value)
                .map_err(|why| Error::invalid(format!("`{key}` {why}")).at(Path::root().key(key)))?;
        }
        for key in ["title", "text"] {
            if map.get(key).is_none() {
                return Err(Error::invalid(format!("`{key}` is missing")).at(Path::root().key(key)));
            }
        }
        Ok(inputs)
    }

    fn predict(&self, _urn: &Urn, desired: &Value, _recorded: Option<&Recorded>) -> Value {
        desired.text_at("title").map_or(Value::Unknown, |title| self.outputs(title))
    }

    fn identity(&self, _urn: &Urn, inputs: &Value) -> Option<String> {
        inputs.text_at("title").map(str::to_owned)
    }

    async fn create(&self, context: &Context, request: Request<'_>) -> Result<Applied> {
        let work = async {
            let title = title(request.inputs)?;
            match self.look(title).await? {
                Some(posted) if posted.owner(request.urn) != Owner::Ours => Err(taken(title)),
                _ => self.post(request).await,
            }
        };
        context.bounded(|| "posting".to_owned(), work).await
    }

    async fn read(&self, context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let ReadRequest { recorded } = request;
        let posted = context.bounded(|| "reading".to_owned(), self.look(&recorded.id)).await?;
        // Under another's mark it is another's notice: this one is gone.
        let posted = posted.filter(|posted| !matches!(posted.owner(&recorded.urn), Owner::Other { .. }));
        Ok(posted.map(|posted| self.live(&recorded.id, posted)))
    }

    async fn update(&self, context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        let work = async {
            match self.look(&recorded.id).await?.map(|posted| posted.owner(request.urn)) {
                Some(Owner::Other { .. }) => Err(taken(&recorded.id)),
                _ => self.post(request).await,
            }
        };
        context.bounded(|| "posting".to_owned(), work).await
    }

    async fn delete(&self, context: &Context, recorded: &Recorded) -> Result<()> {
        let work = async {
            match self.look(&recorded.id).await?.map(|posted| posted.owner(&recorded.urn)) {
                None | Some(Owner::Other { .. }) => Ok(()),
                Some(Owner::Nobody) => {
                    context.reporter.warning("its mark is gone, so it is left where it is");
                    Ok(())
                }
                Some(Owner::Ours) => match tokio::fs::remove_file(self.file(&recorded.id)).await {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        Err(self.failed("delete", &recorded.id, &error))
                    }
                    _ => Ok(()),
                },
            }
        };
        context.bounded(|| "taking it down".to_owned(), work).await
    }

    async fn find(&self, context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        let title = title(request.inputs)?;
        let posted = context.bounded(|| "looking".to_owned(), self.look(title)).await?;
        let ours = posted.filter(|posted| posted.owner(request.urn) == Owner::Ours);
        Ok(ours.map(|posted| self.live(title, posted)))
    }

    async fn occupants(&self, context: &Context, requests: &[Request<'_>]) -> Vec<Result<Option<Occupant>>> {
        let mut occupants = Vec::with_capacity(requests.len());
        for request in requests {
            let look = async {
                let Some(title) = request.inputs.text_at("title") else { return Ok(None) };
                let posted = self.look(title).await?;
                Ok(posted.map(|posted| Occupant {
                    owner: posted.owner(request.urn),
                    live: self.live(title, posted),
                }))
            };
            occupants.push(context.bounded(|| "looking".to_owned(), look).await);
        }
        occupants
    }
}

#[cfg(test)]
mod tests {
    use plinth::conformance::{Case, run};

    use super::*;

    fn notice(title: &str, text: &str) -> Value {
        Value::from([("title", title), ("text", text)])
    }

    #[tokio::test]
    async fn the_kind_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let urn = Urn::new("teams", Notice::KIND, "hello").unwrap();
        let case = Case {
            updated: Some(notice("hello", "two\n\nparagraphs\n")),
            replaced: Some(notice("good-bye", "one")),
            ..Case::new(urn, notice("hello", "one"))
        };
        run(&Board::new(folder.path().join("board")), &case).await;
    }

    #[tokio::test]
    async fn a_notice_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new(folder.path().to_owned());
        let file = folder.path().join("hello.txt");
        let urn = Urn::new("teams", Notice::KIND, "hello").unwrap();
        let inputs = board.check(&urn, notice("hello", "ours")).unwrap();
        let request = Request { urn: &urn, inputs: &inputs, connection: None };
        let context = Context::new("teams", Duration::from_secs(5));
        for text in ["by hand", "Notice of plinth:other::board:Notice::hello\n\ntheirs\n"] {
            std::fs::write(&file, text).unwrap();
            let error = board.create(&context, request).await.unwrap_err();
            assert_eq!(error.class, Class::AlreadyExists);
            assert_eq!(board.find(&context, request).await.unwrap(), None);
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn wrong_inputs_are_refused_at_their_place() {
        let board = Board::new(PathBuf::new());
        let urn = Urn::new("teams", Notice::KIND, "hello").unwrap();
        for (key, value) in [
            ("title", Value::from("../up")),
            ("text", Value::secret("hush")),
            ("pinned", "yes".into()),
            ("colour", "red".into()),
        ] {
            let mut inputs = notice("hello", "text");
            inputs.set(&key.into(), value);
            let error = board.check(&urn, inputs).unwrap_err();
            assert_eq!(error.path, Some(Path::parse(key)), "{error}");
        }
    }
}
