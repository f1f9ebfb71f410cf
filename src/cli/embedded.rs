//! How the Kubernetes provider reaches the embedded cluster: through the place that serves it, wherever that is now.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use plinth_kubernetes::Connector;
use plinth_local::Place;
use plinth_provider::{Result, Value};

/// Connects to a place's Kubernetes API. A call whose server has ended in between goes to the next one.
pub struct Embedded {
    client: kube::Client,
    folder: PathBuf,
}

impl Embedded {
    /// A connector to a place and its folder.
    pub fn new(place: Place, folder: &Path) -> Self {
        Self { client: kube::Client::new(place, "default"), folder: folder.to_owned() }
    }
}

#[async_trait]
impl Connector for Embedded {
    async fn client(&self, _connection: Option<&Value>) -> Result<kube::Client> {
        Ok(self.client.clone())
    }

    fn is_there(&self, _connection: Option<&Value>) -> bool {
        self.folder.exists()
    }
}
