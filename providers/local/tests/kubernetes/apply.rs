//! Server-side apply, held against what a real server was seen to do.

use crate::common::{apply, delete, get, merge, post, put, send, still};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment(name: &str, spec: Value, container: Value) -> Value {
    let mut c = json!({"name": "c", "image": "nginx:1"});
    c.as_object_mut().expect("object").extend(container.as_object().cloned().unwrap_or_default());
    let mut out = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [c]}}}});
    out["spec"].as_object_mut().expect("object").extend(spec.as_object().cloned().unwrap_or_default());
    out
}

fn managers(body: &Value) -> Vec<String> {
    let entries = body["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let show = |e: &Value| {
        format!(
            "{}/{}{}",
            e["manager"].as_str().unwrap_or_default(),
            e["operation"].as_str().unwrap_or_default(),
            e["subresource"].as_str().map(|s| format!("/{s}")).unwrap_or_default()
        )
    };
    entries.iter().map(show).collect()
}

#[tokio::test]
async fn create_then_same_again_changes_nothing() {
    let api = still();
    let path = format!("{MAPS}/a");
    let first = apply(&api, &path, "plinth", map("a", json!({"x": "1"}))).await;
    assert_eq!(first.code, 201);
    let again = apply(&api, &path, "plinth", map("a", json!({"x": "1"}))).await;
    assert_eq!(again.code, 200);
    assert_eq!(first.version(), again.version());
    assert_eq!(managers(&again.body), ["plinth/Apply"]);
    assert_eq!(again.body["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {"f:x": {}}}));
}

#[tokio::test]
async fn dropped_fields_go_unless_somebody_else_owns_them() {
    let api = still();
    let path = format!("{MAPS}/a");
    apply(&api, &path, "one", map("a", json!({"x": "1", "y": "1", "z": "1"}))).await;
    apply(&api, &path, "two", map("a", json!({"y": "1"}))).await;
    let dropped = apply(&api, &path, "one", map("a", json!({"x": "1"}))).await;
    assert_eq!(dropped.body["data"], json!({"x": "1", "y": "1"}));
    let last = apply(&api, &path, "two", json!({"apiVersion": "v1", "kind": "ConfigMap"})).await;
    assert_eq!(last.body["data"], json!({"x": "1"}));
    assert_eq!(managers(&last.body), ["one/Apply"]);
}

#[tokio::test]
async fn conflicts_name_the_owner_and_the_field() {
    let api = still();
    let path = format!("{MAPS}/a");
    apply(&api, &path, "one", map("a", json!({"x": "1", "y": "1"}))).await;
    let refused = apply(&api, &path, "two", map("a", json!({"x": "2"}))).await;
    assert_eq!(refused.code, 409);
    assert_eq!(refused.message(), "Apply failed with 1 conflict: conflict with \"one\": .data.x");
    assert_eq!(
        refused.body["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.x"}])
    );
    merge(&api, &format!("{path}?fieldManager=edit"), json!({"data": {"y": "3"}})).await;
    let refused = apply(&api, &path, "one", map("a", json!({"x": "1", "y": "1"}))).await;
    assert_eq!(refused.message(), "Apply failed with 1 conflict: conflict with \"edit\" using v1: .data.y");
    let refused = apply(&api, &path, "two", map("a", json!({"x": "2", "y": "2"}))).await;
    assert_eq!(
        refused.message(),
        "Apply failed with 2 conflicts: conflicts with \"edit\" using v1:\n- .data.y\nconflicts with \"one\":\n- .data.x"
    );
    let forced =
        apply(&api, &format!("{path}?force=true"), "two", map("a", json!({"x": "2", "y": "2"}))).await;
    assert_eq!(forced.body["data"], json!({"x": "2", "y": "2"}));
    assert_eq!(managers(&forced.body), ["two/Apply"]);
}

