//! Whose the space of names is that a bucket's is in: everybody's, or the account's own in one region, where nobody else can
//! take a name. Pure.

use plinth_provider::fields::Shape;
use plinth_provider::{Error, Result, Value};

use crate::Settings;

/// The input.
pub(super) const KEY: &str = "bucketNamespace";
/// What it may be.
pub(super) const SPACES: Shape = Shape::Choice(&["global", ACCOUNT_REGIONAL]);
const ACCOUNT_REGIONAL: &str = "account-regional";

/// Whether the name is to be in the account's own space.
pub(super) fn is_own(inputs: &Value) -> bool {
    inputs.text_at(KEY) == Some(ACCOUNT_REGIONAL)
}

/// The space of a name that is there.
pub(super) fn of(name: &str, region: &str) -> &'static str {
    if account(name, region).is_some() { ACCOUNT_REGIONAL } else { "global" }
}

/// The account in a name of an account's own space in a region: `<prefix>-<account>-<region>-an`.
fn account<'a>(name: &'a str, region: &str) -> Option<&'a str> {
    let (prefix, account) = name.strip_suffix(&format!("-{region}-an"))?.rsplit_once('-')?;
    let digits = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
    (digits && !prefix.is_empty()).then_some(account)
}

/// What a name in the account's own space ends with.
pub(super) fn suffix(inputs: &Value, settings: &Settings) -> Result<String> {
    if !is_own(inputs) {
        return Ok(String::new());
    }
    let region = match inputs.get("region") {
        None | Some(Value::Null) => Some(settings.region.as_str()),
        Some(said) => said.as_str(),
    };
    match (&settings.account_id, region) {
        (Some(account), Some(region)) => Ok(format!("-{account}-{region}-an")),
        _ => Err(Error::invalid(
            "the name of a bucket in the account's own space ends with the account and its region, and the stack does not say which",
        )
        .at("name".into())
        .help("set `cloud.accountId`, or write the name out: <prefix>-<account>-<region>-an")),
    }
}

/// Whether name and space fit each other.
pub(super) fn rules(inputs: &Value, settings: &Settings) -> Result<()> {
    let region = match inputs.get("region") {
        None => settings.region.as_str(),
        Some(Value::String(region)) => region,
        Some(_) => return Ok(()),
    };
    let Some(Value::String(name)) = inputs.get("name") else { return Ok(()) };
    let found = account(name, region);
    if !is_own(inputs) {
        return match found {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!("{name} is a name of an account's own space"))
                .at("name".into())
                .help(format!("set `{KEY}: {ACCOUNT_REGIONAL}`, or take a name without that ending"))),
        };
    }
    let wanted = settings.account_id.as_deref();
    let fits = found.is_some_and(|account| wanted.is_none_or(|wanted| wanted == account));
    fits.then_some(()).ok_or_else(|| {
        let ending = format!("-{}-{region}-an", wanted.unwrap_or("<account>"));
        Error::invalid(format!("a name in the account's own space ends with {ending}, and {name} does not"))
            .at("name".into())
            .help("correct the name, or leave it out")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(account: Option<&str>) -> Settings {
        Settings { account_id: account.map(str::to_owned), ..Settings::new("eu-central-1") }
    }

    fn said(name: &str, space: Option<&str>, account: Option<&str>) -> Option<String> {
        let mut inputs = Value::from([("name", name)]);
        if let Some(space) = space {
            inputs.set(&KEY.into(), space.into());
        }
        rules(&inputs, &settings(account)).err().map(|error| error.message)
    }

    #[test]
    fn a_name_in_the_accounts_own_space_says_whose_and_where() {
        let (ours, own) = ("logs-123456789012-eu-central-1-an", Some(ACCOUNT_REGIONAL));
        assert_eq!(said(ours, own, Some("123456789012")), None);
        assert_eq!(said(ours, own, None), None);
        assert!(said(ours, own, Some("210987654321")).unwrap().contains("-210987654321-eu-central-1-an"));
        for wrong in [
            "logs",
            "logs-123456789012-us-east-1-an",
            "-123456789012-eu-central-1-an",
            "logs-12-eu-central-1-an",
        ] {
            assert!(said(wrong, own, None).is_some(), "{wrong}");
        }
        assert!(said(ours, None, None).unwrap().contains("own space"));
        assert_eq!((said("logs-an", None, None), said("logs", Some("global"), None)), (None, None));
        assert_eq!((of(ours, "eu-central-1"), of(ours, "us-east-1")), (ACCOUNT_REGIONAL, "global"));
    }

    #[test]
    fn a_name_that_is_left_out_ends_as_it_must() {
        let inputs = |region: Option<&str>| {
            let mut inputs = Value::from([(KEY, ACCOUNT_REGIONAL)]);
            if let Some(region) = region {
                inputs.set(&"region".into(), region.into());
            }
            inputs
        };
        let own = settings(Some("123456789012"));
        assert_eq!(suffix(&inputs(None), &own).unwrap(), "-123456789012-eu-central-1-an");
        assert_eq!(suffix(&inputs(Some("eu-west-1")), &own).unwrap(), "-123456789012-eu-west-1-an");
        assert!(suffix(&inputs(None), &settings(None)).unwrap_err().help.unwrap().contains("accountId"));
        assert_eq!(suffix(&Value::map(), &settings(None)).unwrap(), "");
    }
}
