//! What surrounds the telemetry stores: Grafana, certificates, uptime, disks, backups, the ingress controller.

use super::Severity::{Critical, Warning};
use super::{Group, Rule, Subject};

pub(super) fn groups(subject: &Subject<'_>) -> Vec<Group> {
    let mut groups = vec![grafana(), certificates(subject), disks()];
    if subject.platform.exporters.blackbox.enabled {
        groups.push(uptime());
    }
    if subject.platform.ingress.class_name.is_none() {
        groups.push(ingress());
    }
    if subject.platform.backup.enabled {
        groups.push(backup(subject));
    }
    groups
}

fn grafana() -> Group {
    let mut rules = vec![
        Rule::alert("GrafanaDown", Critical, "5m", "absent(up{job=\"grafana\"} == 1)")
            .says("No Grafana is up.", "Nobody sees dashboards, and alerts made in Grafana are not evaluated."),
        Rule::alert(
            "GrafanaRequestsFailing",
            Warning,
            "15m",
            "sum by (job, handler) (rate(grafana_http_request_duration_seconds_count{status_code=~\"5..\"}[5m]))
             / sum by (job, handler) (rate(grafana_http_request_duration_seconds_count[5m])) > 0.05",
        )
        .says(
            "{{ $value | humanizePercentage }} of the requests to {{ $labels.handler }} fail.",
            "See Grafana's log; often the database or a data source does not answer.",
        ),
        Rule::alert(
            "GrafanaAlertEvaluationsFailing",
            Warning,
            "15m",
            "sum by (job, org) (increase(grafana_alerting_rule_evaluation_failures_total[5m])) > 0",
        )
        .says("Grafana cannot evaluate alert rules.", "They were made in organization {{ $labels.org }}; see Grafana's log."),
    ];
    rules.push(
        Rule::alert(
            "GrafanaAlertingSplit",
            Warning,
            "15m",
            "max_over_time(alertmanager_cluster_members{job=\"grafana\"}[5m])
             < on () group_left () count(up{job=\"grafana\"} == 1)",
        )
        .says(
            "{{ $labels.instance }} sees only {{ $value }} members of the cluster.",
            "Replicas that do not see each other all notify: people get the same alert several times.",
        ),
    );
    Group::new("grafana", rules)
}

fn certificates(subject: &Subject<'_>) -> Group {
    let early = subject.platform.self_monitoring.certificate_expiry.seconds();
    Group::new(
        "certificates",
        [
            Rule::alert(
                "CertificateExpiresSoon",
                Warning,
                "1h",
                format!(
                    "min by (exported_namespace, name) (certmanager_certificate_expiration_timestamp_seconds) - time() < {early}"
                ),
            )
            .says(
                "The certificate {{ $labels.name }} expires in {{ $value | humanizeDuration }}.",
                "cert-manager should have renewed it by now; see its events in namespace {{ $labels.exported_namespace }}.",
            ),
            Rule::alert(
                "CertificateExpires",
                Critical,
                "10m",
                "min by (exported_namespace, name) (certmanager_certificate_expiration_timestamp_seconds) - time() < 2 * 86400",
            )
            .says(
                "The certificate {{ $labels.name }} expires in {{ $value | humanizeDuration }}.",
                "Connections that use it will fail.",
            ),
            Rule::alert(
                "CertificateNotReady",
                Critical,
                "15m",
                "max by (exported_namespace, name) (certmanager_certificate_ready_status{condition!=\"True\"} == 1) > 0",
            )
            .says(
                "The certificate {{ $labels.name }} is not ready.",
                "See its events in namespace {{ $labels.exported_namespace }}.",
            ),
            Rule::alert(
                "ServedCertificateExpires",
                Critical,
                "15m",
                format!("min by (target) (probe_ssl_earliest_cert_expiry) - time() < {early} / 2"),
            )
            .says(
                "{{ $labels.target }} serves a certificate that expires in {{ $value | humanizeDuration }}.",
                "If it was renewed, who serves it has not read it again.",
            ),
        ],
    )
}

fn uptime() -> Group {
    Group::new(
        "uptime",
        [
            Rule::alert("EndpointDown", Critical, "5m", "max by (target) (probe_success) == 0").says(
                "{{ $labels.target }} does not answer.",
                "The probe fails from inside the cluster: name, certificate, ingress or the service behind it.",
            ),
            Rule::alert("EndpointSlow", Warning, "15m", "avg by (target) (avg_over_time(probe_duration_seconds[10m])) > 5").says(
                "{{ $labels.target }} takes {{ $value | humanizeDuration }} to answer.",
                "People notice.",
            ),
            Rule::alert("ProbesMissing", Critical, "10m", "absent(probe_success)")
                .says("Nothing is probed.", "blackbox-exporter is gone, or Prometheus does not reach it."),
            Rule::alert(
                "ProbeReloadFailed",
                Warning,
                "10m",
                "max_over_time(blackbox_exporter_config_last_reload_successful[5m]) == 0",
            )
            .says("{{ $labels.instance }} refuses its configuration.", "It probes with the previous one."),
        ],
    )
}

fn disks() -> Group {
    let free = "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes)
                / max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes)";
    Group::new(
        "disks",
        [
            Rule::alert("VolumeNearlyFull", Critical, "5m", format!("{free} < 0.05")).says(
                "{{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left.",
                "Enlarge the claim in namespace {{ $labels.namespace }}, or shorten retention.",
            ),
            Rule::alert(
                "VolumeFilling",
                Warning,
                "1h",
                format!(
                    "{free} < 0.25 and max by (namespace, persistentvolumeclaim)
                     (predict_linear(kubelet_volume_stats_available_bytes[6h], 4 * 86400)) < 0"
                ),
            )
            .says(
                "{{ $labels.persistentvolumeclaim }} will be full within four days.",
                "{{ $value | humanizePercentage }} is left in namespace {{ $labels.namespace }}.",
            ),
            Rule::alert(
                "VolumeInodesNearlyUsed",
                Warning,
                "15m",
                "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_inodes_free)
                 / max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_inodes > 0) < 0.05",
            )
            .says(
                "{{ $labels.persistentvolumeclaim }} runs out of inodes.",
                "It holds too many small files.",
            ),
        ],
    )
}

