//! Where the platform departs from a security scanner's rules, and why: the one place. Each reason goes onto the
//! object as the annotation by which Checkov skips the rule there, so that whoever scans what `render` writes reads it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;

/// A rule that an object does not follow, and why.
type Exception = (&'static str, &'static str);

/// Every workload's.
const VERSIONS: [Exception; 2] = [
    (
        "CKV_K8S_43",
        "the catalogue pins exact versions; a stack that wants digests names its own registry there",
    ),
    ("CKV_K8S_15", "versions are exact, and a registry that is away must not keep pods from starting again"),
];
const TOKEN: Exception = ("CKV_K8S_38", "it uses the API server, with the rules of its own role and no more");
const LOW_USER: Exception = ("CKV_K8S_40", "the user that the image's files belong to");
const HOST_NETWORK: Exception = ("CKV_K8S_19", "it counts what the node's own network does");
const HOST_PROCESSES: Exception = ("CKV_K8S_17", "it counts the node's processes");
const ROOT: Exception = ("CKV_K8S_23", "only root reads the logs of containers");
const CAPABILITY: Exception = ("CKV_K8S_25", "all that is left to root is to read what belongs to others");

const KEYS: Exception =
    ("CKV_K8S_35", "an object store that knows no identities: its clients look for keys in the environment");
const WEBHOOKS: Exception =
    ("CKV_K8S_155", "the injector writes cert-manager's authority into webhook configurations");

/// The exceptions that follow from what a pod is.
pub(crate) fn of_pod(pod: &PodSpec) -> BTreeMap<String, String> {
    let mut found = VERSIONS.to_vec();
    let mut add = |applies: bool, exception: Exception| {
        if applies {
            found.push(exception);
        }
    };
    add(pod.automount_service_account_token == Some(true), TOKEN);
    let user = pod.security_context.as_ref().and_then(|security| security.run_as_user).unwrap_or(0);
    add(user < 10_000, LOW_USER);
    add(user == 0, ROOT);
    add(pod.host_network == Some(true), HOST_NETWORK);
    add(pod.host_pid == Some(true), HOST_PROCESSES);
    let keeps = |container: &Container| {
        let capabilities = container.security_context.as_ref().and_then(|one| one.capabilities.as_ref());
        capabilities.is_some_and(|capabilities| capabilities.add.is_some())
    };
    add(pod.containers.iter().any(keeps), CAPABILITY);
    let has_keys = |container: &Container| {
        container.env.iter().flatten().any(|variable| {
            variable.value_from.as_ref().is_some_and(|source| source.secret_key_ref.is_some())
        })
    };
    add(pod.containers.iter().chain(pod.init_containers.iter().flatten()).any(has_keys), KEYS);
    annotations(&found)
}

/// The exceptions that follow from what a ClusterRole allows.
pub(super) fn of_rules(rules: &[PolicyRule]) -> Option<BTreeMap<String, String>> {
    let writes_webhooks = rules.iter().any(|rule| {
        rule.api_groups.iter().flatten().any(|group| group == "admissionregistration.k8s.io")
            && rule.verbs.iter().any(|verb| verb == "update" || verb == "patch")
    });
    writes_webhooks.then(|| annotations(&[WEBHOOKS]))
}

/// Exceptions as annotations.
fn annotations(exceptions: &[Exception]) -> BTreeMap<String, String> {
    (1..)
        .zip(exceptions)
        .map(|(number, (rule, reason))| (format!("checkov.io/skip{number}"), format!("{rule}={reason}")))
        .collect()
}
