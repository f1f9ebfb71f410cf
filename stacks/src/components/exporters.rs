//! Exporters of metrics: about Kubernetes objects, about nodes, and about whether addresses answer.

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value as Json, json};

use crate::catalogue::Image;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, Check, KEY_FILE, Outside, Phase, Probes, Workload, rule, yaml};

/// The file that tells Prometheus' own web server about TLS.
pub(crate) const WEB_CONFIG: &str = "web.yaml";

/// How a server made with Prometheus' toolkit serves TLS. A certificate that is presented must be of the internal
/// authority; the kubelet, which presents none, is let in, and the network policies keep everyone else away.
pub(crate) fn web_config() -> Json {
    json!({
        "tls_server_config": {
            "cert_file": CERT_FILE,
            "key_file": KEY_FILE,
            "client_ca_file": CA_FILE,
            "client_auth_type": "VerifyClientCertIfGiven",
            "min_version": "TLS12",
        },
    })
}

pub(crate) fn declare(build: &mut Build<'_>) {
    build.phase(Phase::Metrics);
    if build.platform.exporters.kube_state_metrics.enabled {
        kube_state_metrics(build);
    }
    if build.platform.exporters.node_exporter.enabled {
        node_exporter(build);
    }
    build.phase(Phase::Monitoring);
    if build.platform.exporters.blackbox.enabled {
        blackbox(build);
    }
}

/// What kube-state-metrics reads. Secrets are left out: that one exists is nobody's business here.
const WATCHED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "nodes",
            "pods",
            "services",
            "serviceaccounts",
            "resourcequotas",
            "replicationcontrollers",
            "limitranges",
            "persistentvolumeclaims",
            "persistentvolumes",
            "namespaces",
            "endpoints",
        ],
    ),
    ("apps", &["statefulsets", "daemonsets", "deployments", "replicasets"]),
    ("batch", &["cronjobs", "jobs"]),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("policy", &["poddisruptionbudgets"]),
    ("certificates.k8s.io", &["certificatesigningrequests"]),
    ("storage.k8s.io", &["storageclasses", "volumeattachments"]),
    ("admissionregistration.k8s.io", &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]),
    ("networking.k8s.io", &["networkpolicies", "ingressclasses", "ingresses"]),
    ("coordination.k8s.io", &["leases"]),
];

fn kube_state_metrics(build: &mut Build<'_>) {
    let part = parts::KUBE_STATE_METRICS;
    let shape = build.sizing.kube_state_metrics.clone();
    let mut rules: Vec<PolicyRule> =
        WATCHED.iter().map(|(group, resources)| rule(&[group], resources, &["list", "watch"])).collect();
    rules.push(rule(&["discovery.k8s.io"], &["endpointslices"], &["list", "watch"]));
    // The list of resources follows from the rules above, so that it never asks for what it may not see.
    let mut resources: Vec<&str> =
        WATCHED.iter().flat_map(|(_, resources)| resources.iter().copied()).collect();
    resources.sort_unstable();
    Workload::deployment(build, part, Image::KubeStateMetrics, &shape)
        .user(65534, 65534)
        .main(|main| {
            main.args([
                format!("--port={}", ports::KUBE_STATE_METRICS),
                format!("--telemetry-port={}", ports::KUBE_STATE_METRICS_SELF),
                format!("--tls-config=/etc/kube-state-metrics/{WEB_CONFIG}"),
                format!("--resources={}", resources.join(",")),
                "--metric-labels-allowlist=nodes=[topology.kubernetes.io/zone,node.kubernetes.io/instance-type]"
                    .to_owned(),
            ])
            .port("http-metrics", ports::KUBE_STATE_METRICS)
            .port("telemetry", ports::KUBE_STATE_METRICS_SELF)
            .probes(Probes::new(Check::Https("telemetry", "/readyz"), Check::Https("http-metrics", "/livez")))
            .go_memory_limit()
        })
        .config("/etc/kube-state-metrics", [(WEB_CONFIG, yaml::to_yaml(&web_config()))])
        .tls()
        .cluster_rules(rules)
        .metrics(ports::KUBE_STATE_METRICS, "/metrics")
        .deploy(build);
    build.allow(parts::PROMETHEUS, part, &[ports::KUBE_STATE_METRICS_SELF]);
    build.allow_outside(part, Outside::ApiServer);
}

fn node_exporter(build: &mut Build<'_>) {
    let part = parts::NODE_EXPORTER;
    let shape = build.sizing.node_exporter.clone();
    let port = ports::NODE_EXPORTER;
    Workload::daemon_set(build, part, Image::NodeExporter, &shape)
        .user(65534, 65534)
        .main(|main| {
            main.env_field("HOST_IP", "status.hostIP")
                .args([
                    "--path.procfs=/host/proc".to_owned(),
                    "--path.sysfs=/host/sys".to_owned(),
                    "--path.rootfs=/host/root".to_owned(),
                    "--path.udev.data=/host/root/run/udev/data".to_owned(),
                    format!("--web.listen-address=[$(HOST_IP)]:{port}"),
                    format!("--web.config.file=/etc/node-exporter/{WEB_CONFIG}"),
                    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+|var/lib/kubelet/pods/.+)($|/)"
                        .to_owned(),
                    "--collector.netdev.device-exclude=^(veth.*|cali.*|lxc.*|eni.*)$".to_owned(),
                ])
                .port("metrics", port)
                .probes(Probes::same(Check::Https("metrics", "/")))
                .go_memory_limit()
        })
        .config("/etc/node-exporter", [(WEB_CONFIG, yaml::to_yaml(&web_config()))])
        .host_folder("proc", "/proc", "/host/proc")
        .host_folder("sys", "/sys", "/host/sys")
        .host_folder("root", "/", "/host/root")
        .host_network()
        .host_pid()
        .tls()
        .metrics(port, "/metrics")
        .deploy(build);
}

