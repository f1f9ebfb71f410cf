//! What others do to our objects, and what we say of it: no false alarm, no miss, and the right name.

use plinth_provider::{Provider, Recorded, Urn};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const PLAIN: &str = "application/json";

/// What somebody does.
enum Act {
    /// A write under a manager's name: method, what follows the object's path, kind of content, body.
    As(&'static str, &'static str, &'static str, Json),
    /// A write that stops being possible once a controller has been quicker is tried again.
    Put(&'static str, fn(&mut Json)),
    Delete,
    /// Deletes it and makes it again as it was, by hand.
    Recreate,
}

/// What is to be said of it.
enum Verdict {
    InSync,
    Missing,
    /// Path and manager; an empty manager stands for one that nobody can know.
    Changed(&'static str, &'static str),
}

use Act::{As, Delete, Put, Recreate};
use Verdict::{Changed, InSync, Missing};

struct Case {
    name: &'static str,
    kind: &'static str,
    inputs: Json,
    acts: Vec<Act>,
    verdict: Verdict,
}

fn case(name: &'static str, (kind, inputs): (&'static str, Json), acts: Vec<Act>, verdict: Verdict) -> Case {
    Case { name, kind, inputs, acts, verdict }
}

fn map() -> (&'static str, Json) {
    ("v1/ConfigMap", json!({"metadata": {"labels": {"team": "a"}}, "data": {"a": "1", "b": "2"}}))
}

fn secret() -> (&'static str, Json) {
    ("v1/Secret", json!({"metadata": {}, "stringData": {"password": "hunter2hunter2"}}))
}

fn web() -> (&'static str, Json) {
    let inputs = json!({"metadata": {}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}], "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "1000m", "memory": "128Mi"}}}]}}}});
    ("apps/v1/Deployment", inputs)
}

/// Without replicas, as one writes it for an autoscaler.
fn service() -> (&'static str, Json) {
    (
        "v1/Service",
        json!({"metadata": {}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
    )
}

fn role() -> (&'static str, Json) {
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    ("rbac.authorization.k8s.io/v1/Role", json!({"metadata": {}, "rules": rules}))
}

fn webhook() -> (&'static str, Json) {
    let inputs = json!({"metadata": {}, "webhooks": [{"name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "failurePolicy": "Ignore", "clientConfig": {"service": {"name": "none", "namespace": "RUN"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "none"}},
        "rules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}]}]});
    ("admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration", inputs)
}

fn container(fields: Json) -> Json {
    let mut container = json!({"name": "c"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

fn metadata() -> Vec<Case> {
    let label = |value: Json| json!({"metadata": {"labels": {"team": value}}});
    vec![
        case("nothing", map(), vec![], InSync),
        case(
            "label changed",
            map(),
            vec![As("kubectl-label", "", MERGE, label("b".into()))],
            Changed("metadata.labels.team", "kubectl-label"),
        ),
        case(
            "label removed",
            map(),
            vec![As("kubectl-label", "", MERGE, label(Json::Null))],
            Changed("metadata.labels.team", ""),
        ),
        case(
            "label added",
            map(),
            vec![As("kubectl-label", "", MERGE, json!({"metadata": {"labels": {"x": "y"}}}))],
            InSync,
        ),
        case(
            "our mark removed",
            map(),
            vec![As("kubectl-label", "", MERGE, json!({"metadata": {"labels": {"plinth.dev/stack": null}}}))],
            Changed("metadata.labels[\"plinth.dev/stack\"]", ""),
        ),
        case(
            "annotation by a controller",
            map(),
            vec![As("some-controller", "", MERGE, json!({"metadata": {"annotations": {"c.io/seen": "1"}}}))],
            InSync,
        ),
        case(
            "finalizer added",
            map(),
            vec![As("some-controller", "", MERGE, json!({"metadata": {"finalizers": ["c.io/x"]}}))],
            InSync,
        ),
        case(
            "being deleted",
            map(),
            vec![As("some-controller", "", MERGE, json!({"metadata": {"finalizers": ["c.io/x"]}})), Delete],
            Changed("metadata.deletionTimestamp", ""),
        ),
        case("deleted", map(), vec![Delete], Missing),
        case("recreated", map(), vec![Recreate], Changed("metadata.uid", "kubectl-create")),
        case(
            "recreated by somebody else",
            map(),
            vec![Delete, As("kubectl-create", "create", PLAIN, json!({"data": {"theirs": "1"}}))],
            Missing,
        ),
        case(
            "owners wiped",
            map(),
            vec![Put("editor", |object| object["metadata"]["managedFields"] = json!([{}]))],
            InSync,
        ),
    ]
}

fn data() -> Vec<Case> {
    vec![
        case(
            "value changed",
            map(),
            vec![As("kubectl-edit", "", MERGE, json!({"data": {"a": "edited"}}))],
            Changed("data.a", "kubectl-edit"),
        ),
        case(
            "key removed by one who writes others",
            map(),
            vec![As("kubectl-edit", "", MERGE, json!({"data": {"a": null, "z": "1"}}))],
            Changed("data.a", "kubectl-edit"),
        ),
        case("key added", map(), vec![As("kubectl-edit", "", MERGE, json!({"data": {"z": "1"}}))], InSync),
        case(
            "value set to the same",
            map(),
            vec![As("kubectl-edit", "", MERGE, json!({"data": {"a": "1"}}))],
            InSync,
        ),
        case(
            "value taken by another applier",
            map(),
            vec![As("flux", "?force=true", APPLY, json!({"data": {"a": "flux"}}))],
            Changed("data.a", "flux"),
        ),
        case(
            "co-owned by another applier",
            map(),
            vec![As("flux", "?force=true", APPLY, json!({"data": {"a": "1"}}))],
            InSync,
        ),
        case(
            "replaced as a whole",
            map(),
            vec![Put("kubectl-replace", |object| object["data"]["a"] = "put".into())],
            Changed("data.a", "kubectl-replace"),
        ),
        case(
            "secret changed",
            secret(),
            vec![As("kubectl-edit", "", MERGE, json!({"data": {"password": "b3RoZXI="}}))],
            Changed("data.password", "kubectl-edit"),
        ),
        case(
            "rules replaced",
            role(),
            vec![As(
                "kubectl-edit",
                "",
                MERGE,
                json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]}),
            )],
            Changed("rules[0].verbs[0]", "kubectl-edit"),
        ),
        case(
            "CA bundle injected",
            webhook(),
            vec![As(
                "cainjector",
                "",
                JSON_PATCH,
                json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Y2E="}]),
            )],
            InSync,
        ),
        case("ports allocated", service(), vec![], InSync),
        case(
            "selector changed",
            service(),
            vec![As("kubectl-patch", "", MERGE, json!({"spec": {"selector": {"app": "other"}}}))],
            Changed("spec.selector.app", "kubectl-patch"),
        ),
    ]
}

fn workloads() -> Vec<Case> {
    let scale = |replicas: i64| json!({"spec": {"replicas": replicas}});
    let restarted = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-01T00:00:00Z"}}}}});
    let sidecar =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "envoy:1"}]}}}});
    let reordered = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/env",
        "value": [{"name": "B", "value": "$(A)"}, {"name": "A", "value": "1"}]}]);
    vec![
        case(
            "scaled by hand",
            web(),
            vec![As("kubectl", "/scale", MERGE, scale(5))],
            Changed("spec.replicas", "kubectl"),
        ),
        case(
            "scaled by an edit",
            web(),
            vec![As("kubectl-edit", "", MERGE, scale(5))],
            Changed("spec.replicas", "kubectl-edit"),
        ),
        case(
            "scaled by an autoscaler",
            web(),
            vec![As("kube-controller-manager", "/scale", MERGE, scale(7))],
            InSync,
        ),
        case(
            "image set",
            web(),
            vec![As("kubectl-set", "", STRATEGIC, container(json!({"image": "nginx:2"})))],
            Changed("spec.template.spec.containers[0].image", "kubectl-set"),
        ),
        case(
            "variable set",
            web(),
            vec![As("kubectl-set", "", STRATEGIC, container(json!({"env": [{"name": "A", "value": "2"}]})))],
            Changed("spec.template.spec.containers[0].env[0].value", "kubectl-set"),
        ),
        case(
            "variable added",
            web(),
            vec![As("kubectl-set", "", STRATEGIC, container(json!({"env": [{"name": "C", "value": "2"}]})))],
            InSync,
        ),
        case(
            "variables reordered",
            web(),
            vec![As("kubectl-edit", "", JSON_PATCH, reordered)],
            Changed("spec.template.spec.containers[0].env", ""),
        ),
        case(
            "resources recommended",
            web(),
            vec![As(
                "vpa-recommender",
                "",
                STRATEGIC,
                container(json!({"resources": {"requests": {"cpu": "2"}}})),
            )],
            Changed("spec.template.spec.containers[0].resources.requests.cpu", "vpa-recommender"),
        ),
        case(
            "limits added",
            web(),
            vec![As(
                "vpa-recommender",
                "",
                STRATEGIC,
                container(json!({"resources": {"limits": {"cpu": "4"}}})),
            )],
            InSync,
        ),
        case("sidecar injected", web(), vec![As("injector", "", STRATEGIC, sidecar)], InSync),
        case("restarted", web(), vec![As("kubectl-rollout", "", STRATEGIC, restarted)], InSync),
        case(
            "paused",
            web(),
            vec![As("kubectl-rollout", "", MERGE, json!({"spec": {"paused": true}}))],
            InSync,
        ),
        case(
            "status written",
            web(),
            vec![As("kube-controller-manager", "/status", MERGE, json!({"status": {"collisionCount": 0}}))],
            InSync,
        ),
    ]
}

