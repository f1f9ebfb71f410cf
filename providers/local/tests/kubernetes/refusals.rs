//! What the server refuses: codes, reasons and sentences.

use serde_json::{Value, json};

use crate::common::{Reply, apply, get, merge, post, put, still};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn pod_template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod_template()}})
}

#[track_caller]
fn says(reply: &Reply, code: u16, text: &str) {
    assert_eq!(reply.code, code, "{:#}", reply.body);
    assert!(reply.message().contains(text), "{}\ndoes not say\n{text}", reply.message());
}

#[tokio::test]
async fn names_and_namespaces_are_checked() {
    let api = still();
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    says(
        &post(&api, MAPS, map("A_b")).await,
        422,
        "ConfigMap \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of",
    );
    says(
        &post(&api, MAPS, json!({"apiVersion": "v1", "kind": "ConfigMap"})).await,
        422,
        "name or generateName is required",
    );
    says(
        &post(&api, "/api/v1/namespaces/nope/configmaps", map("a")).await,
        404,
        "namespaces \"nope\" not found",
    );
    let mut elsewhere = map("a");
    elsewhere["metadata"]["namespace"] = json!("other");
    says(
        &post(&api, MAPS, elsewhere).await,
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    );
    says(
        &apply(&api, &format!("{MAPS}/b"), "p", map("a")).await,
        400,
        "the name of the object (a) does not match the name on the URL (b)",
    );
    let mut labelled = map("a");
    labelled["metadata"]["labels"] = json!({"k": "not ok!"});
    says(
        &post(&api, MAPS, labelled).await,
        422,
        "metadata.labels: Invalid value: \"not ok!\": a valid label must be",
    );
    let wrong = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
    assert_eq!(post(&api, MAPS, wrong).await.code, 400);
    // A namespace on something that has none is tolerated.
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r", "namespace": "x"}, "rules": []});
    let made = apply(&api, "/apis/rbac.authorization.k8s.io/v1/clusterroles/r", "p", role).await;
    assert_eq!((made.code, made.body["metadata"].get("namespace")), (201, None));
}

#[tokio::test]
async fn unknown_fields_are_dropped_warned_about_or_refused() {
    let api = still();
    let mut odd = deployment();
    odd["spec"]["replicass"] = json!(1);
    says(
        &post(&api, &format!("{DEPLOYMENTS}?fieldValidation=Strict"), odd.clone()).await,
        400,
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replicass\"",
    );
    let warned = post(&api, DEPLOYMENTS, odd).await;
    assert_eq!(warned.code, 201);
    assert_eq!(warned.warnings, ["299 - \"unknown field \\\"spec.replicass\\\"\""]);
    assert_eq!(warned.body["spec"].get("replicass"), None);
    let mut text = deployment();
    text["spec"]["replicas"] = json!("1");
    says(
        &post(&api, DEPLOYMENTS, text).await,
        400,
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    );
}

