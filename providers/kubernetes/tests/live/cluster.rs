//! A server, a provider that talks to it, and the steps that an engine takes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::Request;
use plinth_kubernetes::{KubeconfigConnector, Kubernetes};
use plinth_local::kube::{ApiServer, Faults, Options, Serving};
use plinth_provider::{
    Applied, Context, Error, Live, Provider, ReadRequest, Recorded, Reporter, Request as Wanted, Result, Urn,
    Value,
};
use serde_json::{Value as Json, json};

/// What the provider told while it worked.
#[derive(Debug, Default)]
pub struct Told {
    pub waiting: Mutex<Vec<String>>,
    pub warnings: Mutex<Vec<String>>,
}

#[async_trait]
impl Reporter for Told {
    fn waiting(&self, reason: &str) {
        self.waiting.lock().unwrap().push(reason.to_owned());
    }
    fn warning(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }
    async fn started(&self, _handle: &str) -> Result<()> {
        Ok(())
    }
}

/// The environment variable that names the kubeconfig of a cluster to judge by; it must not be one that matters.
const REAL: &str = "PLINTH_TEST_KUBECONFIG";

/// A server and a provider; the stack is `s`.
pub struct Cluster {
    pub provider: Kubernetes,
    pub client: kube::Client,
    pub told: Arc<Told>,
    /// What tells this run's objects from others; a namespace of this name is there.
    run: String,
    /// Whether nodes run pods, and load balancers get addresses.
    runs_pods: bool,
    embedded: Option<(Serving, tempfile::TempDir)>,
}

impl Cluster {
    pub async fn start() -> Self {
        Self::with(Options { time_scale: 0.2, ..Options::default() }).await
    }

    /// One whose controllers take their time.
    pub async fn slow() -> Self {
        Self::with(Options { time_scale: 40.0, ..Options::default() }).await
    }

