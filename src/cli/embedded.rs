//! How the Kubernetes provider reaches the embedded cluster: through the place that serves it, wherever that is now.

use async_trait::async_trait;
use kube::config::Config;
use plinth_kubernetes::Connector;
use plinth_local::{Endpoint, Place};
use plinth_provider::{Error, Result, Value};
use tokio::sync::Mutex;

/// Connects to a place's Kubernetes API.
pub struct Embedded {
    place: Place,
    client: Mutex<Option<(Endpoint, kube::Client)>>,
}

impl Embedded {
    /// A connector to a place.
    pub fn new(place: Place) -> Self {
        Self { place, client: Mutex::new(None) }
    }
}

#[async_trait]
impl Connector for Embedded {
    async fn client(&self, _connection: Option<&Value>) -> Result<kube::Client> {
        let mut cached = self.client.lock().await;
        // The place moves when the process that serves it ends.
        let endpoint = self.place.endpoint().await.map_err(|error| Error::unavailable(error.to_string()))?;
        if let Some((known, client)) = &*cached
            && *known == endpoint
        {
            return Ok(client.clone());
        }
        let client = connect(&endpoint)?;
        *cached = Some((endpoint, client.clone()));
        Ok(client)
    }
}

fn connect(endpoint: &Endpoint) -> Result<kube::Client> {
    let url = endpoint.url.parse().map_err(|error| Error::invalid(format!("{}: {error}", endpoint.url)))?;
    let mut config = Config::new(url);
    config.auth_info.token = Some(endpoint.token.clone().into());
    // The provider decides about repeating; the library's own retries would hide it.
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|error| Error::invalid(format!("cannot make a client: {error}")))
}
