//! Alertmanager's configuration file: from a stack file's receivers and routes to typed YAML. Every secret is read from
//! a file, so that the configuration itself holds none.

use serde::Serialize;

use super::SECRETS_DIRECTORY;
use crate::kit::Entry;
use crate::model::{Alertmanager, Receiver, Route};

/// Where alerts go that nobody wants to hear of.
const NOWHERE: &str = "plinth-nowhere";
/// Where the dead man's switch goes.
const DEAD_MANS_SWITCH: &str = "plinth-dead-mans-switch";

/// The file.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Config {
    global: Global,
    route: RouteConfig,
    inhibit_rules: Vec<Inhibit>,
    receivers: Vec<ReceiverConfig>,
    templates: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Global {
    resolve_timeout: &'static str,
}

#[derive(Debug, Clone, Default, Serialize)]
struct RouteConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matchers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_wait: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_interval: Option<String>,
    #[serde(rename = "continue", skip_serializing_if = "std::ops::Not::not")]
    continue_matching: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteConfig>,
}

#[derive(Debug, Clone, Serialize)]
struct Inhibit {
    source_matchers: Vec<&'static str>,
    target_matchers: Vec<&'static str>,
    equal: Vec<&'static str>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct ReceiverConfig {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slack_configs: Vec<SlackConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pagerduty_configs: Vec<PagerDutyConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email_configs: Vec<EmailConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhook_configs: Vec<WebhookConfig>,
}

