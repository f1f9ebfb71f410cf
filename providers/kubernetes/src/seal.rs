//! Marks as secret what comes back from the server and is a secret of the inputs: the server knows no secrets, so what
//! it returns is plain wherever it stands.

use plinth_provider::Value;

/// Shorter texts would mark ordinary words.
const LEAST: usize = 4;

/// Wraps every text of `value` that holds a secret of `inputs`.
pub(crate) fn seal(value: Value, inputs: &Value) -> Value {
    let mut texts = Vec::new();
    inputs.secret_texts(&mut |text| {
        if text.len() >= LEAST {
            texts.push(text.to_owned());
        }
    });
    if texts.is_empty() { value } else { sealed(value, &texts) }
}

fn sealed(value: Value, texts: &[String]) -> Value {
    match value {
        Value::String(text) if texts.iter().any(|secret| text.contains(secret.as_str())) => {
            Value::secret(text)
        }
        Value::List(list) => Value::List(list.into_iter().map(|item| sealed(item, texts)).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(key, item)| (key, sealed(item, texts))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let inputs = Value::from([("env", Value::secret("hunter2")), ("short", Value::secret("a"))]);
        let live = Value::from([("a", Value::from(vec!["x hunter2 y", "plain"]))]);
        let sealed = seal(live, &inputs);
        assert!(!format!("{sealed}").contains("hunter2"));
        assert!(format!("{sealed}").contains("plain"));
    }
}
