//! Prometheus: what is scraped, the rules over it, and (with Thanos) the sidecar that brings blocks to the bucket.

pub(crate) mod config;
mod own;
mod scrape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1 as net;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use self::config::{
    Alerting, Alertmanagers, Authorization, Config, Exemplars, Global, KubernetesSd, Relabel, RemoteWrite,
    Retention, Storage, Tls, Tsdb, WebConfig,
};
use crate::catalogue::Image;
use crate::components::rules;
use crate::components::thanos::{self, config::HttpClient, text};
use crate::kit::parts::{self, ports};
use crate::kit::{
    Build, CA_FILE, CERT_FILE, Check, Container, Entry, KEY_FILE, Outside, Phase, Probes, Workload, metadata,
    non_resource, rule, text_map,
};
use crate::model::BucketPurpose;

/// The uid and gid of Prometheus' image; the sidecar shares them, because it links the same files.
const USER: i64 = 65534;
/// Where the disk is mounted.
const DATA: &str = "/prometheus";
/// Where configuration is mounted.
const CONFIG: &str = "/etc/prometheus/config";
/// Where rules are mounted.
const RULES: &str = "/etc/prometheus/rules";
/// Where tokens for other systems are mounted.
const TOKENS: &str = "/etc/prometheus/tokens";
/// The Secret with them.
const TOKENS_SECRET: &str = "prometheus-remote-write";
/// Where the sidecar notes what it has uploaded. Prometheus compacts only blocks that are noted there.
const SHIPPED: &str = "/prometheus/thanos.shipper.json";

/// Declares Prometheus, and what lets it reach everything it scrapes.
pub(crate) fn declare(b: &mut Build<'_>) {
    b.phase(Phase::Metrics);
    let part = parts::PROMETHEUS;
    let shape = b.sizing.prometheus.clone();
    let thanos = b.platform.thanos.enabled;
    let mut rules: Vec<_> = rules::for_prometheus(b.stack, &b.sizing)
        .into_iter()
        .map(|(name, file)| (name, text(&file)))
        .collect();
    rules.extend(own::rules(b));
    let files = [("prometheus.yaml", text(&config(b))), ("web.yaml", text(&WebConfig::probed()))];
    let mut workload = Workload::stateful_set(b, part, Image::Prometheus, &shape)
        .user(USER, USER)
        .grace(600)
        .main(|main| {
            main.args(arguments(b, thanos))
                .env_field("POD_NAME", "metadata.name")
                .port("https", ports::PROMETHEUS)
                .probes(
                    // Reading the write-ahead log after a crash takes minutes for each million series.
                    Probes::new(Check::Https("https", "/-/ready"), Check::Https("https", "/-/healthy"))
                        .startup(3600),
                )
        })
        .config(CONFIG, files)
        .more_config("rules", RULES, rules)
        .disk(DATA)
        .tls_for(vec![b.peer_name().to_owned()])
        .headless()
        .metrics(ports::PROMETHEUS, "/metrics")
        .cluster_rules(vec![
            rule(
                &[""],
                &["nodes", "nodes/metrics", "services", "endpoints", "pods"],
                &["get", "list", "watch"],
            ),
            rule(&["discovery.k8s.io"], &["endpointslices"], &["get", "list", "watch"]),
            rule(&["networking.k8s.io"], &["ingresses"], &["get", "list", "watch"]),
            non_resource(&["/metrics", "/metrics/cadvisor"], &["get"]),
        ]);
    let tokens = tokens(b);
    if !tokens.is_empty() {
        b.secret(part.space, TOKENS_SECRET, tokens);
        workload = workload.secret("tokens", TOKENS_SECRET, TOKENS);
    }
    if thanos {
        thanos::declare_bucket_secret(b);
        let bucket = b.bucket(BucketPurpose::Thanos);
        workload = workload
            .more_config("sidecar", "/etc/thanos/config", sidecar_files(b))
            .secret("objstore", thanos::BUCKET_SECRET, thanos::BUCKET_DIRECTORY)
            .sidecar(sidecar(b))
            .after(bucket.needs);
        thanos::reach_bucket(b, part);
        b.allow(part, part, &[ports::THANOS_HTTP]);
    }
    workload.deploy(b);
    scrape::allow(b);
    b.allow(part, parts::ALERTMANAGER, &[ports::ALERTMANAGER]);
    for target in b.platform.prometheus.remote_write.clone() {
        b.allow_outside(part, Outside::Internet(port_of(target.url.as_str())));
    }
    applications(b);
}

