use super::*;
use serde_json::json;

fn state(group: &str, kind: &str, object: Json) -> State {
    assess(&Gvk::new(group, "v1", kind), &object)
}

fn is_ready(state: &State) -> bool {
    matches!(state, State::Ready(_))
}

#[test]
fn deployments() {
    let deployment = |spec: Json, status: Json| {
        state("apps", "Deployment", json!({"metadata": {"generation": 2}, "spec": spec, "status": status}))
    };
    let table = [
        // The reply to an update: everything looks done, one generation ago.
        (
            json!({"replicas": 1}),
            json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}),
            false,
        ),
        (
            json!({"replicas": 3}),
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            true,
        ),
        (
            json!({}),
            json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}),
            true,
        ),
        (
            json!({"replicas": 3}),
            json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3}),
            false,
        ),
        (
            json!({"replicas": 3}),
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 3}),
            false,
        ),
        (json!({"replicas": 0}), json!({"observedGeneration": 2}), true),
        (json!({"replicas": 3, "paused": true}), json!({"observedGeneration": 2, "replicas": 3}), true),
    ];
    for (spec, status, ready) in table {
        let got = deployment(spec.clone(), status.clone());
        assert_eq!(is_ready(&got), ready, "{spec} {status}: {got:?}");
    }
    let quota = deployment(
        json!({"replicas": 1}),
        json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "True"},
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}]}),
    );
    assert_eq!(quota, State::Waiting("FailedCreate: exceeded quota".into()));
    let late = deployment(
        json!({"replicas": 1}),
        json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
    );
    assert_eq!(late, State::Waiting("0/1 ready, past its progress deadline".into()));
}

#[test]
fn stateful_sets() {
    let set = |generation: i64, spec: Json, status: Json| {
        state(
            "apps",
            "StatefulSet",
            json!({"metadata": {"generation": generation}, "spec": spec, "status": status}),
        )
    };
    let ready = json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "currentRevision": "a", "updateRevision": "b"});
    let rolling = |partition: i64| json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}});
    assert!(is_ready(&set(2, rolling(3), ready.clone())), "partition at replicas updates nobody");
    assert_eq!(set(2, rolling(0), ready.clone()), State::Waiting("0/3 updated".into()));
    assert!(is_ready(&set(2, json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}}), ready.clone())));
    assert!(!is_ready(&set(
        1,
        json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}}),
        json!({"observedGeneration": 1})
    )));
    assert!(!is_ready(&set(3, rolling(3), ready)), "not observed");
    assert!(is_ready(&set(1, json!({"replicas": 0}), json!({"observedGeneration": 1, "replicas": 0}))));
}

#[test]
fn daemon_sets() {
    let set =
        |status: Json| state("apps", "DaemonSet", json!({"metadata": {"generation": 1}, "status": status}));
    assert!(!is_ready(&set(
        json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0})
    )));
    assert_eq!(
        set(json!({"observedGeneration": 1, "desiredNumberScheduled": 0})),
        State::Ready(Some("no node matches".into()))
    );
    assert!(is_ready(&set(
        json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2})
    )));
    assert!(!is_ready(&set(
        json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1})
    )));
}

#[test]
fn jobs() {
    let job = |spec: Json, conditions: Json| {
        state("batch", "Job", json!({"spec": spec, "status": {"conditions": conditions}}))
    };
    assert!(is_ready(&job(json!({}), json!([{"type": "Complete", "status": "True"}]))));
    assert_eq!(
        job(json!({}), json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}])),
        State::Failed("BackoffLimitExceeded".into())
    );
    assert!(is_ready(&job(json!({"suspend": true}), json!([{"type": "Suspended", "status": "True"}]))));
    assert_eq!(job(json!({"completions": 3}), json!([])), State::Waiting("0/3 complete".into()));
}

