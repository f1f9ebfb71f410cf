use super::*;
use plinth_provider::Urn;
use serde_json::json;

fn recorded(kind: &str, inputs: Json) -> Recorded {
    let urn = Urn::new("s", &format!("k8s:{kind}"), "r").unwrap();
    Recorded {
        inputs: normal::check(&urn, Value::from_json(inputs)).unwrap(),
        urn,
        id: "default/r".into(),
        outputs: Value::map(),
        connection: None,
        dependencies: Vec::new(),
        options: plinth_provider::Options::default(),
        unsettled: false,
    }
}

fn live(recorded: &Recorded, object: &Json, managed: Json) -> Live {
    let gvk = Gvk::parse(recorded.urn.kind()).unwrap();
    let mut object = object.clone();
    // The marks are on every live object of ours.
    object["metadata"]["labels"]["plinth.dev/stack"] = "s".into();
    object["metadata"]["annotations"]["plinth.dev/urn"] = recorded.urn.as_str().into();
    Live {
        id: recorded.id.clone(),
        outputs: Value::map(),
        inputs: normal::project(&gvk, &object),
        details: json!({"managedFields": managed}),
    }
}

fn found(recorded: &Recorded, object: &Json, managed: Json) -> Vec<(String, Option<String>)> {
    let gvk = Gvk::parse(recorded.urn.kind()).unwrap();
    drift(&gvk, recorded, &live(recorded, object, managed))
        .into_iter()
        .map(|drift| (drift.path.to_string(), drift.by))
        .collect()
}

fn ours(fields: Json) -> Json {
    json!({"manager": "plinth", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-11-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

fn theirs(manager: &str, subresource: &str, fields: Json) -> Json {
    json!({"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "time": "2026-11-02T00:00:00Z", "subresource": subresource, "fieldsV1": fields})
}

fn deployment(image: &str, replicas: i64) -> Json {
    json!({"metadata": {"name": "d", "namespace": "default"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "d"}},
        "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [
            {"name": "c", "image": image, "env": [{"name": "B", "value": "1"}, {"name": "A", "value": ""}],
             "resources": {"requests": {"cpu": "1000m"}}}]}}}})
}

/// The same, as the server has it: defaults, another manager's container and variable, an empty value left out.
fn defaulted(image: &str, replicas: i64) -> Json {
    let mut object = deployment(image, replicas);
    object["metadata"]["uid"] = "u".into();
    object["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
    object["spec"]["progressDeadlineSeconds"] = 600.into();
    let pod = &mut object["spec"]["template"]["spec"];
    pod["dnsPolicy"] = "ClusterFirst".into();
    pod["containers"][0]["env"] =
        json!([{"name": "B", "value": "1"}, {"name": "Z", "value": "9"}, {"name": "A"}]);
    pod["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    pod["containers"] = json!([{"name": "sidecar", "image": "s"}, pod["containers"][0]]);
    object["status"] = json!({"replicas": 1});
    object
}

fn own_fields() -> Json {
    json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
        ".": {}, "f:name": {}, "f:image": {}, "f:env": {
            "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
            "k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}}}}}}}}})
}

#[test]
fn defaults_and_what_others_add_are_no_drift() {
    let recorded = recorded("apps/v1/Deployment", deployment("i:1", 3));
    assert_eq!(found(&recorded, &defaulted("i:1", 3), json!([ours(own_fields())])), []);
    assert_eq!(found(&recorded, &defaulted("i:1", 3), json!([])), []);
}

#[test]
fn a_change_names_who_made_it() {
    let recorded = recorded("apps/v1/Deployment", deployment("i:1", 3));
    let mut own = own_fields();
    own["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]
        .as_object_mut()
        .unwrap()
        .shift_remove("f:image");
    let set = theirs(
        "kubectl-set",
        "",
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {"f:image": {}}}}}}}),
    );
    let drift = super::drift(
        &Gvk::new("apps", "v1", "Deployment"),
        &recorded,
        &live(&recorded, &defaulted("i:2", 3), json!([ours(own), set])),
    );
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0].path, Path::parse("spec.template.spec.containers[0].image"));
    assert_eq!(drift[0].by.as_deref(), Some("kubectl-set"));
    assert_eq!(drift[0].at.unwrap().to_string(), "2026-11-02T00:00:00Z");
    assert_eq!(drift[0].live, Some("i:2".into()));
}