async fn act(cluster: &Cluster, recorded: &Recorded, path: &str, act: Act) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let collection = path.strip_suffix(name).unwrap_or(path).trim_end_matches('/');
    match act {
        As(manager, "create", kind, mut body) => {
            body["metadata"]["name"] = name.into();
            gone(cluster, path).await;
            cluster.raw("POST", &format!("{collection}?fieldManager={manager}"), kind, &body).await;
        }
        As(manager, rest, kind, mut body) => {
            if kind == APPLY {
                let live = cluster.get(path).await;
                body["apiVersion"] = live["apiVersion"].clone();
                body["kind"] = live["kind"].clone();
                body["metadata"] = json!({"name": name});
            }
            let mark = if rest.contains('?') { '&' } else { '?' };
            cluster.raw("PATCH", &format!("{path}{rest}{mark}fieldManager={manager}"), kind, &body).await;
        }
        Put(manager, change) => {
            let mut object = cluster.get(path).await;
            change(&mut object);
            cluster.raw("PUT", &format!("{path}?fieldManager={manager}"), PLAIN, &object).await;
        }
        Delete => {
            cluster.raw("DELETE", path, PLAIN, &Json::Null).await;
        }
        Recreate => {
            let mut object = cluster.get(path).await;
            for key in ["uid", "resourceVersion", "managedFields", "creationTimestamp"] {
                object["metadata"].as_object_mut().unwrap().remove(key);
            }
            cluster.raw("DELETE", path, PLAIN, &Json::Null).await;
            gone(cluster, path).await;
            cluster.raw("POST", &format!("{collection}?fieldManager=kubectl-create"), PLAIN, &object).await;
        }
    }
    let _ = recorded;
}