#[derive(Debug, Clone, Serialize)]
struct SlackConfig {
    api_url_file: String,
    channel: String,
    send_resolved: bool,
    title: &'static str,
    text: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct PagerDutyConfig {
    routing_key_file: String,
    severity: String,
    description: &'static str,
    send_resolved: bool,
}

#[derive(Debug, Clone, Serialize)]
struct EmailConfig {
    to: String,
    from: String,
    smarthost: String,
    require_tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_password_file: Option<String>,
    send_resolved: bool,
}

#[derive(Debug, Clone, Serialize)]
struct WebhookConfig {
    url_file: String,
    send_resolved: bool,
}

const TITLE: &str = "[{{ .Status | toUpper }}{{ if eq .Status \"firing\" }}: {{ .Alerts.Firing | len }}{{ end }}] {{ .CommonLabels.alertname }}";
const TEXT: &str =
    "{{ range .Alerts }}*{{ .Annotations.summary }}*\n{{ .Annotations.description }}\n{{ end }}";
const SEVERITY: &str = "{{ if .CommonLabels.severity }}{{ .CommonLabels.severity }}{{ else }}error{{ end }}";

/// The configuration, and the secrets that it reads from files.
pub(super) fn config(alertmanager: &Alertmanager) -> (Config, Vec<Entry>) {
    let mut secrets = Vec::new();
    let mut receivers: Vec<_> = alertmanager
        .receivers
        .iter()
        .enumerate()
        .map(|(position, receiver)| to_receiver(position, receiver, &mut secrets))
        .collect();
    receivers.push(ReceiverConfig { name: NOWHERE.to_owned(), ..ReceiverConfig::default() });

    let first = receivers[0].name.clone();
    let mut root = match &alertmanager.route {
        Some(route) => to_route(route),
        None => RouteConfig::default(),
    };
    root.receiver.get_or_insert(first);
    // The root takes everything, by Alertmanager's own rule.
    root.matchers.clear();
    root.continue_matching = false;
    if root.group_by.is_empty() {
        root.group_by = ["alertname", "cluster", "namespace", "job"].map(str::to_owned).to_vec();
    }
    root.group_wait.get_or_insert_with(|| "30s".to_owned());
    root.group_interval.get_or_insert_with(|| "5m".to_owned());
    root.repeat_interval.get_or_insert_with(|| "4h".to_owned());

    let mut first_routes = Vec::new();
    if let Some(switch) = &alertmanager.dead_mans_switch {
        secrets.push(Entry::source(DEAD_MANS_SWITCH, Some(&switch.url)));
        receivers.push(ReceiverConfig {
            name: DEAD_MANS_SWITCH.to_owned(),
            webhook_configs: vec![WebhookConfig { url_file: file(DEAD_MANS_SWITCH), send_resolved: false }],
            ..ReceiverConfig::default()
        });
        first_routes.push(RouteConfig {
            receiver: Some(DEAD_MANS_SWITCH.to_owned()),
            matchers: vec!["alertname = \"Watchdog\"".to_owned()],
            group_by: vec!["alertname".to_owned()],
            group_wait: Some("0s".to_owned()),
            group_interval: Some(switch.interval.to_string()),
            repeat_interval: Some(switch.interval.to_string()),
            ..RouteConfig::default()
        });
    }
    first_routes.push(RouteConfig {
        receiver: Some(NOWHERE.to_owned()),
        matchers: vec!["severity = \"none\"".to_owned()],
        ..RouteConfig::default()
    });
    root.routes.splice(0..0, first_routes);

    let config = Config {
        global: Global { resolve_timeout: "5m" },
        route: root,
        inhibit_rules: vec![
            Inhibit {
                source_matchers: vec!["severity = \"critical\""],
                target_matchers: vec!["severity = \"warning\""],
                equal: vec!["alertname", "cluster", "namespace"],
            },
            // A node that is gone explains what is missing on it.
            Inhibit {
                source_matchers: vec!["alertname = \"NodeNotReady\""],
                target_matchers: vec!["alertname =~ \"TargetDown|DaemonSetIncomplete|PodNotReady\""],
                equal: vec!["cluster"],
            },
        ],
        receivers,
        templates: Vec::new(),
    };
    (config, secrets)
}

fn file(key: &str) -> String {
    format!("{SECRETS_DIRECTORY}/{key}")
}

/// A name that may stand for a key of a Secret and for a file. The receiver's position keeps names apart that differ
/// only in what is replaced.
fn key(position: usize, receiver: &str, kind: &str, number: usize) -> String {
    let safe: String = receiver
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("{safe}-{position}-{kind}-{number}")
}

fn to_receiver(position: usize, receiver: &Receiver, secrets: &mut Vec<Entry>) -> ReceiverConfig {
    let mut config = ReceiverConfig { name: receiver.name.clone(), ..ReceiverConfig::default() };
    for (number, slack) in receiver.slack.iter().enumerate() {
        let key = key(position, &receiver.name, "slack", number);
        secrets.push(Entry::source(&key, Some(&slack.api_url)));
        config.slack_configs.push(SlackConfig {
            api_url_file: file(&key),
            channel: slack.channel.clone(),
            send_resolved: slack.send_resolved,
            title: TITLE,
            text: TEXT,
        });
    }
    for (number, pager) in receiver.pagerduty.iter().enumerate() {
        let key = key(position, &receiver.name, "pagerduty", number);
        secrets.push(Entry::source(&key, Some(&pager.routing_key)));
        config.pagerduty_configs.push(PagerDutyConfig {
            routing_key_file: file(&key),
            severity: pager.severity.clone().unwrap_or_else(|| SEVERITY.to_owned()),
            description: TITLE,
            send_resolved: pager.send_resolved,
        });
    }
    for (number, email) in receiver.email.iter().enumerate() {
        let key = key(position, &receiver.name, "email", number);
        if let Some(password) = &email.password {
            secrets.push(Entry::source(&key, Some(password)));
        }
        config.email_configs.push(EmailConfig {
            to: email.to.clone(),
            from: email.from.clone(),
            smarthost: email.smarthost.clone(),
            require_tls: true,
            auth_username: email.username.clone(),
            auth_password_file: email.password.as_ref().map(|_| file(&key)),
            send_resolved: email.send_resolved,
        });
    }
    for (number, webhook) in receiver.webhook.iter().enumerate() {
        let key = key(position, &receiver.name, "webhook", number);
        secrets.push(Entry::source(&key, Some(&webhook.url)));
        config
            .webhook_configs
            .push(WebhookConfig { url_file: file(&key), send_resolved: webhook.send_resolved });
    }
    config
}

fn to_route(route: &Route) -> RouteConfig {
    RouteConfig {
        receiver: route.receiver.clone(),
        matchers: route.matchers.clone(),
        group_by: route.group_by.clone(),
        group_wait: route.group_wait.as_ref().map(ToString::to_string),
        group_interval: route.group_interval.as_ref().map(ToString::to_string),
        repeat_interval: route.repeat_interval.as_ref().map(ToString::to_string),
        continue_matching: route.continue_matching,
        routes: route.routes.iter().map(to_route).collect(),
    }
}

/// How members of the cluster prove to each other who they are.
#[derive(Debug, Clone, Serialize)]
pub(super) struct GossipTls {
    tls_server_config: crate::components::prometheus::config::ServerTls,
    tls_client_config: crate::components::prometheus::config::Tls,
}

impl GossipTls {
    /// Mutual TLS between pods that share one certificate name.
    pub fn new(server_name: String) -> Self {
        Self {
            tls_server_config: crate::components::prometheus::config::ServerTls::new(
                "RequireAndVerifyClientCert",
            ),
            tls_client_config: crate::components::prometheus::config::Tls::mutual(server_name),
        }
    }
}