#[test]
fn autoscalers_own_replicas_and_people_do_not() {
    let recorded = recorded("apps/v1/Deployment", deployment("i:1", 3));
    let mut own = own_fields();
    own["f:spec"].as_object_mut().unwrap().shift_remove("f:replicas");
    let scaled = |manager| theirs(manager, "scale", json!({"f:spec": {"f:replicas": {}}}));
    let with = |manager| found(&recorded, &defaulted("i:1", 7), json!([ours(own.clone()), scaled(manager)]));
    assert_eq!(with("kube-controller-manager"), []);
    assert_eq!(with("kubectl"), [("spec.replicas".into(), Some("kubectl".into()))]);
}

#[test]
fn removal_and_reordering() {
    let recorded = recorded("apps/v1/Deployment", deployment("i:1", 3));
    let mut object = defaulted("i:1", 3);
    object["spec"]["template"]["spec"]["containers"][1]["env"] =
        json!([{"name": "A"}, {"name": "B", "value": "1"}]);
    assert_eq!(
        found(&recorded, &object, json!([ours(own_fields())])),
        [("spec.template.spec.containers[0].env".into(), None)]
    );
    object["spec"]["template"]["spec"]["containers"][1]["env"] = json!([{"name": "B", "value": "1"}]);
    let edit = theirs("kubectl-edit", "", json!({"f:metadata": {}}));
    assert_eq!(
        found(&recorded, &object, json!([ours(json!({"f:spec": {}})), edit])),
        [("spec.template.spec.containers[0].env[1]".into(), Some("kubectl-edit (the last to write)".into()))]
    );
}

#[test]
fn false_that_somebody_removed_is_drift() {
    let inputs = json!({"metadata": {"name": "a"}, "automountServiceAccountToken": false});
    let recorded = recorded("v1/ServiceAccount", inputs);
    let object = json!({"metadata": {"name": "a", "namespace": "default"}});
    let held = ours(json!({"f:automountServiceAccountToken": {}}));
    assert_eq!(found(&recorded, &object, json!([held])), []);
    assert_eq!(found(&recorded, &object, json!([ours(json!({"f:metadata": {}}))])).len(), 1);
}

#[test]
fn atomic_lists_are_one_thing() {
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let recorded =
        recorded("rbac.authorization.k8s.io/v1/Role", json!({"metadata": {"name": "a"}, "rules": rules}));
    let edit = theirs("kubectl-edit", "", json!({"f:rules": {}}));
    let changed = json!({"metadata": {"name": "a", "namespace": "default"}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]});
    assert_eq!(found(&recorded, &changed, json!([edit])), [("rules".into(), Some("kubectl-edit".into()))]);
    let same_length = json!({"metadata": {"name": "a", "namespace": "default"}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]});
    assert_eq!(
        found(&recorded, &same_length, json!([edit])),
        [("rules[0].verbs[0]".into(), Some("kubectl-edit".into()))]
    );
}

#[test]
fn custom_resources_are_compared_by_the_servers_own_record() {
    let inputs = json!({"metadata": {"name": "c"}, "spec": {"duration": "8760h", "size": "1024Mi",
        "parts": [{"key": "a", "value": 1}], "tags": ["x"]}});
    let recorded = recorded("cert-manager.io/v1/Certificate", inputs);
    let own = ours(
        json!({"f:spec": {"f:parts": {"k:{\"key\":\"a\"}": {"f:key": {}, "f:value": {}}}, "f:tags": {"v:\"x\"": {}}}}),
    );
    let object = |value: i64| {
        json!({"metadata": {"name": "c", "namespace": "default"}, "spec": {"duration": "8760h0m0s", "size": "1Gi",
        "parts": [{"key": "b"}, {"key": "a", "value": value}], "tags": ["y", "x"]}})
    };
    let mut live_of = object(1);
    live_of["metadata"]["namespace"] = "default".into();
    assert_eq!(found(&recorded, &live_of, json!([own])), []);
    assert_eq!(found(&recorded, &object(2), json!([own])), [("spec.parts[0].value".into(), None)]);
}

#[test]
fn what_admission_rewrote_at_our_own_write_is_no_drift() {
    let mut recorded = recorded("v1/ConfigMap", json!({"metadata": {"name": "c"}, "data": {"a": "x"}}));
    let object = json!({"metadata": {"name": "c", "namespace": "default", "labels": {"plinth.dev/stack": "s"},
        "annotations": {"plinth.dev/urn": recorded.urn.as_str()}}, "data": {"a": "mutated"}});
    let map = rewritten(&Gvk::new("", "v1", "ConfigMap"), &recorded.inputs, &object).unwrap();
    recorded.outputs = Value::from([(REWRITTEN, map)]);
    assert_eq!(found(&recorded, &object, json!([])), []);
    let mut changed = object.clone();
    changed["data"]["a"] = "other".into();
    assert_eq!(found(&recorded, &changed, json!([])), [("data.a".into(), None)]);
}

