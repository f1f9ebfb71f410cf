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

/// A server and a provider; the stack is `s`.
pub struct Cluster {
    pub provider: Kubernetes,
    pub client: kube::Client,
    pub told: Arc<Told>,
    _serving: Serving,
    _dir: tempfile::TempDir,
}

impl Cluster {
    pub async fn start() -> Self {
        Self::with(Options { time_scale: 0.2, ..Options::default() }).await
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
        let cluster = Self { provider, client, told: Arc::default(), _serving: serving, _dir: dir };
        // The server's own class waits for the first consumer; claims without a pod need one that does not.
        let class = json!({"metadata": {"name": "immediate"}, "provisioner": "example.com/disks", "allowVolumeExpansion": true});
        if !faulty {
            cluster.raw("POST", "/apis/storage.k8s.io/v1/storageclasses", "application/json", &class).await;
        }
        cluster
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
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(if body.is_null() { Vec::new() } else { body.to_string().into_bytes() })
            .unwrap();
        let text = self
            .client
            .request_text(request)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        serde_json::from_str(&text).unwrap()
    }

    pub async fn get(&self, path: &str) -> Json {
        self.raw("GET", path, "application/json", &Json::Null).await
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
