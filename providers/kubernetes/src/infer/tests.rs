use super::*;
use plinth_provider::Value;
use serde_json::{Value as Json, json};

fn resource(kind: &str, name: &str, inputs: Json) -> Resource {
    let mut inputs = inputs;
    if inputs["metadata"]["name"].is_null() {
        inputs["metadata"]["name"] = name.into();
    }
    Resource::new(Urn::new("s", &format!("k8s:{kind}"), name).unwrap(), Value::from_json(inputs))
}

/// The edges by short names.
fn edges(resources: &[Resource]) -> Vec<String> {
    let all: Vec<&Resource> = resources.iter().collect();
    let mut found: Vec<String> =
        dependencies(&all).iter().map(|(from, to)| format!("{}>{}", from.name(), to.name())).collect();
    found.sort();
    found
}

fn pod(spec: Json) -> Json {
    json!({"metadata": {"namespace": "n"}, "spec": {"template": {"metadata": {"labels": {"app": "w"}}, "spec": spec}}})
}

#[test]
fn workloads_come_after_what_they_use() {
    let spec = json!({
        "serviceAccountName": "sa", "priorityClassName": "high", "imagePullSecrets": [{"name": "pull"}],
        "volumes": [{"name": "a", "configMap": {"name": "cm"}}, {"name": "b", "secret": {"secretName": "tls"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "pvc"}},
            {"name": "d", "projected": {"sources": [{"secret": {"name": "proj"}}]}}],
        "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "envs"}}],
            "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "key"}}}]}]});
    let in_n = || json!({"metadata": {"namespace": "n"}});
    let resources = [
        resource("v1/Namespace", "n", json!({})),
        resource("apps/v1/Deployment", "w", pod(spec)),
        resource("v1/ConfigMap", "cm", in_n()),
        resource("v1/ConfigMap", "envs", in_n()),
        resource("v1/ConfigMap", "elsewhere", json!({"metadata": {"name": "cm", "namespace": "m"}})),
        resource("v1/Secret", "proj", in_n()),
        resource("v1/Secret", "key", in_n()),
        resource("v1/Secret", "pull", in_n()),
        resource(
            "v1/PersistentVolumeClaim",
            "pvc",
            json!({"metadata": {"namespace": "n"}, "spec": {"storageClassName": "fast"}}),
        ),
        resource("storage.k8s.io/v1/StorageClass", "fast", json!({})),
        resource("scheduling.k8s.io/v1/PriorityClass", "high", json!({})),
        resource("v1/ServiceAccount", "sa", in_n()),
        resource(
            "cert-manager.io/v1/Certificate",
            "cert",
            json!({"metadata": {"namespace": "n"}, "spec": {"secretName": "tls", "issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}}),
        ),
        resource("cert-manager.io/v1/ClusterIssuer", "ca", json!({"spec": {"selfSigned": {}}})),
        resource("rbac.authorization.k8s.io/v1/ClusterRole", "role", json!({})),
        resource(
            "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
            "bind",
            json!({
            "roleRef": {"kind": "ClusterRole", "name": "role"}, "subjects": [{"kind": "ServiceAccount", "name": "sa", "namespace": "n"}]}),
        ),
    ];
    let all = edges(&resources);
    for want in [
        "w>n",
        "w>cm",
        "w>envs",
        "w>proj",
        "w>key",
        "w>pull",
        "w>pvc",
        "w>high",
        "w>sa",
        "w>cert",
        "w>bind",
        "pvc>fast",
        "pvc>n",
        "cert>ca",
        "bind>role",
        "bind>sa",
        "cm>n",
    ] {
        assert!(all.iter().any(|edge| edge == want), "{want} is missing from {all:?}");
    }
    assert!(!all.iter().any(|edge| edge == "w>elsewhere"));
}

fn webhook(kind: &str) -> Resource {
    resource(
        &format!("admissionregistration.k8s.io/v1/{kind}"),
        "hook",
        json!({"webhooks": [{"name": "w",
        "clientConfig": {"service": {"name": "svc", "namespace": "n"}},
        "rules": [{"apiGroups": ["cert-manager.io"], "resources": ["*/*"]}]}]}),
    )
}

#[test]
fn custom_resources_come_after_their_definition_and_their_webhook() {
    let resources = [
        resource("v1/Namespace", "n", json!({})),
        resource(
            "apiextensions.k8s.io/v1/CustomResourceDefinition",
            "issuers.cert-manager.io",
            json!({"spec": {"group": "cert-manager.io", "names": {"kind": "Issuer", "plural": "issuers"}}}),
        ),
        resource(
            "v1/Service",
            "svc",
            json!({"metadata": {"namespace": "n"}, "spec": {"selector": {"app": "w"}}}),
        ),
        resource("apps/v1/Deployment", "w", pod(json!({"containers": []}))),
        webhook("ValidatingWebhookConfiguration"),
        resource("cert-manager.io/v1/Issuer", "issuer", json!({"metadata": {"namespace": "n"}})),
    ];
    let all = edges(&resources);
    for want in [
        "hook>svc",
        "hook>w",
        "issuer>hook",
        "issuer>w",
        "issuer>svc",
        "issuer>issuers.cert-manager.io",
        "issuer>n",
    ] {
        assert!(all.iter().any(|edge| edge == want), "{want} is missing from {all:?}");
    }
}

#[test]
fn a_webhook_whose_own_certificate_it_guards_is_no_cycle() {
    let mounts = pod(json!({"volumes": [{"name": "t", "secret": {"secretName": "tls"}}]}));
    let resources = [
        resource(
            "v1/Service",
            "svc",
            json!({"metadata": {"namespace": "n"}, "spec": {"selector": {"app": "w"}}}),
        ),
        resource("apps/v1/Deployment", "w", mounts),
        webhook("ValidatingWebhookConfiguration"),
        resource(
            "cert-manager.io/v1/Certificate",
            "cert",
            json!({"metadata": {"namespace": "n"}, "spec": {"secretName": "tls"}}),
        ),
    ];
    let all = edges(&resources);
    assert!(all.contains(&"w>cert".to_owned()) && all.contains(&"hook>w".to_owned()), "{all:?}");
    assert!(!all.contains(&"cert>hook".to_owned()) && !all.contains(&"cert>w".to_owned()), "{all:?}");
}

#[test]
fn clusters_do_not_know_each_other() {
    let mut there = resource("v1/ConfigMap", "c", json!({"metadata": {"namespace": "n"}}));
    there.connection = Some(Value::from([("context", "other")]));
    let here = resource("v1/Namespace", "n", json!({}));
    assert_eq!(edges(&[here, there]), Vec::<String>::new());
}

#[test]
fn sets_ingresses_and_autoscalers() {
    let resources = [
        resource("v1/Service", "svc", json!({"metadata": {"namespace": "n"}})),
        resource("networking.k8s.io/v1/IngressClass", "class", json!({})),
        resource(
            "networking.k8s.io/v1/Ingress",
            "ing",
            json!({"metadata": {"namespace": "n"}, "spec": {"ingressClassName": "class",
            "rules": [{"http": {"paths": [{"backend": {"service": {"name": "svc"}}}]}}]}}),
        ),
        resource(
            "apps/v1/StatefulSet",
            "set",
            json!({"metadata": {"namespace": "n"}, "spec": {"serviceName": "svc",
            "volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]}}),
        ),
        resource("storage.k8s.io/v1/StorageClass", "fast", json!({})),
        resource(
            "autoscaling/v2/HorizontalPodAutoscaler",
            "hpa",
            json!({"metadata": {"namespace": "n"}, "spec": {"scaleTargetRef": {"kind": "StatefulSet", "name": "set"}}}),
        ),
    ];
    assert_eq!(edges(&resources), ["hpa>set", "ing>class", "ing>svc", "set>fast", "set>svc"]);
}

#[test]
fn custom_resources_come_after_their_controller() {
    let role = |resources: Json| json!({"rules": [{"apiGroups": ["cert-manager.io"], "resources": resources, "verbs": ["get", "update"]}]});
    let bind = |name: &str| json!({"roleRef": {"kind": "ClusterRole", "name": name}, "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "n"}]});
    let rbac = |kind: &str| format!("rbac.authorization.k8s.io/v1/{kind}");
    let runs_as = |account: &str| pod(json!({"serviceAccountName": account, "containers": []}));
    let resources = [
        resource(&rbac("ClusterRole"), "controller", role(json!(["issuers", "issuers/status"]))),
        resource(&rbac("ClusterRole"), "reader", role(json!(["issuers"]))),
        resource(&rbac("ClusterRoleBinding"), "b1", bind("controller")),
        resource(&rbac("ClusterRoleBinding"), "b2", bind("reader")),
        resource("apps/v1/Deployment", "manager", runs_as("controller")),
        resource("apps/v1/Deployment", "other", runs_as("reader")),
        resource("cert-manager.io/v1/Issuer", "issuer", json!({"metadata": {"namespace": "n"}})),
        resource(
            "apiextensions.k8s.io/v1/CustomResourceDefinition",
            "crd",
            json!({"spec": {"group": "cert-manager.io", "names": {"kind": "Issuer", "plural": "issuers"}}}),
        ),
    ];
    let all = edges(&resources);
    assert!(all.contains(&"issuer>manager".to_owned()), "{all:?}");
    assert!(all.contains(&"manager>crd".to_owned()), "{all:?}");
    assert!(!all.contains(&"issuer>other".to_owned()), "{all:?}");
}
