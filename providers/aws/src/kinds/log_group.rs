//! `aws:logs/LogGroup`: where services of AWS write their logs, and for how long these are kept. EKS makes the group of a
//! cluster by itself when there is none, without an end of its keeping, and again after it was deleted: so a group may be
//! taken over, and its delete looks again.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use plinth_provider::fields::{Field, Shape, TAGS};
use plinth_provider::{Applied, Class, Error, Live, Recorded, Result, Value};
use serde_json::{Value as Json, json};

use super::iam_role::arn;
use super::{Call, Handler, Spec, There, integer, is_on, text};
use crate::bare::{self, Ask};
use crate::marks::{self, Owner};

/// The kind.
pub(crate) struct LogGroup;

/// For how many days logs may be kept.
const DAYS: &[i32] = &[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const SPEC: Spec = Spec {
    name: "aws:logs/LogGroup",
    fields: &[
        Field::required("name", Shape::Text(name)).immutable(),
        // Without it they are kept for ever.
        Field::optional("retentionDays", Shape::Integer(1, 3653)),
        Field::optional("keyArn", Shape::Text(arn)),
        // Takes over a group that a service of AWS has made by itself, which carries nobody's marks.
        Field::default("adopt", Shape::Boolean, || false.into()),
        Field::optional("tags", TAGS),
    ],
    longest_name: Some(512),
    delete_before_replace: true,
    usual: Duration::from_secs(2),
    timeout: Duration::from_secs(600),
    computed: &[],
};

type Tags = BTreeMap<String, String>;

fn name(name: &str) -> std::result::Result<(), String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-/.#".contains(letter);
    ((1..=512).contains(&name.len()) && name.chars().all(fits))
        .then_some(())
        .ok_or_else(|| "a log group's name has 1 to 512 letters, digits and _-/.#".to_owned())
}

async fn ask(config: &SdkConfig, operation: &str, body: &Json) -> Result<Json> {
    let (action, target) = (format!("logs:{operation}"), format!("Logs_20140328.{operation}"));
    let ask = Ask {
        service: "logs",
        action: &action,
        headers: &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)],
        body: &body.to_string(),
    };
    let (status, text) = bare::send(config, &ask).await?;
    let said: Json = serde_json::from_str(&text).unwrap_or(Json::Null);
    if (200..300).contains(&status) {
        return Ok(said);
    }
    let of = |key: &str| said.get(key).and_then(Json::as_str);
    let code = of("__type").unwrap_or("an error without a code");
    let code = code.rsplit('#').next().unwrap_or(code);
    let why = of("message").or_else(|| of("Message")).unwrap_or_default();
    let error = Error::new(bare::class(code, status), format!("{action} was refused: {why} ({code})"));
    Err(match error.class {
        Class::Denied => error.help(format!(
            "allow {action}; `plinth check --permissions` prints the whole policy that the stack needs"
        )),
        _ => error,
    })
}

/// What there is under a name.
struct Group {
    arn: String,
    days: Option<i64>,
    key: Option<String>,
}

/// Every group whose name begins so, as CloudWatch describes it.
async fn listed(config: &SdkConfig, prefix: &str) -> Result<Vec<Json>> {
    let (mut found, mut next) = (Vec::new(), Json::Null);
    loop {
        let mut body = json!({ "logGroupNamePrefix": prefix });
        if !next.is_null() {
            body["nextToken"] = next;
        }
        let page = ask(config, "DescribeLogGroups", &body).await?;
        found.extend(page.get("logGroups").and_then(Json::as_array).cloned().unwrap_or_default());
        next = page.get("nextToken").cloned().unwrap_or(Json::Null);
        if next.is_null() {
            return Ok(found);
        }
    }
}

fn arn_of(group: &Json) -> &str {
    let arn = group["logGroupArn"].as_str().or_else(|| group["arn"].as_str()).unwrap_or_default();
    arn.trim_end_matches(":*")
}

