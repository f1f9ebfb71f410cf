//! How the Kubernetes provider reaches the embedded cluster: through the place that serves it, wherever that is now.

use async_trait::async_trait;
use plinth_kubernetes::Connector;
use plinth_local::Place;
use plinth_provider::{Result, Value};

/// Connects to a place's Kubernetes API. A call whose server has ended in between goes to the next one.
pub struct Embedded {
    client: kube::Client,
}

impl Embedded {
    /// A connector to a place.
    pub fn new(place: Place) -> Self {
        Self { client: kube::Client::new(place, "default") }
    }
}

#[async_trait]
impl Connector for Embedded {
    async fn client(&self, _connection: Option<&Value>) -> Result<kube::Client> {
        Ok(self.client.clone())
    }
}