#[test]
fn pods_say_what_is_wrong() {
    let waiting = |reason: &str, restarts: i64| {
        json!({"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": [
            {"name": "c", "restartCount": restarts, "state": {"waiting": {"reason": reason, "message": "m"}},
             "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}]}})
    };
    assert!(trouble(&waiting("ImagePullBackOff", 0)).unwrap().stuck);
    assert_eq!(trouble(&waiting("ImagePullBackOff", 0)).unwrap().text, "p/c: ImagePullBackOff: m");
    assert!(!trouble(&waiting("CrashLoopBackOff", 1)).unwrap().stuck);
    let crash = trouble(&waiting("CrashLoopBackOff", 5)).unwrap();
    assert!(crash.stuck && crash.container.as_deref() == Some("c"));
    assert!(!trouble(&waiting("CreateContainerConfigError", 0)).unwrap().stuck);
    assert_eq!(trouble(&waiting("ContainerCreating", 0)), None);
    let unscheduled = json!({"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]}});
    assert_eq!(trouble(&unscheduled).unwrap().text, "p: 0/3 nodes are available");
    assert_eq!(state("", "Pod", unscheduled), State::Waiting("p: 0/3 nodes are available".into()));
    assert!(is_ready(&state(
        "",
        "Pod",
        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
    )));
    assert_eq!(
        state("", "Pod", json!({"status": {"phase": "Failed", "reason": "Evicted"}})),
        State::Failed("Evicted".into())
    );
}

#[test]
fn claims_services_and_ingresses() {
    assert!(is_ready(&state("", "PersistentVolumeClaim", json!({"status": {"phase": "Bound"}}))));
    assert!(!is_ready(&state("", "PersistentVolumeClaim", json!({"status": {"phase": "Pending"}}))));
    let growing = json!({"spec": {"resources": {"requests": {"storage": "20Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}, "conditions": [{"type": "Resizing", "status": "True"}]}});
    assert_eq!(state("", "PersistentVolumeClaim", growing), State::Waiting("growing from 10Gi".into()));
    let balancer =
        |ingress: Json| json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": ingress}});
    assert!(!is_ready(&state("", "Service", balancer(json!({})))));
    assert!(is_ready(&state("", "Service", balancer(json!({"ingress": [{"hostname": "h"}]})))));
    assert!(is_ready(&state("", "Service", json!({"spec": {"type": "ClusterIP"}}))));
    let ingress = |wait: &str| json!({"metadata": {"annotations": {"plinth.dev/wait": wait}}, "status": {"loadBalancer": {}}});
    assert!(!is_ready(&state("networking.k8s.io", "Ingress", ingress("true"))));
    assert!(is_ready(&state("networking.k8s.io", "Ingress", json!({"status": {"loadBalancer": {}}}))));
}

#[test]
fn definitions_and_webhooks() {
    let definition = |conditions: Json| {
        state(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            json!({"status": {"conditions": conditions}}),
        )
    };
    assert!(!is_ready(&definition(json!([]))));
    assert!(is_ready(&definition(json!([{"type": "Established", "status": "True"}]))));
    assert!(matches!(
        definition(json!([{"type": "NamesAccepted", "status": "False", "reason": "PluralConflict"}])),
        State::Failed(_)
    ));
    let webhook = |bundle: Json| {
        state(
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration",
            json!({
        "metadata": {"annotations": {"cert-manager.io/inject-ca-from-secret": "a/b"}},
        "webhooks": [{"name": "w", "clientConfig": bundle}]}),
        )
    };
    assert!(!is_ready(&webhook(json!({}))));
    assert!(is_ready(&webhook(json!({"caBundle": "eA=="}))));
    assert!(is_ready(&state(
        "policy",
        "PodDisruptionBudget",
        json!({"status": {"conditions": [
        {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods"}]}})
    )));
    assert!(!is_ready(&state("apiregistration.k8s.io", "APIService", json!({"status": {}}))));
}

#[test]
fn custom_resources() {
    let certificate = |conditions: Json| {
        state(
            "cert-manager.io",
            "Certificate",
            json!({"metadata": {"generation": 2}, "status": {"conditions": conditions}}),
        )
    };
    assert!(!is_ready(&certificate(json!([]))), "its controller will come");
    assert!(!is_ready(&certificate(json!([{"type": "Ready", "status": "True", "observedGeneration": 1}]))));
    assert!(is_ready(&certificate(json!([{"type": "Ready", "status": "True", "observedGeneration": 2}]))));
    assert_eq!(
        certificate(json!([{"type": "Ready", "status": "False", "reason": "Pending", "message": "issuing"}])),
        State::Waiting("Pending: issuing".into())
    );
    let available = |status: &str| json!({"status": {"conditions": [{"type": "Available", "status": status, "reason": "R"}]}});
    assert!(!is_ready(&state("gateway.networking.k8s.io", "Gateway", available("False"))));
    assert!(is_ready(&state("gateway.networking.k8s.io", "Gateway", available("True"))));
    assert!(is_ready(&state("example.com", "Thing", json!({}))));
    assert!(!is_ready(&state(
        "example.com",
        "Thing",
        json!({"metadata": {"generation": 3}, "status": {"observedGeneration": 2}})
    )));
    assert!(!is_ready(&state(
        "example.com",
        "Thing",
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    )));
}
