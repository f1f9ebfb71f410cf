//! What is scraped, and how: one job per part of the platform, found through the API server, plus the cluster itself.
//! The job's name is the part's name, and `instance` is the pod's; rules and dashboards rely on both.

use super::config::{Authorization, KubernetesSd, Relabel, ScrapeConfig, SdSelector, StaticTargets, Tls};
use crate::components::exporters;
use crate::kit::parts::{self, ports};
use crate::kit::{Build, Outside, Part, Space};

/// Where every pod finds its ServiceAccount's token, and the authority of the API server.
const ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const ACCOUNT_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

const NAMESPACE: &str = "__meta_kubernetes_namespace";
const POD: &str = "__meta_kubernetes_pod_name";
const POD_NODE: &str = "__meta_kubernetes_pod_node_name";
const POD_IP: &str = "__meta_kubernetes_pod_ip";
const POD_APP: &str = "__meta_kubernetes_pod_label_app_kubernetes_io_name";
const POD_ROLE: &str = "__meta_kubernetes_pod_label_app_kubernetes_io_component";
const POD_STACK: &str = "__meta_kubernetes_pod_label_app_kubernetes_io_instance";
const POD_PART_OF: &str = "__meta_kubernetes_pod_label_app_kubernetes_io_part_of";
const POD_CONTAINER_PORT: &str = "__meta_kubernetes_pod_container_port_number";
const POD_PHASE: &str = "__meta_kubernetes_pod_phase";
const SCRAPE: &str = "__meta_kubernetes_pod_annotation_prometheus_io_scrape";
const SCHEME: &str = "__meta_kubernetes_pod_annotation_prometheus_io_scheme";
const PATH: &str = "__meta_kubernetes_pod_annotation_prometheus_io_path";
const PORT: &str = "__meta_kubernetes_pod_annotation_prometheus_io_port";

/// Every job.
pub(super) fn jobs(b: &Build<'_>) -> Vec<ScrapeConfig> {
    let mut jobs = vec![
        api_servers(),
        kubelet("kubelet", "/metrics"),
        kubelet("cadvisor", "/metrics/cadvisor"),
        platform(b),
    ];
    if b.platform.exporters.kube_state_metrics.enabled {
        // Its series are about others and carry their names, which win over its own.
        jobs.push(ScrapeConfig {
            honor_labels: true,
            ..one_port(b, "kube-state-metrics", parts::KUBE_STATE_METRICS, ports::KUBE_STATE_METRICS)
        });
        let itself = ports::KUBE_STATE_METRICS_SELF;
        jobs.push(one_port(b, "kube-state-metrics-self", parts::KUBE_STATE_METRICS, itself));
    }
    if b.platform.thanos.enabled {
        // The sidecar lives in Prometheus' pods, and an annotation can name only one port.
        let sidecar = one_port(b, "thanos-sidecar", parts::PROMETHEUS, ports::THANOS_HTTP);
        jobs.push(sidecar);
    }
    jobs.push(annotated_pods(b));
    if b.platform.self_monitoring.enabled {
        jobs.extend(exporters::probes(b).into_iter().map(|one| probe(b, one)));
    }
    jobs
}

/// Address, path and scheme from the customary annotations.
fn from_annotations() -> [Relabel; 4] {
    [
        Relabel::rewrite(&[SCHEME], "(https?)", "__scheme__", "${1}"),
        Relabel::rewrite(&[PATH], "(.+)", "__metrics_path__", "${1}"),
        Relabel::rewrite(&[POD_IP, PORT], r"([0-9.]+);(\d+)", "__address__", "${1}:${2}"),
        Relabel::rewrite(&[POD_IP, PORT], r"([0-9a-f:]*:[0-9a-f:]*);(\d+)", "__address__", "[${1}]:${2}"),
    ]
}

/// Every part of this platform that says it has metrics. Its job is its name.
fn platform(b: &Build<'_>) -> ScrapeConfig {
    let mut namespaces: Vec<&str> = Space::ALL.into_iter().map(|space| b.namespace(space)).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut relabel = vec![
        Relabel::keep(&[POD_PART_OF, POD_STACK, SCRAPE], format!("plinth;{};true", b.stack.name)),
        Relabel::drop(&[POD_PHASE], "Succeeded|Failed"),
        Relabel::drop(&[POD_APP], "kube-state-metrics"),
    ];
    relabel.extend(from_annotations());
    relabel.extend([
        Relabel::copy(POD_APP, "job"),
        Relabel::rewrite(&[POD_APP, POD_ROLE], "(.+);(.+)", "job", "${1}-${2}"),
    ]);
    relabel.extend(identity(b));
    ScrapeConfig {
        job_name: "platform".to_owned(),
        tls_config: Some(Tls::mutual(b.peer_name())),
        kubernetes_sd_configs: vec![KubernetesSd::of("pod", &namespaces)],
        relabel_configs: relabel,
        ..ScrapeConfig::default()
    }
}

/// Who a target is. The agents on nodes are known by their node, all others by their own name.
fn identity(b: &Build<'_>) -> [Relabel; 5] {
    [
        Relabel::copy(NAMESPACE, "namespace"),
        Relabel::copy(POD, "pod"),
        Relabel::copy(POD_NODE, "node"),
        Relabel::copy(POD, "instance"),
        Relabel::rewrite(
            &[NAMESPACE, POD_NODE],
            format!("{};(.+)", b.namespace(Space::Agents)),
            "instance",
            "${1}",
        ),
    ]
}

