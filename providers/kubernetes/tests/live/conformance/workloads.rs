//! What runs, and what says how much of it.

use serde_json::{Value as Json, json};

use super::{Cluster, Kind, conform, conforms};

fn pods(image: &str) -> Json {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": image,
        "env": [{"name": "B", "value": "1"}, {"name": "A", "value": ""}],
        "ports": [{"containerPort": 80}], "resources": {"requests": {"cpu": "1000m", "memory": "64Mi"}}}]}})
}

fn deployment(app: &str, image: &str, replicas: i64) -> Json {
    let mut template = pods(image);
    template["metadata"]["labels"]["app"] = app.into();
    json!({"metadata": {"name": "a"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}})
}

conforms!(
    pod,
    "v1/Pod",
    json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}),
    Some(json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "nginx:1.28"}]}})),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "nginx:1.28", "args": ["x"]}]}})
    )
);
conforms!(
    deployments,
    "apps/v1/Deployment",
    deployment("a", "nginx:1.27", 2),
    Some(deployment("a", "nginx:1.28", 3)),
    Some(deployment("b", "nginx:1.28", 3))
);
conforms!(
    replica_set,
    "apps/v1/ReplicaSet",
    deployment("a", "nginx:1.27", 1),
    Some(deployment("a", "nginx:1.27", 2)),
    Some(deployment("b", "nginx:1.27", 2))
);
conforms!(
    replication_controller,
    "v1/ReplicationController",
    json!({"metadata": {"name": "a"}, "spec": {"replicas": 1, "selector": {"app": "a"}, "template": pods("nginx:1")}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"replicas": 2, "selector": {"app": "a"}, "template": pods("nginx:1")}})
    ),
    None
);

fn stateful_set(app: &str, replicas: i64, size: &str) -> Json {
    let mut set = deployment(app, "nginx:1.27", replicas);
    set["spec"]["serviceName"] = "a".into();
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}}]);
    set
}

conforms!(
    stateful_sets,
    "apps/v1/StatefulSet",
    stateful_set("a", 2, "1Gi"),
    Some(stateful_set("a", 3, "1024Mi")),
    Some(stateful_set("b", 2, "1Gi"))
);
conforms!(
    stateful_sets_that_grow,
    "apps/v1/StatefulSet",
    stateful_set("a", 2, "1Gi"),
    None,
    Some(stateful_set("a", 2, "2048Mi"))
);
conforms!(
    daemon_set,
    "apps/v1/DaemonSet",
    json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pods("nginx:1")}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pods("nginx:2")}})
    ),
    None
);

fn job(image: &str, parallelism: i64) -> Json {
    json!({"metadata": {"name": "a"}, "spec": {"parallelism": parallelism, "template": {"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": image, "command": ["true"]}]}}}})
}

conforms!(jobs, "batch/v1/Job", job("busybox:1", 1), Some(job("busybox:1", 2)), Some(job("busybox:2", 2)));

fn cron_job(schedule: &str, image: &str) -> Json {
    json!({"metadata": {"name": "a"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": job(image, 1)["spec"].clone()}}})
}

conforms!(
    cron_jobs,
    "batch/v1/CronJob",
    cron_job("0 4 * * *", "busybox:1"),
    Some(cron_job("0 5 * * *", "busybox:2")),
    None
);
conforms!(
    autoscaler,
    "autoscaling/v2/HorizontalPodAutoscaler",
    json!({"metadata": {"name": "a"}, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
        "minReplicas": 2, "maxReplicas": 4, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"},
        "minReplicas": 2, "maxReplicas": 6, "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "512Mi"}}}]}})
    ),
    None
);
conforms!(
    disruption_budget,
    "policy/v1/PodDisruptionBudget",
    json!({"metadata": {"name": "a"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}}),
    Some(
        json!({"metadata": {"name": "a"}, "spec": {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "a"}}}})
    ),
    None
);
