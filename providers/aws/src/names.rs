//! Physical names: made of stack and resource, the same in every run, and never longer than AWS allows.

use plinth_provider::{Recorded, Urn, Value};
use sha2::{Digest, Sha256};

/// How many digits of a hash tell a shortened name from others.
const DIGITS: usize = 8;

/// `<stack>-<name>` of the letters that every service takes (lower case, digits, hyphens), at most `longest` long; what
/// does not fit is cut and told apart by a hash.
pub(crate) fn of(urn: &Urn, longest: usize) -> String {
    let whole = format!("{}-{}", urn.stack(), urn.name());
    let mut clean = String::with_capacity(whole.len());
    for letter in whole.chars() {
        let letter = letter.to_ascii_lowercase();
        let letter = if letter.is_ascii_alphanumeric() { letter } else { '-' };
        if letter != '-' || !clean.ends_with('-') {
            clean.push(letter);
        }
    }
    let clean = clean.trim_matches('-');
    if clean.len() <= longest && clean == whole {
        return clean.to_owned();
    }
    let digest = Sha256::digest(whole.as_bytes());
    let hash: String = digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    let kept = clean.get(..clean.len().min(longest - DIGITS - 1)).unwrap_or(clean).trim_end_matches('-');
    format!("{kept}-{hash}")
}

/// The inputs of an instance that can stand beside the recorded one, when the name is left to us: under the next number.
pub(crate) fn beside(
    recorded: &Recorded,
    declared: &Value,
    desired: &Value,
    longest: usize,
) -> Option<Value> {
    if !is_left_out(declared) || desired.as_map().is_none() {
        return None;
    }
    let base = of(&recorded.urn, longest);
    let name = match number_of(recorded.inputs.text_at("name")?, &base) {
        Some(number) => numbered(&base, number + 1, longest),
        None => base,
    };
    let mut inputs = desired.clone();
    inputs.set(&"name".into(), name.into());
    Some(inputs)
}

/// The inputs with the recorded name, when the name is left to us: neither a replacement's number nor a former name of
/// the resource is a reason to make it anew.
pub(crate) fn keep(recorded: &Recorded, declared: &Value, mut desired: Value) -> Value {
    if let Some(now) = recorded.inputs.get("name").filter(|_| is_left_out(declared))
        && desired.as_map().is_some()
    {
        desired.set(&"name".into(), now.clone());
    }
    desired
}

fn is_left_out(inputs: &Value) -> bool {
    inputs.get("name").is_none_or(|name| *name == Value::Null)
}

/// The number that an earlier replacement put behind a name of ours: `dev-logs-2` of `dev-logs`.
fn number_of(name: &str, base: &str) -> Option<u32> {
    if name == base {
        return Some(1);
    }
    let (front, number) = name.rsplit_once('-')?;
    let number: u32 = number.parse().ok().filter(|number| *number > 1)?;
    (base == front || (front.len() < base.len() && base.starts_with(front))).then_some(number)
}

fn numbered(base: &str, number: u32, longest: usize) -> String {
    let tail = format!("-{number}");
    let keep = base.len().min(longest.saturating_sub(tail.len()));
    format!("{}{tail}", base[..keep].trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_left_to_us_is_numbered_and_kept() {
        let recorded = |name: &str| Recorded {
            urn: Urn::new("dev", "aws:eks/NodeGroup", "general").unwrap(),
            id: String::new(),
            inputs: Value::from([("name", name)]),
            outputs: Value::Null,
            connection: None,
            dependencies: Vec::new(),
            options: plinth_provider::Options::default(),
            unsettled: false,
        };
        let desired = Value::from([("name", "dev-general")]);
        let next = |name: &str| beside(&recorded(name), &Value::map(), &desired, 63).unwrap();
        assert_eq!(next("dev-general").text_at("name"), Some("dev-general-2"));
        assert_eq!(next("dev-general-2").text_at("name"), Some("dev-general-3"));
        let kept = keep(&recorded("dev-general-2"), &Value::map(), desired.clone());
        assert_eq!(kept.text_at("name"), Some("dev-general-2"));
        let given = Value::from([("name", "mine")]);
        assert_eq!(beside(&recorded("mine"), &given, &given, 63), None, "a name that was given stays");
        assert_eq!(keep(&recorded("dev-general-2"), &given, given.clone()), given);
        assert!(numbered(&"x".repeat(63), 12, 63).len() <= 63);
    }

    #[test]
    fn names_are_plain_short_and_distinct() {
        let urn = |name: &str| Urn::new("prod", "aws:iam/Role", name).unwrap();
        assert_eq!(of(&urn("loki"), 64), "prod-loki");
        let long = "x".repeat(100);
        assert_eq!(of(&urn(&long), 63).len(), 63);
        assert_ne!(of(&urn("a.b"), 63), of(&urn("a-b"), 63));
        assert_ne!(of(&urn(&format!("{long}1")), 63), of(&urn(&format!("{long}2")), 63));
    }
}
