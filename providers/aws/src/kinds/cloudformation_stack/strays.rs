//! Parts of networks whose stack CloudFormation knows nothing of any more, so that it cannot remove them: found by their
//! tags. AWS keeps a stack whose deletion failed and remembers one that it removed for months, and what that has left it
//! was told to leave; others that speak its language forget a stack once its deletion was tried.
//!
//! Only what carries the marks of this very resource, and of a stack of its name that is forgotten, counts.

use std::collections::{BTreeMap, BTreeSet};

use plinth_provider::{Class, Live, Result, Urn, Value};

use super::sweep::Held;
use crate::ec2::{call as ec2, texts};
use crate::error::{code, message, refused};
use crate::kinds::{Call, text};
use crate::marks::{self, Owner};

/// The tags that CloudFormation itself puts on what it makes.
const STACK_ID: &str = "aws:cloudformation:stack-id";
const STACK_NAME: &str = "aws:cloudformation:stack-name";
const LOGICAL_ID: &str = "aws:cloudformation:logical-id";

/// How many ids are asked for at once; EC2 takes two hundred.
const AT_ONCE: usize = 100;

/// What carries tags, by its id.
type Tagged = BTreeMap<String, BTreeMap<String, String>>;

/// What forgotten stacks of this resource have left.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The id of one of these stacks, if they have left anything.
    pub stack: Option<String>,
    /// What they have left.
    pub held: Held,
}

impl Strays {
    /// Looks for them. Asks nothing where no network is made. Who may not look is told once, and nothing is found.
    pub async fn of(call: &Call<'_>) -> Result<Self> {
        match Self::look(call).await {
            Err(error) if error.class == Class::Denied => {
                let why = error.message;
                call.context
                    .reporter
                    .warning(&format!("whether forgotten stacks have left anything is not known: {why}"));
                Ok(Self::default())
            }
            found => found,
        }
    }

    async fn look(call: &Call<'_>) -> Result<Self> {
        let template = text(call.inputs, "template")?;
        if !template.contains("AWS::EC2::") {
            return Ok(Self::default());
        }
        let name = text(call.inputs, "name")?;
        let marked = tagged(call, &[("key", vec![marks::URN]), ("value", vec![call.urn.as_str()])]).await?;
        let ids: Vec<&str> = marked.keys().map(String::as_str).collect();
        let mut ours = Tagged::new();
        for ids in ids.chunks(AT_ONCE) {
            let found = tagged(call, &[("resource-id", ids.to_vec())]).await?;
            ours.extend(found.into_iter().filter(|(_, tags)| is_ours(call.urn, name, tags)));
        }
        // Asked for after the tags were read: what made these has been known before, if it is known at all.
        let stacks: BTreeSet<&String> = ours.values().filter_map(|tags| tags.get(STACK_ID)).collect();
        let mut forgotten = BTreeSet::new();
        for stack in stacks {
            if is_forgotten(call, stack).await? {
                forgotten.insert(stack.clone());
            }
        }
        let left = ours.iter().filter(|(_, tags)| {
            tags.get(STACK_ID).is_some_and(|stack| forgotten.contains(stack)) && goes(template, tags)
        });
        let held = Held::of_ids(call, left.map(|(id, _)| id.as_str())).await?;
        let first = held.ids().next().and_then(|id| ours.get(id)?.get(STACK_ID));
        Ok(Self { stack: first.cloned(), held })
    }

    /// Something of the resource that is there although nothing makes it a whole any more: it has lost its name, so that it
    /// is removed and made anew, or removed.
    pub async fn live(call: &Call<'_>) -> Result<Option<Live>> {
        let Self { stack: Some(id), .. } = Self::of(call).await? else { return Ok(None) };
        let inputs = call.inputs.as_map().into_iter().flatten().filter(|(key, _)| *key != "name");
        let inputs = inputs.map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Some(Live {
            id,
            outputs: Value::map(),
            inputs: Value::Map(inputs),
            details: serde_json::Value::Null,
        }))
    }

    /// Removes them.
    pub async fn sweep(call: &Call<'_>) -> Result<()> {
        Self::of(call).await?.held.remove(call).await
    }
}

/// Whether it was made for this resource, by a stack of its name.
fn is_ours(urn: &Urn, name: &str, tags: &BTreeMap<String, String>) -> bool {
    marks::owner(urn, tags) == Owner::Ours
        && tags.get(marks::STACK).is_some_and(|stack| stack == urn.stack())
        && tags.get(STACK_NAME).is_some_and(|of| of == name)
}

