//! Verbs, lists, watches, tables and discovery.

use http_body_util::BodyExt;
use plinth_local::kube::ApiServer;
use serde_json::{Value, json};
use tower_service::Service;

use crate::common::{delete, get, merge, post, put, send, still};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"l": label}}, "data": {"k": name}})
}

fn names(body: &Value) -> Vec<&str> {
    let items = body["items"].as_array().expect("items");
    items.iter().map(|i| i["metadata"]["name"].as_str().expect("name")).collect()
}

async fn ask(api: &ApiServer, path: &str, accept: &str) -> (u16, String, Value) {
    let request = http::Request::get(path)
        .header("accept", accept)
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .expect("request");
    let response = api.clone().call(request).await.expect("reply");
    let code = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
    let bytes = response.into_body().collect().await.expect("body").to_bytes();
    (code, kind, serde_json::from_slice(&bytes).expect("json"))
}

/// Reads a watch to its end.
async fn watch(api: &ApiServer, path: &str) -> Vec<Value> {
    let reply = send(api, "GET", path, "", String::new()).await;
    match reply.body {
        Value::String(text) => text.lines().map(|l| serde_json::from_str(l).expect("json")).collect(),
        one => vec![one],
    }
}

#[tokio::test]
async fn objects_live_and_die() {
    let api = still();
    let made = post(&api, MAPS, map("a", "1")).await;
    assert_eq!(made.code, 201);
    let twice = post(&api, MAPS, map("a", "1")).await;
    assert_eq!((twice.code, twice.message()), (409, "configmaps \"a\" already exists"));
    let path = format!("{MAPS}/a");
    let changed = merge(&api, &path, json!({"data": {"x": "y", "k": null}})).await;
    assert_eq!(changed.body["data"], json!({"x": "y"}));
    let stale = put(&api, &path, made.body.clone()).await;
    assert_eq!(stale.code, 409);
    assert_eq!(
        stale.message(),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let same = put(&api, &path, changed.body.clone()).await;
    assert_eq!(same.version(), changed.version());
    let wrong = json!({"preconditions": {"uid": "0000"}});
    let refused = send(&api, "DELETE", &path, "application/json", wrong.to_string()).await;
    assert_eq!(refused.code, 409);
    let uid = made.body["metadata"]["uid"].as_str().expect("uid");
    assert_eq!(
        refused.message(),
        format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (0000) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    let gone = delete(&api, &path).await;
    assert_eq!((gone.code, gone.body["status"].as_str()), (200, Some("Success")));
    assert_eq!(delete(&api, &path).await.message(), "configmaps \"a\" not found");
    let generated = post(
        &api,
        MAPS,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}}),
    )
    .await;
    let name = generated.body["metadata"]["name"].as_str().expect("name");
    assert!(name.starts_with("g-") && name.len() == 7, "{name}");
}

