//! What the simulated controllers make of objects.

use plinth_local::kube::{ApiServer, NodeSpec, Options, Taint};
use serde_json::{Value, json};

use crate::common::{alive, apply, delete, get, merge, post, send, until};

const NS: &str = "/api/v1/namespaces/default";
const APPS: &str = "/apis/apps/v1/namespaces/default";

fn workload(kind: &str, name: &str, image: &str, replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}}})
}

fn condition<'a>(body: &'a Value, kind: &str) -> &'a Value {
    let list = body["status"]["conditions"].as_array();
    list.and_then(|l| l.iter().find(|c| c["type"] == kind)).unwrap_or(&Value::Null)
}

fn is(body: &Value, kind: &str) -> bool {
    condition(body, kind)["status"] == "True"
}

fn node(name: &str, zone: &str) -> NodeSpec {
    NodeSpec {
        name: name.into(),
        zone: zone.into(),
        cpu: "4".into(),
        memory: "16Gi".into(),
        ..NodeSpec::default()
    }
}

async fn count(api: &ApiServer, path: &str) -> usize {
    get(api, path).await.body["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_deployment_rolls_out_and_over() {
    let api = alive();
    let path = format!("{APPS}/deployments/web");
    let begun = std::time::Instant::now();
    let made = apply(&api, &path, "p", workload("Deployment", "web", "n:1", 3)).await;
    assert_eq!(made.body["status"], json!({}));
    let done = until(&api, &path, |r| {
        r.body["status"]["availableReplicas"] == 3
            && condition(&r.body, "Progressing")["reason"] == "NewReplicaSetAvailable"
    })
    .await;
    assert!(begun.elapsed().as_secs() < 3);
    assert_eq!(done.body["status"]["observedGeneration"], 1);
    assert!(is(&done.body, "Available"));
    let next = apply(&api, &path, "p", workload("Deployment", "web", "n:2", 3)).await;
    // The reply still shows the old status, which is what clients have to cope with.
    assert_eq!(
        (&next.body["metadata"]["generation"], &next.body["status"]["observedGeneration"]),
        (&json!(2), &json!(1))
    );
    until(&api, &path, |r| {
        let s = &r.body["status"];
        s["observedGeneration"] == 2
            && s["updatedReplicas"] == 3
            && s["replicas"] == 3
            && s["availableReplicas"] == 3
    })
    .await;
    assert_eq!(count(&api, &format!("{APPS}/replicasets")).await, 2);
    let zero = merge(&api, &path, json!({"spec": {"replicas": 0}})).await;
    assert_eq!(zero.code, 200);
    until(&api, &path, |r| {
        r.body["status"]["observedGeneration"] == 3 && r.body["status"].get("replicas").is_none()
    })
    .await;
    delete(&api, &path).await;
    until(&api, &format!("{APPS}/replicasets"), |r| r.body["items"] == json!([])).await;
}

#[tokio::test]
async fn a_bad_image_and_a_missing_secret_keep_pods_waiting() {
    let api = alive();
    apply(
        &api,
        &format!("{APPS}/deployments/bad"),
        "p",
        workload("Deployment", "bad", "n:does-not-exist", 1),
    )
    .await;
    let stuck = until(&api, &format!("{NS}/pods"), |r| {
        r.body["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
            == "ImagePullBackOff"
    })
    .await;
    assert_eq!(stuck.body["items"][0]["status"]["phase"], "Pending");
    merge(&api, &format!("{APPS}/deployments/bad"), json!({"spec": {"progressDeadlineSeconds": 1}})).await;
    until(&api, &format!("{APPS}/deployments/bad"), |r| {
        condition(&r.body, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    })
    .await;
    delete(&api, &format!("{APPS}/deployments/bad")).await;
    until(&api, &format!("{NS}/pods"), |r| r.body["items"] == json!([])).await;
    let mut needs = workload("Deployment", "needs", "n:1", 1);
    needs["spec"]["template"]["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
    apply(&api, &format!("{APPS}/deployments/needs"), "p", needs).await;
    until(&api, &format!("{NS}/pods"), |r| {
        let waiting = &r.body["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"];
        waiting["message"].as_str().is_some_and(|m| m.contains("secret \"s\" not found"))
    })
    .await;
    post(
        &api,
        &format!("{NS}/secrets"),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
    )
    .await;
    until(&api, &format!("{APPS}/deployments/needs"), |r| is(&r.body, "Available")).await;
}

#[tokio::test]
async fn a_stateful_set_brings_claims_and_updates_in_order() {
    let api = alive();
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}, "provisioner": "x.y",
        "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true});
    post(&api, "/apis/storage.k8s.io/v1/storageclasses", class).await;
    let mut set = workload("StatefulSet", "db", "n:1", 3);
    set["spec"]["serviceName"] = json!("db");
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}}]);
    let path = format!("{APPS}/statefulsets/db");
    apply(&api, &path, "p", set.clone()).await;
    let done = until(&api, &path, |r| r.body["status"]["readyReplicas"] == 3).await;
    assert_eq!(done.body["status"]["currentRevision"], done.body["status"]["updateRevision"]);
    let claims = format!("{NS}/persistentvolumeclaims");
    for number in 0..3 {
        let claim =
            until(&api, &format!("{claims}/data-db-{number}"), |r| r.body["status"]["phase"] == "Bound")
                .await;
        assert_eq!(claim.body["status"]["capacity"]["storage"], "1Gi");
    }
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("n:2");
    apply(&api, &path, "p", set).await;
    let done = until(&api, &path, |r| {
        r.body["status"]["observedGeneration"] == 2
            && r.body["status"]["updatedReplicas"] == 3
            && r.body["status"]["readyReplicas"] == 3
    })
    .await;
    assert_eq!(done.body["status"]["currentReplicas"], 3);
    let grown = merge(
        &api,
        &format!("{claims}/data-db-0"),
        json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
    )
    .await;
    assert_eq!(grown.code, 200, "{:#}", grown.body);
    until(&api, &format!("{claims}/data-db-0"), |r| r.body["status"]["capacity"]["storage"] == "2Gi").await;
    delete(&api, &path).await;
    until(&api, &format!("{NS}/pods"), |r| r.body["items"] == json!([])).await;
    assert_eq!(count(&api, &claims).await, 3);
    delete(&api, &format!("{claims}/data-db-1")).await;
    until(&api, "/api/v1/persistentvolumes", |r| r.body["items"].as_array().is_some_and(|i| i.len() == 2))
        .await;
}