/// Whether the template says what it is, and not that it outlives its stack.
fn goes(template: &str, tags: &BTreeMap<String, String>) -> bool {
    let Some(logical) = tags.get(LOGICAL_ID) else { return false };
    let Ok(template) = serde_json::from_str::<serde_json::Value>(template) else {
        // In YAML, as CloudFormation reads it, which is more than YAML.
        return template.contains(&format!("{logical}:")) && !template.contains("DeletionPolicy");
    };
    match template.get("Resources").and_then(|held| held.get(logical)) {
        Some(resource) => resource.get("DeletionPolicy").is_none_or(|policy| policy == "Delete"),
        None => false,
    }
}

/// Whether CloudFormation knows nothing of it, not even that it was removed.
async fn is_forgotten(call: &Call<'_>, id: &str) -> Result<bool> {
    match call.aws.cloudformation.describe_stacks().stack_name(id).send().await {
        Ok(got) => Ok(got.stacks().is_empty()),
        Err(error) if code(&error) == "ValidationError" && message(&error).contains("does not exist") => {
            Ok(true)
        }
        Err(error) => Err(refused("cloudformation:DescribeStacks", id, error)),
    }
}

/// The tags of everything that the filters let through.
async fn tagged(call: &Call<'_>, filters: &[(&str, Vec<&str>)]) -> Result<Tagged> {
    let mut parameters = Vec::new();
    for (at, (name, values)) in (1..).zip(filters) {
        parameters.push((format!("Filter.{at}.Name"), (*name).to_owned()));
        let values = (1..).zip(values);
        parameters.extend(values.map(|(of, value)| (format!("Filter.{at}.Value.{of}"), (*value).to_owned())));
    }
    let mut found = Tagged::new();
    let mut next: Option<String> = None;
    loop {
        let mut asked: Vec<(&str, &str)> =
            parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        asked.extend(next.as_deref().map(|token| ("NextToken", token)));
        let told = ec2(&call.aws.config, "DescribeTags", &asked).await?;
        read(&told, &mut found);
        match texts(&told, "nextToken").next() {
            Some(token) if !token.is_empty() => next = Some(token.to_owned()),
            _ => return Ok(found),
        }
    }
}

/// Every resource with its tags, of an answer.
fn read(told: &str, into: &mut Tagged) {
    for item in texts(told, "item") {
        let of = |element| texts(item, element).next();
        if let (Some(id), Some(key), Some(value)) = (of("resourceId"), of("key"), of("value")) {
            into.entry(id.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_the_very_same_resource_is_ours() {
        let urn = Urn::new("dev", "aws:cloudformation/Stack", "network").unwrap();
        let whole = [(marks::URN, urn.as_str()), (marks::STACK, "dev"), (STACK_NAME, "dev-network")];
        assert!(is_ours(&urn, "dev-network", &tags(&whole)));
        assert!(!is_ours(&urn, "other", &tags(&whole)), "of another name");
        for missing in 0..whole.len() {
            let mut less = whole.to_vec();
            less.remove(missing);
            assert!(!is_ours(&urn, "dev-network", &tags(&less)), "without {}", whole[missing].0);
        }
        let other = Urn::new("prod", "aws:cloudformation/Stack", "network").unwrap();
        assert!(!is_ours(&other, "dev-network", &tags(&whole)), "another stack's");
    }

    #[test]
    fn what_outlives_its_stack_or_is_not_known_stays() {
        let template = r#"{"Resources":{"A":{"Type":"x"},"B":{"DeletionPolicy":"Retain"},"C":{"DeletionPolicy":"Delete"}}}"#;
        assert!(!goes(template, &tags(&[])));
        let goes = |template, logical| goes(template, &tags(&[(LOGICAL_ID, logical)]));
        assert_eq!(["A", "B", "C", "D"].map(|id| goes(template, id)), [true, false, true, false]);
        let text = "Resources:\n  A: { Type: x }\n";
        assert_eq!(["A", "D"].map(|id| goes(text, id)), [true, false]);
        assert!(!goes("Resources:\n  A: { Type: x, DeletionPolicy: Retain }\n", "A"));
    }

    #[test]
    fn an_answer_is_read_by_resource() {
        let told = "<DescribeTagsResponse><tagSet>
            <item><resourceId>vpc-1</resourceId><resourceType>vpc</resourceType><key>a</key><value>1</value></item>
            <item><resourceId>vpc-1</resourceId><resourceType>vpc</resourceType><key>b</key><value>2</value></item>
            <item><resourceId>igw-1</resourceId><key>a</key><value>3</value></item></tagSet></DescribeTagsResponse>";
        let mut found = Tagged::new();
        read(told, &mut found);
        assert_eq!(found["vpc-1"], tags(&[("a", "1"), ("b", "2")]));
        assert_eq!(found["igw-1"], tags(&[("a", "3")]));
    }
}
