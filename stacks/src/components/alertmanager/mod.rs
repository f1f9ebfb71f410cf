//! Alertmanager: who is told what. Its pods tell each other what they have sent.

mod config;
#[cfg(test)]
mod tests;

use self::config::GossipTls;
use crate::catalogue::Image;
use crate::components::prometheus::config::WebConfig;
use crate::components::thanos::text;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, Check, Outside, Phase, Probes, Workload};

/// The uid and gid of Alertmanager's image.
const USER: i64 = 65534;
/// Where configuration is mounted.
const CONFIG: &str = "/etc/alertmanager/config";
/// Where secrets are mounted, a file each.
const SECRETS_DIRECTORY: &str = "/etc/alertmanager/secrets";
/// The Secret with them.
const SECRET: &str = "alertmanager-receivers";
/// Where the disk is mounted.
const DATA: &str = "/alertmanager";

/// Declares Alertmanager.
pub(crate) fn declare(b: &mut Build<'_>) {
    b.phase(Phase::Metrics);
    let part = parts::ALERTMANAGER;
    let shape = b.sizing.alertmanager.clone();
    let (config, secrets) = config::config(&b.platform.alertmanager);
    let mut files = vec![("alertmanager.yaml", text(&config)), ("web.yaml", text(&WebConfig::probed()))];
    let clustered = shape.replicas > 1;
    if clustered {
        files.push(("gossip.yaml", text(&GossipTls::new(b.host(part)))));
    }
    let mut workload = Workload::stateful_set(b, part, Image::Alertmanager, &shape)
        .user(USER, USER)
        .grace(60)
        .main(|main| {
            let main = main
                .args(arguments(b, clustered))
                .env_field("POD_IP", "status.podIP")
                .env_field("POD_NAME", "metadata.name")
                .port("https", ports::ALERTMANAGER)
                .probes(Probes::new(Check::Https("https", "/-/ready"), Check::Https("https", "/-/healthy")));
            // With TLS, gossip uses TCP alone.
            if clustered { main.port("gossip", ports::ALERTMANAGER_GOSSIP) } else { main }
        })
        .config(CONFIG, files)
        .disk(DATA)
        .tls()
        .before_ready()
        .metrics(ports::ALERTMANAGER, "/metrics");
    if !secrets.is_empty() {
        b.secret(part.space, SECRET, secrets);
        workload = workload.secret("secrets", SECRET, SECRETS_DIRECTORY);
    }
    workload.deploy(b);
    if clustered {
        b.allow(part, part, &[ports::ALERTMANAGER_GOSSIP]);
    }
    for port in outside_ports(b) {
        b.allow_outside(part, Outside::Internet(port));
    }
}

fn arguments(b: &Build<'_>, clustered: bool) -> Vec<String> {
    let part = parts::ALERTMANAGER;
    let mut arguments = vec![
        format!("--config.file={CONFIG}/alertmanager.yaml"),
        format!("--storage.path={DATA}"),
        "--data.retention=120h".to_owned(),
        format!("--web.listen-address=:{}", ports::ALERTMANAGER),
        format!("--web.config.file={CONFIG}/web.yaml"),
        format!("--web.external-url=https://{}:{}", b.host(part), ports::ALERTMANAGER),
        "--log.format=logfmt".to_owned(),
    ];
    if clustered {
        let port = ports::ALERTMANAGER_GOSSIP;
        arguments.extend([
            format!("--cluster.listen-address=0.0.0.0:{port}"),
            format!("--cluster.advertise-address=$(POD_IP):{port}"),
            format!("--cluster.label={}", b.stack.name),
            "--cluster.peer-name=$(POD_NAME)".to_owned(),
            "--cluster.reconnect-timeout=5m".to_owned(),
            format!("--cluster.tls-config={CONFIG}/gossip.yaml"),
        ]);
        let host = b.headless_host(part);
        for replica in 0..b.sizing.alertmanager.replicas {
            arguments.push(format!("--cluster.peer={}-{replica}.{host}:{port}", part.name()));
        }
    } else {
        arguments.push("--cluster.listen-address=".to_owned());
    }
    arguments
}

/// The ports that receivers listen on: web hooks on 443, mail servers on their own.
fn outside_ports(b: &Build<'_>) -> Vec<i32> {
    let alertmanager = &b.platform.alertmanager;
    let mut ports: Vec<i32> = alertmanager
        .receivers
        .iter()
        .flat_map(|receiver| &receiver.email)
        .filter_map(|email| email.smarthost.rsplit_once(':')?.1.parse().ok())
        .collect();
    let over_https = alertmanager.dead_mans_switch.is_some()
        || alertmanager.receivers.iter().any(|receiver| {
            !receiver.slack.is_empty() || !receiver.pagerduty.is_empty() || !receiver.webhook.is_empty()
        });
    if over_https {
        ports.push(443);
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}