fn arguments(b: &Build<'_>, thanos: bool) -> Vec<String> {
    let mut arguments = vec![
        format!("--config.file={CONFIG}/prometheus.yaml"),
        format!("--storage.tsdb.path={DATA}"),
        format!("--web.config.file={CONFIG}/web.yaml"),
        format!("--web.listen-address=0.0.0.0:{}", ports::PROMETHEUS),
        format!("--web.external-url=https://{}:{}", b.host(parts::PROMETHEUS), ports::PROMETHEUS),
        "--web.enable-remote-write-receiver".to_owned(),
        "--web.enable-otlp-receiver".to_owned(),
        "--enable-feature=exemplar-storage".to_owned(),
        "--query.timeout=2m".to_owned(),
    ];
    if thanos {
        arguments.push(format!("--storage.tsdb.delay-compact-file.path={SHIPPED}"));
    }
    arguments
}

/// The configuration.
fn config(b: &Build<'_>) -> Config {
    let prometheus = &b.platform.prometheus;
    let mut external_labels = prometheus.external_labels.clone();
    external_labels.insert("cluster".to_owned(), b.stack.cluster_name());
    external_labels.insert("environment".to_owned(), b.stack.environment().to_owned());
    // Expanded by Prometheus itself; what tells replicas apart is dropped again from alerts.
    external_labels.insert("replica".to_owned(), "${POD_NAME}".to_owned());
    // A fifth of the disk stays free, for the write-ahead log and for compaction.
    let disk = b.sizing.prometheus.disk().whole() / (1 << 20) * 4 / 5;
    Config {
        global: Global {
            scrape_interval: prometheus.scrape_interval.to_string(),
            scrape_timeout: format!("{}s", prometheus.scrape_interval.seconds().clamp(1, 10)),
            evaluation_interval: prometheus.evaluation_interval.to_string(),
            external_labels,
        },
        storage: Storage {
            tsdb: Tsdb {
                // Late samples make blocks that overlap, on which Thanos' compactor halts.
                out_of_order_time_window: (!b.platform.thanos.enabled).then_some("30m"),
                retention: Retention { time: prometheus.retention.to_string(), size: format!("{disk}MB") },
            },
            exemplars: Exemplars { max_exemplars: 100_000 },
        },
        rule_files: vec![format!("{RULES}/*.yaml")],
        alerting: Alerting {
            alert_relabel_configs: vec![Relabel::drop_label("replica")],
            alertmanagers: vec![alertmanagers(b)],
        },
        remote_write: copies(b),
        scrape_configs: scrape::jobs(b),
    }
}

/// Every pod of Alertmanager, not the Service: each must hear of every alert.
fn alertmanagers(b: &Build<'_>) -> Alertmanagers {
    let part = parts::ALERTMANAGER;
    Alertmanagers {
        scheme: "https",
        api_version: "v2",
        tls_config: Tls::mutual(b.host(part)),
        kubernetes_sd_configs: vec![KubernetesSd::of("endpointslice", &[b.namespace(part.space)])],
        relabel_configs: vec![
            Relabel::keep(&["__meta_kubernetes_service_name"], part.headless()),
            Relabel::keep(&["__meta_kubernetes_endpointslice_port_name"], "https"),
        ],
    }
}

/// Other systems that get a copy of every sample.
fn copies(b: &Build<'_>) -> Vec<RemoteWrite> {
    let targets = b.platform.prometheus.remote_write.iter().enumerate();
    targets
        .map(|(number, target)| RemoteWrite {
            name: format!("copy-{number}"),
            url: target.url.to_string(),
            send_exemplars: None,
            authorization: target.bearer_token.as_ref().map(|_| Authorization {
                kind: "Bearer",
                credentials_file: format!("{TOKENS}/token-{number}"),
            }),
            tls_config: None,
        })
        .collect()
}