    pub async fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self::with(Options { time_scale: 0.2, faults: Some(faults), ..Options::default() }).await
    }

    async fn with(options: Options) -> Self {
        let faulty = options.faults.is_some();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = ApiServer::in_memory(options).serve(listener).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kubeconfig");
        std::fs::write(&file, serving.kubeconfig()).unwrap();
        let connector = KubeconfigConnector::new(vec![file], None);
        let client = plinth_kubernetes::Connector::client(&connector, None).await.unwrap();
        let provider = Kubernetes::new(Arc::new(connector));
        let cluster = Self {
            provider,
            client,
            told: Arc::default(),
            run: "run".to_owned(),
            runs_pods: true,
            embedded: Some((serving, dir)),
        };
        // The server's own class waits for the first consumer; claims without a pod need one that does not.
        let class = json!({"metadata": {"name": "immediate"}, "provisioner": "example.com/disks", "allowVolumeExpansion": true});
        if !faulty {
            cluster.raw("POST", "/apis/storage.k8s.io/v1/storageclasses", "application/json", &class).await;
            cluster.make_namespace().await;
        }
        cluster
    }

    /// The cluster that the environment names, in a namespace of its own; `None`, and a word about it, without one.
    pub async fn real() -> Option<Self> {
        let Some(file) = std::env::var_os(REAL).filter(|file| !file.is_empty()) else {
            println!("skipped: {REAL} names no kubeconfig of a cluster to try this on");
            return None;
        };
        let connector = KubeconfigConnector::new(vec![file.into()], None);
        let client = plinth_kubernetes::Connector::client(&connector, None).await.unwrap();
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let mut cluster = Self {
            provider: Kubernetes::new(Arc::new(connector)),
            client,
            told: Arc::default(),
            run: format!("plinth-{:x}", since & 0xff_ffff_ffff),
            runs_pods: false,
            embedded: None,
        };
        let nodes = cluster.get("/api/v1/nodes").await;
        cluster.runs_pods = nodes["items"].as_array().is_some_and(|nodes| {
            nodes.iter().any(|node| {
                let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
            })
        });
        cluster.make_namespace().await;
        Some(cluster)
    }

    async fn make_namespace(&self) {
        let namespace = json!({"metadata": {"name": self.run}});
        self.raw("POST", "/api/v1/namespaces", "application/json", &namespace).await;
        // Pods are admitted once the namespace has its account.
        let accounts = format!("/api/v1/namespaces/{}/serviceaccounts", self.run);
        for _ in 0..100 {
            if self.get(&accounts).await["items"].as_array().is_some_and(|found| !found.is_empty()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What tells this run's objects from others.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Whether this is a cluster of its own, not the embedded server.
    pub fn is_real(&self) -> bool {
        self.embedded.is_none()
    }

    /// `RUN` is what tells this run's objects from others.
    pub fn named(&self, inputs: Json) -> Json {
        serde_json::from_str(&inputs.to_string().replace("RUN", &self.run)).unwrap()
    }

    /// Inputs of this run: in its namespace, and not waited for where nothing would ever make them ready.
    pub fn own(&self, urn: &Urn, inputs: Json) -> Value {
        let mut inputs = self.named(inputs);
        let checked = self.check(urn, &inputs);
        if checked.text_at("metadata.namespace").is_some() {
            inputs["metadata"]["namespace"] = self.run.as_str().into();
        }
        let needs_pods = ["/Deployment", "/StatefulSet", "/DaemonSet", "/ReplicaSet", "/Job", "/Pod"];
        let never = !self.runs_pods && needs_pods.iter().any(|kind| urn.kind().ends_with(kind))
            || self.is_real() && !self.runs_pods && inputs["spec"]["type"] == "LoadBalancer";
        if never {
            inputs["metadata"]["annotations"]["plinth.dev/wait"] = "false".into();
        }
        Value::from_json(inputs)
    }

    pub fn urn(kind: &str, name: &str) -> Urn {
        Urn::new("s", &format!("k8s:{kind}"), name).unwrap()
    }

    pub fn context(&self, stack: &str) -> Context {
        Context { reporter: self.told.clone(), ..Context::new(stack, Duration::from_secs(20)) }
    }

    pub fn check(&self, urn: &Urn, inputs: &Json) -> Value {
        self.provider
            .check(urn, Value::from_json(inputs.clone()))
            .unwrap_or_else(|error| panic!("{urn}: {error}"))
    }

    pub async fn try_create(&self, urn: &Urn, inputs: &Json) -> Result<Recorded, Error> {
        self.try_create_checked(urn, self.check(urn, inputs)).await
    }

    pub async fn try_create_checked(&self, urn: &Urn, inputs: Value) -> Result<Recorded, Error> {
        let request = Wanted { urn, inputs: &inputs, connection: None };
        let applied = self.provider.create(&self.context(urn.stack()), request).await?;
        Ok(recorded(urn, &inputs, applied))
    }

    pub async fn create(&self, kind: &str, name: &str, inputs: &Json) -> Recorded {
        let urn = Self::urn(kind, name);
        self.try_create(&urn, inputs).await.unwrap_or_else(|error| panic!("{urn}: {error} {:?}", error.help))
    }

    pub async fn try_update(&self, before: &Recorded, inputs: &Json) -> Result<Recorded, Error> {
        self.try_update_checked(before, self.check(&before.urn, inputs)).await
    }

    pub async fn try_update_checked(&self, before: &Recorded, inputs: Value) -> Result<Recorded, Error> {
        let request = Wanted { urn: &before.urn, inputs: &inputs, connection: None };
        let applied = self.provider.update(&self.context(before.urn.stack()), request, before).await?;
        Ok(recorded(&before.urn, &inputs, applied))
    }

    pub async fn update(&self, before: &Recorded, inputs: &Json) -> Recorded {
        self.try_update(before, inputs)
            .await
            .unwrap_or_else(|error| panic!("{}: {error} {:?}", before.urn, error.help))
    }

    pub async fn read(&self, recorded: &Recorded) -> Option<Live> {
        self.provider.read(&self.context("s"), ReadRequest { recorded }).await.unwrap()
    }

    pub async fn delete(&self, recorded: &Recorded) -> Result<()> {
        self.provider.delete(&self.context("s"), recorded).await
    }

    /// A request past the provider; what other people's tools do.
    pub async fn raw(&self, method: &str, path: &str, kind: &str, body: &Json) -> Json {
        self.try_raw(method, path, kind, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where it may be refused.
    pub async fn try_raw(&self, method: &str, path: &str, kind: &str, body: &Json) -> kube::Result<Json> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(if body.is_null() { Vec::new() } else { body.to_string().into_bytes() })
            .unwrap();
        let text = self.client.request_text(request).await?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    /// The path of a recorded object.
    pub async fn path_of(&self, recorded: &Recorded) -> String {
        let kind = recorded.urn.kind().trim_start_matches("k8s:");
        let (version, kind) = kind.rsplit_once('/').unwrap();
        let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let found = self.get(&root).await;
        let plural = found["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["kind"] == kind && !one["name"].as_str().unwrap_or("/").contains('/'));
        let plural =
            plural.and_then(|one| one["name"].as_str()).unwrap_or_else(|| panic!("{kind}")).to_owned();
        match recorded.id.split_once('/') {
            Some((namespace, name)) => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
            None => format!("{root}/{plural}/{}", recorded.id),
        }
    }

    /// The code that a GET is answered with.
    pub async fn status_of(&self, path: &str) -> u16 {
        let request = Request::builder().uri(path).body(kube::client::Body::empty()).unwrap();
        self.client.send(request).await.unwrap().status().as_u16()
    }

    pub async fn get(&self, path: &str) -> Json {
        self.raw("GET", path, "application/json", &Json::Null).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.is_real() {
            return;
        }
        // Also after a failure nothing of the run stays behind; not waited for.
        let path = format!("/api/v1/namespaces/{}", self.run);
        let file = std::env::var_os(REAL).unwrap_or_default();
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let connector = KubeconfigConnector::new(vec![file.into()], None);
                let client = plinth_kubernetes::Connector::client(&connector, None).await.unwrap();
                let request = Request::builder().method("DELETE").uri(path).body(Vec::new()).unwrap();
                let _ = client.request_text(request).await;
            });
        });
        let _ = cleaning.join();
    }
}

pub fn recorded(urn: &Urn, inputs: &Value, applied: Applied) -> Recorded {
    Recorded {
        urn: urn.clone(),
        id: applied.id,
        inputs: inputs.clone(),
        outputs: applied.outputs,
        connection: None,
        dependencies: Vec::new(),
        options: plinth_provider::Options::default(),
        unsettled: false,
    }
}
