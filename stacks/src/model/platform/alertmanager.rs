//! Alertmanager: who is told what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::scalars::{Duration, Quantity};
use crate::model::secret::SecretSource;
use crate::model::workload::Resources;

/// Alertmanager.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Alertmanager {
    /// The number of pods, which tell each other what they have sent.
    #[schemars(range(min = 1, max = 9))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: Resources,
    /// The size of each pod's disk, for silences and the notification log.
    pub storage: Option<Quantity>,
    /// Who can be told. Without any, alerts are only shown.
    pub receivers: Vec<Receiver>,
    /// Who is told what. Everything goes to the first receiver when left out.
    pub route: Option<Route>,
    /// An address outside the platform that expects a request every few minutes and raises the alarm when none comes.
    pub dead_mans_switch: Option<DeadMansSwitch>,
}

/// Someone, or something, that can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receiver {
    /// The name that routes refer to.
    pub name: String,
    /// Slack channels.
    #[serde(default)]
    pub slack: Vec<Slack>,
    /// PagerDuty services.
    #[serde(default)]
    pub pagerduty: Vec<PagerDuty>,
    /// Mail addresses.
    #[serde(default)]
    pub email: Vec<Email>,
    /// Any other system, by an HTTP request.
    #[serde(default)]
    pub webhook: Vec<Webhook>,
}

/// A Slack channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slack {
    /// The incoming webhook's address, which is a secret.
    pub api_url: SecretSource,
    /// The channel, such as `#alerts`.
    pub channel: String,
    /// Tells when the alert is over, too.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// A PagerDuty service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration key of the Events API v2.
    pub routing_key: SecretSource,
    /// The severity to report; the alert's own label when left out.
    #[serde(default)]
    pub severity: Option<String>,
    /// Tells when the alert is over, too.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// A mail address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
    /// Who gets the mail.
    #[schemars(regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub to: String,
    /// Who sends it.
    #[schemars(regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub from: String,
    /// The mail server as `host:port`.
    #[schemars(regex(pattern = r"^[^:\s]+:[0-9]+$"))]
    pub smarthost: String,
    /// The user at the mail server.
    #[serde(default)]
    pub username: Option<String>,
    /// The password at the mail server.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// Tells when the alert is over, too.
    #[serde(default)]
    pub send_resolved: bool,
}

/// Any system that takes Alertmanager's HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// The address, which is a secret because it often holds a token.
    pub url: SecretSource,
    /// Tells when the alert is over, too.
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

fn yes() -> bool {
    true
}

/// Who is told what: the first child route that matches, else this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// The receiver's name; the parent's when left out.
    #[serde(default)]
    pub receiver: Option<String>,
    /// Conditions on labels, such as `severity = "critical"`; all must hold.
    #[serde(default)]
    pub matchers: Vec<String>,
    /// Labels by which alerts are gathered into one notification.
    #[serde(default)]
    pub group_by: Vec<String>,
    /// How long to wait for more alerts of a new group.
    #[serde(default)]
    pub group_wait: Option<Duration>,
    /// How long to wait before telling about new alerts of a known group.
    #[serde(default)]
    pub group_interval: Option<Duration>,
    /// How long to wait before telling the same again.
    #[serde(default)]
    pub repeat_interval: Option<Duration>,
    /// Goes on to the next sibling even if this route matches.
    #[serde(default, rename = "continue")]
    pub continue_matching: bool,
    /// Routes for parts of what arrives here.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// An address that expects a request every few minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadMansSwitch {
    /// The address, which is a secret because it holds a token.
    pub url: SecretSource,
    /// How often it is called.
    #[serde(default = "five_minutes")]
    pub interval: Duration,
}

fn five_minutes() -> Duration {
    crate::model::constant("5m")
}
