//! Takes secrets out of texts that come from outside: systems echo what they were sent, in the form they were sent it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::{Error, Value};

const MASK: &str = "(secret)";
/// Shorter texts would blot out ordinary words.
const LEAST: usize = 4;
/// Shorter pieces of base64 would be found by chance.
const LEAST_ENCODED: usize = 6;

/// Knows the texts that must not be shown, and the forms in which they may be met: as they are, in base64 (also inside
/// a longer text that was encoded as a whole), percent-encoded, and escaped in JSON.
#[derive(Clone, Default)]
pub struct Redactor {
    texts: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} texts)", self.texts.len())
    }
}

impl Redactor {
    /// Knows every secret in the values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut texts = Vec::new();
        for value in values {
            value.secret_texts(&mut |text| texts.push(text.to_owned()));
        }
        Self::default().with(texts)
    }

    /// Knows these texts too.
    #[must_use]
    pub fn with(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        for text in texts {
            if let Some(plain) = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                self.add(&plain);
            }
            self.add(&text);
        }
        // Longest first: a text may hold another.
        self.texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.texts.dedup();
        self
    }

    /// Knows what another one knows, too.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.texts.extend(other.texts.iter().cloned());
        self.texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.texts.dedup();
        self
    }

    fn add(&mut self, text: &str) {
        let text = text.trim();
        if text.len() < LEAST {
            return;
        }
        self.texts.push(text.to_owned());
        self.texts.extend(encoded(text).into_iter().filter(|form| form.len() >= LEAST_ENCODED));
        for form in [percent(text, true), percent(text, false), json(text)] {
            if form != text {
                self.texts.push(form);
            }
        }
        // Systems quote line by line.
        if text.contains('\n') {
            self.texts.extend(text.lines().map(str::trim).filter(|line| line.len() >= 8).map(str::to_owned));
        }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// A text without them.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.texts {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), MASK);
            }
        }
        clean
    }

    /// An error without them.
    pub fn error(&self, mut error: Error) -> Error {
        if !self.is_empty() {
            error.message = self.clean(&error.message);
            error.help = error.help.map(|help| self.clean(&help));
            error.more = error.more.into_iter().map(|other| self.error(other)).collect();
        }
        error
    }
}

/// What of a text's base64 does not depend on what stands around it, at each of the three alignments; and the whole.
fn encoded(text: &str) -> Vec<String> {
    let mut forms = vec![STANDARD.encode(text), STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)];
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        let from = (before * 8).div_ceil(6);
        let to = bytes.len() * 8 / 6;
        for form in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if let Some(inner) = form.get(from..to) {
                forms.push(inner.to_owned());
            }
        }
    }
    forms
}

fn percent(text: &str, upper: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else if upper {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_go_in_every_form() {
        let secret = "pa ss/w+ö\"rd";
        let redactor = Redactor::of([&Value::from([("p", Value::secret(secret))])]);
        let said = [
            secret.to_owned(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            percent(secret, true),
            percent(secret, false),
            json(secret),
        ];
        for said in said {
            assert_eq!(
                redactor.clean(&format!("cannot use {said} here")),
                "cannot use (secret) here",
                "{said}"
            );
        }
        assert_eq!(redactor.clean("an ordinary text"), "an ordinary text");
        let error = redactor.error(Error::invalid(format!("no {secret}")).help(format!("use {secret}")));
        assert!(!format!("{error:?}").contains(secret));
        assert!(!format!("{redactor:?}").contains(secret));
    }

    #[test]
    fn a_secret_that_is_base64_itself_goes_decoded_too() {
        let redactor = Redactor::of([&Value::secret("aHVudGVyMg==")]);
        assert_eq!(redactor.clean("hunter2 or aHVudGVyMg=="), "(secret) or (secret)");
    }

    proptest! {
        /// Wherever a secret stands in a text that was encoded as a whole, it cannot be read from what is left.
        #[test]
        fn no_alignment_shows_it(before in "[a-z]{0,5}", secret in "[A-Za-z0-9]{12,30}", after in "[a-z]{0,5}") {
            let redactor = Redactor::of([&Value::secret(secret.as_str())]);
            let clean = redactor.clean(&STANDARD.encode(format!("{before}{secret}{after}")));
            prop_assert!(clean.contains(MASK), "{}", clean);
            let rest: String = clean.replace(MASK, "");
            let left = STANDARD_NO_PAD.decode(rest.trim_end_matches('=')).unwrap_or_default();
            prop_assert!(!String::from_utf8_lossy(&left).contains(&secret));
        }
    }
}
