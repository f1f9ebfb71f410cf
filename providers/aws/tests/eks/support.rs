//! A provider that speaks to a server on this machine, and what is made with it again and again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use plinth_aws::{Aws, Settings};
use plinth_provider::{
    Applied, Context, Error, Options, Provider, Recorded, Reporter, Request, Result, Urn, Value,
};

pub const ROLE: &str = "arn:aws:iam::123456789012:role/dev-eks";
pub const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/dev-eks-2";

pub async fn provider(url: &str) -> Aws {
    let retry = RetryConfig::standard().with_max_attempts(13).with_initial_backoff(Duration::from_millis(5));
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(retry)
        .load()
        .await;
    let settings = Settings {
        poll: (Duration::from_millis(10), Duration::from_millis(40)),
        pod_identity_delay: Duration::from_millis(1),
        ..Settings::new("eu-central-1")
    };
    Aws::with_config(settings, config)
}

pub fn urn(kind: &str, name: &str) -> Urn {
    Urn::new("dev", &format!("aws:eks/{kind}"), name).unwrap()
}

/// Inputs from JSON.
pub fn inputs(json: serde_json::Value) -> Value {
    Value::from_json(json)
}

pub fn cluster(version: &str) -> Value {
    inputs(serde_json::json!({
        "version": version,
        "roleArn": ROLE,
        "subnetIds": ["subnet-a", "subnet-b"],
        "logging": ["audit", "api"],
        "tags": { "team": "observability" },
    }))
}

pub fn node_group() -> Value {
    inputs(serde_json::json!({
        "cluster": "dev-main",
        "roleArn": ROLE,
        "subnetIds": ["subnet-a", "subnet-b"],
        "instanceTypes": ["m7i.large"],
        "minSize": 1,
        "maxSize": 4,
        "desiredSize": 2,
        "labels": { "pool": "general" },
        "taints": [{ "key": "dedicated", "value": "metrics", "effect": "NoSchedule" }],
    }))
}

/// What a call tells while it works.
#[derive(Debug, Default)]
pub struct Told {
    pub waiting: Mutex<Vec<String>>,
    pub warnings: Mutex<Vec<String>>,
    pub handles: Mutex<Vec<String>>,
}

impl Told {
    pub fn waited_for(&self, words: &str) -> bool {
        self.waiting.lock().unwrap().iter().any(|reason| reason.contains(words))
    }

    pub fn warned_of(&self, words: &str) -> bool {
        self.warnings.lock().unwrap().iter().any(|reason| reason.contains(words))
    }
}

#[async_trait::async_trait]
impl Reporter for Told {
    fn waiting(&self, reason: &str) {
        self.waiting.lock().unwrap().push(reason.to_owned());
    }

    fn warning(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }

    async fn started(&self, handle: &str) -> Result<()> {
        self.handles.lock().unwrap().push(handle.to_owned());
        Ok(())
    }
}

/// A provider at work on one stack.
pub struct World {
    pub aws: Aws,
    pub told: Arc<Told>,
}

impl World {
    pub async fn new(url: &str) -> Self {
        Self { aws: provider(url).await, told: Arc::default() }
    }

    pub fn context(&self) -> Context {
        Context { reporter: self.told.clone(), ..Context::new("dev", Duration::from_secs(30)) }
    }

    pub fn check(&self, urn: &Urn, inputs: &Value) -> Value {
        self.aws.check(urn, inputs.clone()).expect("the inputs are valid")
    }

    pub async fn create(&self, urn: &Urn, inputs: &Value) -> Result<Recorded> {
        let inputs = self.check(urn, inputs);
        let request = Request { urn, inputs: &inputs, connection: None };
        let applied = self.aws.create(&self.context(), request).await?;
        Ok(recorded(urn, inputs, applied))
    }

    pub async fn update(&self, before: &Recorded, inputs: &Value) -> Result<Recorded> {
        self.update_with(&self.context(), before, inputs).await
    }

    pub async fn update_with(
        &self,
        context: &Context,
        before: &Recorded,
        inputs: &Value,
    ) -> Result<Recorded> {
        let inputs = self.check(&before.urn, inputs);
        let request = Request { urn: &before.urn, inputs: &inputs, connection: None };
        let applied = self.aws.update(context, request, before).await?;
        Ok(recorded(&before.urn, inputs, applied))
    }

    pub async fn cluster(&self, version: &str) -> Recorded {
        self.create(&urn("Cluster", "main"), &cluster(version)).await.expect("a cluster is made")
    }

    pub async fn node_group(&self) -> Recorded {
        self.create(&urn("NodeGroup", "general"), &node_group()).await.expect("a node group is made")
    }

    pub async fn add_on(&self, inputs: serde_json::Value) -> Recorded {
        let urn = urn("AddOn", inputs["name"].as_str().unwrap());
        self.create(&urn, &self::inputs(inputs)).await.expect("an add-on is made")
    }
}

pub fn recorded(urn: &Urn, inputs: Value, applied: Applied) -> Recorded {
    Recorded {
        urn: urn.clone(),
        id: applied.id,
        inputs,
        outputs: applied.outputs,
        connection: None,
        dependencies: Vec::new(),
        options: Options::default(),
        unsettled: false,
    }
}

/// Message and help in one.
pub fn says(error: &Error) -> String {
    format!("{} | {}", error.message, error.help.as_deref().unwrap_or_default())
}

/// The same inputs with one changed.
pub fn with(inputs: &Value, key: &str, value: serde_json::Value) -> Value {
    let mut inputs = inputs.clone();
    inputs.set(&key.into(), Value::from_json(value));
    inputs
}