#[tokio::test]
async fn claims_wait_for_consumers_where_the_class_says_so() {
    let api = alive();
    let claim = |name: &str, class: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}}})
    };
    for (name, mode) in [("now", "Immediate"), ("later", "WaitForFirstConsumer")] {
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, "provisioner": "x.y", "volumeBindingMode": mode});
        post(&api, "/apis/storage.k8s.io/v1/storageclasses", class).await;
        post(&api, &format!("{NS}/persistentvolumeclaims"), claim(name, name)).await;
    }
    until(&api, &format!("{NS}/persistentvolumeclaims/now"), |r| r.body["status"]["phase"] == "Bound").await;
    let waiting =
        until(&api, &format!("{NS}/events"), |r| r.body.to_string().contains("waiting for first consumer"))
            .await;
    assert_eq!(waiting.code, 200);
    assert_eq!(
        get(&api, &format!("{NS}/persistentvolumeclaims/later")).await.body["status"]["phase"],
        "Pending"
    );
    let refused = merge(
        &api,
        &format!("{NS}/persistentvolumeclaims/now"),
        json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
    )
    .await;
    assert_eq!(refused.code, 403);
    assert!(refused.message().contains("only dynamically provisioned pvc can be resized"));
}

#[tokio::test]
async fn daemon_sets_follow_nodes_and_pods_need_nodes_that_fit() {
    let api = ApiServer::in_memory(Options { time_scale: 0.2, virtual_node: false, ..Options::default() });
    apply(&api, &format!("{APPS}/deployments/web"), "p", workload("Deployment", "web", "n:1", 1)).await;
    let stuck =
        until(&api, &format!("{NS}/pods"), |r| !condition(&r.body["items"][0], "PodScheduled").is_null())
            .await;
    let why = condition(&stuck.body["items"][0], "PodScheduled");
    assert_eq!(why["reason"], "Unschedulable");
    assert!(why["message"].as_str().is_some_and(|m| m.starts_with("0/0 nodes are available")), "{why}");
    let mut tainted = node("t", "a");
    tainted.taints.push(Taint { key: "only".into(), value: "x".into(), effect: "NoSchedule".into() });
    api.add_node(&tainted).expect("adds");
    until(&api, &format!("{NS}/pods"), |r| {
        condition(&r.body["items"][0], "PodScheduled")["message"]
            == "0/1 nodes are available: 1 node(s) had untolerated taint {only: x}."
    })
    .await;
    for (name, zone) in [("a", "z1"), ("b", "z2")] {
        api.add_node(&node(name, zone)).expect("adds");
    }
    until(&api, &format!("{APPS}/deployments/web"), |r| is(&r.body, "Available")).await;
    let mut daemon = workload("DaemonSet", "agent", "n:1", 1);
    daemon["spec"].as_object_mut().expect("object").remove("replicas");
    apply(&api, &format!("{APPS}/daemonsets/agent"), "p", daemon).await;
    until(&api, &format!("{APPS}/daemonsets/agent"), |r| r.body["status"]["numberReady"] == 2).await;
    api.add_node(&node("c", "z3")).expect("adds");
    until(&api, &format!("{APPS}/daemonsets/agent"), |r| r.body["status"]["numberReady"] == 3).await;
    api.remove_node("c").expect("removes");
    until(&api, &format!("{APPS}/daemonsets/agent"), |r| r.body["status"]["numberReady"] == 2).await;
    let mut large = workload("Deployment", "large", "n:1", 1);
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "64"}});
    apply(&api, &format!("{APPS}/deployments/large"), "p", large).await;
    until(&api, &format!("{NS}/pods?labelSelector=app%3Dlarge"), |r| {
        condition(&r.body["items"][0], "PodScheduled")["message"]
            .as_str()
            .is_some_and(|m| m.contains("2 Insufficient cpu"))
    })
    .await;
    assert_eq!(api.nodes(), ["a", "b", "t"]);
}

