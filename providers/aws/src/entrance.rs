//! The way into an EKS cluster's API server: where it is, whom to trust there, and the token to show.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use plinth_provider::{Class, Error, Result};
use tokio::sync::Mutex;

use crate::error::{is_missing, refused};
use crate::{Aws, Token, token};

/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// Where a cluster's API server is, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The cluster's name.
    pub cluster: String,
    /// The API server's URL.
    pub server: String,
    /// The certificate authority of the API server, as PEM in base64.
    pub authority: String,
}

/// Tokens that are still good, by cluster.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, Token>>);

/// The name of the cluster that an ARN is of; `None` when it is of something else.
pub fn cluster_of(arn: &str) -> Option<&str> {
    let resource = arn.strip_prefix("arn:")?.split(':').nth(4)?;
    resource.strip_prefix("cluster/").filter(|_| arn.contains(":eks:"))
}

impl Aws {
    /// Looks up where the API server of a cluster is.
    ///
    /// # Errors
    /// When there is no such cluster, or it has no API server yet.
    pub async fn address(&self, cluster: &str) -> Result<Address> {
        let clients = self.clients().await?;
        let found = match clients.eks.describe_cluster().name(cluster).send().await {
            Ok(answer) => answer.cluster,
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(refused("eks:DescribeCluster", cluster, error)),
        };
        let Some(found) = found else {
            return Err(Error::new(Class::NotFound, format!("there is no EKS cluster {cluster}"))
                .help("apply the stack: it makes the cluster"));
        };
        let authority = found.certificate_authority().and_then(|held| held.data());
        let (Some(server), Some(authority)) = (found.endpoint(), authority) else {
            let status = found.status().map_or("unknown", |status| status.as_str());
            return Err(Error::unavailable(format!(
                "the EKS cluster {cluster} has no API server yet: it is {status}"
            )));
        };
        Ok(Address {
            cluster: cluster.to_owned(),
            server: server.to_owned(),
            authority: authority.to_owned(),
        })
    }

    /// A token for a cluster's API server: the one at hand, or a new one before that ends.
    ///
    /// # Errors
    /// When there are no credentials to make one with.
    pub async fn token(&self, cluster: &str) -> Result<String> {
        let now = SystemTime::now();
        let mut tokens = self.tokens().0.lock().await;
        if let Some(held) = tokens.get(cluster).filter(|held| held.until > now + MARGIN) {
            return Ok(held.secret.clone());
        }
        let made = token(&self.clients().await?.config, cluster, now).await?;
        let secret = made.secret.clone();
        tokens.insert(cluster.to_owned(), made);
        Ok(secret)
    }

    /// Forgets the token of a cluster, since it was not accepted.
    pub async fn forget_token(&self, cluster: &str) {
        self.tokens().0.lock().await.remove(cluster);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_names_its_cluster() {
        assert_eq!(cluster_of("arn:aws:eks:eu-central-1:123456789012:cluster/dev-main"), Some("dev-main"));
        assert_eq!(cluster_of("arn:aws-cn:eks:cn-north-1:123456789012:cluster/a_b"), Some("a_b"));
        assert_eq!(cluster_of("arn:aws:eks:eu-central-1:123456789012:nodegroup/dev-main/a/b"), None);
        assert_eq!(cluster_of("local:cluster/dev"), None);
    }
}