/// An address that is probed.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// A name for dashboards and alerts.
    pub name: String,
    /// The address.
    pub url: String,
    /// The module of blackbox-exporter's configuration.
    pub module: &'static str,
    /// How often, in Prometheus' spelling.
    pub interval: String,
}

/// Answers 2xx, over TLS with a certificate that the image's authorities vouch for.
const PUBLIC: &str = "http_2xx";
/// Answers 2xx, over TLS with a certificate of the internal authority.
const INTERNAL: &str = "http_2xx_internal";

/// Answers 2xx without TLS; only for addresses that a stack adds.
const PLAIN: &str = "http_2xx_plain";

/// What is probed: Grafana from outside and inside, the health of Loki and Tempo, and what the stack adds. Empty where
/// the exporter does not run.
pub(crate) fn probes(build: &Build<'_>) -> Vec<Probe> {
    let platform = build.platform;
    if !platform.exporters.blackbox.enabled {
        return Vec::new();
    }
    let probe = |name: &str, url: String, module| Probe {
        name: name.to_owned(),
        url,
        module,
        interval: "30s".to_owned(),
    };
    // Without a public authority the certificate of the public name is the internal one's too.
    let outside = if platform.cert_manager.acme.is_some() { PUBLIC } else { INTERNAL };
    let mut probes = vec![
        probe("grafana", format!("https://{}/api/health", build.stack.grafana_host()), outside),
        probe(
            "grafana-internal",
            format!("https://{}:{}/api/health", build.host(parts::GRAFANA), ports::GRAFANA),
            INTERNAL,
        ),
    ];
    if platform.loki.enabled {
        let url = format!("https://{}:{}/ready", build.host(parts::LOKI_QUERY_FRONTEND), ports::LOKI_HTTP);
        probes.push(probe("loki", url, INTERNAL));
    }
    if platform.tempo.enabled {
        let url = format!("https://{}:{}/ready", build.host(parts::TEMPO_QUERY_FRONTEND), ports::TEMPO_HTTP);
        probes.push(probe("tempo", url, INTERNAL));
    }
    probes.extend(platform.exporters.blackbox.targets.iter().map(|(name, target)| Probe {
        name: name.clone(),
        url: target.url.to_string(),
        module: if target.url.as_str().starts_with("https://") { PUBLIC } else { PLAIN },
        interval: target.interval.to_string(),
    }));
    probes
}

fn blackbox(build: &mut Build<'_>) {
    let part = parts::BLACKBOX_EXPORTER;
    let shape = build.sizing.blackbox_exporter.clone();
    let port = ports::BLACKBOX;
    let module = |tls: Json| {
        json!({
            "prober": "http",
            "timeout": "10s",
            "http": {
                "preferred_ip_protocol": "ip4",
                "follow_redirects": true,
                "fail_if_not_ssl": true,
                "tls_config": tls,
            },
        })
    };
    let config = json!({
        "modules": {
            PUBLIC: module(json!({})),
            INTERNAL: module(json!({ "ca_file": CA_FILE, "cert_file": CERT_FILE, "key_file": KEY_FILE })),
            PLAIN: {
                "prober": "http",
                "timeout": "10s",
                "http": { "preferred_ip_protocol": "ip4", "follow_redirects": true },
            },
            "tcp_tls": {
                "prober": "tcp",
                "timeout": "10s",
                "tcp": { "tls": true, "preferred_ip_protocol": "ip4", "tls_config": { "ca_file": CA_FILE } },
            },
        },
    });
    Workload::deployment(build, part, Image::BlackboxExporter, &shape)
        .user(65534, 65534)
        .main(|main| {
            main.args([
                "--config.file=/etc/blackbox/blackbox.yaml".to_owned(),
                format!("--web.config.file=/etc/blackbox/{WEB_CONFIG}"),
                format!("--web.listen-address=:{port}"),
            ])
            .port("http", port)
            .probes(Probes::same(Check::Https("http", "/-/healthy")))
            .go_memory_limit()
        })
        .config(
            "/etc/blackbox",
            [("blackbox.yaml", yaml::to_yaml(&config)), (WEB_CONFIG, yaml::to_yaml(&web_config()))],
        )
        .tls()
        .metrics(port, "/metrics")
        .deploy(build);
    build.allow(part, parts::GRAFANA, &[ports::GRAFANA]);
    build.allow(part, parts::LOKI_QUERY_FRONTEND, &[ports::LOKI_HTTP]);
    build.allow(part, parts::TEMPO_QUERY_FRONTEND, &[ports::TEMPO_HTTP]);
    build.allow(part, parts::TRAEFIK, &[8443]);
    build.allow_outside(part, Outside::Internet(443));
    for url in probes(build).into_iter().map(|probe| probe.url) {
        if let Some(other) = unusual_port(&url) {
            build.allow_outside(part, Outside::Internet(other));
        }
    }
}

/// The port of an address outside the cluster, when it is not 443.
fn unusual_port(url: &str) -> Option<i32> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if scheme == "http" { 80 } else { 443 }),
    };
    (port != 443 && !host.ends_with(".svc")).then_some(port)
}