#[tokio::test]
async fn pods_spread_over_zones() {
    let api = ApiServer::in_memory(Options { time_scale: 0.2, ..Options::default() });
    for (name, zone) in [("a", "z1"), ("b", "z2"), ("c", "z3")] {
        api.add_node(&node(name, zone)).expect("adds");
    }
    assert_eq!(api.nodes(), ["a", "b", "c"], "the stand-in goes once there are real nodes");
    let mut spread = workload("Deployment", "s", "n:1", 6);
    spread["spec"]["template"]["spec"]["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "s"}}}]);
    apply(&api, &format!("{APPS}/deployments/s"), "p", spread).await;
    until(&api, &format!("{APPS}/deployments/s"), |r| r.body["status"]["readyReplicas"] == 6).await;
    let pods = get(&api, &format!("{NS}/pods")).await;
    for node in ["a", "b", "c"] {
        let here = pods.body["items"]
            .as_array()
            .expect("items")
            .iter()
            .filter(|p| p["spec"]["nodeName"] == node)
            .count();
        assert_eq!(here, 2, "{node}");
    }
}

#[tokio::test]
async fn jobs_end_well_or_badly() {
    let api = alive();
    let job = |name: &str, annotations: Value| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {
        "backoffLimit": 1, "template": {"metadata": {"annotations": annotations}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}})
    };
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    post(&api, jobs, job("good", json!({}))).await;
    let done = until(&api, &format!("{jobs}/good"), |r| is(&r.body, "Complete")).await;
    assert_eq!(done.body["status"]["succeeded"], 1);
    post(&api, jobs, job("bad", json!({"simulation.plinth.dev/exit-code": "3"}))).await;
    let failed = until(&api, &format!("{jobs}/bad"), |r| is(&r.body, "Failed")).await;
    assert_eq!(
        (&failed.body["status"]["failed"], condition(&failed.body, "Failed")["reason"].as_str()),
        (&json!(2), Some("BackoffLimitExceeded"))
    );
    let kept = delete(&api, &format!("{jobs}/good")).await;
    assert!(kept.warnings[0].contains("child pods are preserved by default"), "{:?}", kept.warnings);
    until(&api, &format!("{jobs}/good"), |r| r.code == 404).await;
    assert_eq!(count(&api, &format!("{NS}/pods?labelSelector=job-name%3Dgood")).await, 1);
    let mut suspended = job("later", json!({}));
    suspended["spec"]["suspend"] = json!(true);
    post(&api, jobs, suspended).await;
    until(&api, &format!("{jobs}/later"), |r| is(&r.body, "Suspended")).await;
    let mut short = job("short", json!({}));
    short["spec"]["ttlSecondsAfterFinished"] = json!(0);
    post(&api, jobs, short).await;
    until(&api, &format!("{jobs}/short"), |r| r.code == 404).await;
}

