//! Definitions and custom resources.

use serde_json::{Value, json};

use crate::common::{alive, apply, delete, get, merge, post, still, until};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1}, "replicas": {"type": "integer", "default": 2},
            "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "note": {"type": "string", "nullable": true}, "plain": {"type": "string"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "phase": {"type": "string"}}}}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]}]}})
}

fn widget(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

#[tokio::test]
async fn definitions_are_established_at_once() {
    let api = still();
    let made = post(&api, DEFINITIONS, definition()).await;
    assert_eq!(made.code, 201, "{:#}", made.body);
    let found = get(&api, &format!("{DEFINITIONS}/widgets.example.com")).await;
    let conditions = found.body["status"]["conditions"].as_array().expect("conditions");
    for kind in ["NamesAccepted", "Established"] {
        assert!(conditions.iter().any(|c| c["type"] == kind && c["status"] == "True"), "{kind}");
    }
    assert_eq!(found.body["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(found.body["spec"]["names"]["listKind"], "WidgetList");
    assert_eq!(get(&api, WIDGETS).await.body["kind"], "WidgetList");
}

#[tokio::test]
async fn custom_resources_are_pruned_defaulted_and_validated() {
    let api = still();
    post(&api, DEFINITIONS, definition()).await;
    let made = post(&api, WIDGETS, widget(json!({"size": 1, "bogus": 1, "free": {"any": [1]}}))).await;
    assert_eq!(made.code, 201, "{:#}", made.body);
    assert_eq!(made.body["spec"], json!({"size": 1, "free": {"any": [1]}, "replicas": 2, "color": "red"}));
    assert_eq!(made.warnings.len(), 1);
    let wrong = post(&api, WIDGETS, widget(json!({"size": "big"}))).await;
    assert_eq!(wrong.code, 422);
    assert_eq!(
        wrong.message(),
        "Widget.example.com \"w\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\""
    );
    let missing = post(&api, WIDGETS, widget(json!({"color": "green"}))).await;
    assert!(missing.message().contains("spec.size: Required value"));
    assert!(
        missing
            .message()
            .contains("spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\"")
    );
    let null = post(&api, WIDGETS, widget(json!({"size": 1, "plain": null}))).await;
    assert_eq!(null.code, 422, "{:#}", null.body);
    let path = format!("{WIDGETS}/w");
    let status =
        merge(&api, &format!("{path}/status"), json!({"status": {"phase": "Fine"}, "spec": {"size": 9}}))
            .await;
    assert_eq!((&status.body["status"]["phase"], &status.body["spec"]["size"]), (&json!("Fine"), &json!(1)));
    assert_eq!(status.body["metadata"]["generation"], 1);
    let spec = merge(&api, &path, json!({"spec": {"size": 2}, "status": {"phase": "Odd"}})).await;
    assert_eq!(
        (&spec.body["status"]["phase"], &spec.body["metadata"]["generation"]),
        (&json!("Fine"), &json!(2))
    );
    let scaled = merge(&api, &format!("{path}/scale"), json!({"spec": {"replicas": 7}})).await;
    assert_eq!(scaled.body["spec"]["replicas"], 7);
    assert_eq!(get(&api, &path).await.body["spec"]["replicas"], 7);
}

#[tokio::test]
async fn apply_follows_the_schema_of_the_definition() {
    let api = still();
    post(&api, DEFINITIONS, definition()).await;
    let path = format!("{WIDGETS}/w");
    let made = apply(
        &api,
        &path,
        "one",
        widget(json!({"size": 1, "ports": [{"name": "a", "port": 1}], "tags": ["x"]})),
    )
    .await;
    assert_eq!(made.code, 201, "{:#}", made.body);
    let again = apply(
        &api,
        &path,
        "one",
        widget(json!({"size": 1, "ports": [{"name": "a", "port": 1}], "tags": ["x"]})),
    )
    .await;
    assert_eq!(again.version(), made.version());
    let second = json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"ports": [{"name": "b", "port": 2}]}});
    let merged = apply(&api, &path, "two", second).await;
    assert_eq!(merged.body["spec"]["ports"], json!([{"name": "a", "port": 1}, {"name": "b", "port": 2}]));
    let refused = apply(
        &api,
        &path,
        "two",
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"tags": ["y"]}}),
    )
    .await;
    assert_eq!(refused.message(), "Apply failed with 1 conflict: conflict with \"one\": .spec.tags");
    let unknown = apply(&api, &path, "one", widget(json!({"size": 1, "bogus": 1}))).await;
    assert_eq!(unknown.code, 500);
    assert!(
        unknown.message().ends_with(".spec.bogus: field not declared in schema"),
        "{}",
        unknown.message()
    );
}

#[tokio::test]
async fn a_changed_schema_is_in_force_at_once_and_stored_versions_stay() {
    let api = still();
    post(&api, DEFINITIONS, definition()).await;
    let path = format!("{WIDGETS}/w");
    assert_eq!(apply(&api, &path, "p", widget(json!({"size": 1}))).await.code, 201);
    let at = format!("{DEFINITIONS}/widgets.example.com");
    let mut next = definition();
    next["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["fresh"] =
        json!({"type": "string", "default": "f"});
    let versions = next["spec"]["versions"].clone();
    assert_eq!(merge(&api, &at, json!({"spec": {"versions": versions}})).await.code, 200);
    let read = get(&api, &path).await;
    assert_eq!(read.body["spec"]["fresh"], "f");
    let mut second = versions[0].clone();
    second["name"] = json!("v2");
    let mut first = versions[0].clone();
    first["storage"] = json!(false);
    assert_eq!(merge(&api, &at, json!({"spec": {"versions": [first, second]}})).await.code, 200);
    let v2 = get(&api, "/apis/example.com/v2/namespaces/default/widgets/w").await;
    assert_eq!((v2.code, &v2.body["apiVersion"]), (200, &json!("example.com/v2")));
    let dropped = merge(&api, &at, json!({"spec": {"versions": [second]}})).await;
    assert_eq!(dropped.code, 422);
    assert!(dropped.message().contains("must remain in spec.versions until a storage migration"));
    let scope = merge(&api, &at, json!({"spec": {"scope": "Cluster"}})).await;
    assert!(
        scope.message().contains("spec.scope: Invalid value: \"Cluster\": field is immutable"),
        "{}",
        scope.message()
    );
}

#[tokio::test]
async fn deleting_a_definition_deletes_its_objects() {
    let api = alive();
    post(&api, DEFINITIONS, definition()).await;
    post(&api, WIDGETS, widget(json!({"size": 1}))).await;
    let at = format!("{DEFINITIONS}/widgets.example.com");
    let deleted = delete(&api, &at).await;
    assert_eq!(deleted.body["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    until(&api, &at, |r| r.code == 404).await;
    assert_eq!(get(&api, WIDGETS).await.code, 404);
    post(&api, DEFINITIONS, definition()).await;
    assert_eq!(get(&api, &format!("{WIDGETS}/w")).await.code, 404);
}
