//! Every kind against the simulated cloud, over HTTP, with and without faults.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use plinth_provider::conformance::{self, Case};
use plinth_provider::{
    Class, Context, Error, Provider, ReadRequest, Recorded, Reporter, Request, Result, Urn, Value,
};

use super::LocalCloud;
use crate::faults::Faults;
use crate::place::{Options, Place};

struct Rig {
    cloud: LocalCloud,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { cloud: LocalCloud::new(Place::new(dir.path(), options)), _dir: dir }
    }

    fn quick() -> Self {
        Self::new(Options { latency_scale: 0.02, ..Options::default() })
    }

    fn context(&self) -> Context {
        Context::new("test", Duration::from_secs(20))
    }

    fn inputs(&self, urn: &Urn, inputs: Value) -> Value {
        self.cloud.check(urn, inputs).unwrap()
    }

    async fn make(&self, kind: &str, name: &str, inputs: Value) -> Recorded {
        let urn = urn(kind, name);
        let inputs = self.inputs(&urn, inputs);
        let request = Request { urn: &urn, inputs: &inputs, connection: None };
        let applied = self.cloud.create(&self.context(), request).await.unwrap();
        recorded(&urn, &inputs, applied.id, applied.outputs)
    }

    async fn try_update(&self, of: &Recorded, changes: &[(&str, Value)]) -> Result<Recorded> {
        let mut inputs = of.inputs.clone();
        for (path, value) in changes {
            inputs.set(&(*path).into(), value.clone());
        }
        let inputs = self.cloud.check(&of.urn, inputs)?;
        let request = Request { urn: &of.urn, inputs: &inputs, connection: None };
        let applied = self.cloud.update(&self.context(), request, of).await?;
        Ok(recorded(&of.urn, &inputs, applied.id, applied.outputs))
    }

    async fn delete(&self, of: &Recorded) -> Result<()> {
        self.cloud.delete(&self.context(), of).await
    }
}

fn urn(kind: &str, name: &str) -> Urn {
    Urn::new("test", &format!("local:cloud/{kind}"), name).unwrap()
}

fn recorded(urn: &Urn, inputs: &Value, id: String, outputs: Value) -> Recorded {
    Recorded {
        urn: urn.clone(),
        id,
        inputs: inputs.clone(),
        outputs,
        connection: None,
        dependencies: Vec::new(),
        options: Default::default(),
        unsettled: false,
    }
}

