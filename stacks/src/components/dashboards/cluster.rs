//! The cluster: nodes, pods, volumes.

use super::model::{Dashboard, Draft};

pub(super) fn nodes() -> Dashboard {
    Dashboard::new("nodes", "Nodes", "What nodes have, and what they use.", "kubernetes")
        .choice("instance", "Node", "node_uname_info")
        .row("Now", [
            Draft::number("Nodes", "short", None).ask("count(kube_node_info)", ""),
            Draft::number("Not ready", "short", Some((1.0, 1.0)))
                .ask("count(kube_node_status_condition{condition=\"Ready\", status=\"true\"} == 0) or vector(0)", ""),
            Draft::number("Processors requested", "percentunit", Some((0.8, 0.95))).ask(
                "sum(kube_pod_container_resource_requests{resource=\"cpu\"}) / sum(kube_node_status_allocatable{resource=\"cpu\"})",
                "",
            ),
            Draft::number("Memory requested", "percentunit", Some((0.8, 0.95))).ask(
                "sum(kube_pod_container_resource_requests{resource=\"memory\"}) / sum(kube_node_status_allocatable{resource=\"memory\"})",
                "",
            ),
        ])
        .row("Use", [
            Draft::curves("Processors", "percentunit")
                .ask("instance:node_cpu_utilisation:rate5m{instance=~\"$instance\"}", "{{instance}}"),
            Draft::curves("Memory", "percentunit")
                .ask("instance:node_memory_utilisation:ratio{instance=~\"$instance\"}", "{{instance}}"),
            Draft::curves("Load", "short").ask("max by (instance) (node_load5{instance=~\"$instance\"})", "{{instance}}"),
            Draft::curves("Network in", "Bps").ask(
                "sum by (instance) (rate(node_network_receive_bytes_total{instance=~\"$instance\", device!=\"lo\"}[5m]))",
                "{{instance}}",
            ),
            Draft::curves("Network out", "Bps").ask(
                "sum by (instance) (rate(node_network_transmit_bytes_total{instance=~\"$instance\", device!=\"lo\"}[5m]))",
                "{{instance}}",
            ),
            Draft::curves("Disk busy", "percentunit")
                .ask("max by (instance) (rate(node_disk_io_time_seconds_total{instance=~\"$instance\"}[5m]))", "{{instance}}"),
        ])
        .row("Disks", [
            Draft::table("Free", "percentunit").ask(
                "min by (instance, mountpoint) (node_filesystem_avail_bytes{instance=~\"$instance\", fstype!~\"tmpfs|overlay|ramfs|squashfs\"}
                 / node_filesystem_size_bytes{instance=~\"$instance\", fstype!~\"tmpfs|overlay|ramfs|squashfs\"})",
                "",
            ),
        ])
}

pub(super) fn pods() -> Dashboard {
    Dashboard::new("pods", "Pods", "What pods use, and whether they are well.", "kubernetes")
        .choice("namespace", "Namespace", "kube_pod_info")
        .row("Now", [
            Draft::number("Pods", "short", None).ask("count(kube_pod_info{namespace=~\"$namespace\"})", ""),
            Draft::number("Not ready", "short", Some((1.0, 5.0))).ask(
                "count(kube_pod_status_ready{namespace=~\"$namespace\", condition=\"false\"} == 1
                 unless on (namespace, pod) kube_pod_status_phase{phase=\"Succeeded\"} == 1) or vector(0)",
                "",
            ),
            Draft::number("Restarts in an hour", "short", Some((1.0, 10.0)))
                .ask("sum(increase(kube_pod_container_status_restarts_total{namespace=~\"$namespace\"}[1h]))", ""),
        ])
        .row("Processors", [
            Draft::curves("Use", "short").wide(12).ask(
                "topk(20, namespace_pod:container_cpu_usage_seconds:rate5m{namespace=~\"$namespace\"})",
                "{{namespace}}/{{pod}}",
            ),
            Draft::curves("Held back at the limit", "percentunit").wide(12).ask(
                "topk(20, sum by (namespace, pod) (rate(container_cpu_cfs_throttled_periods_total{namespace=~\"$namespace\"}[5m]))
                 / sum by (namespace, pod) (rate(container_cpu_cfs_periods_total{namespace=~\"$namespace\"}[5m])))",
                "{{namespace}}/{{pod}}",
            ),
        ])
        .row("Memory", [
            Draft::curves("Use", "bytes").wide(12).ask(
                "topk(20, namespace_pod:container_memory_working_set_bytes:sum{namespace=~\"$namespace\"})",
                "{{namespace}}/{{pod}}",
            ),
            Draft::curves("Use of the limit", "percentunit").wide(12).ask(
                "topk(20, namespace_pod:container_memory_working_set_bytes:sum{namespace=~\"$namespace\"}
                 / sum by (namespace, pod) (kube_pod_container_resource_limits{resource=\"memory\", namespace=~\"$namespace\"}))",
                "{{namespace}}/{{pod}}",
            ),
        ])
        .row("Restarts", [
            Draft::table("In a day", "short").ask(
                "sum by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{namespace=~\"$namespace\"}[1d])) > 0",
                "",
            ),
            Draft::table("Waiting", "short")
                .ask("sum by (namespace, pod, reason) (kube_pod_container_status_waiting_reason{namespace=~\"$namespace\"}) > 0", ""),
        ])
}

pub(super) fn volumes() -> Dashboard {
    Dashboard::new("volumes", "Volumes", "How full volumes are, and when they will be.", "kubernetes")
        .choice("namespace", "Namespace", "kubelet_volume_stats_capacity_bytes")
        .row("Volumes", [
            Draft::table("Free", "percentunit").ask(
                "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{namespace=~\"$namespace\"})
                 / max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{namespace=~\"$namespace\"})",
                "",
            ),
            Draft::table("Free in four days, at this rate", "bytes").ask(
                "max by (namespace, persistentvolumeclaim) (predict_linear(kubelet_volume_stats_available_bytes{namespace=~\"$namespace\"}[6h], 4 * 86400))",
                "",
            ),
            Draft::curves("Used", "percentunit").wide(24).ask(
                "1 - max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{namespace=~\"$namespace\"})
                 / max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{namespace=~\"$namespace\"})",
                "{{namespace}}/{{persistentvolumeclaim}}",
            ),
        ])
}
