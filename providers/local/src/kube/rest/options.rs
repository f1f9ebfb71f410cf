//! What the query of a list or a watch says, and which combinations make no sense.

use super::super::json::json;
use super::super::status::{Cause, Status};
use super::request::Ask;

/// How a list relates to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The newest there is.
    Newest,
    /// Anything, as long as the server has got that far.
    NotOlderThan(u64),
    /// Exactly as it was then.
    Exactly(u64),
}

/// Reads a version; the error is the sentence that both lists and watches put into their own.
pub(crate) fn version(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        )
    })
}

/// What a list wants to see.
pub(crate) fn list(ask: &Ask) -> Result<At, Status> {
    let given = |name: &str| ask.query(name).filter(|v| !v.is_empty());
    let (asked, how) = (given("resourceVersion"), given("resourceVersionMatch"));
    if given("sendInitialEvents").is_some() {
        let why = "sendInitialEvents is forbidden for list";
        return Err(Status::bad_options("ListOptions", Cause::forbidden("sendInitialEvents", why)));
    }
    let refused = |cause: Cause| Err(Status::bad_options("ListOptions", cause));
    const MATCH: &str = "resourceVersionMatch";
    if let Some(how) = how {
        if asked.is_none() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return refused(Cause::forbidden(MATCH, why));
        }
        if given("continue").is_some() {
            return refused(Cause::forbidden(
                MATCH,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if !["Exact", "NotOlderThan"].contains(&how) {
            return refused(Cause::unsupported(MATCH, &json!(how), &["Exact", "NotOlderThan", ""]));
        }
        if how == "Exact" && asked == Some("0") {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return refused(Cause::forbidden(MATCH, why));
        }
    }
    let Some(asked) = asked else { return Ok(At::Newest) };
    if given("continue").is_some() {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let asked =
        version(asked).map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))?;
    Ok(if how == Some("Exact") { At::Exactly(asked) } else { At::NotOlderThan(asked) })
}

/// Whether a watch begins with what is there, and may ask for what it asks.
pub(crate) fn watch(ask: &Ask) -> Result<bool, Status> {
    let initial = ask.query("sendInitialEvents").filter(|v| !v.is_empty());
    let how = ask.query("resourceVersionMatch").filter(|v| !v.is_empty());
    let why = match (initial, how) {
        (Some(_), Some("NotOlderThan")) | (None, None) => return Ok(ask.flag("sendInitialEvents")),
        (Some(_), _) => "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        (None, Some(_)) => "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    };
    Err(Status::bad_options("ListOptions", Cause::forbidden("resourceVersionMatch", why)))
}
