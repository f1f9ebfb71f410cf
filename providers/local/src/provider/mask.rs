//! What was secret when it was sent is secret when it comes back.

use plinth_provider::Value;

/// `value` with every text that holds one of the secrets of `inputs` made secret.
pub fn like(inputs: &Value, value: Value) -> Value {
    let mut secrets = Vec::new();
    inputs.secret_texts(&mut |text| {
        if !text.is_empty() {
            secrets.push(text.to_owned());
        }
    });
    if secrets.is_empty() { value } else { masked(&secrets, value) }
}

fn masked(secrets: &[String], value: Value) -> Value {
    match value {
        Value::String(text) if secrets.iter().any(|secret| text.contains(secret.as_str())) => {
            Value::secret(text)
        }
        Value::List(list) => Value::List(list.into_iter().map(|value| masked(secrets, value)).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(key, value)| (key, masked(secrets, value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_secret_wherever_they_come_back() {
        let inputs = Value::from([("name", Value::secret("hush")), ("size", Value::from("large"))]);
        let back = Value::from([("id", "arn:hush/1"), ("size", "large")]);
        let masked = like(&inputs, back);
        assert_eq!(masked.get("id"), Some(&Value::secret("arn:hush/1")));
        assert_eq!(masked.get("size"), Some(&Value::from("large")));
    }
}