#[tokio::test]
async fn preconditions_make_creating_and_updating_exclusive() {
    let api = still();
    let path = format!("{MAPS}/a");
    let with = |field: &str, value: &str| {
        let mut m = map("a", json!({"x": "1"}));
        m["metadata"][field] = json!(value);
        m
    };
    let missing = apply(&api, &path, "p", with("uid", "11111111-1111-1111-1111-111111111111")).await;
    assert_eq!(missing.code, 409);
    assert!(missing.message().contains("uid mismatch: the provided object specified uid 11111111-1111-1111-1111-111111111111, and no existing object was found"), "{}", missing.message());
    let created = apply(&api, &path, "p", with("resourceVersion", "1")).await;
    assert_eq!(created.code, 201);
    for query in ["", "?force=true", "?dryRun=All"] {
        let refused = apply(&api, &format!("{path}{query}"), "p", with("resourceVersion", "1")).await;
        assert_eq!(refused.code, 409, "{query}");
        assert!(refused.message().contains("the object has been modified"));
    }
    assert_eq!(apply(&api, &path, "p", with("resourceVersion", "0")).await.code, 200);
    let other = apply(&api, &path, "p", with("uid", "11111111-1111-1111-1111-111111111111")).await;
    assert_eq!(other.code, 422);
    assert!(
        other.message().contains("metadata.uid") && other.message().contains("field is immutable"),
        "{}",
        other.message()
    );
    let uid = created.body["metadata"]["uid"].as_str().expect("uid").to_owned();
    assert_eq!(apply(&api, &path, "p", with("uid", &uid)).await.code, 200);
    delete(&api, &path).await;
    assert_eq!(apply(&api, &path, "p", with("resourceVersion", "5")).await.code, 201);
}

#[tokio::test]
async fn what_does_not_fit_its_type_is_a_500_without_reason() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    let cases = [
        (json!({"replicass": 1}), json!({}), ".spec.replicass: field not declared in schema"),
        (json!({"replicas": "1"}), json!({}), ".spec.replicas: expected numeric (int or float), got string"),
        (
            json!({}),
            json!({"env": [{"name": "A", "value": 8080}]}),
            ".spec.template.spec.containers[name=\"c\"].env[name=\"A\"].value: expected string, got &value.valueUnstructured{Value:8080}",
        ),
        (
            json!({}),
            json!({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}),
            ".spec.template.spec.containers[name=\"c\"].ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]",
        ),
    ];
    for (spec, container, text) in cases {
        for query in ["", "?fieldValidation=Ignore"] {
            let refused =
                apply(&api, &format!("{path}{query}"), "p", deployment("d", spec.clone(), container.clone()))
                    .await;
            assert_eq!(refused.code, 500, "{:#}", refused.body);
            assert_eq!(
                refused.message(),
                format!("failed to create typed patch object (/d; apps/v1, Kind=Deployment): {text}")
            );
            assert_eq!(refused.body.get("reason"), None);
        }
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "not base64!"}});
    let refused = apply(&api, "/api/v1/namespaces/default/secrets/s", "p", secret).await;
    assert_eq!(refused.code, 500);
    assert!(
        refused.message().starts_with("failed to convert new object")
            && refused.message().contains("illegal base64 data")
    );
    let managed =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "managedFields": []}});
    let refused = apply(&api, &format!("{MAPS}/m"), "p", managed).await;
    assert_eq!((refused.code, refused.message()), (400, "metadata.managedFields must be nil"));
}

#[tokio::test]
async fn quantities_are_canonical_in_store_and_compared_as_text_between_owners() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    let limits = |cpu: &str| {
        deployment("d", json!({}), json!({"resources": {"limits": {"cpu": cpu, "memory": "1024Mi"}}}))
    };
    let made = apply(&api, &path, "one", limits("1000m")).await;
    let container = &made.body["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"], json!({"cpu": "1", "memory": "1Gi"}));
    let again = apply(&api, &path, "one", limits("1000m")).await;
    assert_eq!((again.code, again.version()), (200, made.version()));
    let refused = apply(&api, &path, "two", limits("1000m")).await;
    assert_eq!(refused.code, 409);
    assert!(refused.message().contains(".spec.template.spec.containers[name=\"c\"].resources.limits.cpu"));
}

#[tokio::test]
async fn generation_moves_with_the_specification_only() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    apply(&api, &path, "p", deployment("d", json!({"replicas": 2}), json!({}))).await;
    let mut labelled = deployment("d", json!({"replicas": 2}), json!({}));
    labelled["metadata"]["labels"] = json!({"a": "b"});
    let meta = apply(&api, &path, "p", labelled).await;
    assert_eq!(meta.body["metadata"]["generation"], 1);
    let spec = apply(&api, &path, "p", deployment("d", json!({"replicas": 3}), json!({}))).await;
    assert_eq!(spec.body["metadata"]["generation"], 2);
    // Not mentioning replicas any more resets them, as there is no other owner.
    let reset = apply(&api, &path, "p", deployment("d", json!({}), json!({}))).await;
    assert_eq!(reset.body["spec"]["replicas"], 1);
}

