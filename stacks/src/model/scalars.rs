//! Text that has a form: ranges, durations, quantities, names. Each is checked when a stack file is read, so that
//! the program never meets a malformed one.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::forms;

macro_rules! text_with_form {
    ($(#[$documentation:meta])* $name:ident, $form:literal, $example:literal) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                forms::check($form, &text).map(|()| Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": concat!("plinth-", $form), "examples": [$example] })
            }
        }
    };
}

text_with_form!(
    /// A network range such as `10.0.0.0/16`: an address (of either family) and a prefix length.
    Cidr, "cidr", "10.0.0.0/16"
);
text_with_form!(
    /// A span of time in Prometheus' spelling: `30s`, `1h30m`, `15d`, `2w`, `1y`.
    Duration, "duration", "15d"
);
text_with_form!(
    /// A DNS name such as `observability.example.com`.
    DnsName, "dns-name", "observability.example.com"
);
text_with_form!(
    /// One label of a DNS name: lower-case letters, digits and dashes, at most 63 characters. Names of stacks and of Kubernetes namespaces have this form.
    DnsLabel, "dns-label", "monitoring"
);
text_with_form!(
    /// An absolute `http://` or `https://` address.
    Url, "url", "https://idp.example.com"
);
text_with_form!(
    /// A schedule of five cron fields (minute, hour, day of month, month, day of week), in UTC.
    CronSchedule, "cron", "17 2 * * *"
);
text_with_form!(
    /// A minor version of Kubernetes, quoted, such as `"1.35"`.
    KubernetesVersion, "kubernetes-version", "1.35"
);

/// A Kubernetes quantity: `500m`, `2`, `512Mi`, `100Gi`. A plain number is one too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "TextOrNumber", into = "String")]
pub struct Quantity(String);

/// `cpu: 2` is as good as `cpu: "2"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(serde_json::Number),
}

impl TryFrom<TextOrNumber> for Quantity {
    type Error = String;

    fn try_from(written: TextOrNumber) -> Result<Self, String> {
        match written {
            TextOrNumber::Text(text) => text.parse(),
            TextOrNumber::Number(number) => number.to_string().parse(),
        }
    }
}

impl std::str::FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        forms::check("quantity", text).map(|()| Self(text.to_owned()))
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> String {
        quantity.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"], "format": "plinth-quantity", "minimum": 0, "examples": ["100Gi"] })
    }
}

impl Duration {
    /// How long it is, in seconds (fractions of a second are dropped).
    pub fn seconds(&self) -> u64 {
        forms::duration_milliseconds(&self.0).unwrap_or(0) / 1000
    }

    /// The same as a standard duration.
    pub fn std(&self) -> std::time::Duration {
        std::time::Duration::from_millis(forms::duration_milliseconds(&self.0).unwrap_or(0))
    }

    /// A whole number of days.
    pub fn days(days: u64) -> Self {
        Self(format!("{days}d"))
    }

    /// A whole number of seconds, written in the largest unit that divides it.
    pub fn from_seconds(seconds: u64) -> Self {
        for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
            if seconds > 0 && seconds.is_multiple_of(length) {
                return Self(format!("{}{unit}", seconds / length));
            }
        }
        Self(format!("{seconds}s"))
    }
}

impl Quantity {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The amount in thousandths (so `500m` is 500 and `2` is 2000; `1Ki` is 1,024,000).
    pub fn thousandths(&self) -> u128 {
        forms::quantity_thousandths(&self.0).unwrap_or(0)
    }

    /// The amount as a whole number (bytes, cores), rounded up.
    pub fn whole(&self) -> u64 {
        u64::try_from(self.thousandths().div_ceil(1000)).unwrap_or(u64::MAX)
    }

    /// A number of gibibytes.
    pub fn gibibytes(amount: u64) -> Self {
        Self(format!("{amount}Gi"))
    }

    /// A number of mebibytes; written in gibibytes when it is a whole number of them.
    pub fn mebibytes(amount: u64) -> Self {
        if amount > 0 && amount.is_multiple_of(1024) {
            Self::gibibytes(amount / 1024)
        } else {
            Self(format!("{amount}Mi"))
        }
    }

    /// A number of thousandths of a core; written in cores when it is a whole number of them.
    pub fn millicores(amount: u64) -> Self {
        if amount.is_multiple_of(1000) {
            Self((amount / 1000).to_string())
        } else {
            Self(format!("{amount}m"))
        }
    }
}

impl KubernetesVersion {
    /// The minor number, such as 35.
    pub fn minor(&self) -> u32 {
        self.0.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
    }
}