async fn gone(cluster: &Cluster, path: &str) {
    for _ in 0..100 {
        if cluster.status_of(path).await == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn judge(cluster: &Cluster, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for (at, Case { name, kind, mut inputs, acts, verdict }) in cases.into_iter().enumerate() {
        let urn = Urn::new("s", &format!("k8s:{kind}"), &format!("r{at}")).unwrap();
        inputs["metadata"]["name"] = format!("RUN-{at}").into();
        inputs["metadata"]["annotations"]["plinth.dev/wait"] = "false".into();
        let inputs = cluster.check(&urn, &cluster.own(&urn, inputs).expose());
        let recorded =
            cluster.try_create_checked(&urn, inputs).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let path = cluster.path_of(&recorded).await;
        for one in acts {
            act(cluster, &recorded, &path, one).await;
        }
        let live = cluster.read(&recorded).await;
        let found = live.as_ref().map(|live| cluster.provider.drift(&recorded, live));
        let told: Option<Vec<(String, String)>> = found.map(|found| {
            found.into_iter().map(|drift| (drift.path.to_string(), drift.by.unwrap_or_default())).collect()
        });
        let right = match (&verdict, &told) {
            (Missing, None) => true,
            (InSync, Some(told)) => told.is_empty(),
            (Changed(path, by), Some(told)) => {
                matches!(told.as_slice(), [(at, who)] if at == path && (by.is_empty() || who.split(' ').next() == Some(by)))
            }
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: {told:?}"));
        }
        cluster.try_raw("PATCH", &path, MERGE, &json!({"metadata": {"finalizers": null}})).await.ok();
        cluster.try_raw("DELETE", &path, PLAIN, &Json::Null).await.ok();
    }
    assert!(wrong.is_empty(), "judged wrong:\n{}", wrong.join("\n"));
}

macro_rules! judged {
    ($name:ident) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn embedded() {
                judge(&Cluster::start().await, super::$name()).await;
            }

            #[tokio::test]
            async fn real() {
                let Some(cluster) = Cluster::real().await else { return };
                judge(&cluster, super::$name()).await;
            }
        }
    };
}