fn ingress() -> Group {
    Group::new(
        "ingress",
        [
            Rule::alert(
                "IngressReloadFailed",
                Warning,
                "10m",
                "sum by (instance) (increase(traefik_config_reloads_failure_total[10m])) > 0",
            )
            .says("{{ $labels.instance }} refuses new routes.", "See its log."),
            Rule::alert(
                "IngressRequestsFailing",
                Warning,
                "15m",
                "sum by (service) (rate(traefik_service_requests_total{code=~\"5..\"}[5m]))
                 / sum by (service) (rate(traefik_service_requests_total[5m])) > 0.05",
            )
            .says(
                "{{ $value | humanizePercentage }} of the requests to {{ $labels.service }} fail.",
                "The service behind the ingress does not answer properly.",
            ),
        ],
    )
}

fn backup(subject: &Subject<'_>) -> Group {
    let oldest = subject.platform.self_monitoring.backup_max_age.seconds();
    let namespace = subject.platform.namespaces.platform.as_str();
    let job = crate::kit::parts::BACKUP.name();
    let selector = format!("namespace=\"{namespace}\", cronjob=\"{job}\"");
    Group::new(
        "backup",
        [
            Rule::alert(
                "BackupTooOld",
                Critical,
                "15m",
                format!("time() - max by (cronjob) (kube_cronjob_status_last_successful_time{{{selector}}}) > {oldest}"),
            )
            .says(
                "The newest backup is {{ $value | humanizeDuration }} old.",
                "See the jobs of {{ $labels.cronjob }} and their logs.",
            ),
            Rule::alert(
                "BackupNeverMade",
                Critical,
                "1h",
                format!(
                    "time() - max by (cronjob) (kube_cronjob_created{{{selector}}}) > {oldest}
                     unless on (cronjob) kube_cronjob_status_last_successful_time{{{selector}}}"
                ),
            )
            .says("No backup was ever made.", "See the jobs of {{ $labels.cronjob }} and their logs."),
        ],
    )
}
