//! What is somebody else's stays somebody else's, and what changes is noticed.

use plinth_provider::{Class, Diff, Provider, ReadRequest, Request, Urn, Value};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

const MERGE: &str = "application/merge-patch+json";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config(data: Json) -> Json {
    json!({"metadata": {"name": "c"}, "data": data})
}

#[tokio::test]
async fn a_create_does_not_take_over_what_exists() {
    let cluster = Cluster::start().await;
    let body = json!({"metadata": {"name": "c"}, "data": {"theirs": "1"}});
    cluster.raw("POST", &format!("{MAPS}?fieldManager=kubectl-create"), "application/json", &body).await;
    let urn = Cluster::urn("v1/ConfigMap", "c");
    let error = cluster.try_create(&urn, &config(json!({"ours": "2"}))).await.unwrap_err();
    assert_eq!(error.class, Class::AlreadyExists);
    assert!(error.message.contains("kubectl-create"), "{}", error.message);
    assert!(error.help.unwrap().contains("plinth.dev/urn="));
    let live = cluster.get(&format!("{MAPS}/c")).await;
    assert_eq!(live["data"], json!({"theirs": "1"}));
    let other = Urn::new("t", "k8s:v1/ConfigMap", "d").unwrap();
    let ours = cluster.try_create(&other, &json!({"metadata": {"name": "d"}})).await.unwrap();
    assert_eq!(ours.id, "default/d");
    let error = cluster
        .try_create(&Cluster::urn("v1/ConfigMap", "d"), &json!({"metadata": {"name": "d"}}))
        .await
        .unwrap_err();
    assert!(error.message.contains("the stack t"), "{}", error.message);

    let first = cluster.create("v1/ConfigMap", "first", &json!({"metadata": {"name": "e"}})).await;
    let renamed = Cluster::urn("v1/ConfigMap", "second");
    let error = cluster.try_create(&renamed, &json!({"metadata": {"name": "e"}})).await.unwrap_err();
    assert!(error.help.unwrap().contains(first.urn.as_str()));
}

#[tokio::test]
async fn drift_is_attributed_and_conflicts_name_the_owner() {
    let cluster = Cluster::start().await;
    let recorded = cluster.create("v1/ConfigMap", "c", &config(json!({"a": "1", "b": "1"}))).await;
    let edit = json!({"data": {"a": "edited", "more": "x"}});
    cluster.raw("PATCH", &format!("{MAPS}/c?fieldManager=kubectl-edit"), MERGE, &edit).await;
    let live = cluster.read(&recorded).await.unwrap();
    let drift = cluster.provider.drift(&recorded, &live);
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!(drift[0].path.to_string(), "data.a");
    assert_eq!(drift[0].by.as_deref(), Some("kubectl-edit"));
    assert!(drift[0].at.is_some());

    let error = cluster.try_update(&recorded, &config(json!({"a": "2"}))).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.message.contains("data.a is owned by kubectl-edit"), "{}", error.message);
    let mut forced = config(json!({"a": "2"}));
    forced["metadata"]["annotations"] = json!({"plinth.dev/force-conflicts": "true"});
    cluster.update(&recorded, &forced).await;
    let now = cluster.get(&format!("{MAPS}/c")).await;
    assert_eq!(now["data"], json!({"a": "2", "more": "x"}), "ours is ours again, theirs stays theirs");
}

#[tokio::test]
async fn an_object_that_another_stack_took_is_left_alone() {
    let cluster = Cluster::start().await;
    let recorded = cluster.create("v1/ConfigMap", "c", &config(json!({"a": "1"}))).await;
    let relabel = json!({"metadata": {"labels": {"plinth.dev/stack": "t"}}});
    cluster.raw("PATCH", &format!("{MAPS}/c?fieldManager=other"), MERGE, &relabel).await;
    let error = cluster.try_update(&recorded, &config(json!({"a": "2"}))).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    let error = cluster.delete(&recorded).await.unwrap_err();
    assert!(error.message.contains("the stack t"), "{}", error.message);
    assert_eq!(cluster.get(&format!("{MAPS}/c")).await["data"], json!({"a": "1"}));
}