fn tokens(b: &Build<'_>) -> Vec<Entry> {
    let targets = b.platform.prometheus.remote_write.iter().enumerate();
    targets
        .filter_map(|(number, target)| {
            target.bearer_token.as_ref().map(|token| Entry::source(&format!("token-{number}"), Some(token)))
        })
        .collect()
}

fn port_of(url: &str) -> i32 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?']).next().unwrap_or("");
    let default = if scheme == "http" { 80 } else { 443 };
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(default)
}

/// Where others write samples: every replica by itself, so that each holds everything. Name and address.
pub(crate) fn remote_write_urls(b: &Build<'_>) -> Vec<(String, String)> {
    let part = parts::PROMETHEUS;
    let host = b.headless_host(part);
    (0..b.sizing.prometheus.replicas)
        .map(|replica| {
            let pod = format!("{}-{replica}", part.name());
            let url = format!("https://{pod}.{host}:{}/api/v1/write", ports::PROMETHEUS);
            (pod, url)
        })
        .collect()
}

/// The sidecar: uploads blocks, and gives queriers what is not uploaded yet.
fn sidecar(b: &Build<'_>) -> Container {
    let shape = &b.sizing.thanos.sidecar;
    let sidecar = Container::new("thanos-sidecar", b.stack.catalogue.image(Image::Thanos))
        .compute(&shape.resources)
        .args([
            "sidecar".to_owned(),
            "--log.format=logfmt".to_owned(),
            format!("--tsdb.path={DATA}"),
            format!("--prometheus.url=https://localhost:{}", ports::PROMETHEUS),
            "--prometheus.http-client-file=/etc/thanos/config/prometheus.yaml".to_owned(),
            format!("--objstore.config-file={}", thanos::BUCKET_FILE),
            format!("--http-address=0.0.0.0:{}", ports::THANOS_HTTP),
            "--http.config=/etc/thanos/config/web.yaml".to_owned(),
            format!("--grpc-address=0.0.0.0:{}", ports::THANOS_GRPC),
            format!("--grpc-server-tls-cert={CERT_FILE}"),
            format!("--grpc-server-tls-key={KEY_FILE}"),
            format!("--grpc-server-tls-client-ca={CA_FILE}"),
        ])
        .port("thanos-http", ports::THANOS_HTTP)
        .port("grpc", ports::THANOS_GRPC)
        .probes(
            Probes::new(Check::Https("thanos-http", "/-/ready"), Check::Https("thanos-http", "/-/healthy"))
                .startup(3600),
        )
        .mount("data", DATA, false)
        .mount("config-sidecar", "/etc/thanos/config", true)
        .mount("objstore", thanos::BUCKET_DIRECTORY, true);
    // For stores that know only keys.
    match &b.foundation.credentials {
        Some(secret) => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
            .into_iter()
            .fold(sidecar, |sidecar, key| sidecar.env_secret(key, secret, key)),
        None => sidecar,
    }
}

fn sidecar_files(b: &Build<'_>) -> [(&'static str, String); 2] {
    [
        ("prometheus.yaml", text(&HttpClient::to(b.host(parts::PROMETHEUS)))),
        ("web.yaml", text(&WebConfig::probed())),
    ]
}

/// Lets Prometheus reach pods of applications that ask to be scraped, on whatever port they chose.
fn applications(b: &mut Build<'_>) {
    if !b.platform.network_policies.enabled {
        return;
    }
    let part = parts::PROMETHEUS;
    let of_namespace = |labels: Option<BTreeMap<String, String>>| net::NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector { match_labels: labels, ..LabelSelector::default() }),
        ..Default::default()
    };
    let namespaces = &b.platform.prometheus.scrape_namespaces;
    let peers = if namespaces.is_empty() {
        vec![of_namespace(None)]
    } else {
        let label = |name: &String| text_map([("kubernetes.io/metadata.name", name.as_str())]);
        namespaces.iter().map(|name| of_namespace(Some(label(name)))).collect()
    };
    let policy = net::NetworkPolicy {
        metadata: metadata(Some(b.namespace(part.space)), "prometheus-applications", b.labels(part)),
        spec: Some(net::NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(b.selector(part)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Egress".to_owned()]),
            egress: Some(vec![net::NetworkPolicyEgressRule { to: Some(peers), ports: None }]),
            ingress: None,
        }),
    };
    b.object(policy);
}
