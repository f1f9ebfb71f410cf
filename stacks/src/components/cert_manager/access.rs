//! What cert-manager's parts may do at the API server.

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::kit::{rule, rule_named};

const READ: &[&str] = &["get", "list", "watch"];
const GROUP: &[&str] = &["cert-manager.io"];
const ACME: &[&str] = &["acme.cert-manager.io"];
const CORE: &[&str] = &[""];
const NETWORKING: &[&str] = &["networking.k8s.io"];

/// Leader election in the own namespace.
pub(super) fn leases(names: &[&str]) -> Vec<PolicyRule> {
    let group = &["coordination.k8s.io"];
    vec![
        rule_named(group, &["leases"], names, &["get", "update", "patch"]),
        // A name cannot be known before it exists.
        rule(group, &["leases"], &["create"]),
    ]
}

/// The controller: issuers, certificates, requests, orders and challenges, and the Secrets it writes.
pub(super) fn controller() -> Vec<PolicyRule> {
    let update = &["update", "patch"];
    vec![
        rule(GROUP, &["issuers", "issuers/status", "clusterissuers", "clusterissuers/status"], update),
        rule(GROUP, &["issuers", "clusterissuers", "certificates", "certificaterequests"], READ),
        rule(
            GROUP,
            &["certificates", "certificates/status", "certificaterequests", "certificaterequests/status"],
            update,
        ),
        rule(GROUP, &["certificates/finalizers", "certificaterequests/finalizers"], &["update"]),
        rule(GROUP, &["certificates", "certificaterequests"], &["create", "delete"]),
        rule(ACME, &["orders", "challenges"], &["create", "delete", "get", "list", "watch"]),
        rule(ACME, &["orders", "orders/status", "challenges", "challenges/status"], update),
        rule(ACME, &["orders/finalizers", "challenges/finalizers"], &["update"]),
        rule(CORE, &["secrets"], &["get", "list", "watch", "create", "update", "delete", "patch"]),
        rule(CORE, &["events"], &["create", "patch"]),
        rule(CORE, &["pods", "services"], &["get", "list", "watch", "create", "delete"]),
        rule(NETWORKING, &["ingresses"], &["get", "list", "watch", "create", "delete", "update"]),
        rule(NETWORKING, &["ingresses/finalizers"], &["update"]),
        rule_named(
            GROUP,
            &["signers"],
            &["issuers.cert-manager.io/*", "clusterissuers.cert-manager.io/*"],
            &["approve"],
        ),
        rule(&["certificates.k8s.io"], &["certificatesigningrequests"], &["get", "list", "watch", "update"]),
        rule(&["certificates.k8s.io"], &["certificatesigningrequests/status"], update),
        rule_named(
            &["certificates.k8s.io"],
            &["signers"],
            &["issuers.cert-manager.io/*", "clusterissuers.cert-manager.io/*"],
            &["sign"],
        ),
        rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
    ]
}

/// The webhook: may the one who asks do what is asked?
pub(super) fn webhook() -> Vec<PolicyRule> {
    vec![rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"])]
}

/// The Secret in which the webhook keeps its own authority.
pub(super) fn webhook_authority(secret: &str) -> Vec<PolicyRule> {
    vec![
        rule_named(CORE, &["secrets"], &[secret], &["get", "list", "watch", "update"]),
        rule(CORE, &["secrets"], &["create"]),
    ]
}

/// The injector: reads authorities, writes them into webhooks, API services and definitions.
pub(super) fn cainjector() -> Vec<PolicyRule> {
    let write = &["get", "list", "watch", "update", "patch"];
    vec![
        rule(CORE, &["secrets"], READ),
        rule(GROUP, &["certificates"], READ),
        rule(CORE, &["events"], &["get", "create", "update", "patch"]),
        rule(
            &["admissionregistration.k8s.io"],
            &["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
            write,
        ),
        rule(&["apiregistration.k8s.io"], &["apiservices"], write),
        rule(&["apiextensions.k8s.io"], &["customresourcedefinitions"], write),
    ]
}
