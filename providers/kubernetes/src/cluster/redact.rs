//! Takes secrets out of the server's error texts: they echo values, and diffs of whole pods.

use plinth_provider::{Error, Value};

/// The longest quoted value that is shown.
const SHORT: usize = 120;

/// Knows the texts that must not be shown.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    texts: plinth_provider::Redactor,
}

impl Redactor {
    /// The secrets and the environment values of some inputs.
    pub(crate) fn of(inputs: &Value) -> Self {
        let mut texts = Vec::new();
        env_values(inputs, &mut texts);
        Self { texts: plinth_provider::Redactor::of([inputs]).with(texts) }
    }

    /// A text without them, and without values that run over lines.
    pub(crate) fn clean(&self, text: &str) -> String {
        shorten(&self.texts.clean(text))
    }

    /// An error without them.
    pub(crate) fn error(&self, mut error: Error) -> Error {
        error.message = self.clean(&error.message);
        error.help = error.help.map(|help| self.clean(&help));
        error.more = error.more.into_iter().map(|other| self.error(other)).collect();
        error
    }
}

fn env_values(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Map(map) => {
            for (key, value) in map {
                if key == "env" {
                    for item in value.as_list().unwrap_or_default() {
                        // Flags such as `true` are no secrets, and common words.
                        if let Some(text) = item.get("value").and_then(Value::as_str)
                            && text.len() > 8
                        {
                            texts.push(text.to_owned());
                        }
                    }
                }
                env_values(value, texts);
            }
        }
        Value::List(list) => list.iter().for_each(|value| env_values(value, texts)),
        Value::Secret(inner) => env_values(inner, texts),
        _ => {}
    }
}

/// Cuts long values out of each `Invalid value: <a whole object>: the reason`, and a diff that follows on further lines.
pub(crate) fn shorten(text: &str) -> String {
    const MARK: &str = "Invalid value: ";
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK).map(|at| at + MARK.len()) {
        short.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = value_end(rest);
        short.push_str(if end > SHORT { "…" } else { &rest[..end] });
        rest = &rest[end..];
    }
    short.push_str(rest);
    match short.find('\n') {
        Some(end) => short[..end].trim_end().to_owned(),
        None => short,
    }
}

/// Where a value ends, in the server's own notation: at the colon before the reason, outside of quotes and brackets.
fn value_end(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && text[at..].starts_with(": ") => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_env_values_and_diffs_go() {
        let inputs = Value::from([
            ("data", Value::from([("k", Value::secret("aHVudGVyMg=="))])),
            (
                "spec",
                Value::from([(
                    "env",
                    Value::List(vec![Value::from([("name", "P"), ("value", "postgres://me:pw@db")])]),
                )]),
            ),
        ]);
        let redactor = Redactor::of(&inputs);
        let clean =
            redactor.clean("cannot use hunter2 or aHVudGVyMg== at postgres://me:pw@db\n core.PodSpec{…}");
        assert_eq!(clean, "cannot use (secret) or (secret) at (secret)");
        let long =
            format!("spec: Invalid value: core.PodSpec{{{}}}: field is immutable", "x: 1, ".repeat(60));
        assert_eq!(redactor.clean(&long), "spec: Invalid value: …: field is immutable");
        // Every reason stays, however many there are.
        let many = format!(
            "[a: Invalid value: 99: too big, b: Invalid value: \"x: {}\": too long, c: Unsupported value: \"z\"]",
            "y".repeat(200)
        );
        let clean =
            "[a: Invalid value: 99: too big, b: Invalid value: …: too long, c: Unsupported value: \"z\"]";
        assert_eq!(redactor.clean(&many), clean);
        assert_eq!(redactor.clean(clean), clean);
    }
}
