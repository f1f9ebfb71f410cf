//! What `plinth check --permissions` tells.

use plinth_aws::permissions::{Missing, Permissions};
use serde_json::{Value as Json, json};

use super::diagnostics::labelled;
use super::style::{Role, Style};
use super::words::{clean, count};

/// How many characters, not counting blanks, a managed policy of IAM takes; one inside a role takes 10,240.
const MANAGED: usize = 6144;

/// What is not allowed, or why that is not known.
type Answer = Result<Vec<Missing>, String>;

/// The policy as IAM takes it.
pub fn policy(permissions: &Permissions) -> String {
    format!("{:#}\n", permissions.policy())
}

/// What is to be said beside the policy.
pub fn remarks(permissions: &Permissions, missing: &Answer, style: &Style) -> String {
    let mut text = String::new();
    for kind in &permissions.unknown {
        let message = format!("what CloudFormation needs for {} is not in this policy", clean(kind));
        text.push_str(&labelled("note", Role::Faint, &message, style));
    }
    let length = permissions.policy().to_string().len();
    if length > MANAGED {
        let message = format!(
            "this policy has {length} characters, and a managed one takes {MANAGED}: put it into a role itself, or divide it"
        );
        text.push_str(&labelled("note", Role::Faint, &message, style));
    }
    match missing {
        Err(why) => {
            let message = format!("whether anything of it is missing is not known: {}", clean(why));
            text.push_str(&labelled("note", Role::Faint, &message, style));
        }
        Ok(missing) if missing.is_empty() => {
            text.push_str("IAM says that all of this is allowed.\n");
        }
        Ok(missing) => {
            for one in missing {
                let message = format!("{} is not allowed on {}", clean(&one.action), clean(&one.resource));
                text.push_str(&labelled("missing", Role::Removed, &message, style));
            }
            text.push_str(&format!("{} missing.\n", count(missing.len() as u64, "permission")));
        }
    }
    text
}

/// The same as an event.
pub fn event(permissions: &Permissions, missing: &Answer) -> Json {
    let one = |missing: &Missing| json!({ "action": missing.action, "resource": missing.resource });
    json!({
        "event": "permissions",
        "policy": permissions.policy(),
        "unknownTypes": permissions.unknown,
        "missing": missing.as_ref().ok().map(|all| all.iter().map(one).collect::<Vec<_>>()),
        "unasked": missing.as_ref().err(),
    })
}
