//! What is left in an account when a cluster is gone: load balancers and volumes that Kubernetes made there and that nobody
//! removed through Kubernetes, and the logs that EKS kept. They are told, not touched: they may still be wanted.

use std::collections::BTreeSet;

use aws_sdk_resourcegroupstagging::types::TagFilter;
use plinth_provider::Result;

use crate::Clients;
use crate::error::refused;
use crate::kinds::log_group;

/// The ARNs of everything that carries the tags of a cluster, and of its logs.
///
/// # Errors
/// When the account does not tell.
pub async fn leftovers(clients: &Clients, cluster: &str) -> Result<Vec<String>> {
    let tagging = aws_sdk_resourcegroupstagging::Client::new(&clients.config);
    // Kubernetes' own controllers, those of load balancers, EKS, and ours.
    let tags = [
        (format!("kubernetes.io/cluster/{cluster}"), None),
        ("elbv2.k8s.aws/cluster".to_owned(), Some(cluster)),
        ("KubernetesCluster".to_owned(), Some(cluster)),
        ("eks:cluster-name".to_owned(), Some(cluster)),
        (CLUSTER.to_owned(), Some(cluster)),
    ];
    let mut found = BTreeSet::new();
    for (key, value) in tags {
        let filter =
            TagFilter::builder().key(key).set_values(value.map(|value| vec![value.to_owned()])).build();
        let mut pages = tagging.get_resources().tag_filters(filter).into_paginator().items().send();
        while let Some(resource) = pages.next().await {
            let resource = resource.map_err(|error| refused("tag:GetResources", cluster, error))?;
            found.extend(resource.resource_arn().filter(|arn| !lingers(arn)).map(str::to_owned));
        }
    }
    found.extend(log_group::of_cluster(&clients.config, cluster).await?);
    Ok(found.into_iter().collect())
}

/// The tag that the stack itself puts on what belongs to a cluster.
const CLUSTER: &str = "plinth.dev/cluster";

/// What the tags of still show for a while after it is gone, or waits for its deletion for days.
fn lingers(arn: &str) -> bool {
    let mut parts = arn.split(':').skip(2);
    let service = parts.next().unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    service == "kms" || service == "eks" || service == "ec2" && resource.starts_with("natgateway/")
}
