//! The cluster below the platform.

use super::{Case, case};

pub(super) const CASES: &[Case] = &[
    // Kubernetes
    case(
        "NodeNotReady",
        "15m",
        &[("kube_node_status_condition{node='a', condition='Ready', status='true'}", "0x30")],
        &[("kube_node_status_condition{node='a', condition='Ready', status='true'}", "1x30")],
    ),
    case(
        "NodeUnderPressure",
        "15m",
        &[("kube_node_status_condition{node='a', condition='DiskPressure', status='true'}", "1x30")],
        &[("kube_node_status_condition{node='a', condition='DiskPressure', status='true'}", "0x30")],
    ),
    case(
        "NodeDiskFilling",
        "40m",
        &[
            ("node_filesystem_avail_bytes{instance='a', mountpoint='/', fstype='ext4'}", "5x60"),
            ("node_filesystem_size_bytes{instance='a', mountpoint='/', fstype='ext4'}", "100x60"),
        ],
        &[
            ("node_filesystem_avail_bytes{instance='a', mountpoint='/', fstype='tmpfs'}", "5x60"),
            ("node_filesystem_size_bytes{instance='a', mountpoint='/', fstype='tmpfs'}", "100x60"),
        ],
    ),
    case(
        "NodeMemoryHigh",
        "40m",
        &[
            ("node_memory_MemAvailable_bytes{instance='a'}", "2x60"),
            ("node_memory_MemTotal_bytes{instance='a'}", "100x60"),
        ],
        &[
            ("node_memory_MemAvailable_bytes{instance='a'}", "50x60"),
            ("node_memory_MemTotal_bytes{instance='a'}", "100x60"),
        ],
    ),
    case(
        "NodeProcessorHigh",
        "80m",
        &[("node_cpu_seconds_total{instance='a', cpu='0', mode='idle'}", "0+1x100")],
        &[("node_cpu_seconds_total{instance='a', cpu='0', mode='idle'}", "0+30x100")],
    ),
    case(
        "PodCrashLooping",
        "25m",
        &[(
            "kube_pod_container_status_waiting_reason{namespace='n', pod='p', container='c', reason='CrashLoopBackOff'}",
            "1x30",
        )],
        &[(
            "kube_pod_container_status_waiting_reason{namespace='n', pod='p', container='c', reason='ContainerCreating'}",
            "1x30",
        )],
    ),
    case(
        "ContainerOutOfMemory",
        "10m",
        &[
            ("kube_pod_container_status_restarts_total{namespace='n', pod='p', container='c'}", "0x5 1x20"),
            (
                "kube_pod_container_status_last_terminated_reason{namespace='n', pod='p', container='c', reason='OOMKilled'}",
                "1x20",
            ),
        ],
        &[
            ("kube_pod_container_status_restarts_total{namespace='n', pod='p', container='c'}", "0x5 1x20"),
            (
                "kube_pod_container_status_last_terminated_reason{namespace='n', pod='p', container='c', reason='Error'}",
                "1x20",
            ),
        ],
    ),
    case(
        "PodNotReady",
        "25m",
        &[("kube_pod_status_phase{namespace='n', pod='p', phase='Pending'}", "1x30")],
        &[("kube_pod_status_phase{namespace='n', pod='p', phase='Pending'}", "0x30")],
    ),
    case(
        "DeploymentIncomplete",
        "25m",
        &[
            ("kube_deployment_spec_replicas{namespace='n', deployment='d'}", "3x30"),
            ("kube_deployment_status_replicas_available{namespace='n', deployment='d'}", "2x30"),
        ],
        &[
            ("kube_deployment_spec_replicas{namespace='n', deployment='d'}", "3x30"),
            ("kube_deployment_status_replicas_available{namespace='n', deployment='d'}", "3x30"),
        ],
    ),
    case(
        "StatefulSetIncomplete",
        "25m",
        &[
            ("kube_statefulset_replicas{namespace='n', statefulset='s'}", "3x30"),
            ("kube_statefulset_status_replicas_ready{namespace='n', statefulset='s'}", "2x30"),
        ],
        &[
            ("kube_statefulset_replicas{namespace='n', statefulset='s'}", "3x30"),
            ("kube_statefulset_status_replicas_ready{namespace='n', statefulset='s'}", "3x30"),
        ],
    ),
    case(
        "DaemonSetIncomplete",
        "25m",
        &[
            ("kube_daemonset_status_desired_number_scheduled{namespace='n', daemonset='d'}", "3x30"),
            ("kube_daemonset_status_number_ready{namespace='n', daemonset='d'}", "2x30"),
        ],
        &[
            ("kube_daemonset_status_desired_number_scheduled{namespace='n', daemonset='d'}", "3x30"),
            ("kube_daemonset_status_number_ready{namespace='n', daemonset='d'}", "3x30"),
        ],
    ),
    case(
        "JobFailed",
        "25m",
        &[("kube_job_status_failed{namespace='n', job_name='j'}", "1x30")],
        &[("kube_job_status_failed{namespace='n', job_name='j'}", "0x30")],
    ),
    case(
        "VolumeClaimPending",
        "25m",
        &[(
            "kube_persistentvolumeclaim_status_phase{namespace='n', persistentvolumeclaim='c', phase='Pending'}",
            "1x30",
        )],
        &[(
            "kube_persistentvolumeclaim_status_phase{namespace='n', persistentvolumeclaim='c', phase='Bound'}",
            "1x30",
        )],
    ),
];
