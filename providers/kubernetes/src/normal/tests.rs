use super::*;
use plinth_provider::{Class, OutputRef};
use proptest::prelude::*;
use serde_json::json;

fn urn(kind: &str) -> Urn {
    Urn::new("s", &format!("k8s:{kind}"), "r").unwrap()
}

fn value(json: Json) -> Value {
    Value::from_json(json)
}

fn checked(kind: &str, json: Json) -> Value {
    let checked = check(&urn(kind), value(json)).unwrap_or_else(|error| panic!("{error}: {:?}", error.help));
    assert_eq!(check(&urn(kind), checked.clone()).unwrap(), checked, "check is idempotent");
    checked
}

fn refused(kind: &str, json: Json) -> Error {
    let error = check(&urn(kind), value(json)).expect_err("it is refused");
    assert_eq!(error.class, Class::Invalid);
    error
}

fn pod_template(container: Json) -> Json {
    json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "d"}},
        "template": {"metadata": {"labels": {"app": "d"}, "creationTimestamp": null}, "spec": {"containers": [container]}}}})
}

#[test]
fn marks_and_namespace_are_filled() {
    let config = checked("v1/ConfigMap", json!({"metadata": {"name": "c"}, "data": {"a": "b"}}));
    assert_eq!(config.text_at("metadata.namespace"), Some("default"));
    assert_eq!(config.at(&Path::parse("metadata.labels[\"plinth.dev/stack\"]")), Some(&"s".into()));
    assert_eq!(
        config.at(&Path::parse("metadata.annotations[\"plinth.dev/urn\"]")).and_then(Value::as_str),
        Some("plinth:s::k8s:v1/ConfigMap::r")
    );
    let copied =
        checked("v1/ConfigMap", json!({"metadata": {"name": "c", "labels": {"plinth.dev/stack": "other"}}}));
    assert_eq!(copied.at(&Path::parse("metadata.labels[\"plinth.dev/stack\"]")), Some(&"s".into()));
    let role = checked("rbac.authorization.k8s.io/v1/ClusterRole", json!({"metadata": {"name": "system:x"}}));
    assert_eq!(role.text_at("metadata.namespace"), None);
}

#[test]
fn what_only_the_server_writes_goes() {
    let config = checked(
        "v1/ConfigMap",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u", "resourceVersion": "5",
            "managedFields": [], "creationTimestamp": null, "ownerReferences": [],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "data": {"a": null, "b": "c"}, "status": {"x": 1}}),
    );
    let metadata = config.get("metadata").unwrap().as_map().unwrap();
    let keys: Vec<&String> = metadata.keys().collect();
    assert_eq!(keys, ["annotations", "labels", "name", "namespace"]);
    assert_eq!(config.get("data"), Some(&value(json!({"b": "c"}))));
    assert_eq!(config.get("status"), None);
}

#[test]
fn quantities_are_canonical_wherever_the_schema_has_them() {
    let deployment = checked(
        "apps/v1/Deployment",
        pod_template(json!({"name": "c", "image": "i", "resources": {
            "requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 0.5, "hugepages-2Mi": "2048Ki"}}})),
    );
    let resources = deployment.at(&Path::parse("spec.template.spec.containers[0].resources")).unwrap();
    assert_eq!(
        resources,
        &value(
            json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "500m", "hugepages-2Mi": "2Mi"}})
        )
    );
    let claim = checked(
        "v1/PersistentVolumeClaim",
        json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10240Mi"}}}}),
    );
    assert_eq!(claim.text_at("spec.resources.requests.storage"), Some("10Gi"));
}

#[test]
fn empty_lists_and_maps_go_but_empty_structs_stay() {
    let deployment = checked(
        "apps/v1/Deployment",
        json!({"metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"app": "d"}}, "strategy": {},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {
                "nodeSelector": {}, "tolerations": [],
                "volumes": [{"name": "v", "emptyDir": {}}],
                "containers": [{"name": "c", "env": [], "securityContext": {}}]}}}}),
    );
    let pod = deployment.at(&Path::parse("spec.template.spec")).unwrap();
    assert_eq!(
        pod,
        &value(
            json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "c", "securityContext": {}}]})
        )
    );
}

