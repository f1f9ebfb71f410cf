//! Physical names that are left to the provider: made by it, numbered when something is replaced beside its old
//! instance, and kept as long as the resource is.

use crate::{Recorded, Value};

/// The input that holds a physical name.
const NAME: &str = "name";

/// The inputs of an instance that can stand beside the recorded one: under the next number behind `base`, the name that
/// the provider makes of the resource, in no more than `longest` bytes. `None` when the name was given.
pub fn beside(
    recorded: &Recorded,
    declared: &Value,
    desired: &Value,
    base: &str,
    longest: usize,
) -> Option<Value> {
    if !is_left_out(declared) || desired.as_map().is_none() {
        return None;
    }
    let name = match number_of(recorded.inputs.text_at(NAME)?, base) {
        Some(number) => numbered(base, number + 1, longest),
        None => base.to_owned(),
    };
    let mut inputs = desired.clone();
    inputs.set(&NAME.into(), name.into());
    Some(inputs)
}

/// The inputs with the recorded name, when the name is left to the provider: neither a replacement's number nor a former
/// name of the resource is a reason to make it anew.
pub fn keep(recorded: &Recorded, declared: &Value, mut desired: Value) -> Value {
    if let Some(now) = recorded.inputs.get(NAME).filter(|_| is_left_out(declared))
        && desired.as_map().is_some()
    {
        desired.set(&NAME.into(), now.clone());
    }
    desired
}

fn is_left_out(inputs: &Value) -> bool {
    inputs.get(NAME).is_none_or(|name| *name == Value::Null)
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
    use crate::{Options, Urn};

    fn recorded(name: &str) -> Recorded {
        Recorded {
            urn: Urn::new("dev", "fake:Group", "general").unwrap(),
            id: String::new(),
            inputs: Value::from([(NAME, name)]),
            outputs: Value::Null,
            connection: None,
            dependencies: Vec::new(),
            options: Options::default(),
            unsettled: false,
        }
    }

    #[test]
    fn a_name_that_is_left_to_the_provider_is_numbered_and_kept() {
        let desired = Value::from([(NAME, "dev-general")]);
        let next = |name: &str| beside(&recorded(name), &Value::map(), &desired, "dev-general", 63).unwrap();
        assert_eq!(next("dev-general").text_at(NAME), Some("dev-general-2"));
        assert_eq!(next("dev-general-2").text_at(NAME), Some("dev-general-3"));
        assert_eq!(next("another").text_at(NAME), Some("dev-general"));
        let kept = keep(&recorded("dev-general-2"), &Value::map(), desired.clone());
        assert_eq!(kept.text_at(NAME), Some("dev-general-2"));
    }

    #[test]
    fn a_name_that_was_given_stays() {
        let given = Value::from([(NAME, "mine")]);
        assert_eq!(beside(&recorded("mine"), &given, &given, "dev-general", 63), None);
        assert_eq!(keep(&recorded("dev-general-2"), &given, given.clone()), given);
    }

    #[test]
    fn a_long_name_makes_room_for_its_number() {
        let long = "a-very-long-name-for-a-cluster-in-dev-40";
        let name = numbered(long, 12, 40);
        assert!(name.len() <= 40 && number_of(&name, long) == Some(12), "{name}");
        assert!(numbered(&"x".repeat(63), 12, 63).len() <= 63);
    }
}