#[tokio::test]
async fn workloads_must_make_sense() {
    let api = still();
    let mut other = deployment();
    other["spec"]["template"]["metadata"]["labels"] = json!({"x": "y"});
    says(
        &post(&api, DEPLOYMENTS, other).await,
        422,
        "spec.template.metadata.labels: Invalid value: {\"x\":\"y\"}: `selector` does not match template `labels`",
    );
    let mut bare = deployment();
    bare["spec"]["template"]["spec"] = json!({"containers": []});
    says(&post(&api, DEPLOYMENTS, bare).await, 422, "spec.template.spec.containers: Required value");
    let mut mounts = deployment();
    mounts["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "v", "mountPath": "/v"}]);
    says(&post(&api, DEPLOYMENTS, mounts).await, 422, "volumeMounts[0].name: Not found: \"v\"");
    let mut limits = deployment();
    limits["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}});
    says(&post(&api, DEPLOYMENTS, limits).await, 422, "must be less than or equal to cpu limit of 1");
    let mut hurry = deployment();
    hurry["spec"]["progressDeadlineSeconds"] = json!(5);
    hurry["spec"]["minReadySeconds"] = json!(5);
    says(&post(&api, DEPLOYMENTS, hurry).await, 422, "must be greater than minReadySeconds");
    let port = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "targetPort": "8080"}]}});
    says(
        &post(&api, "/api/v1/namespaces/default/services", port).await,
        422,
        "must contain at least one letter",
    );
    let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "w"},
        "webhooks": [{"name": "a.b.c", "sideEffects": "Some", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://x"}}]});
    says(
        &post(&api, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", hook).await,
        422,
        "Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
    );
}

#[tokio::test]
async fn immutable_fields_say_so_in_the_servers_words() {
    let api = still();
    post(&api, DEPLOYMENTS, deployment()).await;
    let mut turned = deployment();
    turned["spec"]["selector"] = json!({"matchLabels": {"c": "d"}});
    turned["spec"]["template"]["metadata"]["labels"] = json!({"c": "d"});
    says(
        &put(&api, &format!("{DEPLOYMENTS}/d"), turned).await,
        422,
        "spec.selector: Invalid value: {\"matchLabels\":{\"c\":\"d\"}}: field is immutable",
    );

    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}});
    assert_eq!(post(&api, "/apis/batch/v1/namespaces/default/jobs", job).await.code, 201);
    let path = "/apis/batch/v1/namespaces/default/jobs/j";
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}}});
    says(&merge(&api, path, image).await, 422, "spec.template: Invalid value");
    for fine in [
        json!({"spec": {"parallelism": 3}}),
        json!({"spec": {"backoffLimit": 1}}),
        json!({"spec": {"ttlSecondsAfterFinished": 5}}),
    ] {
        assert_eq!(merge(&api, path, fine).await.code, 200);
    }

    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}, "spec": {"serviceName": "x",
        "selector": {"matchLabels": {"a": "b"}}, "template": pod_template(),
        "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}});
    let made = post(&api, "/apis/apps/v1/namespaces/default/statefulsets", set).await;
    assert_eq!(made.body["spec"]["volumeClaimTemplates"][0]["status"]["phase"], "Pending", "{:#}", made.body);
    let path = "/apis/apps/v1/namespaces/default/statefulsets/s";
    let refused = merge(&api, path, json!({"spec": {"serviceName": "y"}})).await;
    says(&refused, 422, "updates to statefulset spec for fields other than");
    assert_eq!(refused.body["details"]["causes"][0]["field"], "spec");
    assert_eq!(merge(&api, path, json!({"spec": {"replicas": 2, "minReadySeconds": 1}})).await.code, 200);

    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    post(&api, "/api/v1/namespaces/default/services", service).await;
    let path = "/api/v1/namespaces/default/services/s";
    says(
        &merge(&api, path, json!({"spec": {"clusterIP": "10.96.5.5", "clusterIPs": ["10.96.5.5"]}})).await,
        422,
        "may not change once set",
    );
    for kind in ["NodePort", "ClusterIP"] {
        assert_eq!(merge(&api, path, json!({"spec": {"type": kind}})).await.code, 200);
    }
    let external = merge(&api, path, json!({"spec": {"type": "ExternalName", "externalName": "x.y"}})).await;
    assert_eq!((external.code, external.body["spec"].get("clusterIP")), (200, None), "{:#}", external.body);

    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "c"}, "provisioner": "x.y", "parameters": {"a": "1"}});
    post(&api, "/apis/storage.k8s.io/v1/storageclasses", class).await;
    let path = "/apis/storage.k8s.io/v1/storageclasses/c";
    says(&merge(&api, path, json!({"reclaimPolicy": "Retain"})).await, 422, "field is immutable");
    assert_eq!(merge(&api, path, json!({"allowVolumeExpansion": true})).await.code, 200);

    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"}, "subjects": []});
    post(&api, "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding).await;
    says(
        &merge(
            &api,
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/b",
            json!({"roleRef": {"name": "x"}}),
        )
        .await,
        422,
        "cannot change roleRef",
    );

    let frozen = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "f"}, "immutable": true, "data": {"a": "1"}});
    post(&api, MAPS, frozen).await;
    says(
        &merge(&api, &format!("{MAPS}/f"), json!({"data": {"a": "2"}})).await,
        422,
        "data: Forbidden: field is immutable when `immutable` is set",
    );
    assert_eq!(
        merge(&api, &format!("{MAPS}/f"), json!({"metadata": {"labels": {"a": "2"}}})).await.code,
        200
    );

    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "p"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "c", "resources": {"requests": {"storage": "1Gi"}}}});
    post(&api, "/api/v1/namespaces/default/persistentvolumeclaims", claim).await;
    let larger = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    says(
        &merge(&api, "/api/v1/namespaces/default/persistentvolumeclaims/p", larger).await,
        422,
        "spec is immutable after creation",
    );
}

#[tokio::test]
async fn sizes_have_limits() {
    let api = still();
    let big = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"a": "x".repeat(1_048_577)}});
    says(&post(&api, MAPS, big).await, 422, "Too long: may not be more than 1048576 bytes");
    let noted = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "annotations": {"a": "x".repeat(262_144)}}});
    says(&post(&api, MAPS, noted).await, 422, "may not be more than 262144 bytes");
    let huge = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"a": "x".repeat(3_200_000)}});
    assert_eq!(post(&api, MAPS, huge).await.code, 413);
}

#[tokio::test]
async fn switching_between_one_of_branches_is_refused() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    let volume = |source: Value| {
        let mut d = deployment();
        let mut v = json!({"name": "v"});
        v.as_object_mut().expect("object").extend(source.as_object().cloned().unwrap_or_default());
        d["spec"]["template"]["spec"]["volumes"] = json!([v]);
        d
    };
    let made = apply(&api, &path, "p", volume(json!({}))).await;
    assert_eq!(made.body["spec"]["template"]["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    says(
        &apply(&api, &path, "p", volume(json!({"configMap": {"name": "c"}}))).await,
        422,
        "may not specify more than 1 volume type",
    );
    let mut env = deployment();
    env["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    env["metadata"]["name"] = json!("e");
    put_or_post(&api, env.clone()).await;
    env["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    says(
        &apply(&api, &format!("{DEPLOYMENTS}/e?force=true"), "p", env).await,
        422,
        "may not be specified when `value` is not empty",
    );
}

async fn put_or_post(api: &plinth_local::kube::ApiServer, object: Value) {
    assert_eq!(post(api, DEPLOYMENTS, object).await.code, 201);
}

#[tokio::test]
async fn paths_nobody_serves_are_plain_text() {
    let api = still();
    let unknown = get(&api, "/apis/x.y/v1/namespaces/default/things").await;
    assert_eq!((unknown.code, unknown.body.as_str()), (404, Some("404 page not found\n")));
    assert_eq!(post(&api, &format!("{DEPLOYMENTS}/d"), deployment()).await.code, 405);
    let unknown = crate::common::send(&api, "PATCH", &format!("{MAPS}/a"), "text/x", "{}".into()).await;
    assert_eq!(unknown.code, 415);
}
