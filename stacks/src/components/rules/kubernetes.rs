//! The cluster below the platform: nodes, pods, workloads.

use super::Severity::{Critical, Warning};
use super::{Group, Rule};

pub(super) fn groups() -> Vec<Group> {
    vec![recorded(), nodes(), workloads()]
}

fn recorded() -> Group {
    Group::new(
        "kubernetes-recorded",
        [
            Rule::record(
                "namespace_pod:container_cpu_usage_seconds:rate5m",
                "sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m]))",
            ),
            Rule::record(
                "namespace_pod:container_memory_working_set_bytes:sum",
                "sum by (namespace, pod) (container_memory_working_set_bytes{container!=\"\"})",
            ),
            Rule::record(
                "instance:node_cpu_utilisation:rate5m",
                "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))",
            ),
            Rule::record(
                "instance:node_memory_utilisation:ratio",
                "1 - max by (instance) (node_memory_MemAvailable_bytes) / max by (instance) (node_memory_MemTotal_bytes)",
            ),
        ],
    )
}

fn nodes() -> Group {
    Group::new(
        "nodes",
        [
            Rule::alert(
                "NodeNotReady",
                Critical,
                "10m",
                "max by (node) (kube_node_status_condition{condition=\"Ready\", status=\"true\"}) == 0",
            )
            .says("Node {{ $labels.node }} is not ready.", "Its pods are moved elsewhere, as far as their disks allow."),
            Rule::alert(
                "NodeUnderPressure",
                Warning,
                "10m",
                "max by (node, condition) (kube_node_status_condition{condition=~\"MemoryPressure|DiskPressure|PIDPressure\", status=\"true\"}) == 1",
            )
            .says("Node {{ $labels.node }} reports {{ $labels.condition }}.", "It evicts pods."),
            Rule::alert(
                "NodeDiskFilling",
                Warning,
                "30m",
                "min by (instance, mountpoint) (node_filesystem_avail_bytes{fstype!~\"tmpfs|overlay|ramfs|squashfs\"}
                 / node_filesystem_size_bytes{fstype!~\"tmpfs|overlay|ramfs|squashfs\"}) < 0.1",
            )
            .says(
                "{{ $labels.mountpoint }} of {{ $labels.instance }} has {{ $value | humanizePercentage }} left.",
                "Images and logs are cleaned up by the kubelet; anything else needs a person.",
            ),
            Rule::alert("NodeMemoryHigh", Warning, "30m", "instance:node_memory_utilisation:ratio > 0.95").says(
                "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its memory.",
                "Pods will be killed. Add nodes, or correct requests.",
            ),
            Rule::alert("NodeProcessorHigh", Warning, "1h", "instance:node_cpu_utilisation:rate5m > 0.95").says(
                "{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its processors.",
                "Add nodes, or correct requests.",
            ),
        ],
    )
}

fn workloads() -> Group {
    Group::new(
        "workloads",
        [
            Rule::alert(
                "PodCrashLooping",
                Warning,
                "15m",
                "max by (namespace, pod, container) (max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\"}[5m])) >= 1",
            )
            .says("{{ $labels.container }} of {{ $labels.pod }} crashes again and again.", "See its log in namespace {{ $labels.namespace }}."),
            Rule::alert(
                "ContainerOutOfMemory",
                Warning,
                "0m",
                "sum by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total[10m])) > 0
                 and on (namespace, pod, container) kube_pod_container_status_last_terminated_reason{reason=\"OOMKilled\"} == 1",
            )
            .says("{{ $labels.container }} of {{ $labels.pod }} was killed: out of memory.", "Raise its limit, or find out what needs so much."),
            Rule::alert(
                "PodNotReady",
                Warning,
                "15m",
                "sum by (namespace, pod) (max by (namespace, pod) (kube_pod_status_phase{phase=~\"Pending|Unknown\"})) > 0",
            )
            .says("{{ $labels.pod }} does not start.", "See its events in namespace {{ $labels.namespace }}."),
            Rule::alert(
                "DeploymentIncomplete",
                Warning,
                "15m",
                "max by (namespace, deployment) (kube_deployment_spec_replicas) != max by (namespace, deployment) (kube_deployment_status_replicas_available)",
            )
            .says("{{ $labels.deployment }} does not have the pods it should.", "See the events in namespace {{ $labels.namespace }}."),
            Rule::alert(
                "StatefulSetIncomplete",
                Warning,
                "15m",
                "max by (namespace, statefulset) (kube_statefulset_replicas) != max by (namespace, statefulset) (kube_statefulset_status_replicas_ready)",
            )
            .says("{{ $labels.statefulset }} does not have the pods it should.", "See the events in namespace {{ $labels.namespace }}."),
            Rule::alert(
                "DaemonSetIncomplete",
                Warning,
                "15m",
                "max by (namespace, daemonset) (kube_daemonset_status_desired_number_scheduled) - max by (namespace, daemonset) (kube_daemonset_status_number_ready) > 0",
            )
            .says("{{ $labels.daemonset }} misses {{ $value }} nodes.", "See the events in namespace {{ $labels.namespace }}."),
            Rule::alert(
                "JobFailed",
                Warning,
                "15m",
                "max by (namespace, job_name) (kube_job_status_failed) > 0",
            )
            .says("The job {{ $labels.job_name }} failed.", "See its pods' logs in namespace {{ $labels.namespace }}, then delete it."),
            Rule::alert(
                "VolumeClaimPending",
                Warning,
                "15m",
                "max by (namespace, persistentvolumeclaim) (kube_persistentvolumeclaim_status_phase{phase=~\"Pending|Lost\"}) == 1",
            )
            .says("{{ $labels.persistentvolumeclaim }} has no disk.", "See its events in namespace {{ $labels.namespace }}."),
        ],
    )
}
