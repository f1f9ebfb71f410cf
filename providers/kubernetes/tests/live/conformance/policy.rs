//! Who may do what, what gets in, and how much there may be.

use serde_json::{Value as Json, json};

use super::{Cluster, Kind, conform, conforms};

const RBAC: &str = "rbac.authorization.k8s.io";

fn rules(verb: &str) -> Json {
    json!([{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}])
}

fn binding(name: &str, role: &str, user: &str) -> Json {
    json!({"metadata": {"name": name}, "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}]})
}

conforms!(
    role,
    "rbac.authorization.k8s.io/v1/Role",
    json!({"metadata": {"name": "s:a"}, "rules": rules("get")}),
    Some(json!({"metadata": {"name": "s:a"}, "rules": rules("list")})),
    None
);
conforms!(
    role_binding,
    "rbac.authorization.k8s.io/v1/RoleBinding",
    binding("a", "view", "x"),
    Some(binding("a", "view", "y")),
    Some(binding("a", "edit", "y"))
);
conforms!(
    cluster_role,
    "rbac.authorization.k8s.io/v1/ClusterRole",
    json!({"metadata": {"name": "RUN:a"}, "rules": rules("get")}),
    Some(json!({"metadata": {"name": "RUN:a"}, "rules": rules("list")})),
    None
);
conforms!(
    aggregated_cluster_role,
    "rbac.authorization.k8s.io/v1/ClusterRole",
    json!({"metadata": {"name": "RUN:a"}, "rules": [],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}]}}),
    Some(json!({"metadata": {"name": "RUN:a"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}]}})),
    None
);
conforms!(
    cluster_role_binding,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
    binding("RUN-a", "view", "x"),
    Some(binding("RUN-a", "view", "y")),
    Some(binding("RUN-a", "edit", "y"))
);
conforms!(
    network_policy,
    "networking.k8s.io/v1/NetworkPolicy",
    json!({"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
    Some(
        json!({"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}})
    ),
    None
);

fn ingress(host: &str) -> Json {
    json!({"metadata": {"name": "a"}, "spec": {"ingressClassName": "none-of-plinth", "rules": [{"host": host, "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}]}}],
        "tls": [{"hosts": [host], "secretName": "tls"}]}})
}

conforms!(
    ingress,
    "networking.k8s.io/v1/Ingress",
    super::ingress("a.example.com"),
    Some(super::ingress("b.example.com")),
    None
);
conforms!(
    ingress_class,
    "networking.k8s.io/v1/IngressClass",
    json!({"metadata": {"name": "RUN-a"}, "spec": {"controller": "example.com/x"}}),
    Some(
        json!({"metadata": {"name": "RUN-a", "labels": {"l": "v"}}, "spec": {"controller": "example.com/x"}})
    ),
    Some(json!({"metadata": {"name": "RUN-a"}, "spec": {"controller": "example.com/y"}}))
);
conforms!(
    limit_range,
    "v1/LimitRange",
    json!({"metadata": {"name": "a"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "1000m"}, "defaultRequest": {"cpu": "0.1"}}]}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "1024Mi"}}]}})
    ),
    None
);
conforms!(
    quota,
    "v1/ResourceQuota",
    json!({"metadata": {"name": "a"}, "spec": {"hard": {"requests.cpu": "1000m", "pods": 10}}}),
    Some(json!({"metadata": {"name": "a"}, "spec": {"hard": {"requests.cpu": "2", "pods": "20"}}})),
    Some(json!({"metadata": {"name": "a"}, "spec": {"scopes": ["NotTerminating"], "hard": {"pods": "20"}}}))
);
conforms!(
    priority_class,
    "scheduling.k8s.io/v1/PriorityClass",
    json!({"metadata": {"name": "RUN-a"}, "value": 10, "description": "a"}),
    Some(json!({"metadata": {"name": "RUN-a"}, "value": 10, "description": "b"})),
    Some(json!({"metadata": {"name": "RUN-a"}, "value": 20, "description": "b"}))
);
conforms!(
    runtime_class,
    "node.k8s.io/v1/RuntimeClass",
    json!({"metadata": {"name": "RUN-a"}, "handler": "runc"}),
    Some(json!({"metadata": {"name": "RUN-a", "labels": {"l": "v"}}, "handler": "runc"})),
    Some(json!({"metadata": {"name": "RUN-a"}, "handler": "kata"}))
);

fn webhooks(path: &str, policy: &str) -> Json {
    json!({"metadata": {"name": "RUN-a", "annotations": {"plinth.dev/wait": "false"}}, "webhooks": [{"name": "a.RUN.example.com", "admissionReviewVersions": ["v1"],
        "sideEffects": "None", "failurePolicy": policy,
        "clientConfig": {"service": {"name": "none", "namespace": "RUN", "path": path}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "no-such-namespace"}},
        "rules": [{"apiGroups": ["RUN.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}]}]})
}

conforms!(
    validating_webhook,
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration",
    webhooks("/a", "Fail"),
    Some(webhooks("/b", "Ignore")),
    None
);
conforms!(
    mutating_webhook,
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration",
    webhooks("/a", "Fail"),
    Some(webhooks("/b", "Ignore")),
    None
);

fn admission(expression: &str) -> Json {
    json!({"metadata": {"name": "RUN-a"}, "spec": {"failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": ["RUN.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}]},
        "validations": [{"expression": expression, "message": "no"}]}})
}

conforms!(
    admission_policy,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy",
    admission("object.metadata.name != 'a'"),
    Some(admission("object.metadata.name != 'b'")),
    None
);
conforms!(
    admission_policy_binding,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding",
    json!({"metadata": {"name": "RUN-a"}, "spec": {"policyName": "RUN-none", "validationActions": ["Deny"]}}),
    Some(
        json!({"metadata": {"name": "RUN-a"}, "spec": {"policyName": "RUN-none", "validationActions": ["Warn"]}})
    ),
    None
);

fn flow_schema(precedence: i64, path: &str) -> Json {
    json!({"metadata": {"name": "RUN-a"}, "spec": {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": "workload-low"},
        "rules": [{"subjects": [{"kind": "User", "user": {"name": "nobody"}}], "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": [path]}]}]}})
}

/// The embedded server has no priorities.
#[tokio::test]
async fn flow_schema_real() {
    let Some(cluster) = Cluster::real().await else { return };
    let kind = Kind {
        kind: "flowcontrol.apiserver.k8s.io/v1/FlowSchema",
        inputs: flow_schema(9000, "/x"),
        updated: Some(flow_schema(9001, "/y")),
        replaced: None,
    };
    conform(&cluster, kind).await;
}