#[tokio::test]
async fn what_was_deleted_outside_is_created_again_and_what_was_replaced_is_not_deleted() {
    let cluster = Cluster::start().await;
    let recorded = cluster.create("v1/ConfigMap", "c", &config(json!({"a": "1"}))).await;
    cluster.raw("DELETE", &format!("{MAPS}/c"), "application/json", &Json::Null).await;
    assert!(cluster.read(&recorded).await.is_none());
    let again = cluster.update(&recorded, &config(json!({"a": "2"}))).await;
    assert_ne!(again.outputs.text_at("metadata.uid"), recorded.outputs.text_at("metadata.uid"));

    cluster.raw("DELETE", &format!("{MAPS}/c"), "application/json", &Json::Null).await;
    cluster
        .raw("POST", MAPS, "application/json", &json!({"metadata": {"name": "c"}, "data": {"theirs": "1"}}))
        .await;
    assert!(cluster.read(&again).await.is_none(), "ours is gone");
    cluster.delete(&again).await.unwrap();
    assert_eq!(cluster.get(&format!("{MAPS}/c")).await["data"], json!({"theirs": "1"}));
}

#[tokio::test]
async fn adopting_from_client_side_apply_takes_its_fields_over() {
    let cluster = Cluster::start().await;
    let body = json!({"metadata": {"name": "c", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "data": {"a": "1", "dropped": "x"}});
    cluster
        .raw("POST", &format!("{MAPS}?fieldManager=kubectl-client-side-apply"), "application/json", &body)
        .await;
    // What an import records: the object as it is, under our URN.
    let urn = Cluster::urn("v1/ConfigMap", "c");
    let inputs = cluster.check(&urn, &config(json!({"a": "1", "dropped": "x"})));
    let recorded = plinth_provider::Recorded {
        urn,
        id: "default/c".into(),
        inputs,
        outputs: Value::map(),
        connection: None,
        dependencies: Vec::new(),
        options: plinth_provider::Options::default(),
        unsettled: false,
    };
    cluster.update(&recorded, &config(json!({"a": "2"}))).await;
    let live = cluster.get(&format!("{MAPS}/c")).await;
    assert_eq!(live["data"], json!({"a": "2"}));
    assert!(
        live["metadata"]["annotations"].get("kubectl.kubernetes.io/last-applied-configuration").is_none()
    );
    let managers: Vec<&str> = live["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m["manager"].as_str())
        .collect();
    assert_eq!(managers, ["plinth"]);
}

#[tokio::test]
async fn many_are_read_by_one_list() {
    let cluster = Cluster::start().await;
    let mut all = Vec::new();
    for at in 0..30 {
        let name = format!("c{at}");
        all.push(
            cluster
                .create("v1/ConfigMap", &name, &json!({"metadata": {"name": name}, "data": {"a": "1"}}))
                .await,
        );
    }
    let unlabel = json!({"metadata": {"labels": {"plinth.dev/stack": null}}});
    cluster.raw("PATCH", &format!("{MAPS}/c3?fieldManager=kubectl-label"), MERGE, &unlabel).await;
    cluster.raw("DELETE", &format!("{MAPS}/c4"), "application/json", &Json::Null).await;
    let requests: Vec<ReadRequest<'_>> = all.iter().map(|recorded| ReadRequest { recorded }).collect();
    let found = cluster.provider.read_many(&cluster.context("s"), &requests).await;
    for (at, (live, recorded)) in found.into_iter().zip(&all).enumerate() {
        let live = live.unwrap();
        match at {
            4 => assert!(live.is_none()),
            3 => {
                let drift = cluster.provider.drift(recorded, &live.unwrap());
                assert_eq!(drift[0].path.to_string(), "metadata.labels[\"plinth.dev/stack\"]");
                assert_eq!(drift[0].live, None);
            }
            _ => assert_eq!(live.unwrap().id, recorded.id),
        }
    }
}

#[tokio::test]
async fn a_defaulted_strategy_can_be_changed() {
    let cluster = Cluster::start().await;
    let deployment = |strategy: Json| {
        json!({"metadata": {"name": "d"}, "spec": {"strategy": strategy, "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}})
    };
    let recorded = cluster.create("apps/v1/Deployment", "d", &deployment(json!({}))).await;
    let recreate = cluster.update(&recorded, &deployment(json!({"type": "Recreate"}))).await;
    let live = cluster.get("/apis/apps/v1/namespaces/default/deployments/d").await;
    assert_eq!(live["spec"]["strategy"], json!({"type": "Recreate"}));
    let live = cluster.read(&recreate).await.unwrap();
    assert_eq!(cluster.provider.drift(&recreate, &live), []);
    cluster.update(&recreate, &deployment(json!({"type": "RollingUpdate"}))).await;
}

#[tokio::test]
async fn replicas_that_are_dropped_keep_their_number() {
    let cluster = Cluster::start().await;
    let deployment = |replicas: Json| {
        json!({"metadata": {"name": "d"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}})
    };
    let recorded = cluster.create("apps/v1/Deployment", "d", &deployment(json!(3))).await;
    let dropped = cluster.update(&recorded, &deployment(Json::Null)).await;
    let path = "/apis/apps/v1/namespaces/default/deployments/d";
    assert_eq!(cluster.get(path).await["spec"]["replicas"], 3);
    cluster.update(&dropped, &deployment(json!(2))).await;
    assert_eq!(cluster.get(path).await["spec"]["replicas"], 2);
}

#[tokio::test]
async fn pods_that_are_admitted_without_what_a_webhook_gives_them_are_made_anew() {
    let cluster = Cluster::start().await;
    let deployment = |env: Json| {
        json!({"metadata": {"name": "d", "annotations": {"plinth.dev/admitted-with": "WHO"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1", "env": env}]}}}})
    };
    // No webhook gives it: each of them is made anew a few times, and then it is said.
    let urn = Cluster::urn("apps/v1/Deployment", "d");
    let error = cluster.try_create(&urn, &deployment(json!([]))).await.unwrap_err();
    assert!(
        error.message.contains("are admitted without WHO, also after 4 of them were made anew"),
        "{error}"
    );
    let told = cluster.told.waiting.lock().unwrap().join("\n");
    assert!(told.contains("was admitted without WHO; another one is made"), "{told}");
    let request =
        Request { urn: &urn, inputs: &cluster.check(&urn, &deployment(json!([]))), connection: None };
    assert!(
        cluster.provider.find(&cluster.context("s"), request).await.unwrap().is_some(),
        "it is there nevertheless"
    );
    // Who carries it is left alone.
    let other = deployment(json!([{"name": "WHO", "value": "me"}]));
    let inputs = cluster.check(&urn, &other);
    let found = cluster.try_create(&urn, &other).await.unwrap();
    assert_eq!(found.inputs, inputs);
}

#[tokio::test]
async fn a_bad_image_fails_early_and_says_why() {
    let cluster = Cluster::start().await;
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "d"}},
        "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "nginx:does-not-exist"}]}}}});
    let urn = Cluster::urn("apps/v1/Deployment", "d");
    let inputs = cluster.check(&urn, &deployment);
    let context = plinth_provider::Context {
        reporter: cluster.told.clone(),
        ..plinth_provider::Context::new("s", std::time::Duration::from_secs(60))
    };
    let error = cluster
        .provider
        .create(&context, Request { urn: &urn, inputs: &inputs, connection: None })
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Invalid, "{error}");
    assert!(error.message.contains("ImagePull"), "{error}");
    let told = cluster.told.waiting.lock().unwrap().join("\n");
    assert!(told.contains("ImagePull"), "{told}");
}

#[tokio::test]
async fn claims_of_a_set_go_with_it_unless_they_are_to_stay() {
    let cluster = Cluster::start().await;
    let set = |retain: &str| {
        json!({"metadata": {"name": "s", "annotations": {"plinth.dev/retain-volumes": retain}}, "spec": {
            "serviceName": "s", "selector": {"matchLabels": {"app": "s"}},
            "template": {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}]}})
    };
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let names = |list: &Json| list["items"].as_array().unwrap().len();
    let kept = cluster.create("apps/v1/StatefulSet", "s", &set("true")).await;
    cluster.delete(&kept).await.unwrap();
    assert_eq!(names(&cluster.get(claims).await), 1);
    let gone = cluster.create("apps/v1/StatefulSet", "s", &set("false")).await;
    cluster.delete(&gone).await.unwrap();
    assert_eq!(names(&cluster.get(claims).await), 0);
}

#[tokio::test]
async fn growing_the_volumes_of_a_set_keeps_its_pods_and_grows_its_claims() {
    let cluster = Cluster::start().await;
    let set = |size: &str| {
        json!({"metadata": {"name": "s"}, "spec": {
            "serviceName": "s", "selector": {"matchLabels": {"app": "s"}},
            "template": {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}}}}]}})
    };
    let recorded = cluster.create("apps/v1/StatefulSet", "s", &set("1Gi")).await;
    let pod = cluster.get("/api/v1/namespaces/default/pods/s-0").await["metadata"]["uid"].clone();
    let desired = cluster.check(&recorded.urn, &set("2Gi"));
    // The plan calls it what it is, a replacement; the update carries it out without losing anything.
    assert!(matches!(cluster.provider.diff(&recorded, &desired).unwrap(), Diff::Replace { .. }));
    cluster.update(&recorded, &set("2Gi")).await;
    assert_eq!(cluster.get("/api/v1/namespaces/default/pods/s-0").await["metadata"]["uid"], pod);
    let claim = cluster.get("/api/v1/namespaces/default/persistentvolumeclaims/data-s-0").await;
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "2Gi");
}