#[tokio::test]
async fn services_get_endpoints_and_addresses() {
    let api = alive();
    apply(&api, &format!("{APPS}/deployments/web"), "p", workload("Deployment", "web", "n:1", 2)).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}});
    post(&api, &format!("{NS}/services"), service).await;
    until(&api, &format!("{NS}/endpoints/web"), |r| {
        r.body["subsets"][0]["addresses"].as_array().is_some_and(|a| a.len() == 2)
    })
    .await;
    until(&api, &format!("{NS}/services/web"), |r| {
        r.body["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
    })
    .await;
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    post(&api, "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget).await;
    until(&api, "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b", |r| {
        r.body["status"]["currentHealthy"] == 2
    })
    .await;
    let pod = get(&api, &format!("{NS}/pods")).await.body["items"][0]["metadata"]["name"]
        .as_str()
        .expect("name")
        .to_owned();
    let evict = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    let refused = post(&api, &format!("{NS}/pods/{pod}/eviction"), evict).await;
    assert_eq!(
        (refused.code, refused.message()),
        (429, "Cannot evict pod as it would violate the pod's disruption budget.")
    );
}

#[tokio::test]
async fn namespaces_empty_themselves_and_wait_for_finalizers() {
    let api = alive();
    post(
        &api,
        "/api/v1/namespaces",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
    )
    .await;
    let maps = "/api/v1/namespaces/n/configmaps";
    until(&api, &format!("{maps}/kube-root-ca.crt"), |r| r.code == 200).await;
    post(&api, maps, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["a.b/c"]}})).await;
    let going = delete(&api, "/api/v1/namespaces/n").await;
    assert_eq!(going.body["status"]["phase"], "Terminating");
    let why = until(&api, "/api/v1/namespaces/n", |r| is(&r.body, "NamespaceFinalizersRemaining")).await;
    assert_eq!(
        condition(&why.body, "NamespaceFinalizersRemaining")["message"],
        "Some content in the namespace has finalizers remaining: a.b/c in 1 resource instances"
    );
    let refused =
        post(&api, maps, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}))
            .await;
    assert_eq!(
        (refused.code, refused.message()),
        (
            403,
            "configmaps \"late\" is forbidden: unable to create new content in namespace n because it is being terminated"
        )
    );
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    merge(&api, &format!("{maps}/held"), json!({"metadata": {"finalizers": null}})).await;
    until(&api, "/api/v1/namespaces/n", |r| r.code == 404).await;
    assert_eq!(count(&api, maps).await, 0);
}

