//! Cluster, nodes, zones, networks and buckets.

use std::collections::BTreeSet;

use super::machines::{LEAST, machine};
use super::{Ledger, Severity};
use crate::model::{BucketPurpose, Cloud, EndpointAccess, Platform};
use crate::sizing::Sizing;

/// Minor versions of Kubernetes in service.
const SERVED: std::ops::RangeInclusive<u32> = 33..=36;
/// What a node keeps for itself, in percent of its processor time and of its memory.
const KEPT_BY_NODES: (u64, u64) = (6, 15);

pub(super) fn check(ledger: &mut Ledger<'_>) {
    let cluster = &ledger.stack.cluster;
    if ledger.stack.cloud.creates_cluster() {
        let minor = cluster.version.minor();
        if minor < *SERVED.start() {
            ledger.must(
                "kubernetes-version",
                "cluster.version",
                format!("Kubernetes {} is out of service", cluster.version),
                format!("use 1.{} or later, one minor version at a time", SERVED.start()),
            );
        } else if minor > *SERVED.end() {
            ledger.warn(
                "kubernetes-version",
                "cluster.version",
                format!("Kubernetes {} is newer than this program knows", cluster.version),
                format!("use 1.{}, or try it in a stack for trials first", SERVED.end()),
            );
        }
        nodes(ledger);
        zones(ledger);
        if ledger.platform().is_some() {
            if !cluster.secrets_encryption {
                ledger.must(
                    "secrets-encryption",
                    "cluster.secretsEncryption",
                    "Kubernetes secrets are not encrypted with a key of the cloud",
                    "remove `secretsEncryption: false`",
                );
            }
            if !matches!(ledger.stack.cloud, Cloud::Local(_)) {
                endpoint(ledger);
                if !cluster.deletion_protection {
                    ledger.should(
                        "deletion-protection",
                        "cluster.deletionProtection",
                        "the cluster can be deleted by one command",
                        "set `deletionProtection: true`",
                    );
                }
            }
        }
    }
    if ledger.platform().is_some() {
        buckets(ledger);
        existing(ledger);
    }
}

fn nodes(ledger: &mut Ledger<'_>) {
    let stack = ledger.stack;
    let pools = &stack.cluster.node_pools;
    if pools.is_empty() {
        ledger.info(
            "nodes",
            "cluster.nodePools",
            "no node pools are described: one of three general-purpose nodes is made",
            "",
        );
        return;
    }
    let least: u32 = pools.iter().map(|pool| pool.min_size).fold(0, u32::saturating_add);
    if least < 3 {
        ledger.must_if_available(
            "nodes",
            "cluster.nodePools",
            format!("the node pools may shrink to {least} nodes, and high availability needs 3"),
            "raise `minSize` to 3",
        );
    }
    if pools.iter().all(|pool| pool.spot) {
        ledger.must_if_available(
            "spot-nodes",
            "cluster.nodePools",
            "every node may be taken back by the cloud at any time",
            "add a pool with `spot: false` for the stores",
        );
    }
    for (position, pool) in pools.iter().enumerate() {
        let path = format!("cluster.nodePools[{position}].instanceType");
        match (machine(&stack.cloud, pool), &pool.instance_type) {
            (Some(found), _) if found.millicores < LEAST.millicores || found.mebibytes < LEAST.mebibytes => {
                ledger.must(
                    "node-size",
                    &path,
                    format!(
                        "nodes of the pool `{}` have {} cores and {} GB, and production needs 4 cores and 16 GB",
                        pool.name,
                        found.millicores / 1000,
                        found.mebibytes / 1024
                    ),
                    "choose a larger machine type",
                );
            }
            (Some(_), _) => {}
            (None, Some(name)) => ledger.should(
                "node-size",
                &path,
                format!("what a machine of the type `{name}` holds is not known"),
                "state `cpu` and `memory` of one node beside it",
            ),
            (None, None) => {}
        }
    }
}