fn list(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

fn with(base: &Value, changes: &[(&str, Value)]) -> Value {
    let mut value = base.clone();
    for (path, new) in changes {
        value.set(&(*path).into(), new.clone());
    }
    value
}

fn case(kind: &str, base: Value, updated: &[(&str, Value)], replaced: &[(&str, Value)]) -> Case {
    Case {
        updated: Some(with(&base, updated)),
        replaced: Some(with(&base, replaced)),
        ..Case::new(urn(kind, "subject"), base)
    }
}

fn cluster() -> Value {
    Value::from([("name", "main"), ("version", "1.34")])
}

/// A cluster and buckets for those that need some.
async fn surroundings(rig: &Rig) {
    rig.make("Cluster", "main", cluster()).await;
    for bucket in ["logs", "traces"] {
        rig.make("Bucket", bucket, Value::from([("name", bucket)])).await;
    }
}

fn cases() -> Vec<Case> {
    let tags = |text: &str| ("tags", Value::from([("team", text)]));
    let in_cluster = |name: &str| Value::from([("cluster", "main"), ("name", name)]);
    let access = |bucket: &str| Value::List(vec![Value::from([("bucket", bucket)])]);
    vec![
        case("Network", Value::from([tags("a")]), &[tags("b")], &[("cidr", "10.9.0.0/16".into())]),
        case("Key", Value::map(), &[("rotationDays", 90.into())], &[("region", "local-2".into())]),
        case(
            "Cluster",
            with(&cluster(), &[("name", "other".into()), ("publicCidrs", list(&["10.0.0.0/8"]))]),
            &[("version", "1.35".into()), ("endpointAccess", "public".into())],
            &[("region", "local-2".into())],
        ),
        case(
            "NodePool",
            in_cluster("general"),
            &[("minSize", 5.into()), ("labels", Value::from([("role", "stores")]))],
            &[("instanceType", "standard-8".into())],
        ),
        case(
            "Bucket",
            Value::from([("versioning", true)]),
            &[("versioning", false.into()), ("replication", Value::Null)],
            &[("location", "local-2".into())],
        ),
        case(
            "Identity",
            with(
                &Value::from([("cluster", "main"), ("namespace", "loki"), ("serviceAccount", "loki")]),
                &[("access", access("logs"))],
            ),
            &[("access", access("traces"))],
            &[("namespace", "tempo".into())],
        ),
        case("AddOn", in_cluster("dns"), &[("version", "2".into())], &[("name", "csi".into())]),
    ]
}

#[tokio::test]
async fn every_kind_conforms() {
    let rig = Rig::quick();
    surroundings(&rig).await;
    let cases = cases();
    assert_eq!(cases.len(), crate::cloud::CloudKind::ALL.len());
    for case in cases {
        conformance::run(&rig.cloud, &case).await;
    }
}

#[tokio::test]
async fn what_is_predicted_comes_out() {
    let rig = Rig::quick();
    surroundings(&rig).await;
    for case in cases() {
        let inputs = rig.inputs(&case.urn, case.inputs);
        let predicted = rig.cloud.predict(&case.urn, &inputs, None);
        let made = rig.make(case.urn.kind().rsplit('/').next().unwrap(), "subject", inputs).await;
        assert_eq!(made.outputs, predicted, "{}", case.urn);
    }
}

/// Keeps what a call reports.
#[derive(Default)]
struct Notes {
    started: Mutex<Vec<String>>,
    waiting: Mutex<Vec<String>>,
    /// Fails when an operation begins, as when the state log is lost.
    deaf: bool,
}

#[async_trait::async_trait]
impl Reporter for Notes {
    fn waiting(&self, reason: &str) {
        self.waiting.lock().unwrap().push(reason.to_owned());
    }
    fn warning(&self, _message: &str) {}
    async fn started(&self, handle: &str) -> Result<()> {
        self.started.lock().unwrap().push(handle.to_owned());
        if self.deaf { Err(Error::new(Class::Conflict, "the lease is gone")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn long_operations_are_recorded_reported_and_resumed() {
    let rig = Rig::new(Options { latency_scale: 0.6, ..Options::default() });
    let urn = urn("Cluster", "main");
    let inputs = rig.inputs(&urn, cluster());
    let request = Request { urn: &urn, inputs: &inputs, connection: None };

    let notes = Arc::new(Notes { deaf: true, ..Notes::default() });
    let context = Context { reporter: notes.clone(), ..rig.context() };
    let error = rig.cloud.create(&context, request).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "what cannot be recorded is not waited for");
    let handle = notes.started.lock().unwrap().first().cloned().unwrap();

    let notes = Arc::new(Notes::default());
    let context = Context { reporter: notes.clone(), handle: Some(handle), ..rig.context() };
    let applied = rig.cloud.create(&context, request).await.unwrap();
    assert_eq!(applied.id, "local:clusters:local-1:cluster/main");
    let waiting = notes.waiting.lock().unwrap();
    assert!(waiting.iter().any(|reason| reason.contains("cluster `main` CREATING, ")), "{waiting:?}");
    assert!(notes.started.lock().unwrap().is_empty(), "nothing was begun a second time");
}

#[tokio::test]
async fn a_deadline_says_what_was_waited_for() {
    let rig = Rig::new(Options { latency_scale: 3.0, ..Options::default() });
    let urn = urn("Cluster", "main");
    let inputs = rig.inputs(&urn, cluster());
    let context = Context::new("test", Duration::from_millis(900));
    let request = Request { urn: &urn, inputs: &inputs, connection: None };
    let error = rig.cloud.create(&context, request).await.unwrap_err();
    assert_eq!(error.class, Class::Timeout);
    assert!(error.message.contains("cluster `main` CREATING"), "{error}");
}

#[tokio::test]
async fn others_are_left_alone_and_named() {
    let rig = Rig::quick();
    let made = rig.make("Bucket", "logs", Value::from([("name", "logs")])).await;
    let theirs = Urn::new("other", made.urn.kind(), "logs").unwrap();
    let context = Context::new("other", Duration::from_secs(5));
    let request = Request { urn: &theirs, inputs: &made.inputs, connection: None };
    let error = rig.cloud.create(&context, request).await.unwrap_err();
    assert_eq!(error.class, Class::AlreadyExists);
    assert!(error.message.contains("stack `test`"), "{error}");
    assert_eq!(rig.cloud.find(&context, request).await.unwrap(), None);
    let theirs = Recorded { urn: theirs.clone(), ..made.clone() };
    assert_eq!(rig.cloud.delete(&context, &theirs).await.unwrap_err().class, Class::Conflict);
    rig.delete(&made).await.unwrap();
}

#[tokio::test]
async fn clusters_follow_the_rules_of_clouds() {
    let rig = Rig::quick();
    let main = rig.make("Cluster", "main", with(&cluster(), &[("deletionProtection", true.into())])).await;
    let pool = rig.make("NodePool", "general", Value::from([("cluster", "main")])).await;
    for (version, says) in [("1.33", "cannot go back"), ("1.36", "more than one minor")] {
        let error = rig.try_update(&main, &[("version", version.into())]).await.unwrap_err();
        assert!(error.class == Class::Invalid && error.message.contains(says), "{error}");
    }
    let main = rig.try_update(&main, &[("version", "1.35".into())]).await.unwrap();
    assert_eq!(main.outputs.text_at("version"), Some("1.35"));
    let ahead = rig.try_update(&pool, &[("version", "1.36".into())]).await.unwrap_err();
    assert!(
        ahead.message.contains("upgrade the cluster") || ahead.help.unwrap().contains("upgrade the cluster")
    );

    assert!(rig.delete(&main).await.unwrap_err().message.contains("protected"));
    let main = rig.try_update(&main, &[("deletionProtection", false.into())]).await.unwrap();
    let error = rig.delete(&main).await.unwrap_err();
    assert!(error.class == Class::Conflict && error.message.contains("node pool `main/general`"), "{error}");
    rig.delete(&pool).await.unwrap();
    rig.delete(&main).await.unwrap();
}

#[tokio::test]
async fn what_is_named_must_be_there() {
    let rig = Rig::quick();
    let urn = urn("NodePool", "general");
    let inputs = rig.inputs(&urn, Value::from([("cluster", "mian")]));
    rig.make("Cluster", "main", cluster()).await;
    let request = Request { urn: &urn, inputs: &inputs, connection: None };
    let error = rig.cloud.create(&rig.context(), request).await.unwrap_err();
    assert_eq!((error.class, error.path), (Class::Invalid, Some("cluster".into())));
    assert_eq!(error.help.as_deref(), Some("did you mean `main`?"));
}

#[tokio::test]
async fn changes_of_one_cluster_wait_for_each_other() {
    let rig = Rig::new(Options { latency_scale: 0.1, ..Options::default() });
    let main = rig.make("Cluster", "main", cluster()).await;
    let pool = |name: &'static str| rig.make("NodePool", name, Value::from([("cluster", "main")]));
    let changes = [("endpointAccess", Value::from("private"))];
    let (upgraded, ..) = tokio::join!(rig.try_update(&main, &changes), pool("a"), pool("b"));
    upgraded.unwrap();
}

#[tokio::test]
async fn a_bucket_with_objects_stays_unless_told_otherwise() {
    let rig = Rig::quick();
    let bucket = rig.make("Bucket", "logs", Value::from([("name", "logs")])).await;
    let put = http::Request::put("/cloud/v1/objects/logs/a/b").body("content".into()).unwrap();
    assert!(rig.cloud.place().send(put).await.unwrap().status().is_success());
    let get = || http::Request::get("/cloud/v1/objects/logs/a/b").body(bytes::Bytes::new()).unwrap();
    assert_eq!(rig.cloud.place().send(get()).await.unwrap().body().as_ref(), b"content");
    let error = rig.delete(&bucket).await.unwrap_err();
    assert!(error.class == Class::Invalid && error.message.contains("not empty"), "{error}");
    let bucket = rig.try_update(&bucket, &[("forceDestroy", true.into())]).await.unwrap();
    rig.delete(&bucket).await.unwrap();
    assert!(!rig.cloud.place().bucket_dir("logs").exists());
}

#[tokio::test]
async fn drift_says_who_and_when() {
    let rig = Rig::quick();
    let bucket = rig.make("Bucket", "logs", Value::from([("name", "logs")])).await;
    let mut inputs = bucket.inputs.expose();
    inputs["versioning"] = false.into();
    let body = serde_json::to_vec(&serde_json::json!({ "inputs": inputs })).unwrap();
    let put =
        http::Request::put("/cloud/v1/buckets/logs").header("user-agent", "console/2").body(body.into());
    assert!(rig.cloud.place().send(put.unwrap()).await.unwrap().status().is_success());
    let read = ReadRequest { recorded: &bucket };
    let live = rig.cloud.read(&rig.context(), read).await.unwrap().unwrap();
    let [drift] = &rig.cloud.drift(&bucket, &live)[..] else { panic!("one path has drifted") };
    assert_eq!(drift.path, "versioning".into());
    assert_eq!(drift.by.as_deref(), Some("console"));
    assert!(drift.at.is_some());
}

#[tokio::test]
async fn an_import_needs_only_the_id() {
    let rig = Rig::quick();
    let bucket = rig.make("Bucket", "logs", Value::from([("name", "logs")])).await;
    let known = recorded(&bucket.urn, &Value::map(), bucket.id.clone(), Value::Null);
    let live = rig.cloud.read(&rig.context(), ReadRequest { recorded: &known }).await.unwrap().unwrap();
    assert_eq!(live.inputs, bucket.inputs);
}

#[tokio::test]
async fn secrets_do_not_come_back_in_the_clear() {
    let rig = Rig::quick();
    let tags = Value::from([("token", Value::secret("CANARY"))]);
    let bucket = rig.make("Bucket", "logs", Value::from([("tags", tags)])).await;
    let live = rig.cloud.read(&rig.context(), ReadRequest { recorded: &bucket }).await.unwrap().unwrap();
    assert!(!format!("{live:?} {bucket:?}").contains("CANARY"));
    assert_eq!(rig.cloud.drift(&bucket, &live), []);
}

/// Whoever retries what may be retried, and looks what came of the rest, gets everything done once.
#[tokio::test]
async fn faults_are_survived_by_the_classes_of_errors() {
    for seed in 0..4 {
        let faults = Some(Faults { seed, rate: 0.6 });
        let rig = Rig::new(Options { latency_scale: 0.0, faults, ..Options::default() });
        for at in 0..6 {
            let urn = urn("Bucket", &format!("b{at}"));
            let inputs = rig.inputs(&urn, Value::map());
            let request = Request { urn: &urn, inputs: &inputs, connection: None };
            let made = loop {
                match rig.cloud.create(&rig.context(), request).await {
                    Ok(applied) => break recorded(&urn, &inputs, applied.id, applied.outputs),
                    Err(error) if error.class == Class::UnknownOutcome => {
                        if let Some(live) = rig.cloud.find(&rig.context(), request).await.unwrap() {
                            break recorded(&urn, &inputs, live.id, live.outputs);
                        }
                    }
                    Err(error) => assert!(error.is_retryable(), "{error:?}"),
                }
            };
            let made = loop {
                match rig.try_update(&made, &[("versioning", false.into())]).await {
                    Ok(updated) => break updated,
                    Err(error) => assert!(error.is_retryable(), "{error:?}"),
                }
            };
            while let Err(error) = rig.delete(&made).await {
                assert!(error.is_retryable(), "{error:?}");
            }
        }
        assert!(rig.cloud.place().requests().await.unwrap().faults > 0);
        let reads = rig.cloud.client.list(crate::cloud::CloudKind::Bucket).await.unwrap();
        assert_eq!(reads, []);
    }
}

#[tokio::test]
async fn what_is_going_is_not_read_as_there() {
    let rig = Rig::new(Options { latency_scale: 0.5, ..Options::default() });
    let bucket = rig.make("Bucket", "logs", Value::from([("name", "logs")])).await;
    let remove = http::Request::delete("/cloud/v1/buckets/logs").body(bytes::Bytes::new()).unwrap();
    assert!(rig.cloud.place().send(remove).await.unwrap().status().is_success());
    let read = ReadRequest { recorded: &bucket };
    let many = rig.cloud.read_many(&rig.context(), &[read]).await;
    assert!(matches!(many.as_slice(), [Ok(None)]), "{many:?}");
    assert_eq!(rig.cloud.read(&rig.context(), read).await.unwrap(), None);
}

#[tokio::test]
async fn what_others_use_stays() {
    let rig = Rig::quick();
    let network = rig.make("Network", "main", Value::map()).await;
    let key = rig.make("Key", "main", Value::map()).await;
    let inputs = with(
        &cluster(),
        &[("network", network.id.as_str().into()), ("secretsEncryptionKey", key.id.as_str().into())],
    );
    let main = rig.make("Cluster", "main", inputs).await;
    for used in [&network, &key] {
        let error = rig.delete(used).await.unwrap_err();
        assert!(error.class == Class::Conflict && error.message.contains("cluster `main`"), "{error}");
    }
    rig.delete(&main).await.unwrap();
    rig.delete(&network).await.unwrap();
    rig.delete(&key).await.unwrap();
}

/// Reading many costs one request per kind, however many there are.
#[tokio::test]
async fn reads_are_one_request_per_kind() {
    let rig = Rig::quick();
    let mut all = Vec::new();
    for at in 0..12 {
        all.push(rig.make("Bucket", &format!("b{at}"), Value::map()).await);
        all.push(rig.make("Key", &format!("k{at}"), Value::map()).await);
    }
    let before = rig.cloud.place().requests().await.unwrap().reads;
    let requests: Vec<ReadRequest<'_>> = all.iter().map(|recorded| ReadRequest { recorded }).collect();
    let found = rig.cloud.read_many(&rig.context(), &requests).await;
    for (live, recorded) in found.into_iter().zip(&all) {
        assert_eq!(live.unwrap().unwrap().id, recorded.id);
    }
    assert_eq!(rig.cloud.place().requests().await.unwrap().reads - before, 2);
}
