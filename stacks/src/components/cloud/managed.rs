//! Clouds in which the stack makes everything itself. All of them are carried by the embedded cloud's kinds here, with
//! the regions, zones, machines and versions that the stack names, so that what cannot be changed in the real cloud
//! cannot be changed in the rehearsal either.

use plinth_provider::{Urn, Value};
use serde_json::json;

use super::inputs::{self, Access, AddOn, Encryption, Identity, Key, Network, Replication};
use crate::kit::{self, Build, Phase, parts, text_map};
use crate::model::{
    Acme, AcmeSolver, BucketPurpose, Cloud, DnsSolver, EndpointAccess, NodePool, TaintEffect,
};

struct Place {
    region: String,
    zones: Vec<String>,
    /// `None` where the stack names a network that exists.
    network: Option<String>,
    machine: &'static str,
    add_ons: &'static [&'static str],
}

pub(super) fn declare(build: &mut Build<'_>) {
    let place = place(build);
    build.phase(Phase::Cloud);
    let name = build.stack.cluster_name();
    let network = place.network.clone().map(|cidr| {
        let inputs =
            Network { name: name.clone(), cidr, region: place.region.clone(), zones: place.zones.clone() };
        build.resource(inputs::NETWORK, &name, &inputs)
    });
    let key = key(build, &name, &place);

    build.phase(Phase::Cluster);
    let cluster = cluster(build, &name, &place, network.as_ref(), key);
    build.foundation.connection =
        Some(Value::from([("cluster", build.output_value(&cluster, "connection"))]));
    build.foundation.nodes = node_pools(build, &place, &cluster);
    for name in place.add_ons {
        let add_on = AddOn { cluster: build.output(&cluster, "name"), name };
        build.resource(inputs::ADD_ON, name, &add_on);
    }

    build.phase(Phase::Storage);
    for purpose in BucketPurpose::ALL {
        bucket(build, &place, purpose);
    }
    build.phase(Phase::Identity);
    identities(build, &cluster);
}

fn place(build: &Build<'_>) -> Place {
    let lettered = |region: &str, separator: &str| -> Vec<String> {
        ["a", "b", "c"].iter().map(|letter| format!("{region}{separator}{letter}")).collect()
    };
    let own_or = |own: &[String], other: Vec<String>| if own.is_empty() { other } else { own.to_vec() };
    match &build.stack.cloud {
        Cloud::Local(cloud) => Place {
            region: cloud.region.clone(),
            zones: own_or(&cloud.zones, lettered(&cloud.region, "")),
            network: Some("10.0.0.0/16".to_owned()),
            machine: "standard-4",
            add_ons: &["csi-driver"],
        },
        Cloud::Existing(_) => Place {
            region: "local-1".to_owned(),
            zones: lettered("local-1", ""),
            network: Some("10.0.0.0/16".to_owned()),
            machine: "standard-4",
            add_ons: &["csi-driver"],
        },
        Cloud::Aws(cloud) => Place {
            region: cloud.region.clone(),
            zones: own_or(&cloud.zones, lettered(&cloud.region, "")),
            network: cloud.network.subnet_ids.is_empty().then(|| cloud.network.vpc_cidr.to_string()),
            machine: "m7i.xlarge",
            add_ons: &["aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"],
        },
        Cloud::Gcp(cloud) => {
            Place {
                region: cloud.region.clone(),
                zones: own_or(&cloud.zones, lettered(&cloud.region, "-")),
                network: cloud.network.network.is_none().then(|| {
                    cloud.network.cidr.as_ref().map_or("10.0.0.0/16".to_owned(), ToString::to_string)
                }),
                machine: "n2-standard-4",
                add_ons: &[],
            }
        }
        Cloud::Azure(cloud) => {
            Place {
                region: cloud.location.clone(),
                zones: own_or(&cloud.zones, ["1", "2", "3"].map(str::to_owned).to_vec()),
                network: cloud.network.subnet_id.is_none().then(|| {
                    cloud.network.cidr.as_ref().map_or("10.0.0.0/16".to_owned(), ToString::to_string)
                }),
                machine: "Standard_D4s_v5",
                add_ons: &[],
            }
        }
    }
}

/// The id of the key that encrypts Kubernetes secrets.
fn key(build: &mut Build<'_>, name: &str, place: &Place) -> Option<String> {
    let settings = &build.stack.cluster;
    if !settings.secrets_encryption {
        return None;
    }
    if let Some(existing) = &settings.secrets_encryption_key {
        return Some(existing.clone());
    }
    let inputs = Key {
        name: name.to_owned(),
        region: place.region.clone(),
        description: format!("Encrypts the Kubernetes secrets of {name}"),
        rotation_days: 365,
    };
    let key = build.resource(inputs::KEY, name, &inputs);
    Some(build.output(&key, "id"))
}