/// The ARNs of the groups that EKS writes a cluster's logs to.
pub(crate) async fn of_cluster(config: &SdkConfig, cluster: &str) -> Result<Vec<String>> {
    let found = listed(config, &format!("/aws/eks/{cluster}/")).await?;
    Ok(found.iter().map(|group| arn_of(group).to_owned()).collect())
}

async fn described(call: &Call<'_>, name: &str) -> Result<Option<Group>> {
    let found = listed(&call.aws.config, name).await?;
    Ok(found.iter().find(|group| group["logGroupName"] == name).map(|found| Group {
        arn: arn_of(found).to_owned(),
        days: found["retentionInDays"].as_i64(),
        key: found["kmsKeyId"].as_str().map(str::to_owned),
    }))
}

async fn tags(call: &Call<'_>, group: &Group) -> Result<Tags> {
    let held = ask(&call.aws.config, "ListTagsForResource", &json!({ "resourceArn": group.arn })).await?;
    let held = held.get("tags").and_then(Json::as_object).cloned().unwrap_or_default();
    Ok(held.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect())
}

fn outputs(name: &str, group: &Group) -> Value {
    Value::from([("name", Value::from(name)), ("arn", group.arn.as_str().into())])
}

async fn standing(call: &Call<'_>, name: &str) -> Result<Option<There>> {
    let Some(group) = described(call, name).await? else { return Ok(None) };
    let tags = match tags(call, &group).await {
        // It went in between.
        Err(error) if error.class == Class::NotFound => return Ok(None),
        tags => tags?,
    };
    let mut inputs = Value::from([
        ("name", Value::from(name)),
        ("adopt", call.inputs.get("adopt").cloned().unwrap_or_else(|| false.into())),
    ]);
    if let Some(days) = group.days {
        inputs.set(&"retentionDays".into(), days.into());
    }
    if let Some(key) = &group.key {
        inputs.set(&"keyArn".into(), key.as_str().into());
    }
    if call.inputs.get("tags").is_some() {
        inputs.set(&"tags".into(), marks::foreign(tags.clone()));
    }
    let live = Live { id: name.to_owned(), outputs: outputs(name, &group), inputs, details: Json::Null };
    Ok(Some(There { live, tags }))
}

/// Whether a group that carries nobody's marks is to be taken for what this resource means.
fn adopts(call: &Call<'_>, tags: &Tags) -> bool {
    is_on(call.inputs, "adopt") && !tags.contains_key(marks::URN)
}

async fn settle(call: &Call<'_>, there: &There) -> Result<Applied> {
    let name = text(call.inputs, "name")?;
    let differs = |key: &str| call.inputs.get(key) != there.live.inputs.get(key);
    if differs("retentionDays") {
        match integer(call.inputs, "retentionDays") {
            Some(days) => {
                let body = json!({ "logGroupName": name, "retentionInDays": days });
                ask(&call.aws.config, "PutRetentionPolicy", &body).await?
            }
            None => ask(&call.aws.config, "DeleteRetentionPolicy", &json!({ "logGroupName": name })).await?,
        };
    }
    if differs("keyArn") {
        match call.inputs.text_at("keyArn") {
            Some(key) => {
                ask(&call.aws.config, "AssociateKmsKey", &json!({ "logGroupName": name, "kmsKeyId": key }))
                    .await?
            }
            None => ask(&call.aws.config, "DisassociateKmsKey", &json!({ "logGroupName": name })).await?,
        };
    }
    let arn = there.live.outputs.text_at("arn").unwrap_or_default();
    let put = async |set: BTreeMap<String, String>| {
        let put = json!({ "resourceArn": arn, "tags": set });
        ask(&call.aws.config, "TagResource", &put).await.map(drop)
    };
    let remove = async |gone: Vec<String>| {
        let removed = json!({ "resourceArn": arn, "tagKeys": gone });
        ask(&call.aws.config, "UntagResource", &removed).await.map(drop)
    };
    marks::settle(call, &there.tags, put, remove).await?;
    Ok(Applied { id: there.live.id.clone(), outputs: there.live.outputs.clone() })
}

