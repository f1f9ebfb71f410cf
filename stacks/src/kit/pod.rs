//! Pods: where they run, as whom, and with which volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::build::Build;
use super::container::none_if_empty;
use super::object::text_map;
use super::parts::Part;

/// The strict security context that every pod of the platform has, but for the agents.
pub(crate) fn security(user: i64, group: i64) -> core::PodSecurityContext {
    core::PodSecurityContext {
        run_as_non_root: Some(user != 0),
        run_as_user: Some(user),
        run_as_group: Some(group),
        fs_group: Some(group),
        // Changing the owner of a large disk file by file takes minutes; once is enough.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(core::SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..Default::default()
    }
}

/// Spreads pods over zones and over nodes. Where the zones are ours and a store's copies are at stake, strictly.
pub(super) fn spread(
    build: &Build<'_>,
    part: Part,
    strict: bool,
    by_revision: bool,
) -> Vec<core::TopologySpreadConstraint> {
    let constraint = |key: &str, strict: bool| core::TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: 1,
        when_unsatisfiable: if strict { "DoNotSchedule" } else { "ScheduleAnyway" }.to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(build.selector(part)),
            ..Default::default()
        }),
        // Pods of the old revision, which are on their way out, do not count.
        match_label_keys: by_revision.then(|| vec!["pod-template-hash".to_owned()]),
        ..Default::default()
    };
    vec![
        constraint("topology.kubernetes.io/zone", strict && build.stack.cloud.creates_cluster()),
        constraint("kubernetes.io/hostname", strict),
    ]
}

/// A volume without content on the node's disk.
pub(super) fn scratch(name: &str) -> core::Volume {
    core::Volume {
        name: name.to_owned(),
        empty_dir: Some(core::EmptyDirVolumeSource::default()),
        ..Default::default()
    }
}

/// A volume with a Secret's keys as files.
pub(super) fn secret_volume(name: &str, secret: &str) -> core::Volume {
    core::Volume {
        name: name.to_owned(),
        secret: Some(core::SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            // Readable by the pod's group only.
            default_mode: Some(0o440),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A volume with a ConfigMap's keys as files.
pub(super) fn config_volume(name: &str, config_map: &str) -> core::Volume {
    core::Volume {
        name: name.to_owned(),
        config_map: Some(core::ConfigMapVolumeSource {
            name: config_map.to_owned(),
            default_mode: Some(0o444),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A folder of the node.
pub(super) fn host_volume(name: &str, path: &str) -> core::Volume {
    core::Volume {
        name: name.to_owned(),
        host_path: Some(core::HostPathVolumeSource { path: path.to_owned(), type_: Some(String::new()) }),
        ..Default::default()
    }
}

/// What is the same for every pod.
pub(crate) fn base(
    account: &str,
    token: bool,
    security: core::PodSecurityContext,
    containers: Vec<core::Container>,
    init: Vec<core::Container>,
    volumes: Vec<core::Volume>,
) -> core::PodSpec {
    core::PodSpec {
        service_account_name: Some(account.to_owned()),
        automount_service_account_token: Some(token),
        enable_service_links: Some(false),
        security_context: Some(security),
        node_selector: Some(text_map([("kubernetes.io/os", "linux")])),
        containers,
        init_containers: none_if_empty(init),
        volumes: none_if_empty(volumes),
        ..Default::default()
    }
}

/// Metadata of a pod template.
pub(crate) fn template_metadata(
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        labels: Some(labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..Default::default()
    }
}