fn cluster(
    build: &mut Build<'_>,
    name: &str,
    place: &Place,
    network: Option<&Urn>,
    key: Option<String>,
) -> Urn {
    let settings = &build.stack.cluster;
    let private = settings.endpoint_access == EndpointAccess::Private;
    let ranges = if private { &[] } else { settings.public_cidrs.as_slice() };
    let inputs = inputs::Cluster {
        name: name.to_owned(),
        version: settings.version.to_string(),
        region: place.region.clone(),
        network: network.map(|network| build.output(network, "id")),
        secrets_encryption_key: key,
        endpoint_access: match settings.endpoint_access {
            EndpointAccess::Public => "public",
            EndpointAccess::Private => "private",
            EndpointAccess::PublicAndPrivate => "publicAndPrivate",
        },
        public_cidrs: ranges.iter().map(ToString::to_string).collect(),
        control_plane_logs: settings.control_plane_logs.clone(),
        deletion_protection: settings.deletion_protection,
    };
    let protect = settings.deletion_protection;
    let urn = build.resource(inputs::CLUSTER, name, &inputs);
    if let Some(resource) = build.resource_mut(&urn) {
        resource.options.protect = protect;
    }
    urn
}

fn node_pools(build: &mut Build<'_>, place: &Place, cluster: &Urn) -> Vec<Urn> {
    // Without any, one pool of three nodes over all zones, with the defaults that a stack file's pool has.
    let standard: Option<NodePool> = serde_json::from_value(json!({ "name": "general" })).ok();
    let pools = match build.stack.cluster.node_pools.as_slice() {
        [] => standard.as_slice(),
        pools => pools,
    };
    let mut urns = Vec::new();
    for pool in pools {
        let inputs = inputs::NodePool {
            cluster: build.output(cluster, "name"),
            name: pool.name.to_string(),
            region: place.region.clone(),
            instance_type: pool.instance_type.clone().unwrap_or_else(|| place.machine.to_owned()),
            cpu: pool.cpu.as_ref().map(|cores| cores.whole()),
            memory_gb: pool.memory.as_ref().map(|memory| memory.whole().div_ceil(1 << 30)),
            min_size: pool.min_size,
            max_size: pool.max_size.max(pool.min_size),
            desired_size: pool.desired(),
            zones: if pool.zones.is_empty() { place.zones.clone() } else { pool.zones.clone() },
            disk_gb: pool.disk_gb,
            labels: pool.labels.clone(),
            taints: pool
                .taints
                .iter()
                .map(|taint| inputs::Taint {
                    key: taint.key.clone(),
                    value: taint.value.clone(),
                    effect: match taint.effect {
                        TaintEffect::NoSchedule => "NoSchedule",
                        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                        TaintEffect::NoExecute => "NoExecute",
                    },
                })
                .collect(),
            version: build.stack.cluster.version.to_string(),
            spot: pool.spot,
        };
        let urn = build.resource(inputs::NODE_POOL, pool.name.as_str(), &inputs);
        if let Some(resource) = build.resource_mut(&urn) {
            // An autoscaler may have changed it since.
            resource.options.ignore_changes = vec!["desiredSize".into()];
        }
        // Pods tolerate no taints, so pools that have some carry none of them.
        if pool.taints.is_empty() {
            urns.push(urn);
        }
    }
    urns
}

fn bucket(build: &mut Build<'_>, place: &Place, purpose: BucketPurpose) {
    let settings = &build.stack.storage.buckets;
    let inputs = inputs::Bucket {
        name: build.stack.bucket_name(purpose),
        location: settings.location.clone().unwrap_or_else(|| place.region.clone()),
        versioning: settings.versioning,
        encryption: Encryption { key: settings.encryption_key.clone() },
        public_access_block: true,
        tls_only: true,
        lifecycle: super::lifecycle(build, purpose),
        replication: settings
            .replication
            .as_ref()
            .map(|replication| Replication { region: replication.region.clone() }),
        force_destroy: settings.force_destroy,
    };
    let urn = build.resource(inputs::BUCKET, purpose.name(), &inputs);
    let bucket = kit::Bucket { name: inputs.name, kind: super::store(build), needs: vec![urn] };
    build.foundation.buckets.insert(purpose, bucket);
}

fn identities(build: &mut Build<'_>, cluster: &Urn) {
    for (part, purpose, writes) in super::ACCESS {
        if super::runs(build, *part) {
            let bucket = build.bucket(*purpose);
            let bucket = bucket.needs.first().map_or(bucket.name, |urn| build.output(urn, "name"));
            let access = Access { bucket, role: if *writes { "writer" } else { "reader" } };
            identity(build, cluster, *part, vec![access]);
        }
    }
    if let Some(Acme { solver: AcmeSolver::Dns(solver), .. }) = &build.platform.cert_manager.acme
        && !matches!(solver, DnsSolver::Cloudflare(_))
        && build.platform.cert_manager.install
    {
        identity(build, cluster, parts::CERT_MANAGER_CONTROLLER, Vec::new());
    }
}

fn identity(build: &mut Build<'_>, cluster: &Urn, part: kit::Part, access: Vec<Access>) {
    let inputs = Identity {
        name: format!("{}-{}", build.stack.cluster_name(), part.name()).chars().take(63).collect(),
        cluster: build.output(cluster, "name"),
        namespace: build.namespace(part.space).to_owned(),
        service_account: part.name(),
        access,
    };
    let urn = build.resource(inputs::IDENTITY, &part.name(), &inputs);
    let mut identity = kit::Identity { needs: vec![urn.clone()], ..kit::Identity::default() };
    if matches!(build.stack.cloud, Cloud::Azure(_)) {
        identity.annotations = text_map([("azure.workload.identity/client-id", build.output(&urn, "id"))]);
        identity.labels = text_map([("azure.workload.identity/use", "true")]);
    }
    build.foundation.identities.insert(part, identity);
}