fn zones(ledger: &mut Ledger<'_>) {
    let stack = ledger.stack;
    let own: BTreeSet<&str> =
        stack.cluster.node_pools.iter().flat_map(|pool| &pool.zones).map(String::as_str).collect();
    let of_cloud: BTreeSet<&str> = stack.zones().iter().map(String::as_str).collect();
    if !of_cloud.is_empty() {
        for (position, pool) in stack.cluster.node_pools.iter().enumerate() {
            if let Some(zone) = pool.zones.iter().find(|zone| !of_cloud.contains(zone.as_str())) {
                ledger.must(
                    "zones",
                    &format!("cluster.nodePools[{position}].zones"),
                    format!("the zone `{zone}` of the pool `{}` is none of the stack's zones", pool.name),
                    "name it under `cloud.zones`, or choose another",
                );
            }
        }
    }
    // Pools that name no zones use those of the cloud, and a cloud that names none gets three.
    let all_name_zones = !stack.cluster.node_pools.is_empty()
        && stack.cluster.node_pools.iter().all(|pool| !pool.zones.is_empty());
    let (count, path) = if all_name_zones {
        (own.len(), "cluster.nodePools")
    } else if of_cloud.is_empty() {
        (3, "cloud")
    } else {
        (of_cloud.len(), "cloud.zones")
    };
    if count < 3 {
        ledger.must_if_available(
            "zones",
            path,
            format!("nodes are spread over {count} zones, and high availability needs 3"),
            "name three zones",
        );
    }
    if let Cloud::Aws(aws) = &stack.cloud {
        let subnets = aws.network.subnet_ids.len();
        if (1..3).contains(&subnets) {
            ledger.must_if_available(
                "zones",
                "cloud.network.subnetIds",
                format!("there are {subnets} subnets, and three zones need three"),
                "name a subnet in each of three zones",
            );
        }
        if subnets == 0 && !aws.network.nat_per_zone {
            ledger.must_if_available(
                "nat",
                "cloud.network.natPerZone",
                "all zones reach the outside through one of them",
                "remove `natPerZone: false`",
            );
        }
    }
}

fn endpoint(ledger: &mut Ledger<'_>) {
    let cluster = &ledger.stack.cluster;
    let everywhere = cluster.public_cidrs.is_empty()
        || cluster.public_cidrs.iter().any(|range| range.as_str().ends_with("/0"));
    if cluster.endpoint_access != EndpointAccess::Private && everywhere {
        ledger.should(
            "api-endpoint",
            "cluster.publicCidrs",
            "the API server can be reached from the whole internet",
            "list the ranges of your offices and pipelines under `publicCidrs`, or set `endpointAccess: private`",
        );
    }
}

fn buckets(ledger: &mut Ledger<'_>) {
    let stack = ledger.stack;
    let buckets = &stack.storage.buckets;
    for purpose in BucketPurpose::ALL {
        let name = stack.bucket_name(purpose);
        if !(3..=63).contains(&name.len()) {
            ledger.add(
                Severity::Error,
                "bucket-names",
                "storage.buckets.prefix",
                format!(
                    "the bucket `{name}` would have a name of {} characters, and 3 to 63 are allowed",
                    name.len()
                ),
                "choose a shorter `prefix`",
            );
        }
    }
    if !stack.cloud.creates_cluster() {
        return;
    }
    if !buckets.versioning {
        ledger.should(
            "bucket-versioning",
            "storage.buckets.versioning",
            "a mistaken delete in a bucket cannot be undone",
            "remove `versioning: false`",
        );
    }
    if buckets.force_destroy {
        ledger.must_if_available(
            "bucket-destroy",
            "storage.buckets.forceDestroy",
            "`destroy` would delete all logs, traces, metrics and backups",
            "remove `forceDestroy: true`",
        );
    }
    if buckets.replication.is_none() && !matches!(stack.cloud, Cloud::Local(_)) {
        ledger.should(
            "bucket-replication",
            "storage.buckets.replication",
            "logs, traces and metrics have no copy in a second region",
            "set `storage.buckets.replication.region`",
        );
    }
}