#[test]
fn secrets_are_encoded_and_wrapped() {
    let secret = checked(
        "v1/Secret",
        json!({"metadata": {"name": "s"}, "data": {"a": "aHVz\naA==", "b": "eA=="}, "stringData": {"b": "hunter2"}}),
    );
    assert_eq!(secret.get("stringData"), None);
    assert_eq!(secret.get("data").unwrap().get("a"), Some(&Value::secret("aHVzaA==")));
    assert_eq!(secret.get("data").unwrap().get("b"), Some(&Value::secret("aHVudGVyMg==")));
    let error = refused("v1/Secret", json!({"metadata": {"name": "s"}, "data": {"a": "not base64!"}}));
    assert!(!error.message.contains("not base64!") && error.path == Some(Path::parse("data.a")));
}

#[test]
fn what_is_not_known_yet_survives() {
    let reference = Value::Output(OutputRef { urn: urn("v1/Service"), path: "x".into() });
    let inputs = Value::from([
        ("metadata", Value::from([("name", Value::from("s"))])),
        (
            "stringData",
            Value::from([("a", Value::Unknown), ("b", reference.clone()), ("c", Value::secret("x"))]),
        ),
    ]);
    let secret = check(&urn("v1/Secret"), inputs).unwrap();
    assert_eq!(secret.get("data").unwrap().get("a"), Some(&Value::secret(Value::Unknown)));
    assert_eq!(secret.get("data").unwrap().get("c"), Some(&Value::secret("eA==")));
    assert_eq!(secret.get("stringData").unwrap().get("b"), Some(&reference));
    let resolved = check(&urn("v1/Secret"), secret.resolve(&mut |_| Some("y".into()))).unwrap();
    assert_eq!(resolved.get("data").unwrap().get("b"), Some(&Value::secret("eQ==")));
    assert_eq!(resolved.get("stringData"), None);
    assert_eq!(check(&urn("v1/Secret"), Value::Unknown).unwrap(), Value::Unknown);
}

#[test]
fn refusals_say_where_and_what_to_do() {
    let mut table: Vec<(&str, Json, &str, &str)> = vec![
        ("v1/ConfigMap", json!({"data": {}}), "metadata.name", ""),
        (
            "v1/ConfigMap",
            json!({"metadata": {"generateName": "a-"}}),
            "metadata.generateName",
            "metadata.name",
        ),
        ("v1/ConfigMap", json!({"metadata": {"name": "A"}}), "metadata.name", "lower-case"),
        (
            "v1/ConfigMap",
            json!({"metadata": {"name": "a", "ownerReferences": [{"uid": "x"}]}}),
            "metadata.ownerReferences",
            "dependsOn",
        ),
        ("v1/ConfigMap", json!({"metadata": {"name": "a"}, "dta": {}}), "dta", "`data`"),
        ("v1/ConfigMap", json!({"metadata": {"name": "a"}, "data": {"k": true}}), "data.k", "quotes"),
        ("v1/ConfigMap", json!({"metadata": {"name": "a"}, "kind": "Secret"}), "kind", "leave"),
        (
            "v1/Namespace",
            json!({"metadata": {"name": "a", "namespace": "b"}}),
            "metadata.namespace",
            "remove",
        ),
        (
            "cert-manager.io/v1/ClusterIssuer",
            json!({"metadata": {"name": "a", "namespace": "b"}}),
            "metadata.namespace",
            "remove",
        ),
        (
            "v1/Service",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": "80"}]}}),
            "spec.ports[0].port",
            "without quotes",
        ),
        (
            "v1/Service",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "targetPort": "8080"}]}}),
            "spec.ports[0].targetPort",
            "without quotes",
        ),
        (
            "v1/Service",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}}),
            "spec.ports[1]",
            "port and protocol",
        ),
        (
            "v1/Service",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 5_000_000_000_i64}]}}),
            "spec.ports[0].port",
            "",
        ),
    ];
    let template = "spec.template.spec.containers[0]";
    let place = |rest: &str| format!("{template}{rest}");
    let (env, cpu, ports) = (place(".env[0].value"), place(".resources.limits.cpu"), place(".ports[1]"));
    table.push((
        "apps/v1/Deployment",
        pod_template(json!({"name": "c", "env": [{"name": "A", "value": 8080}]})),
        &env,
        "quotes",
    ));
    table.push((
        "apps/v1/Deployment",
        pod_template(json!({"name": "c", "resources": {"limits": {"cpu": "lots"}}})),
        &cpu,
        "500m",
    ));
    table.push((
        "apps/v1/Deployment",
        pod_template(
            json!({"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 80, "name": "x"}]}),
        ),
        &ports,
        "containerPort",
    ));
    for (kind, inputs, path, help) in table {
        let error = refused(kind, inputs);
        assert_eq!(error.path.clone().unwrap_or_default().to_string(), path, "{error}");
        assert!(error.help.clone().unwrap_or_default().contains(help), "{error}: {:?}", error.help);
    }
    let big = "x".repeat(1_100_000);
    assert!(
        refused("v1/ConfigMap", json!({"metadata": {"name": "a"}, "data": {"k": big}}))
            .message
            .contains("1048576")
    );
    let missing = refused(
        "apps/v1/Deployment",
        json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}),
    );
    assert_eq!(missing.path, Some(Path::parse("spec.selector")));
}

