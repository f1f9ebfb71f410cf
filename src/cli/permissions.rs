//! `plinth check --permissions`: what the one who applies the stack has to be allowed in its account.

use std::collections::BTreeMap;

use plinth_aws::permissions::{Missing, Permissions, Place, missing};
use plinth_provider::{Provider, Resource, Urn, Value};
use plinth_stacks::file::Loaded;
use plinth_stacks::model::Cloud;
use plinth_stacks::program::Target;

use super::cloud;
use super::failure::{Code, Failure};
use super::own;
use super::stack_args::{OutputArgs, style};
use crate::present;

/// Prints the policy, and what is missing of it where that can be told.
pub async fn run(loaded: &Loaded, output: OutputArgs) -> Result<Code, Failure> {
    let stack = &loaded.stack;
    let Cloud::Aws(account) = &stack.cloud else {
        let name = stack.cloud.name();
        return Err(Failure::new(format!(
            "permissions are told for stacks on AWS, and this one is on {name}"
        ))
        .help("leave --permissions out"));
    };
    let aws = cloud::aws(account);
    let resources = own::resources(loaded, &Target { rehearse: false, offline: false })?;
    let checked = checked(&aws, &resources)?;
    let asked = match aws.clients().await {
        Ok(clients) => Ok(clients),
        // Those of another account would be told what they are not asked.
        Err(error) if cloud::is_of_another_account(&error) => return Err(Failure::new(error.message)),
        Err(error) => Err(error),
    };
    let id = account.account_id.as_deref();
    let id = id.or_else(|| asked.as_ref().ok().map(|clients| clients.identity.account.as_str()));
    let place = Place::new(&account.region, id, stack.name.as_str());
    let permissions = Permissions::of(place, &checked);
    let missing: Result<Vec<Missing>, _> = match asked {
        Ok(clients) => missing(clients, &permissions).await,
        Err(error) => Err(error),
    };
    let missing = missing.map_err(|error| error.message);
    if output.json {
        present::out(&format!("{}\n", present::permissions::event(&permissions, &missing)));
    } else {
        present::out(&present::permissions::policy(&permissions));
        present::err(&present::permissions::remarks(&permissions, &missing, &style()));
    }
    Ok(if missing.is_ok_and(|missing| !missing.is_empty()) { Code::Error } else { Code::Done })
}

/// The inputs in normal form, with the names of other resources in the place of references to them.
fn checked(aws: &impl Provider, resources: &[Resource]) -> Result<BTreeMap<Urn, Value>, Failure> {
    let of_aws = || resources.iter().filter(|resource| resource.urn.kind().starts_with("aws:"));
    let judge = |resource: &Resource, inputs: Value| {
        aws.check(&resource.urn, inputs).map_err(|error| {
            let failure = Failure::new(format!("{}: {}", resource.urn.short(), error.message));
            match error.help {
                Some(help) => failure.help(help),
                None => failure,
            }
        })
    };
    let mut first = BTreeMap::new();
    for resource in of_aws() {
        first.insert(resource.urn.clone(), judge(resource, resource.inputs.clone())?);
    }
    let mut second = BTreeMap::new();
    for resource in of_aws() {
        let inputs = resource.inputs.resolve(&mut |reference| {
            first.get(&reference.urn).and_then(|inputs| inputs.lookup(&reference.path))
        });
        second.insert(resource.urn.clone(), judge(resource, inputs)?);
    }
    Ok(second)
}