#[test]
fn lost_marks_and_injected_cas() {
    let recorded = recorded("v1/ConfigMap", json!({"metadata": {"name": "c"}, "data": {"a": "x"}}));
    let bare = Live {
        id: "default/c".into(),
        outputs: Value::map(),
        inputs: Value::from_json(
            json!({"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "x"}}),
        ),
        details: json!({}),
    };
    assert_eq!(super::drift(&Gvk::new("", "v1", "ConfigMap"), &recorded, &bare).len(), 2);
    let webhooks = |bundle: &str| {
        json!({"metadata": {"name": "w"}, "webhooks": [{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://x", "caBundle": bundle}}]})
    };
    let kind = "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration";
    let recorded = self::recorded(kind, webhooks("Cg=="));
    let injector = theirs(
        "cainjector",
        "",
        json!({"f:webhooks": {"k:{\"name\":\"a.b.c\"}": {"f:clientConfig": {"f:caBundle": {}}}}}),
    );
    assert_eq!(found(&recorded, &webhooks("eA=="), json!([injector])), []);
}

#[test]
fn what_is_being_deleted_is_drift() {
    let recorded = recorded("v1/ConfigMap", json!({"metadata": {"name": "c"}, "data": {"a": "x"}}));
    let object = json!({"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "x"}});
    let mut going = live(&recorded, &object, json!([]));
    going.details["deleting"] = true.into();
    let drift = super::drift(&Gvk::new("", "v1", "ConfigMap"), &recorded, &going);
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0].path.to_string(), "metadata.deletionTimestamp");
}

#[test]
fn what_a_client_side_applier_set_and_nobody_declares_goes_with_it() {
    let declared = recorded("apps/v1/Deployment", deployment("x:1", 2));
    let gvk = Gvk::parse(declared.urn.kind()).unwrap();
    let mut object = deployment("x:1", 2);
    object["metadata"]["labels"] = json!({"team": "a", "theirs": "b"});
    object["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().insert(
        0,
        json!({"name": "side", "image": "side:1", "terminationMessagePath": "/dev/termination-log", "env": [{"name": "E", "value": "1"}]}),
    );
    let container = |env: &str| json!({".": {}, "f:name": {}, "f:image": {}, "f:terminationMessagePath": {}, "f:env": {".": {}, env: {".": {}, "f:name": {}, "f:value": {}}}});
    let entry = theirs(
        "kubectl-client-side-apply",
        "",
        json!({"f:metadata": {"f:labels": {".": {}, "f:team": {}, "f:theirs": {}}, "f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"side\"}": container("k:{\"name\":\"E\"}"), "k:{\"name\":\"c\"}": container("k:{\"name\":\"B\"}")}}}}}),
    );
    let mut applied = object.clone();
    applied["spec"]["template"]["spec"]["containers"][0]
        .as_object_mut()
        .unwrap()
        .shift_remove("terminationMessagePath");
    let other = theirs("labeller", "", json!({"f:metadata": {"f:labels": {"f:theirs": {}}}}));
    let mut live = live(&declared, &object, json!([entry, other]));
    live.details["lastApplied"] = applied;
    let taken = super::taken(&gvk, &declared.inputs, &live);
    let lost: Vec<String> = taken.lost.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(
        lost,
        ["metadata.labels.team", "spec.template.spec.containers[0]"],
        "what another holds too stays"
    );
    let containers =
        taken.inputs.at(&Path::parse("spec.template.spec.containers")).unwrap().as_list().unwrap();
    assert_eq!(containers.len(), 2);
    assert_eq!(containers[0].get("name").and_then(Value::as_str), Some("side"), "in the order that is live");
    assert!(containers[0].get("terminationMessagePath").is_none(), "defaults are nobody's");
    assert_eq!(containers[1], *declared.inputs.at(&Path::parse("spec.template.spec.containers[0]")).unwrap());
    // Without what was applied last nothing of its owner's is dropped, and so nothing is lost.
    live.details["lastApplied"] = Json::Null;
    assert_eq!(super::taken(&gvk, &declared.inputs, &live).lost, []);
}