#[tokio::test]
async fn lists_are_selected_and_paged() {
    let api = still();
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "3")] {
        post(&api, MAPS, map(name, label)).await;
    }
    assert_eq!(
        names(&get(&api, &format!("{MAPS}?labelSelector=l%20in%20(1,3)")).await.body),
        ["a", "c", "d"]
    );
    assert_eq!(names(&get(&api, &format!("{MAPS}?labelSelector=l!%3D1")).await.body), ["b", "d"]);
    assert_eq!(names(&get(&api, &format!("{MAPS}?fieldSelector=metadata.name%3Db")).await.body), ["b"]);
    let refused = get(&api, &format!("{MAPS}?fieldSelector=data.k%3Db")).await;
    assert_eq!(
        (refused.code, refused.message()),
        (400, "\"data.k\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    );
    let first = get(&api, &format!("{MAPS}?limit=3")).await;
    assert_eq!(names(&first.body), ["a", "b", "c"]);
    assert_eq!(first.body["metadata"]["remainingItemCount"], 1);
    assert_eq!(first.body["items"][0].get("kind"), None);
    let token = first.body["metadata"]["continue"].as_str().expect("token");
    let rest = get(&api, &format!("{MAPS}?limit=3&continue={token}")).await;
    assert_eq!(names(&rest.body), ["d"]);
    assert_eq!(rest.body["metadata"].get("continue"), None);
    let future = get(&api, &format!("{MAPS}?resourceVersion=99999999")).await;
    assert_eq!(
        (future.code, future.body["details"]["causes"][0]["reason"].as_str()),
        (504, Some("ResourceVersionTooLarge"))
    );
    send(&api, "DELETE", &format!("{MAPS}?labelSelector=l%3D1"), "application/json", String::new()).await;
    assert_eq!(names(&get(&api, MAPS).await.body), ["b", "d"]);
}

#[tokio::test]
async fn watches_tell_what_selectors_let_through() {
    let api = still();
    let start = get(&api, MAPS).await.version().to_owned();
    post(&api, MAPS, map("a", "1")).await;
    post(&api, MAPS, map("b", "2")).await;
    merge(&api, &format!("{MAPS}/b"), json!({"metadata": {"labels": {"l": "1"}}})).await;
    merge(&api, &format!("{MAPS}/a"), json!({"metadata": {"labels": {"l": "9"}}})).await;
    merge(&api, &format!("{MAPS}/b"), json!({"data": {"z": "z"}})).await;
    delete(&api, &format!("{MAPS}/b")).await;
    let path = format!("{MAPS}?watch=true&resourceVersion={start}&labelSelector=l%3D1&timeoutSeconds=1");
    let seen = watch(&api, &path).await;
    let short: Vec<String> = seen
        .iter()
        .map(|e| {
            format!(
                "{} {}",
                e["type"].as_str().expect("type"),
                e["object"]["metadata"]["name"].as_str().expect("name")
            )
        })
        .collect();
    assert_eq!(short, ["ADDED a", "ADDED b", "DELETED a", "MODIFIED b", "DELETED b"]);
    let versions: Vec<u64> = seen
        .iter()
        .map(|e| {
            e["object"]["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("version")
        })
        .collect();
    assert!(versions.is_sorted(), "{versions:?}");
}

#[tokio::test]
async fn watches_begin_with_what_is_there_and_say_when_they_are_too_old() {
    let api = still();
    post(&api, MAPS, map("a", "1")).await;
    let seen = watch(&api, &format!("{MAPS}?watch=1&timeoutSeconds=1")).await;
    assert_eq!(seen[0]["type"], "ADDED");
    let path = format!(
        "{MAPS}?watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    );
    let seen = watch(&api, &path).await;
    assert_eq!(seen[1]["type"], "BOOKMARK");
    assert_eq!(seen[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let seen = watch(&api, &format!("{MAPS}?watch=1&resourceVersion=3&timeoutSeconds=1")).await;
    assert_eq!((seen[0]["type"].as_str(), seen[0]["object"]["code"].as_i64()), (Some("ERROR"), Some(410)));
    assert!(
        seen[0]["object"]["message"].as_str().is_some_and(|m| m.starts_with("too old resource version: 3"))
    );
    // A version that lies ahead is waited for.
    let ahead = get(&api, MAPS).await.version().parse::<u64>().expect("version") + 1;
    let path = format!("{MAPS}?watch=1&resourceVersion={ahead}&timeoutSeconds=1");
    let (seen, _) = tokio::join!(watch(&api, &path), async {
        post(&api, MAPS, map("missed", "1")).await;
        post(&api, MAPS, map("seen", "1")).await
    });
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0]["object"]["metadata"]["name"], "seen");
}

#[tokio::test]
async fn answers_come_in_the_form_that_is_asked_for() {
    let api = still();
    post(&api, MAPS, map("a", "1")).await;
    let (_, _, table) =
        ask(&api, MAPS, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await;
    assert_eq!(table["kind"], "Table");
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|c| c["name"].as_str().expect("name"))
        .collect();
    assert_eq!(columns, ["Name", "Data", "Age"]);
    assert_eq!(table["rows"][0]["cells"][1], 1);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let (_, _, list) = ask(&api, MAPS, accept).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0].get("data"), None);
    let (code, ..) = ask(&api, MAPS, "application/vnd.kubernetes.protobuf").await;
    assert_eq!(code, 406);
}

#[tokio::test]
async fn discovery_is_the_same_in_all_its_forms() {
    let api = still();
    for version in ["v2", "v2beta1"] {
        let accept = format!(
            "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList,application/json"
        );
        let (_, kind, groups) = ask(&api, "/apis", &accept).await;
        assert!(kind.contains(&format!("v={version}")), "{kind}");
        let apps = groups["items"]
            .as_array()
            .expect("items")
            .iter()
            .find(|g| g["metadata"]["name"] == "apps")
            .expect("apps");
        let resources = apps["versions"][0]["resources"].as_array().expect("resources");
        let found = resources.iter().find(|r| r["resource"] == "deployments").expect("deployments");
        assert_eq!((&found["shortNames"], &found["scope"]), (&json!(["deploy"]), &json!("Namespaced")));
        let subs: Vec<&Value> =
            found["subresources"].as_array().expect("subs").iter().map(|s| &s["subresource"]).collect();
        assert_eq!(subs, ["scale", "status"]);
    }
    let groups = get(&api, "/apis").await;
    assert_eq!(groups.body["kind"], "APIGroupList");
    let apps = get(&api, "/apis/apps/v1").await;
    assert!(
        apps.body["resources"]
            .as_array()
            .expect("resources")
            .iter()
            .any(|r| r["name"] == "deployments/scale")
    );
    assert_eq!(get(&api, "/apis/apps").await.body["preferredVersion"]["groupVersion"], "apps/v1");
    assert_eq!(get(&api, "/version").await.body["gitVersion"], "v1.36.2");
    assert_eq!(get(&api, "/readyz").await.body, json!("ok"));
    assert_eq!(get(&api, "/apis/nope/v1").await.code, 404);
}

#[tokio::test]
async fn every_reference_in_the_openapi_documents_leads_somewhere() {
    fn references(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(r)) = map.get("$ref") {
                    out.push(r.clone());
                }
                map.values().for_each(|v| references(v, out));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, out)),
            _ => {}
        }
    }
    let api = still();
    let index = get(&api, "/openapi/v3").await;
    for (path, entry) in index.body["paths"].as_object().expect("paths") {
        let url = entry["serverRelativeURL"].as_str().expect("url");
        let document = get(&api, url).await;
        assert_eq!(document.code, 200, "{path}");
        let mut found = Vec::new();
        references(&document.body, &mut found);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.body.pointer(pointer).is_some(), "{path}: {reference}");
        }
    }
    let apps = get(&api, "/openapi/v3/apis/apps/v1").await;
    let schemas = &apps.body["components"]["schemas"];
    let gvk = &schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"];
    assert_eq!(gvk, &json!([{"group": "apps", "kind": "Deployment", "version": "v1"}]));
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
}