#[tokio::test]
async fn owners_are_waited_for_left_behind_or_collected() {
    let api = alive();
    let maps = format!("{NS}/configmaps");
    let map = |name: &str, owner: Option<&Value>| {
        let mut m = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        if let Some(owner) = owner {
            m["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]);
        }
        m
    };
    for (policy, stays) in [("Foreground", false), ("Orphan", true), ("Background", false)] {
        let owner = post(&api, &maps, map("owner", None)).await;
        post(&api, &maps, map("child", Some(&owner.body))).await;
        let options = json!({"propagationPolicy": policy});
        let reply =
            send(&api, "DELETE", &format!("{maps}/owner"), "application/json", options.to_string()).await;
        assert_eq!(reply.code, 200);
        until(&api, &format!("{maps}/owner"), |r| r.code == 404).await;
        if stays {
            let child = get(&api, &format!("{maps}/child")).await;
            assert_eq!(child.body["metadata"].get("ownerReferences"), None);
            delete(&api, &format!("{maps}/child")).await;
        }
        until(&api, &format!("{maps}/child"), |r| r.code == 404).await;
    }
    let stranger = json!({"metadata": {"name": "nobody", "uid": "11111111-1111-1111-1111-111111111111"}});
    post(&api, &maps, map("lost", Some(&stranger))).await;
    until(&api, &format!("{maps}/lost"), |r| r.code == 404).await;
}

#[tokio::test]
async fn certificates_are_issued_and_bundles_injected() {
    let api = alive();
    let definition = |kind: &str, plural: &str, scope: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.cert-manager.io")}, "spec": {"group": "cert-manager.io", "scope": scope, "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
    };
    for (kind, plural, scope) in [
        ("ClusterIssuer", "clusterissuers", "Cluster"),
        ("Certificate", "certificates", "Namespaced"),
        ("Issuer", "issuers", "Namespaced"),
    ] {
        assert_eq!(
            post(
                &api,
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                definition(kind, plural, scope)
            )
            .await
            .code,
            201
        );
    }
    let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "c"},
        "spec": {"secretName": "tls", "dnsNames": ["a.b"], "issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}});
    let certificates = "/apis/cert-manager.io/v1/namespaces/default/certificates";
    post(&api, certificates, certificate).await;
    until(&api, &format!("{certificates}/c"), |r| condition(&r.body, "Ready")["status"] == "False").await;
    post(&api, "/apis/cert-manager.io/v1/clusterissuers", json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "ca"}, "spec": {"selfSigned": {}}})).await;
    let ready = until(&api, &format!("{certificates}/c"), |r| is(&r.body, "Ready")).await;
    assert!(ready.body["status"]["notAfter"].is_string());
    let secret = get(&api, &format!("{NS}/secrets/tls")).await;
    assert_eq!(secret.body["type"], "kubernetes.io/tls");
    for key in ["tls.crt", "tls.key", "ca.crt"] {
        assert!(secret.body["data"][key].is_string(), "{key}");
    }
    let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "w", "annotations": {"cert-manager.io/inject-ca-from-secret": "default/tls"}},
        "webhooks": [{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"service": {"name": "s", "namespace": "default"}}, "rules": []}]});
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    post(&api, path, hook).await;
    let injected =
        until(&api, &format!("{path}/w"), |r| r.body["webhooks"][0]["clientConfig"]["caBundle"].is_string())
            .await;
    let entry = injected.body["metadata"]["managedFields"]
        .as_array()
        .expect("entries")
        .iter()
        .find(|e| e["manager"] == "cert-manager-cainjector")
        .expect("entry");
    assert_eq!(
        entry["fieldsV1"],
        json!({"f:webhooks": {"k:{\"name\":\"a.b.c\"}": {"f:clientConfig": {"f:caBundle": {}}}}})
    );
    delete(&api, &format!("{NS}/secrets/tls")).await;
    until(&api, &format!("{NS}/secrets/tls"), |r| r.code == 200).await;
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changes() {
    let api = alive();
    apply(&api, &format!("{APPS}/deployments/web"), "p", workload("Deployment", "web", "n:1", 2)).await;
    until(&api, &format!("{APPS}/deployments/web"), |r| r.body["status"]["readyReplicas"] == 2).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let version = api.version();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(api.version(), version);
}

#[tokio::test]
async fn webhooks_refuse_until_they_can_be_reached() {
    let api = alive();
    let maps = format!("{NS}/configmaps");
    let map = |name: &str, checked: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"checked": checked}}});
    let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "w"},
        "webhooks": [{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "objectSelector": {"matchLabels": {"checked": "yes"}},
            "clientConfig": {"service": {"name": "hook", "namespace": "default", "path": "/x"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]});
    let hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    post(&api, hooks, hook).await;
    assert_eq!(post(&api, &maps, map("free", "no")).await.code, 201);
    let refused = post(&api, &format!("{maps}?dryRun=All"), map("a", "yes")).await;
    assert_eq!((refused.code, refused.body["reason"].as_str()), (500, Some("InternalError")));
    assert_eq!(
        refused.message(),
        "Internal error occurred: failed calling webhook \"a.b.c\": failed to call webhook: Post \"https://hook.default.svc:443/x?timeout=10s\": service \"hook\" not found"
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"}, "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443}]}});
    post(&api, &format!("{NS}/services"), service).await;
    let refused = post(&api, &maps, map("a", "yes")).await;
    assert!(refused.message().ends_with("no endpoints available for service \"hook\""));
    apply(&api, &format!("{APPS}/deployments/hook"), "p", workload("Deployment", "hook", "n:1", 1)).await;
    until(&api, &format!("{NS}/endpoints/hook"), |r| r.body["subsets"][0]["addresses"].is_array()).await;
    let refused = post(&api, &maps, map("a", "yes")).await;
    assert!(
        refused.message().ends_with("x509: certificate signed by unknown authority"),
        "{}",
        refused.message()
    );
    let patch = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Y2E="}]);
    send(&api, "PATCH", &format!("{hooks}/w"), "application/json-patch+json", patch.to_string()).await;
    assert_eq!(post(&api, &maps, map("a", "yes")).await.code, 201);
}

