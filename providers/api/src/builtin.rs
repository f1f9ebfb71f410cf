//! The kinds that live in state alone and touch no system: `plinth:Data`, which returns its inputs as outputs, and
//! `plinth:Password`, which makes a secret once and keeps it. The simplest provider there is: an example, and what
//! benchmarks are made of.

use async_trait::async_trait;
use rand::RngExt;

use crate::{
    Applied, Context, Error, KindSchema, Live, Path, Provider, ReadRequest, Recorded, Request, Result, Urn,
    Value,
};

/// Stores its inputs and returns them as outputs.
pub const DATA: &str = "plinth:Data";

/// Makes `{value}`: a random text of `{length}` letters and digits (32 unless said otherwise), once.
pub const PASSWORD: &str = "plinth:Password";

const DEFAULT_LENGTH: i64 = 32;
// Letters and digits only, without the ones that look alike: safe in URLs, shells and configuration files.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

/// The provider of [`DATA`] and [`PASSWORD`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

fn unknown_kind(kind: &str) -> Error {
    Error::invalid(format!("there is no kind `{kind}`"))
        .help(format!("the kinds are `{DATA}` and `{PASSWORD}`"))
}

fn check_password(mut inputs: Value) -> Result<Value> {
    let Value::Map(map) = &mut inputs else { return Ok(inputs) };
    if let Some(key) = map.keys().find(|key| *key != "length") {
        return Err(Error::invalid(format!("unknown input `{key}`"))
            .at(Path::parse(key))
            .help("the only input of plinth:Password is `length`"));
    }
    let length = map.entry("length".to_owned()).or_insert_with(|| DEFAULT_LENGTH.into());
    match length {
        Value::Unknown => {}
        Value::Number(number) if number.as_i64().is_some_and(|n| (8..=1024).contains(&n)) => {}
        other => {
            return Err(Error::invalid(format!("`length` is a whole number from 8 to 1024, not {other}"))
                .at(Path::parse("length")));
        }
    }
    Ok(inputs)
}

fn generate(inputs: &Value) -> Value {
    let length =
        inputs.get("length").and_then(|value| value.expose().as_u64()).unwrap_or(DEFAULT_LENGTH as u64);
    let mut random = rand::rng();
    let text: String =
        (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect();
    Value::from([("value", Value::secret(text))])
}

#[async_trait]
impl Provider for Builtin {
    fn name(&self) -> &str {
        "plinth"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        let usual_duration = std::time::Duration::ZERO;
        match kind {
            // There is nothing outside of state that two of one name could stand side by side as.
            DATA => Ok(KindSchema { usual_duration, delete_before_replace: true, ..KindSchema::default() }),
            PASSWORD => Ok(KindSchema {
                usual_duration,
                immutable: KindSchema::patterns(&["length"]),
                secret: KindSchema::patterns(&["value"]),
                delete_before_replace: true,
                ..KindSchema::default()
            }),
            other => Err(unknown_kind(other)),
        }
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        self.schema(urn.kind())?;
        let inputs = match inputs {
            Value::Null => Value::map(),
            Value::Map(_) | Value::Unknown => inputs,
            other => return Err(Error::invalid(format!("inputs are a map, not `{other}`"))),
        };
        if urn.kind() == PASSWORD { check_password(inputs) } else { Ok(inputs) }
    }

    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        match urn.kind() {
            DATA => desired.clone(),
            _ => recorded.map_or(Value::Unknown, |recorded| recorded.outputs.clone()),
        }
    }

    fn concurrency(&self) -> Option<usize> {
        None
    }

    async fn create(&self, _context: &Context, request: Request<'_>) -> Result<Applied> {
        let outputs = match request.urn.kind() {
            DATA => request.inputs.clone(),
            _ => generate(request.inputs),
        };
        Ok(Applied { id: request.urn.name().to_owned(), outputs })
    }

    async fn read(&self, _context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let recorded = request.recorded;
        Ok(Some(Live {
            id: recorded.id.clone(),
            outputs: recorded.outputs.clone(),
            inputs: recorded.inputs.clone(),
            details: serde_json::Value::Null,
        }))
    }

    async fn update(&self, _context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        let outputs = match request.urn.kind() {
            DATA => request.inputs.clone(),
            _ => recorded.outputs.clone(),
        };
        Ok(Applied { id: recorded.id.clone(), outputs })
    }

    async fn delete(&self, _context: &Context, _recorded: &Recorded) -> Result<()> {
        Ok(())
    }

    /// It lives in state alone: what state does not have is not there.
    async fn find(&self, _context: &Context, _request: Request<'_>) -> Result<Option<Live>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Case, run};

    fn urn(kind: &str) -> Urn {
        Urn::new("s", kind, "r").unwrap()
    }

    #[tokio::test]
    async fn both_kinds_conform() {
        let data = Case {
            updated: Some(Value::from([("value", "w")])),
            has_live: false,
            ..Case::new(urn(DATA), Value::from([("value", "v")]))
        };
        run(&Builtin, &data).await;
        let password = Case {
            replaced: Some(Value::from([("length", 12)])),
            has_live: false,
            ..Case::new(urn(PASSWORD), Value::Null)
        };
        run(&Builtin, &password).await;
    }

    #[test]
    fn passwords_have_their_length_and_are_secret() {
        let inputs = Builtin.check(&urn(PASSWORD), Value::from([("length", 20)])).unwrap();
        let made = generate(&inputs);
        assert_eq!(made.text_at("value").unwrap().len(), 20);
        assert!(matches!(made.get("value"), Some(Value::Secret(_))));
        let error = Builtin.check(&urn(PASSWORD), Value::from([("length", 3)])).unwrap_err();
        assert_eq!(error.message, "`length` is a whole number from 8 to 1024, not 3");
    }
}