#[tokio::test]
async fn a_definition_with_other_peoples_objects_is_not_deleted() {
    let cluster = Cluster::start().await;
    let definition = |annotation: &str| {
        json!({"metadata": {"name": "things.example.com", "annotations": {"plinth.dev/delete-instances": annotation}},
            "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}})
    };
    let kind = "apiextensions.k8s.io/v1/CustomResourceDefinition";
    let recorded = cluster.create(kind, "crd", &definition("false")).await;
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}});
    cluster.raw("POST", "/apis/example.com/v1/things", "application/json", &thing).await;
    let context = plinth_provider::Context::new("s", std::time::Duration::from_secs(3));
    let error = cluster.provider.delete(&context, &recorded).await.unwrap_err();
    assert!(matches!(error.class, Class::Conflict | Class::Timeout), "{error}");
    let told = cluster.update(&recorded, &definition("true")).await;
    cluster.delete(&told).await.unwrap();
    assert!(cluster.read(&told).await.is_none());
}

#[tokio::test]
async fn refusals_of_the_server_show_no_secrets() {
    let cluster = Cluster::start().await;
    let secret =
        json!({"metadata": {"name": "x", "namespace": "absent"}, "stringData": {"k": "CANARY-91c2"}});
    let urn = Cluster::urn("v1/Secret", "x");
    let error = cluster.try_create(&urn, &secret).await.unwrap_err();
    assert_eq!(error.class, Class::Invalid, "{error}");
    assert!(error.message.contains("absent"), "{error}");
    assert!(!format!("{error:?}").contains("CANARY"));
}

