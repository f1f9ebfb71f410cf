//! How the Kubernetes provider reaches clusters of EKS: by the ARN in a connection, with a token made in this process.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use plinth_aws::{Aws, cluster_of};
use plinth_kubernetes::{Connector, KubeconfigConnector, Tokens, client_at};
use plinth_provider::{Result, Value};
use tokio::sync::Mutex;

/// Connects to clusters of EKS; everything else is left to kubeconfigs.
pub struct EksConnector {
    aws: Aws,
    others: KubeconfigConnector,
    clients: Mutex<HashMap<String, kube::Client>>,
}

impl EksConnector {
    /// A connector to the clusters of an account, and to those of kubeconfigs.
    pub fn new(aws: Aws, others: KubeconfigConnector) -> Self {
        Self { aws, others, clients: Mutex::default() }
    }
}

/// The name of the cluster that a connection is to, when it is one of EKS.
fn cluster(connection: Option<&Value>) -> Option<&str> {
    cluster_of(connection?.get("cluster")?.as_str()?)
}

struct ClusterTokens {
    aws: Aws,
    cluster: String,
}

#[async_trait]
impl Tokens for ClusterTokens {
    async fn token(&self) -> Result<String> {
        self.aws.token(&self.cluster).await
    }
}

#[async_trait]
impl Connector for EksConnector {
    async fn client(&self, connection: Option<&Value>) -> Result<kube::Client> {
        let Some(cluster) = cluster(connection) else { return self.others.client(connection).await };
        // One look for all that ask at once.
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(cluster) {
            return Ok(client.clone());
        }
        let address = self.aws.address(cluster).await?;
        let tokens = ClusterTokens { aws: self.aws.clone(), cluster: cluster.to_owned() };
        let client = client_at(&address.server, &address.authority, Arc::new(tokens)).await?;
        clients.insert(cluster.to_owned(), client.clone());
        Ok(client)
    }

    async fn forget(&self, connection: Option<&Value>) {
        match cluster(connection) {
            Some(cluster) => {
                self.clients.lock().await.remove(cluster);
                self.aws.forget_token(cluster).await;
            }
            None => self.others.forget(connection).await,
        }
    }
}