#[tokio::test]
async fn external_secrets_are_synced() {
    let api = alive();
    let external = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "e"}, "spec": {
        "refreshInterval": "1h", "secretStoreRef": {"kind": "ClusterSecretStore", "name": "s"}, "target": {"name": "made"},
        "data": [{"secretKey": "password", "remoteRef": {"key": "a/b", "property": "c"}}]}});
    let path = "/apis/external-secrets.io/v1/namespaces/default/externalsecrets/e";
    assert_eq!(apply(&api, path, "p", external).await.code, 201);
    until(&api, path, |r| is(&r.body, "Ready")).await;
    let secret = get(&api, &format!("{NS}/secrets/made")).await;
    assert!(secret.body["data"]["password"].is_string());
    delete(&api, path).await;
    until(&api, &format!("{NS}/secrets/made"), |r| r.code == 404).await;
}

#[tokio::test]
async fn pods_are_kept_out_by_security_levels_and_quotas() {
    let api = alive();
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    post(
        &api,
        "/api/v1/namespaces",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "safe", "labels": labels}}),
    )
    .await;
    let path = "/apis/apps/v1/namespaces/safe/deployments/web";
    let loose = apply(&api, path, "p", workload("Deployment", "web", "n:1", 1)).await;
    assert_eq!(loose.code, 201);
    assert!(loose.warnings[0].contains("would violate PodSecurity"), "{:?}", loose.warnings);
    let stuck = until(&api, path, |r| is(&r.body, "ReplicaFailure")).await;
    let why = condition(&stuck.body, "ReplicaFailure")["message"].as_str().expect("message");
    assert!(why.contains("violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)"), "{why}");
    assert!(condition(&stuck.body, "Progressing")["status"] == "True");
    let mut tight = workload("Deployment", "web", "n:1", 1);
    tight["spec"]["template"]["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    tight["spec"]["template"]["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let fixed = apply(&api, path, "p", tight).await;
    assert_eq!(fixed.warnings, Vec::<String>::new());
    until(&api, path, |r| r.body["status"]["availableReplicas"] == 1 && !is(&r.body, "ReplicaFailure")).await;
    post(&api, &format!("{NS}/resourcequotas"), json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}})).await;
    let path = format!("{APPS}/deployments/many");
    apply(&api, &path, "p", workload("Deployment", "many", "n:1", 3)).await;
    let stuck =
        until(&api, &path, |r| is(&r.body, "ReplicaFailure") && r.body["status"]["readyReplicas"] == 2).await;
    let why = condition(&stuck.body, "ReplicaFailure")["message"].as_str().expect("message");
    assert!(why.contains("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"), "{why}");
}