judged!(metadata);
judged!(data);
judged!(workloads);

/// A definition that loses a field, or gains a default, changes what is read of objects that nobody has written.
async fn definitions_change(cluster: Cluster) {
    let definition = |spec: Json| {
        cluster.named(json!({"metadata": {"name": "things.RUN.example.com"}, "spec": {"group": "RUN.example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "properties": {"spec": {"type": "object", "properties": spec}}}}}]}}))
    };
    let text = json!({"type": "string"});
    let both = json!({"a": text, "b": text});
    let crd =
        cluster.create("apiextensions.k8s.io/v1/CustomResourceDefinition", "crd", &definition(both)).await;
    let kind = format!("{}.example.com/v1/Thing", cluster.run());
    let thing =
        cluster.named(json!({"metadata": {"name": "t", "namespace": "RUN"}, "spec": {"a": "1", "b": "2"}}));
    let thing = cluster.create(&kind, "thing", &thing).await;
    let paths = async |expected: &[&str]| {
        // A new schema is in force some moments after its definition was written.
        for last in [false, false, false, false, false, true] {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let live = cluster.read(&thing).await.unwrap();
            let found: Vec<String> =
                cluster.provider.drift(&thing, &live).iter().map(|drift| drift.path.to_string()).collect();
            if found == expected {
                return;
            }
            assert!(!last, "{found:?} is not {expected:?}");
        }
    };
    let defaulted = json!({"a": text, "b": text, "c": {"type": "string", "default": "x"}});
    let crd = cluster.update(&crd, &definition(defaulted)).await;
    paths(&[]).await;
    let crd = cluster.update(&crd, &definition(json!({"a": text}))).await;
    paths(&["spec.b"]).await;
    // A real garbage collector needs half a minute to learn of a new kind, and a foreground delete waits for it.
    let path = cluster.path_of(&thing).await;
    cluster.raw("DELETE", &path, PLAIN, &Json::Null).await;
    cluster.delete(&crd).await.unwrap();
}

#[tokio::test]
async fn definitions_change_embedded() {
    definitions_change(Cluster::start().await).await;
}

#[tokio::test]
async fn definitions_change_real() {
    let Some(cluster) = Cluster::real().await else { return };
    definitions_change(cluster).await;
}