#[tokio::test]
async fn questions_are_answered_and_requests_counted() {
    let api = still();
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}});
    let answer = post(&api, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review).await;
    assert_eq!((answer.code, &answer.body["status"]["allowed"]), (201, &json!(true)));
    assert_eq!(api.write_requests(), 0);
    post(&api, &format!("{MAPS}?dryRun=All"), map("a", "1")).await;
    assert_eq!(api.write_requests(), 0);
    post(&api, MAPS, map("a", "1")).await;
    get(&api, MAPS).await;
    assert_eq!(api.write_requests(), 1);
    assert_eq!(api.requests()["list configmaps"], 1);
    assert_eq!(get(&api, "/metrics-lite").await.body["writes"], 1);
}

#[tokio::test]
async fn autoscalers_and_events_have_two_faces() {
    let api = still();
    let v1 = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}});
    let made = post(&api, "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers", v1).await;
    assert_eq!(made.code, 201, "{:#}", made.body);
    let v2 = get(&api, "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h").await;
    assert_eq!(v2.body["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    let v1 = get(&api, "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/h").await;
    assert_eq!(v1.body["spec"]["targetCPUUtilizationPercentage"], 50);
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "message": "m", "reason": "R",
        "type": "Normal", "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}});
    assert_eq!(post(&api, "/api/v1/namespaces/default/events", event).await.code, 201);
    let other = get(&api, "/apis/events.k8s.io/v1/namespaces/default/events/e").await;
    assert_eq!((&other.body["note"], &other.body["regarding"]["name"]), (&json!("m"), &json!("p")));
    let selected = get(&api, "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp").await;
    assert_eq!(names(&selected.body), ["e"]);
}
