//! What surrounds the telemetry stores.

use super::{Case, case};

pub(super) const CASES: &[Case] = &[
    // Grafana
    case(
        "GrafanaDown",
        "10m",
        &[("up{job='grafana', instance='g-0'}", "0x20")],
        &[("up{job='grafana', instance='g-0'}", "1x20")],
    ),
    case(
        "GrafanaRequestsFailing",
        "25m",
        &[
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='500'}",
                "0+10x30",
            ),
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='200'}",
                "0+90x30",
            ),
        ],
        &[
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='500'}",
                "0x30",
            ),
            (
                "grafana_http_request_duration_seconds_count{job='grafana', handler='/api/ds/query', status_code='200'}",
                "0+90x30",
            ),
        ],
    ),
    case(
        "GrafanaAlertEvaluationsFailing",
        "25m",
        &[("grafana_alerting_rule_evaluation_failures_total{job='grafana', org='1'}", "0+1x30")],
        &[("grafana_alerting_rule_evaluation_failures_total{job='grafana', org='1'}", "0x30")],
    ),
    case(
        "GrafanaAlertingSplit",
        "25m",
        &[
            ("alertmanager_cluster_members{job='grafana', instance='g-0'}", "1x40"),
            ("up{job='grafana', instance='g-0'}", "1x40"),
            ("up{job='grafana', instance='g-1'}", "1x40"),
        ],
        &[
            ("alertmanager_cluster_members{job='grafana', instance='g-0'}", "2x40"),
            ("up{job='grafana', instance='g-0'}", "1x40"),
            ("up{job='grafana', instance='g-1'}", "1x40"),
        ],
    ),
    // Certificates: 14 days are 1,209,600 seconds.
    case(
        "CertificateExpiresSoon",
        "90m",
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "1000000x120",
        )],
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "2000000x120",
        )],
    ),
    case(
        "CertificateExpires",
        "20m",
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "100000x30",
        )],
        &[(
            "certmanager_certificate_expiration_timestamp_seconds{exported_namespace='observability', name='loki-ingester-tls'}",
            "1000000x30",
        )],
    ),
    case(
        "CertificateNotReady",
        "25m",
        &[
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='True'}",
                "0x30",
            ),
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='False'}",
                "1x30",
            ),
        ],
        &[
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='True'}",
                "1x30",
            ),
            (
                "certmanager_certificate_ready_status{exported_namespace='observability', name='a', condition='False'}",
                "0x30",
            ),
        ],
    ),
    case(
        "ServedCertificateExpires",
        "25m",
        &[("probe_ssl_earliest_cert_expiry{target='grafana'}", "500000x30")],
        &[("probe_ssl_earliest_cert_expiry{target='grafana'}", "1000000x30")],
    ),
    // Uptime
    case(
        "EndpointDown",
        "10m",
        &[("probe_success{target='grafana'}", "0x20")],
        &[("probe_success{target='grafana'}", "1x20")],
    ),
    case(
        "EndpointSlow",
        "30m",
        &[("probe_duration_seconds{target='grafana'}", "8x40")],
        &[("probe_duration_seconds{target='grafana'}", "0.1x40")],
    ),
    case("ProbesMissing", "15m", &[], &[("probe_success{target='grafana'}", "1x20")]),
    case(
        "ProbeReloadFailed",
        "20m",
        &[("blackbox_exporter_config_last_reload_successful{instance='b-0'}", "0x30")],
        &[("blackbox_exporter_config_last_reload_successful{instance='b-0'}", "1x30")],
    ),
    // Disks
    case(
        "VolumeNearlyFull",
        "10m",
        &[
            ("kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}", "4x20"),
            ("kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}", "100x20"),
        ],
        &[
            ("kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}", "20x20"),
            ("kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}", "100x20"),
        ],
    ),
    case(
        "VolumeFilling",
        "100m",
        &[
            (
                "kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}",
                "20000-10x120",
            ),
            (
                "kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}",
                "100000x120",
            ),
        ],
        &[
            (
                "kubelet_volume_stats_available_bytes{namespace='n', persistentvolumeclaim='data'}",
                "20000x120",
            ),
            (
                "kubelet_volume_stats_capacity_bytes{namespace='n', persistentvolumeclaim='data'}",
                "100000x120",
            ),
        ],
    ),
    case(
        "VolumeInodesNearlyUsed",
        "20m",
        &[
            ("kubelet_volume_stats_inodes_free{namespace='n', persistentvolumeclaim='data'}", "1x30"),
            ("kubelet_volume_stats_inodes{namespace='n', persistentvolumeclaim='data'}", "100x30"),
        ],
        // Some file systems count no inodes.
        &[
            ("kubelet_volume_stats_inodes_free{namespace='n', persistentvolumeclaim='data'}", "0x30"),
            ("kubelet_volume_stats_inodes{namespace='n', persistentvolumeclaim='data'}", "0x30"),
        ],
    ),
    // Ingress
    case(
        "IngressReloadFailed",
        "30m",
        &[("traefik_config_reloads_failure_total{instance='t-0'}", "0+1x40")],
        &[("traefik_config_reloads_failure_total{instance='t-0'}", "0x40")],
    ),
    case(
        "IngressRequestsFailing",
        "25m",
        &[
            ("traefik_service_requests_total{service='grafana', code='502'}", "0+10x30"),
            ("traefik_service_requests_total{service='grafana', code='200'}", "0+90x30"),
        ],
        &[
            ("traefik_service_requests_total{service='grafana', code='502'}", "0x30"),
            ("traefik_service_requests_total{service='grafana', code='200'}", "0+90x30"),
        ],
    ),
    // Backup: 36 hours are 2160 minutes.
    case(
        "BackupTooOld",
        "2200m",
        &[(
            "kube_cronjob_status_last_successful_time{namespace='observability', cronjob='backup'}",
            "60x2300",
        )],
        &[(
            "kube_cronjob_status_last_successful_time{namespace='observability', cronjob='backup'}",
            "0+60x2300",
        )],
    ),
    case(
        "BackupNeverMade",
        "2250m",
        &[("kube_cronjob_created{namespace='observability', cronjob='backup'}", "60x2300")],
        &[
            ("kube_cronjob_created{namespace='observability', cronjob='backup'}", "60x2300"),
            (
                "kube_cronjob_status_last_successful_time{namespace='observability', cronjob='backup'}",
                "120x2300",
            ),
        ],
    ),
];