fn existing(ledger: &mut Ledger<'_>) {
    let Cloud::Existing(cluster) = &ledger.stack.cloud else { return };
    match &cluster.object_store {
        None => ledger.must_if_available(
            "object-store",
            "cloud.objectStore",
            "without an object store, logs, traces and metrics go to a single small one inside the cluster",
            "name an S3-compatible store under `cloud.objectStore`",
        ),
        Some(store) if store.endpoint.as_str().starts_with("http://") => ledger.must(
            "object-store",
            "cloud.objectStore.endpoint",
            "the object store is reached without TLS",
            "use its `https://` address",
        ),
        Some(_) => {}
    }
    if ledger.stack.storage_class().is_none() {
        ledger.should(
            "storage-class",
            "cloud.storageClass",
            "volumes use the cluster's default storage class, which may be slow",
            "name a class on fast SSDs",
        );
    }
    ledger.info(
        "nodes",
        "cloud",
        "the nodes of a cluster that exists cannot be judged from this file",
        "high availability needs 3 nodes in 3 zones, each with 4 cores and 16 GB",
    );
}

/// Whether the nodes hold what the platform asks for, and still do without one zone.
pub(super) fn capacity(ledger: &mut Ledger<'_>, platform: &Platform, sizing: &Sizing) {
    let stack = ledger.stack;
    let pools = &stack.cluster.node_pools;
    if pools.is_empty() || !stack.cloud.creates_cluster() {
        return;
    }
    let mut nodes = (0_u64, 0_u64);
    let mut most_nodes = 0_u64;
    let (mut now, mut most) = ((0_u64, 0_u64), (0_u64, 0_u64));
    for pool in pools {
        let Some(machine) = machine(&stack.cloud, pool) else { return };
        let usable = (
            machine.millicores * (100 - KEPT_BY_NODES.0) / 100,
            machine.mebibytes * (100 - KEPT_BY_NODES.1) / 100,
        );
        let (desired, largest) = (u64::from(pool.desired()), u64::from(pool.max_size));
        nodes.0 += desired;
        most_nodes += largest;
        now = (now.0 + usable.0 * desired, now.1 + usable.1 * desired);
        most = (most.0 + usable.0 * largest, most.1 + usable.1 * largest);
    }
    nodes.1 = most_nodes;
    let wanted = |nodes: u64| {
        sizing.workloads(platform).iter().fold((0_u64, 0_u64), |(cpu, memory), workload| {
            let pods = if workload.per_node { nodes } else { u64::from(workload.shape.replicas) };
            let each = &workload.shape.resources;
            (
                cpu + u64::try_from(each.cpu_request.thousandths()).unwrap_or(u64::MAX / 4096) * pods,
                memory + (each.memory_request.whole() >> 20) * pods,
            )
        })
    };
    let words =
        |(cpu, memory): (u64, u64)| format!("{:.1} cores and {} GiB", cpu as f64 / 1000.0, memory / 1024);
    let (at_start, at_most) = (wanted(nodes.0), wanted(nodes.1));
    let path = "cluster.nodePools";
    if at_most.0 > most.0 || at_most.1 > most.1 {
        ledger.must(
            "node-capacity",
            path,
            format!(
                "the platform asks for {}, and the node pools hold at most {}",
                words(at_most),
                words(most)
            ),
            "raise `maxSize` or choose larger machines",
        );
    } else if at_start.0 > now.0 || at_start.1 > now.1 {
        ledger.warn(
            "node-capacity",
            path,
            format!(
                "the platform asks for {}, and the node pools start with {}",
                words(at_start),
                words(now)
            ),
            "raise `minSize`, or rely on a cluster autoscaler to reach `maxSize`",
        );
    } else {
        ledger.info(
            "node-capacity",
            path,
            format!(
                "the platform asks for {}, and the node pools start with {}",
                words(at_start),
                words(now)
            ),
            "",
        );
        let without_a_zone = (most.0 * 2 / 3, most.1 * 2 / 3);
        if platform.high_availability && (at_start.0 > without_a_zone.0 || at_start.1 > without_a_zone.1) {
            ledger.warn(
                "zone-loss",
                path,
                format!("without one of three zones, the node pools hold {}", words(without_a_zone)),
                "raise `maxSize` so that two zones can carry everything",
            );
        }
    }
}