#[tokio::test]
async fn replicas_that_an_autoscaler_decides_are_left_to_it() {
    let cluster = Cluster::start().await;
    let deployment = |image: &str| {
        json!({"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}}})
    };
    let recorded = cluster.create("apps/v1/Deployment", "d", &deployment("nginx:1")).await;
    let path = "/apis/apps/v1/namespaces/default/deployments/d";
    let scale = json!({"spec": {"replicas": 4}});
    cluster.raw("PATCH", &format!("{path}/scale?fieldManager=kube-controller-manager"), MERGE, &scale).await;
    let live = cluster.read(&recorded).await.unwrap();
    assert_eq!(cluster.provider.drift(&recorded, &live), []);
    let updated = cluster.update(&recorded, &deployment("nginx:2")).await;
    let now = cluster.get(path).await;
    assert_eq!(
        (&now["spec"]["replicas"], &now["spec"]["template"]["spec"]["containers"][0]["image"]),
        (&json!(4), &json!("nginx:2"))
    );
    let live = cluster.read(&updated).await.unwrap();
    assert_eq!(cluster.provider.drift(&updated, &live), []);
    // A person who scales is another matter.
    cluster
        .raw("PATCH", &format!("{path}/scale?fieldManager=kubectl"), MERGE, &json!({"spec": {"replicas": 6}}))
        .await;
    let error = cluster.try_update(&updated, &deployment("nginx:3")).await.unwrap_err();
    assert!(error.message.contains("spec.replicas is owned by kubectl"), "{error}");
}