fn gone(name: &str) -> Error {
    Error::new(Class::NotFound, format!("the log group {name} is gone"))
}

async fn remove(call: &Call<'_>, name: &str) -> Result<()> {
    match ask(&call.aws.config, "DeleteLogGroup", &json!({ "logGroupName": name })).await {
        Err(error) if error.class != Class::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// EKS writes the last of a cluster's logs after the cluster is gone, and makes their group anew for that. One that comes
/// back under our name while this looks, and is no other resource's, is that.
async fn remove_again(call: &Call<'_>, name: &str) -> Result<()> {
    let end = call.context.deadline.min(tokio::time::Instant::now() + call.settings.log_delay);
    let pause = call.settings.poll.1.min(call.settings.log_delay);
    while tokio::time::Instant::now() < end {
        call.context.reporter.waiting("whether EKS writes to the log group again");
        tokio::select! {
            biased;
            () = call.context.cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        let Some(group) = described(call, name).await? else { continue };
        let theirs = tags(call, &group).await?;
        if theirs.get(marks::URN).is_none_or(|urn| urn == call.urn.as_str()) {
            remove(call, name).await?;
        }
    }
    Ok(())
}

#[async_trait]
impl Handler for LogGroup {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn rules(&self, inputs: &Value, _settings: &crate::Settings) -> Result<()> {
        match integer(inputs, "retentionDays") {
            Some(days) if !DAYS.contains(&days) => {
                let nearest = DAYS.iter().find(|known| **known > days).unwrap_or(&3653);
                Err(Error::invalid(format!("logs cannot be kept for {days} days"))
                    .at("retentionDays".into())
                    .help(format!("take {nearest}; CloudWatch knows certain numbers of days only")))
            }
            _ => Ok(()),
        }
    }

    fn comparable(&self, inputs: &Value) -> Value {
        let mut inputs = inputs.clone();
        inputs.remove(&"adopt".into());
        inputs
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let there = standing(call, text(call.inputs, "name")?).await?;
        Ok(there.map(|mut there| {
            if adopts(call, &there.tags) {
                there.tags.insert(marks::URN.to_owned(), call.urn.as_str().to_owned());
            }
            there
        }))
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let mut body = json!({ "logGroupName": name, "tags": marks::tags(call.urn, call.inputs) });
        if let Some(key) = call.inputs.text_at("keyArn") {
            body["kmsKeyId"] = key.into();
        }
        let made = ask(&call.aws.config, "CreateLogGroup", &body).await;
        let there = standing(call, name).await?;
        match (made, there) {
            (Ok(_), Some(there)) => settle(call, &there).await,
            (Ok(_), None) => Err(Error::unavailable(format!("CloudWatch does not show {name} yet"))),
            (Err(error), Some(there)) if error.class == Class::AlreadyExists => {
                match marks::owner(call.urn, &there.tags) {
                    Owner::Others if !adopts(call, &there.tags) => {
                        Err(marks::taken(&format!("the log group {name}"), &there.tags))
                    }
                    _ => settle(call, &there).await,
                }
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        let name = call.inputs.text_at("name").unwrap_or(id);
        Ok(standing(call, name).await?.map(|there| there.live))
    }

    async fn update(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<Applied> {
        let name = text(call.inputs, "name")?;
        let there = standing(call, name).await?.ok_or_else(|| gone(name))?;
        settle(call, &there).await
    }

    async fn delete(&self, call: &Call<'_>, _recorded: &Recorded) -> Result<()> {
        let name = text(call.inputs, "name")?;
        remove(call, name).await?;
        if name.starts_with("/aws/eks/") { remove_again(call, name).await } else { Ok(()) }
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let there = standing(call, text(call.inputs, "name")?).await?;
        let ours = there.filter(|there| marks::owner(call.urn, &there.tags) == Owner::Ours);
        Ok(ours.map(|there| there.live))
    }
}
