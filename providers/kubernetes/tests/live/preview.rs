//! What a plan learns from the cluster before anything is written.

use plinth_provider::{Class, Error, Preview, PreviewRequest, Provider, Recorded, Urn, Value};
use serde_json::{Value as Json, json};

use crate::cluster::Cluster;

const MERGE: &str = "application/merge-patch+json";

/// A change as a plan has it.
struct Change {
    urn: Urn,
    inputs: Value,
    recorded: Option<Recorded>,
    dependencies: Vec<Urn>,
}

impl Change {
    fn create(cluster: &Cluster, kind: &str, name: &str, inputs: Json) -> Self {
        let urn = Cluster::urn(kind, name);
        let inputs = cluster.check(&urn, &cluster.own(&urn, inputs).expose());
        Self { urn, inputs, recorded: None, dependencies: Vec::new() }
    }

    fn update(cluster: &Cluster, recorded: &Recorded, inputs: Json) -> Self {
        let inputs = cluster.check(&recorded.urn, &cluster.own(&recorded.urn, inputs).expose());
        Self { urn: recorded.urn.clone(), inputs, recorded: Some(recorded.clone()), dependencies: Vec::new() }
    }

    fn after(mut self, other: &Change) -> Self {
        self.dependencies.push(other.urn.clone());
        self
    }
}

async fn ask(cluster: &Cluster, changes: &[&Change]) -> Vec<Result<Preview, Error>> {
    let requests: Vec<PreviewRequest<'_>> = changes
        .iter()
        .map(|change| PreviewRequest {
            urn: &change.urn,
            inputs: &change.inputs,
            connection: None,
            recorded: change.recorded.as_ref(),
            replaces: false,
            dependencies: &change.dependencies,
            take_over: &[],
        })
        .collect();
    cluster.provider.preview_many(&cluster.context("s"), &requests).await
}

async fn create(cluster: &Cluster, kind: &str, name: &str, inputs: Json) -> Recorded {
    let change = Change::create(cluster, kind, name, inputs);
    cluster.try_create_checked(&change.urn, change.inputs).await.unwrap()
}

/// Runs on the embedded server, and on the cluster that `PLINTH_TEST_KUBECONFIG` names.
macro_rules! on_both {
    ($($name:ident => $judge:ident),* $(,)?) => { $(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn embedded() {
                $judge(&Cluster::start().await).await;
            }

            #[tokio::test]
            async fn real() {
                let Some(cluster) = Cluster::real().await else { return };
                $judge(&cluster).await;
            }
        }
    )* };
}

on_both! {
    refusals => refused,
    what_the_plan_makes => not_yet_there,
    immutable_fields => replaced,
    others => disputed,
    adoption => taken_over,
}

/// What is wrong is said before anything is written, at its place.
async fn refused(cluster: &Cluster) {
    let pods = json!({"metadata": {"labels": {"app": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}});
    let web = Change::create(
        cluster,
        "apps/v1/Deployment",
        "web",
        json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pods}}),
    );
    let mut nowhere = Change::create(cluster, "v1/ConfigMap", "c", json!({"metadata": {"name": "c"}}));
    nowhere.inputs.set(&"metadata.namespace".into(), "no-such-namespace".into());
    let unknown = Change::create(
        cluster,
        "nothing.example.com/v1/Thing",
        "t",
        json!({"metadata": {"name": "t"}, "spec": {}}),
    );
    let fine = Change::create(cluster, "v1/ConfigMap", "fine", json!({"metadata": {"name": "fine"}}));
    let found = ask(cluster, &[&web, &nowhere, &unknown, &fine]).await;
    let [Err(web), Err(nowhere), Err(unknown), Ok(fine)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(web.class, Class::Invalid);
    assert!(web.message.contains("does not match template"), "{web}");
    assert_eq!(web.path.as_ref().map(ToString::to_string).as_deref(), Some("spec.template.metadata.labels"));
    assert!(nowhere.message.contains("there is no namespace `no-such-namespace`"), "{nowhere}");
    assert!(unknown.message.contains("serves no kind nothing.example.com/v1/Thing"), "{unknown}");
    assert_eq!(*fine, Preview::default());
    let path = format!("/api/v1/namespaces/{}/configmaps/fine", cluster.run());
    assert_eq!(cluster.status_of(&path).await, 404, "nothing was written");
}