#[tokio::test]
async fn scale_belongs_to_a_subresource_and_survives_dropping_replicas() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    apply(&api, &path, "p", deployment("d", json!({"replicas": 2}), json!({}))).await;
    let scaled =
        merge(&api, &format!("{path}/scale?fieldManager=hpa"), json!({"spec": {"replicas": 7}})).await;
    assert_eq!(scaled.body["spec"]["replicas"], 7);
    let live = get(&api, &path).await;
    assert_eq!(managers(&live.body), ["p/Apply", "hpa/Update/scale"]);
    let refused = apply(&api, &path, "p", deployment("d", json!({"replicas": 2}), json!({}))).await;
    assert_eq!(
        refused.message(),
        "Apply failed with 1 conflict: conflict with \"hpa\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    let dropped = apply(&api, &path, "p", deployment("d", json!({}), json!({}))).await;
    assert_eq!(dropped.body["spec"]["replicas"], 7);
}

#[tokio::test]
async fn lists_keep_the_order_of_the_applier_around_what_others_add() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    let env = |names: &[&str]| {
        let list: Vec<Value> = names.iter().map(|n| json!({"name": n, "value": "1"})).collect();
        deployment("d", json!({}), json!({ "env": list }))
    };
    let names = |body: &Value| -> Vec<String> {
        let list =
            body["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        list.iter().map(|e| e["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    apply(&api, &path, "one", env(&["A", "B"])).await;
    let two = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "d"}},
        "template": {"spec": {"containers": [{"name": "c", "env": [{"name": "Z", "value": "1"}]}]}}}});
    let added = apply(&api, &path, "two", two).await;
    assert_eq!(added.code, 200, "{:#}", added.body);
    assert_eq!(names(&added.body), ["A", "B", "Z"]);
    let turned = apply(&api, &path, "one", env(&["B", "A"])).await;
    assert_eq!(names(&turned.body), ["B", "Z", "A"]);
    assert_eq!(turned.body["metadata"]["generation"], 3);
}

#[tokio::test]
async fn a_service_port_may_change_and_keeps_its_node_port() {
    let api = still();
    let path = "/api/v1/namespaces/default/services/s";
    let service = |port: i64| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"name": "http", "port": port}]}})
    };
    let made = apply(&api, path, "p", service(80)).await;
    let node = made.body["spec"]["ports"][0]["nodePort"].clone();
    assert!(node.as_i64().is_some_and(|n| (30_000..32_768).contains(&n)));
    for port in [81, 82] {
        let moved = apply(&api, path, "p", service(port)).await;
        assert_eq!(
            moved.body["spec"]["ports"],
            json!([{"name": "http", "port": port, "protocol": "TCP", "targetPort": port, "nodePort": node}]),
        );
    }
    let co =
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"name": "http", "port": 82}]}});
    assert_eq!(apply(&api, path, "other", co).await.code, 200);
    let refused = apply(&api, path, "p", service(83)).await;
    assert_eq!(refused.code, 422);
    assert!(refused.message().contains("Duplicate value: \"http\""), "{}", refused.message());
}

#[tokio::test]
async fn recreate_needs_the_defaulted_branch_to_be_removed_first() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    apply(&api, &path, "p", deployment("d", json!({}), json!({}))).await;
    let recreate = || deployment("d", json!({"strategy": {"type": "Recreate"}}), json!({}));
    for query in ["", "?force=true"] {
        let refused = apply(&api, &format!("{path}{query}"), "p", recreate()).await;
        assert_eq!(refused.code, 422);
        assert!(refused.message().contains(
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
        ));
    }
    let patched = merge(
        &api,
        &format!("{path}?fieldManager=p"),
        json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}),
    )
    .await;
    assert_eq!(patched.code, 200, "{:#}", patched.body);
    assert_eq!(apply(&api, &path, "p", recreate()).await.code, 200);
}