#[tokio::test]
async fn objects_fail_as_they_ask_to() {
    const FAULT: &str = "simulation.plinth.dev/fault";
    let api = alive();
    let pod = |name: &str, fault: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": {FAULT: fault}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]}})
    };
    for (name, fault) in [
        ("pull", "image-pull"),
        ("pulls", "image-pull:2"),
        ("crash", "crash-loop"),
        ("crashes", "crash-loop:2"),
        ("nowhere", "unschedulable"),
        ("never", "not-ready"),
    ] {
        assert_eq!(post(&api, &format!("{NS}/pods"), pod(name, fault)).await.code, 201);
    }
    let at = |name: &str| format!("{NS}/pods/{name}");
    let state = |r: &crate::common::Reply, pointer: &str| {
        let status = r.body.pointer("/status/containerStatuses/0").cloned().unwrap_or_default();
        status.pointer(pointer).cloned().unwrap_or_default()
    };
    until(&api, &at("pull"), |r| state(r, "/state/waiting/reason") == "ImagePullBackOff").await;
    let crashed = |r: &crate::common::Reply| {
        state(r, "/state/waiting/reason") == "CrashLoopBackOff"
            && state(r, "/restartCount").as_i64().is_some_and(|n| n > 0)
    };
    let crash = until(&api, &at("crash"), crashed).await;
    assert_eq!(state(&crash, "/lastState/terminated/exitCode"), 1);
    assert_eq!(crash.body["status"]["phase"], "Running");
    let log = get(&api, &format!("{}/log", at("crash"))).await;
    assert!(log.body.as_str().is_some_and(|l| l.contains("fatal")), "{:?}", log.body);
    let ready = |r: &crate::common::Reply| state(r, "/ready") == true;
    until(&api, &at("pulls"), ready).await;
    let recovered = until(&api, &at("crashes"), ready).await;
    assert_eq!(state(&recovered, "/restartCount"), 1);
    until(&api, &at("nowhere"), |r| r.body["status"]["conditions"][0]["reason"] == "Unschedulable").await;
    until(&api, &at("never"), |r| r.body["status"]["phase"] == "Running" && state(r, "/ready") == false)
        .await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "annotations": {FAULT: "pending"}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    post(&api, &format!("{NS}/services"), service).await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "annotations": {FAULT: "pending"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "now", "resources": {"requests": {"storage": "1Gi"}}}});
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "now"}, "provisioner": "x.y"});
    post(&api, "/apis/storage.k8s.io/v1/storageclasses", class).await;
    post(&api, &format!("{NS}/persistentvolumeclaims"), claim).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(get(&api, &format!("{NS}/services/s")).await.body["status"]["loadBalancer"], json!({}));
    assert_eq!(get(&api, &format!("{NS}/persistentvolumeclaims/c")).await.body["status"]["phase"], "Pending");
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_stale_and_keeps_namespaces_from_ending() {
    let api = alive();
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.broken.example"},
        "spec": {"group": "broken.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"namespace": "default", "name": "nosuch"}}});
    assert_eq!(post(&api, services, service).await.code, 201);
    let path = format!("{services}/v1.broken.example");
    until(&api, &path, |r| condition(&r.body, "Available")["reason"] == "ServiceNotFound").await;
    for path in ["/apis/broken.example/v1", "/apis/broken.example/v1/foos"] {
        let refused = get(&api, path).await;
        assert_eq!((refused.code, &refused.body), (503, &json!("service unavailable\n")));
    }
    let groups = get(&api, "/apis").await;
    assert!(
        groups.body["groups"].as_array().is_some_and(|g| g.iter().any(|g| g["name"] == "broken.example"))
    );
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ends"}});
    post(&api, "/api/v1/namespaces", space).await;
    delete(&api, "/api/v1/namespaces/ends").await;
    let stuck = until(&api, "/api/v1/namespaces/ends", |r| {
        condition(&r.body, "NamespaceDeletionDiscoveryFailure")["status"] == "True"
    })
    .await;
    let why = condition(&stuck.body, "NamespaceDeletionDiscoveryFailure")["message"].clone();
    assert_eq!(
        why,
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: broken.example/v1: stale GroupVersion discovery: broken.example/v1"
    );
    delete(&api, &path).await;
    until(&api, "/api/v1/namespaces/ends", |r| r.code == 404).await;
}

#[tokio::test]
async fn a_deadline_that_is_exceeded_stays_so_until_something_moves() {
    let api = alive();
    let path = format!("{APPS}/deployments/stuck");
    let mut stuck = workload("Deployment", "stuck", "n:1", 1);
    stuck["spec"]["progressDeadlineSeconds"] = json!(1);
    stuck["spec"]["template"]["spec"]["nodeSelector"] = json!({"no": "where"});
    apply(&api, &path, "p", stuck.clone()).await;
    until(&api, &path, |r| condition(&r.body, "Progressing")["reason"] == "ProgressDeadlineExceeded").await;
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let now = get(&api, &path).await;
        assert_eq!(condition(&now.body, "Progressing")["reason"], "ProgressDeadlineExceeded");
    }
    stuck["spec"]["template"]["spec"]["nodeSelector"] = json!({"kubernetes.io/os": "linux"});
    apply(&api, &path, "p", stuck).await;
    until(&api, &path, |r| condition(&r.body, "Progressing")["reason"] == "NewReplicaSetAvailable").await;
}
