//! Physical names: made of stack and resource, the same in every run, and never longer than AWS allows.

pub(crate) use plinth_provider::naming::keep;
use plinth_provider::{Recorded, Urn, Value, naming};
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
    naming::beside(recorded, declared, desired, &of(&recorded.urn, longest), longest)
}

#[cfg(test)]
mod tests {
    use super::*;

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