#[test]
fn aggregated_roles_leave_their_rules_to_the_controller() {
    let role = checked(
        "rbac.authorization.k8s.io/v1/ClusterRole",
        json!({"metadata": {"name": "r"}, "rules": [], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}),
    );
    assert_eq!(role.get("rules"), None);
}

#[test]
fn custom_resources_are_taken_as_they_are() {
    let inputs =
        json!({"metadata": {"name": "c"}, "spec": {"any": [1, null, {"x": null, "cpu": "1000m", "l": []}]}});
    let custom = checked("example.com/v1/Thing", inputs);
    assert_eq!(custom.get("spec"), Some(&value(json!({"any": [1, {"cpu": "1000m", "l": []}]}))));
    assert_eq!(custom.text_at("metadata.namespace"), None);
}

#[test]
fn definitions_keep_free_json() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": true}}});
    let definition = checked(
        "apiextensions.k8s.io/v1/CustomResourceDefinition",
        json!({"metadata": {"name": "things.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}}),
    );
    assert_eq!(definition.at(&Path::parse("spec.versions[0].schema.openAPIV3Schema")), Some(&value(schema)));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-zA-Z0-9=.Mi-]{0,8}".prop_map(Json::from),
    ];
    let key = prop_oneof![
        Just("metadata"),
        Just("name"),
        Just("labels"),
        Just("annotations"),
        Just("spec"),
        Just("data"),
        Just("stringData"),
        Just("template"),
        Just("containers"),
        Just("env"),
        Just("ports"),
        Just("resources"),
        Just("limits"),
        Just("namespace"),
        Just("selector"),
        Just("status"),
        Just("type"),
        Just("volumeClaimTemplates"),
        Just("x"),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

const KINDS: [&str; 7] = [
    "v1/ConfigMap",
    "v1/Secret",
    "apps/v1/StatefulSet",
    "v1/Service",
    "v1/Namespace",
    "batch/v1/Job",
    "example.com/v1/Thing",
];

proptest! {
    #[test]
    fn anything_is_accepted_or_refused(kind in 0..KINDS.len(), json in any_json(), named in any::<bool>()) {
        let mut json = json;
        if named && json.is_object() {
            json["metadata"] = json!({"name": "n"});
        }
        let urn = urn(KINDS[kind]);
        if let Ok(once) = check(&urn, value(json.clone())) {
            prop_assert_eq!(check(&urn, once.clone()).unwrap(), once);
        }
        let _ = project(&Gvk::parse(urn.kind()).unwrap(), &json);
    }
}

#[test]
fn every_mistake_of_an_object_is_told_at_its_place() {
    let urn = Urn::new("s", "k8s:apps/v1/Deployment", "d").unwrap();
    let wrong = json!({"metadata": {"name": "d"}, "spec": {"replica": 1, "paused": "yes",
        "selector": {"matchLabels": {"a": 1}}, "template": {"spec": {"containers": [
        {"name": "c", "ports": [{"containerPort": "80"}], "resources": {"requests": {"cpu": "lots"}}},
        {"image": "x"}]}}}});
    let error = check(&urn, Value::from_json(wrong)).unwrap_err();
    let told = std::iter::once(&error).chain(&error.more);
    let places: Vec<String> = told.filter_map(|one| Some(one.path.as_ref()?.to_string())).collect();
    let containers = "spec.template.spec.containers";
    let expected = [
        "spec.paused".to_owned(),
        "spec.replica".to_owned(),
        "spec.selector.matchLabels.a".to_owned(),
        format!("{containers}[0].ports[0].containerPort"),
        format!("{containers}[0].resources.requests.cpu"),
        format!("{containers}[1].name"),
    ];
    assert_eq!(places, expected);
}