#[tokio::test]
async fn nulls_and_empty_maps_behave_as_observed() {
    let api = still();
    let made = apply(&api, &format!("{MAPS}/n"), "p", map("n", json!({"a": null}))).await;
    assert_eq!(made.body["data"], json!({"a": ""}));
    apply(&api, &format!("{MAPS}/e"), "p", map("e", json!({}))).await;
    let refused = apply(&api, &format!("{MAPS}/e"), "q", map("e", json!({"k": "v"}))).await;
    assert_eq!(refused.message(), "Apply failed with 1 conflict: conflict with \"p\": .data");
    let env = apply(
        &api,
        &format!("{DEPLOYMENTS}/d"),
        "p",
        deployment(
            "d",
            json!({"strategy": {}}),
            json!({"env": [{"name": "A", "value": ""}], "volumeMounts": []}),
        ),
    )
    .await;
    let container = &env.body["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "A"}]));
    assert_eq!(container.get("volumeMounts"), None);
    let owned = &env.body["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert_eq!(owned["f:strategy"], json!({}));
    assert_eq!(
        owned["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"],
        json!({".": {}, "f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}}, "f:image": {}, "f:name": {}})
    );
}

#[tokio::test]
async fn string_data_is_owned_where_it_was_written() {
    let api = still();
    let path = "/api/v1/namespaces/default/secrets/s";
    let secret = |plain: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": plain});
    let made = apply(&api, path, "p", secret(json!({"a": "1", "b": "2"}))).await;
    assert_eq!(made.body["data"], json!({"a": "MQ==", "b": "Mg=="}));
    assert_eq!(made.body["type"], "Opaque");
    let dropped = apply(&api, path, "p", secret(json!({"a": "1"}))).await;
    assert_eq!(dropped.body["data"], json!({"a": "MQ==", "b": "Mg=="}));
}

#[tokio::test]
async fn wiped_ownership_shows_as_before_first_apply() {
    let api = still();
    let path = format!("{MAPS}/a");
    let made = apply(&api, &path, "p", map("a", json!({"x": "1", "y": "1"}))).await;
    let mut wiped = made.body.clone();
    wiped["metadata"]["managedFields"] = json!([{}]);
    let wiped = put(&api, &path, wiped).await;
    assert_eq!(managers(&wiped.body), Vec::<String>::new());
    let next = apply(&api, &path, "p", map("a", json!({"x": "1"}))).await;
    assert_eq!(managers(&next.body), ["p/Apply", "before-first-apply/Update"]);
    assert_eq!(next.body["data"], json!({"x": "1", "y": "1"}));
}

#[tokio::test]
async fn entries_can_be_moved_from_update_to_apply() {
    let api = still();
    let path = format!("{MAPS}/a");
    let made = post(&api, &format!("{MAPS}?fieldManager=p"), map("a", json!({"x": "1", "y": "1"}))).await;
    assert_eq!(managers(&made.body), ["p/Update"]);
    let patch = json!([{"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Apply"}]);
    let moved = send(
        &api,
        "PATCH",
        &format!("{path}?fieldManager=p"),
        "application/json-patch+json",
        patch.to_string(),
    )
    .await;
    assert_eq!(managers(&moved.body), ["p/Apply"], "{:#}", moved.body);
    let dropped = apply(&api, &path, "p", map("a", json!({"x": "1"}))).await;
    assert_eq!(dropped.body["data"], json!({"x": "1"}));
}

#[tokio::test]
async fn status_in_a_manifest_is_ignored_and_finalizers_merge() {
    let api = still();
    let path = format!("{DEPLOYMENTS}/d");
    let mut with_status = deployment("d", json!({}), json!({}));
    with_status["status"] = json!({"replicas": 5});
    with_status["metadata"]["finalizers"] = json!(["a.b/c"]);
    let made = apply(&api, &path, "p", with_status).await;
    assert_eq!(made.body["status"], json!({}));
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"finalizers": ["x.y/z"]}});
    let merged = apply(&api, &path, "q", other).await;
    assert_eq!(merged.body["metadata"]["finalizers"], json!(["a.b/c", "x.y/z"]));
    let mut gone = delete(&api, &path).await;
    assert!(gone.body["metadata"]["deletionTimestamp"].is_string());
    apply(&api, &path, "q", json!({"apiVersion": "apps/v1", "kind": "Deployment"})).await;
    gone = apply(&api, &path, "p", deployment("d", json!({}), json!({}))).await;
    assert_eq!(gone.code, 200);
    assert_eq!(get(&api, &path).await.code, 404);
}

#[tokio::test]
async fn dry_run_changes_nothing_but_says_what_would_be() {
    let api = still();
    let path = format!("{MAPS}/a");
    let would = apply(&api, &format!("{path}?dryRun=All"), "p", map("a", json!({"x": "1"}))).await;
    assert_eq!((would.code, would.body["data"]["x"].as_str()), (201, Some("1")));
    assert_eq!(get(&api, &path).await.code, 404);
    let absent =
        apply(&api, "/api/v1/namespaces/nope/configmaps/a?dryRun=All", "p", map("a", json!({}))).await;
    assert_eq!((absent.code, absent.message()), (404, "namespaces \"nope\" not found"));
    let unknown = apply(&api, "/apis/x.y/v1/things/a?dryRun=All", "p", json!({})).await;
    assert_eq!((unknown.code, unknown.body.as_str()), (404, Some("404 page not found\n")));
    let long = "m".repeat(129);
    assert_eq!(apply(&api, &path, &long, map("a", json!({}))).await.code, 422);
}