/// What the plan itself makes is not missed: namespaces, kinds, and what code may make.
async fn not_yet_there(cluster: &Cluster) {
    let namespace = Change::create(cluster, "v1/Namespace", "ns", json!({"metadata": {"name": "RUN-later"}}));
    let mut inside = Change::create(cluster, "v1/ConfigMap", "c", json!({"metadata": {"name": "c"}}));
    inside.inputs.set(&"metadata.namespace".into(), format!("{}-later", cluster.run()).into());
    let definition = Change::create(
        cluster,
        "apiextensions.k8s.io/v1/CustomResourceDefinition",
        "crd",
        json!({"metadata": {"name": "things.RUN.example.com"}, "spec": {"group": "RUN.example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"}, "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}),
    );
    let group = format!("{}.example.com/v1/Thing", cluster.run());
    let thing = Change::create(cluster, &group, "t", json!({"metadata": {"name": "t"}, "spec": {"a": 1}}));
    let operator = Change::create(
        cluster,
        "batch/v1/Job",
        "job",
        json!({"metadata": {"name": "job"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}}}}),
    );
    let made = Change::create(
        cluster,
        "made.example.com/v1/Thing",
        "m",
        json!({"metadata": {"name": "t"}, "spec": {}}),
    )
    .after(&operator);
    let found = ask(cluster, &[&namespace, &inside, &definition, &thing, &operator, &made]).await;
    for (at, answer) in found.iter().enumerate() {
        let preview = answer.as_ref().unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(preview.replaces.is_empty());
        let warned = preview.warnings.iter().any(|text| text.contains("serves no kind"));
        assert_eq!(warned, at == 5, "{at}: {:?}", preview.warnings);
    }
}

/// What cannot change in place is found out where no table knows it, and the path is named.
async fn replaced(cluster: &Cluster) {
    let quota = |scope: &str| json!({"metadata": {"name": "a"}, "handler": scope});
    let mut inputs = quota("runc");
    inputs["metadata"]["name"] = "RUN-a".into();
    let recorded = create(cluster, "node.k8s.io/v1/RuntimeClass", "r", inputs.clone()).await;
    inputs["handler"] = "kata".into();
    let change = Change::update(cluster, &recorded, inputs);
    let found = ask(cluster, &[&change]).await;
    let [Ok(preview)] = found.as_slice() else { panic!("{found:?}") };
    let paths: Vec<String> = preview.replaces.iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["handler"]);
    cluster.delete(&recorded).await.unwrap();
}

/// Fields of others: a conflict names path and owner, and what is dropped but owned by others stays.
async fn disputed(cluster: &Cluster) {
    let inputs = |data: Json| json!({"metadata": {"name": "d"}, "data": data});
    let recorded = create(cluster, "v1/ConfigMap", "d", inputs(json!({"a": "1", "b": "1"}))).await;
    let path = cluster.path_of(&recorded).await;
    let edit = json!({"data": {"a": "edited"}});
    cluster.raw("PATCH", &format!("{path}?fieldManager=kubectl-edit"), MERGE, &edit).await;
    let change = Change::update(cluster, &recorded, inputs(json!({"a": "2", "b": "1"})));
    let found = ask(cluster, &[&change]).await;
    let [Err(error)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(error.class, Class::Conflict);
    assert_eq!(error.message, "data.a is owned by kubectl-edit");

    let dropped = Change::update(cluster, &recorded, inputs(json!({"b": "1"})));
    let found = ask(cluster, &[&dropped]).await;
    let [Ok(preview)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(preview.warnings, ["data.a is left in place, owned by kubectl-edit"]);
    assert_eq!(cluster.get(&path).await["data"]["a"], "edited", "nothing was written");
}

/// What exists without our marks is found; what was handed over by them is not disputed for its former manager.
async fn taken_over(cluster: &Cluster) {
    let path = format!("/api/v1/namespaces/{}/configmaps", cluster.run());
    let applied = json!({"metadata": {"name": "theirs"}, "data": {"a": "1", "gone": "x"}});
    let mut body = applied.clone();
    body["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()});
    let manager = "kubectl-client-side-apply";
    cluster.raw("POST", &format!("{path}?fieldManager={manager}"), "application/json", &body).await;
    let change = Change::create(
        cluster,
        "v1/ConfigMap",
        "theirs",
        json!({"metadata": {"name": "theirs"}, "data": {"a": "2"}}),
    );
    let found = ask(cluster, &[&change]).await;
    let [Err(error)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(error.class, Class::AlreadyExists);
    assert!(error.message.contains(manager), "{error}");

    body = json!({"metadata": {"labels": {"plinth.dev/stack": "s"}, "annotations": {"plinth.dev/urn": change.urn.as_str()}}});
    cluster.raw("PATCH", &format!("{path}/theirs?fieldManager=kubectl-label"), MERGE, &body).await;
    let found = ask(cluster, &[&change]).await;
    assert!(matches!(found.as_slice(), [Ok(_)]), "{found:?}");
    cluster.try_create_checked(&change.urn, change.inputs.clone()).await.unwrap();
    let live = cluster.get(&format!("{path}/theirs")).await;
    assert_eq!(live["data"], json!({"a": "2"}), "a key that is not ours any more is gone");
    let managers: Vec<&str> = live["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert!(!managers.contains(&manager), "{managers:?}");
}