/// One port of the pods of one part, with scheme and path as the part's annotations say for its main port.
fn one_port(b: &Build<'_>, job: &str, part: Part, port: i32) -> ScrapeConfig {
    let label =
        b.selector(part).iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
    let mut sd = KubernetesSd::of("pod", &[b.namespace(part.space)]);
    sd.selectors.push(SdSelector { role: "pod", label });
    let mut relabel = vec![
        Relabel::keep(&[POD_CONTAINER_PORT], port.to_string()),
        Relabel::drop(&[POD_PHASE], "Succeeded|Failed"),
        Relabel::rewrite(&[SCHEME], "(https?)", "__scheme__", "${1}"),
    ];
    relabel.extend(identity(b));
    ScrapeConfig {
        job_name: job.to_owned(),
        tls_config: Some(Tls::mutual(b.host(part))),
        kubernetes_sd_configs: vec![sd],
        relabel_configs: relabel,
        ..ScrapeConfig::default()
    }
}

/// Lets Prometheus reach what it scrapes beside the platform's own parts, which let it in by themselves.
pub(super) fn allow(b: &mut Build<'_>) {
    let from = parts::PROMETHEUS;
    b.allow_outside(from, Outside::ApiServer);
    b.allow_outside(from, Outside::Nodes(ports::KUBELET));
}

fn account_token() -> Option<Authorization> {
    Some(Authorization { kind: "Bearer", credentials_file: ACCOUNT_TOKEN.to_owned() })
}

fn api_servers() -> ScrapeConfig {
    ScrapeConfig {
        job_name: "apiserver".to_owned(),
        scheme: Some("https"),
        authorization: account_token(),
        tls_config: Some(Tls {
            ca_file: ACCOUNT_CA.to_owned(),
            server_name: "kubernetes.default.svc".to_owned(),
            ..Tls::default()
        }),
        kubernetes_sd_configs: vec![KubernetesSd::of("endpointslice", &["default"])],
        relabel_configs: vec![Relabel::keep(
            &["__meta_kubernetes_service_name", "__meta_kubernetes_endpointslice_port_name"],
            "kubernetes;https",
        )],
        // Histograms of every verb and resource are most of the API server's series, and nothing here asks for them.
        metric_relabel_configs: vec![Relabel::drop(
            &["__name__"],
            "apiserver_(request_body_size|response_sizes|watch_events_sizes|request_slo_duration_seconds)_bucket|etcd_request_duration_seconds_bucket",
        )],
        ..ScrapeConfig::default()
    }
}

fn kubelet(job: &str, path: &'static str) -> ScrapeConfig {
    ScrapeConfig {
        job_name: job.to_owned(),
        metrics_path: Some(path),
        scheme: Some("https"),
        honor_labels: true,
        authorization: account_token(),
        tls_config: Some(Tls {
            ca_file: ACCOUNT_CA.to_owned(),
            // Most clusters' kubelets serve certificates that they signed themselves; the token is bound to this
            // cluster, and the network policy to its nodes.
            insecure_skip_verify: true,
            ..Tls::default()
        }),
        kubernetes_sd_configs: vec![KubernetesSd::of("node", &[])],
        relabel_configs: vec![
            Relabel::rewrite(
                &["__meta_kubernetes_node_address_InternalIP"],
                "(.+)",
                "__address__",
                format!("${{1}}:{}", ports::KUBELET),
            ),
            Relabel::copy("__meta_kubernetes_node_name", "node"),
            Relabel::copy("__meta_kubernetes_node_name", "instance"),
            Relabel::copy("__meta_kubernetes_node_label_topology_kubernetes_io_zone", "zone"),
        ],
        metric_relabel_configs: vec![Relabel::drop(
            &["__name__"],
            "container_(tasks_state|memory_failures_total|blkio_device_usage_total)|storage_operation_duration_seconds_bucket",
        )],
        ..ScrapeConfig::default()
    }
}

/// Pods of applications that ask for it with the customary annotations.
fn annotated_pods(b: &Build<'_>) -> ScrapeConfig {
    let namespaces: Vec<&str> = b.platform.prometheus.scrape_namespaces.iter().map(String::as_str).collect();
    let mut relabel = vec![
        Relabel::keep(&[SCRAPE], "true"),
        Relabel::drop(&[POD_PART_OF], "plinth"),
        Relabel::drop(&[POD_PHASE], "Succeeded|Failed"),
    ];
    relabel.extend(from_annotations());
    relabel.extend([
        Relabel::copy(NAMESPACE, "namespace"),
        Relabel::copy(POD, "pod"),
        Relabel::copy(POD_NODE, "node"),
        Relabel::copy(POD_APP, "app"),
    ]);
    ScrapeConfig {
        job_name: "pods".to_owned(),
        kubernetes_sd_configs: vec![KubernetesSd::of("pod", &namespaces)],
        relabel_configs: relabel,
        ..ScrapeConfig::default()
    }
}

/// Uptime: whatever is to be probed, by way of blackbox-exporter.
fn probe(b: &Build<'_>, probe: exporters::Probe) -> ScrapeConfig {
    let exporter = parts::BLACKBOX_EXPORTER;
    ScrapeConfig {
        job_name: format!("probe-{}", probe.name),
        scrape_interval: Some(probe.interval),
        metrics_path: Some("/probe"),
        params: [("module", vec![probe.module.to_owned()])].into(),
        scheme: Some("https"),
        tls_config: Some(Tls::mutual(b.host(exporter))),
        static_configs: vec![StaticTargets {
            targets: vec![probe.url],
            labels: [("target".to_owned(), probe.name)].into(),
        }],
        relabel_configs: vec![
            Relabel::copy("__address__", "__param_target"),
            Relabel::copy("__param_target", "instance"),
            Relabel::set("__address__", format!("{}:{}", b.host(exporter), ports::BLACKBOX)),
        ],
        ..ScrapeConfig::default()
    }
}
