//! Who may do what at the API server.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::container::none_if_empty;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Verbs on resources of API groups (`""` is the core group).
pub(crate) fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(texts(groups)),
        resources: Some(texts(resources)),
        verbs: texts(verbs),
        ..PolicyRule::default()
    }
}

/// Verbs on certain objects.
pub(crate) fn rule_named(groups: &[&str], resources: &[&str], names: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule { resource_names: Some(texts(names)), ..rule(groups, resources, verbs) }
}

/// Reading paths of the API server that are no objects.
pub(crate) fn non_resource(urls: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule { non_resource_urls: Some(texts(urls)), verbs: texts(verbs), ..PolicyRule::default() }
}

/// A ClusterRole.
pub(crate) fn cluster_role(metadata: ObjectMeta, rules: Vec<PolicyRule>) -> ClusterRole {
    ClusterRole { metadata, rules: none_if_empty(rules), aggregation_rule: None }
}

/// A Role.
pub(crate) fn role(metadata: ObjectMeta, rules: Vec<PolicyRule>) -> Role {
    Role { metadata, rules: none_if_empty(rules) }
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn subject(namespace: &str, account: &str) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: account.to_owned(),
        namespace: Some(namespace.to_owned()),
    }
}

/// Gives a ClusterRole to a ServiceAccount in the whole cluster.
pub(crate) fn cluster_role_binding(
    metadata: ObjectMeta,
    role: &str,
    namespace: &str,
    account: &str,
) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata,
        role_ref: role_ref("ClusterRole", role),
        subjects: Some(vec![subject(namespace, account)]),
    }
}

/// Gives a Role to a ServiceAccount, which may live in another namespace than the role.
pub(crate) fn role_binding(metadata: ObjectMeta, role: &str, namespace: &str, account: &str) -> RoleBinding {
    RoleBinding {
        metadata,
        role_ref: role_ref("Role", role),
        subjects: Some(vec![subject(namespace, account)]),
    }
}
