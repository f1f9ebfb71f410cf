//! `aws:kms/Alias`: a name for a key. An alias carries no tags: it is ours when it names the key that we say.

use std::time::Duration;

use async_trait::async_trait;
use plinth_provider::fields::{ANY, Field, Shape};
use plinth_provider::{Applied, Class, Error, Live, Recorded, Result, Value};

use super::{Call, Handler, Spec, text};
use crate::error::{code, failed, is_missing, refused};

/// The kind.
pub(crate) struct Alias;

const SPEC: Spec = Spec {
    name: "aws:kms/Alias",
    fields: &[
        // With or without the leading `alias/`.
        Field::required("name", Shape::Text(name)).immutable(),
        Field::required("key", ANY),
    ],
    longest_name: Some(240),
    delete_before_replace: true,
    usual: Duration::from_secs(1),
    timeout: Duration::from_secs(120),
    computed: &[],
};

fn name(name: &str) -> std::result::Result<(), String> {
    let plain = name.trim_start_matches("alias/");
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "/_-".contains(letter);
    (!plain.is_empty() && plain.len() <= 250 && plain.chars().all(fits) && !plain.starts_with("aws/"))
        .then_some(())
        .ok_or_else(|| {
            "an alias has up to 250 letters, digits, slashes, hyphens and underscores, and does not begin with aws/"
                .to_owned()
        })
}

/// The name with its prefix.
fn full(inputs: &Value) -> Result<String> {
    Ok(format!("alias/{}", text(inputs, "name")?.trim_start_matches("alias/")))
}

/// Whether two names of a key, each an id or an ARN, mean the same one.
fn same_key(one: &str, other: &str) -> bool {
    let id = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    id(one) == id(other)
}

fn outputs(call: &Call<'_>, name: &str) -> Value {
    let identity = &call.aws.identity;
    let arn = format!("arn:{}:kms:{}:{}:{name}", identity.partition, call.aws.region(), identity.account);
    Value::from([("name", name), ("arn", arn.as_str())])
}

async fn live(call: &Call<'_>, name: &str) -> Result<Option<Live>> {
    let got = match call.aws.kms.describe_key().key_id(name).send().await {
        Ok(got) => got,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refused("kms:DescribeKey", name, error)),
    };
    let Some(key) = got.key_metadata() else { return Ok(None) };
    let asked = call.inputs.text_at("key");
    let key = match asked {
        Some(asked) if same_key(asked, key.key_id()) => asked,
        _ => key.key_id(),
    };
    let inputs = Value::from([("name", call.inputs.text_at("name").unwrap_or(name)), ("key", key)]);
    Ok(Some(Live {
        id: name.to_owned(),
        outputs: outputs(call, name),
        inputs,
        details: serde_json::Value::Null,
    }))
}

#[async_trait]
impl Handler for Alias {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn identity(&self, inputs: &Value) -> Option<String> {
        Some(format!("{}/{}", SPEC.name, full(inputs).ok()?))
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let name = full(call.inputs)?;
        let key = text(call.inputs, "key")?;
        let made = call.aws.kms.create_alias().alias_name(&name).target_key_id(key).send().await;
        match made {
            Ok(_) => {}
            Err(error) if code(&error) == "AlreadyExistsException" => {
                let other = live(call, &name).await?;
                let other =
                    other.as_ref().and_then(|live| live.inputs.text_at("key")).unwrap_or("another key");
                return Err(Error::new(
                    Class::AlreadyExists,
                    format!("the alias {name} exists already and names {other}"),
                )
                .help("give this one another name, or take it over with `plinth import`"));
            }
            Err(error) => return Err(failed("kms:CreateAlias", &name, error)),
        }
        Ok(Applied { outputs: outputs(call, &name), id: name })
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        live(call, id).await
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let (name, key) = (&recorded.id, text(call.inputs, "key")?);
        let updated = call.aws.kms.update_alias().alias_name(name).target_key_id(key).send().await;
        updated.map_err(|error| failed("kms:UpdateAlias", name, error))?;
        Ok(Applied { outputs: outputs(call, name), id: name.clone() })
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        match call.aws.kms.delete_alias().alias_name(&recorded.id).send().await {
            Err(error) if !is_missing(&error) => Err(failed("kms:DeleteAlias", &recorded.id, error)),
            _ => Ok(()),
        }
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let found = live(call, &full(call.inputs)?).await?;
        let asked = text(call.inputs, "key")?;
        Ok(found.filter(|live| live.inputs.text_at("key").is_some_and(|key| same_key(key, asked))))
    }
}
