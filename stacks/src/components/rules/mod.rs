//! The platform's watch over itself, as code: groups of alerting and recording rules, one file per subject, each alert
//! with unit tests that `promtool` runs. Rules here know metric names and thresholds; how they reach Prometheus and
//! Thanos is the business of those components.

mod collection;
mod kubernetes;
mod logs;
mod metrics;
mod platform;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tools;
mod traces;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::Stack;
use crate::sizing::Sizing;

/// A file of rules, as Prometheus reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleFile {
    /// The groups, evaluated side by side.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other, at the same instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The group's name, unique in its file.
    pub name: String,
    /// How often it is evaluated, if not as often as all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Group {
    fn new(name: &str, rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { name: name.to_owned(), interval: None, rules: rules.into_iter().collect() }
    }
}

/// One rule: an alert, or a recorded expression.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Rule {
    /// The alert's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The name of the series that an expression is recorded as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The expression.
    pub expr: String,
    /// How long the expression must hold before the alert fires.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Labels to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What people are told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How bad it is, which decides who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// Somebody must act now.
    Critical,
    /// Somebody must act in working hours.
    Warning,
    /// Nobody is told: the alert is a signal for machines.
    None,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::None => "none",
        }
    }
}

impl Rule {
    /// An alert. `pending` is how long the expression must hold.
    fn alert(name: &str, severity: Severity, pending: &str, expr: impl Into<String>) -> Self {
        Self {
            alert: Some(name.to_owned()),
            expr: one_line(&expr.into()),
            pending: (pending != "0m").then(|| pending.to_owned()),
            labels: [("severity".to_owned(), severity.name().to_owned())].into(),
            ..Self::default()
        }
    }

    /// A recorded expression.
    fn record(name: &str, expr: impl Into<String>) -> Self {
        Self { record: Some(name.to_owned()), expr: one_line(&expr.into()), ..Self::default() }
    }

    /// What is wrong, in one line, and what that means or what to do.
    fn says(mut self, summary: &str, description: &str) -> Self {
        self.annotations.insert("summary".to_owned(), summary.to_owned());
        self.annotations.insert("description".to_owned(), description.to_owned());
        self
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Expressions are written over several lines here and shown on one everywhere else.
fn one_line(expr: &str) -> String {
    expr.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What rules depend on beside their subject.
struct Subject<'a> {
    platform: &'a crate::model::Platform,
    sizing: &'a Sizing,
}

/// The rules that every Prometheus evaluates, by file name. Empty when the stack has no platform, or does not want the
/// platform to watch itself.
pub fn for_prometheus(stack: &Stack, sizing: &Sizing) -> BTreeMap<String, RuleFile> {
    let Some(platform) = stack.platform.as_ref().filter(|platform| platform.self_monitoring.enabled) else {
        return BTreeMap::new();
    };
    let subject = Subject { platform, sizing };
    let mut files = BTreeMap::new();
    let mut add = |name: &str, groups: Vec<Group>| {
        files.insert(format!("{name}.yaml"), RuleFile { groups });
    };
    let mut metrics = vec![metrics::watchdog("prometheus"), metrics::prometheus(&subject)];
    if !platform.thanos.enabled {
        metrics.push(metrics::replicas(&subject));
    }
    add("prometheus", metrics);
    add("alertmanager", vec![metrics::alertmanager(&subject)]);
    add("kubernetes", kubernetes::groups());
    add("platform", platform::groups(&subject));
    add("collection", collection::groups());
    if platform.thanos.enabled {
        add("thanos", vec![metrics::thanos()]);
    }
    if platform.loki.enabled {
        add("loki", vec![logs::loki()]);
    }
    if platform.tempo.enabled {
        add("tempo", vec![traces::tempo()]);
    }
    files
}

/// The rules that Thanos' ruler evaluates over all replicas: those that watch Prometheus from outside.
pub fn for_ruler(stack: &Stack, sizing: &Sizing) -> BTreeMap<String, RuleFile> {
    let Some(platform) = stack.platform.as_ref().filter(|platform| platform.self_monitoring.enabled) else {
        return BTreeMap::new();
    };
    let subject = Subject { platform, sizing };
    let groups = vec![metrics::watchdog("thanos-ruler"), metrics::replicas(&subject)];
    [("watch.yaml".to_owned(), RuleFile { groups })].into()
}

/// The rules over logs that Loki's ruler evaluates.
pub fn for_loki(stack: &Stack) -> BTreeMap<String, RuleFile> {
    let Some(platform) = stack.platform.as_ref().filter(|platform| platform.self_monitoring.enabled) else {
        return BTreeMap::new();
    };
    let namespace = platform.namespaces.platform.as_str();
    [("platform.yaml".to_owned(), RuleFile { groups: vec![logs::over_logs(namespace)] })].into()
}
