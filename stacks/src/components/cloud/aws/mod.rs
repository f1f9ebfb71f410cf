//! A stack on Amazon Web Services: network, key, cluster with its add-ons and nodes, buckets, and an identity for every
//! part that uses one.
//!
//! The order is not written down anywhere: it follows from what refers to what. The network is in [`network`], what a
//! role may do in [`policies`], buckets in [`buckets`].

mod buckets;
mod network;
mod policies;

use plinth_provider::{Urn, Value};
use serde_json::{Map, Value as Json, json};

use crate::kit::{self, Build, Phase, parts};
use crate::model::{Acme, AcmeSolver, Aws, BucketPurpose, DnsSolver, EndpointAccess, NodePool, TaintEffect};
use network::Network;

const STACK: &str = "aws:cloudformation/Stack";
const KEY: &str = "aws:kms/Key";
const ALIAS: &str = "aws:kms/Alias";
const ROLE: &str = "aws:iam/Role";
const LOGS: &str = "aws:logs/LogGroup";
const CLUSTER: &str = "aws:eks/Cluster";
const ACCESS: &str = "aws:eks/AccessEntry";
const ADD_ON: &str = "aws:eks/AddOn";
const NODES: &str = "aws:eks/NodeGroup";
const POD_IDENTITY: &str = "aws:eks/PodIdentityAssociation";

/// What nodes need to come up, and what hands roles to pods.
const BEFORE_NODES: &[&str] = &["vpc-cni", "kube-proxy", "eks-pod-identity-agent"];
const MACHINE: &str = "m7i.xlarge";
/// The service account of the driver's controller, which the add-on makes.
const DISK_ACCOUNT: &str = "ebs-csi-controller-sa";

/// Where everything is, and who it belongs to.
struct Site<'a> {
    cloud: &'a Aws,
    /// The cluster's name.
    name: String,
    zones: Vec<String>,
    partition: &'static str,
    /// What every resource carries beside the marks of its owner: by this the leftovers of the cluster are found.
    tags: Json,
}

impl<'a> Site<'a> {
    fn new(build: &Build<'_>, cloud: &'a Aws) -> Self {
        let name = build.stack.cluster_name();
        let zones = match cloud.zones.as_slice() {
            [] => ["a", "b", "c"].iter().map(|letter| format!("{}{letter}", cloud.region)).collect(),
            zones => zones.to_vec(),
        };
        let partition = match cloud.region.split('-').next() {
            Some("cn") => "aws-cn",
            _ if cloud.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let tags = json!({ "plinth.dev/cluster": name });
        Self { cloud, name, zones, partition, tags }
    }

    /// A policy of AWS's own.
    fn managed(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition)
    }
}

pub(super) fn declare(build: &mut Build<'_>, cloud: &Aws) {
    let site = Site::new(build, cloud);
    build.phase(Phase::Cloud);
    let network = network::declare(build, &site);
    let key = key(build, &site);

    build.phase(Phase::Cluster);
    let cluster = cluster(build, &site, &network, key.as_deref());
    access(build, &site, &cluster);
    for name in BEFORE_NODES {
        add_on(build, &site, &cluster, name, None);
    }
    let nodes = node_pools(build, &site, &network, &cluster);
    // These live in pods, which nodes carry.
    let names = add_on(build, &site, &cluster, "coredns", None);
    let disks = disks(build, &site, &cluster);
    for urn in [&names, &disks] {
        if let Some(resource) = build.resource_mut(urn) {
            resource.options.depends_on.extend(nodes.iter().cloned());
        }
    }
    build.foundation.connection =
        Some(Value::from([("cluster", build.output_value(&cluster, "connection"))]));
    build.foundation.nodes = nodes.into_iter().chain([names, disks]).collect();

    build.phase(Phase::Storage);
    for purpose in BucketPurpose::ALL {
        buckets::declare(build, &site, purpose);
    }
    build.phase(Phase::Identity);
    identities(build, &site, &cluster);
}

/// The ARN of the key that encrypts Kubernetes secrets.
fn key(build: &mut Build<'_>, site: &Site<'_>) -> Option<String> {
    let settings = &build.stack.cluster;
    if !settings.secrets_encryption {
        return None;
    }
    if let Some(existing) = &settings.secrets_encryption_key {
        return Some(existing.clone());
    }
    let description = format!("Encrypts the Kubernetes secrets of {}", site.name);
    let inputs = json!({ "description": description, "tags": site.tags });
    let protect = settings.deletion_protection;
    let key = build.resource(KEY, "secrets", &inputs);
    if let Some(resource) = build.resource_mut(&key) {
        resource.options.protect = protect;
    }
    let alias = json!({ "name": format!("{}-secrets", site.name), "key": build.output(&key, "id") });
    build.resource(ALIAS, "secrets", &alias);
    Some(build.output(&key, "arn"))
}

/// A role, with what it may do by AWS's own policies and by ours.
fn role(
    build: &mut Build<'_>,
    site: &Site<'_>,
    name: &str,
    trust: &Json,
    attached: &[&str],
    own: Json,
) -> Urn {
    let attached: Vec<String> = attached.iter().map(|name| site.managed(name)).collect();
    let inputs = json!({ "trust": trust, "attached": attached, "policies": own, "tags": site.tags });
    build.resource(ROLE, name, &inputs)
}

fn cluster(build: &mut Build<'_>, site: &Site<'_>, network: &Network, key: Option<&str>) -> Urn {
    let trust = policies::trust_of_service("eks.amazonaws.com");
    let own = key.map_or_else(|| json!({}), |key| json!({ "secrets-key": policies::use_of_key(key) }));
    let role = role(build, site, "cluster", &trust, &["AmazonEKSClusterPolicy"], own);
    let settings = &build.stack.cluster;
    let public = settings.endpoint_access != EndpointAccess::Private;
    let mut inputs = json!({
        "name": site.name,
        "version": settings.version.to_string(),
        "roleArn": build.output(&role, "arn"),
        "subnetIds": network.private(build),
        "securityGroupIds": site.cloud.network.security_group_ids,
        "publicAccess": public,
        "privateAccess": settings.endpoint_access != EndpointAccess::Public,
        "logging": settings.control_plane_logs,
        "deletionProtection": settings.deletion_protection,
        "tags": site.tags,
    });
    if public && !settings.public_cidrs.is_empty() {
        inputs["publicCidrs"] = settings.public_cidrs.iter().map(ToString::to_string).collect();
    }
    if let Some(key) = key {
        inputs["secretsKeyArn"] = key.into();
    }
    let (protect, logs) = (settings.deletion_protection, !settings.control_plane_logs.is_empty());
    let logs = logs.then(|| log_group(build, site));
    let urn = build.resource(CLUSTER, "cluster", &inputs);
    if let Some(resource) = build.resource_mut(&urn) {
        resource.options.protect = protect;
        resource.options.depends_on.extend(logs);
    }
    urn
}

/// Where EKS writes the control plane's logs. Made before the cluster, since EKS makes one that keeps everything for ever.
fn log_group(build: &mut Build<'_>, site: &Site<'_>) -> Urn {
    let inputs = json!({
        "name": format!("/aws/eks/{}/cluster", site.name),
        "retentionDays": site.cloud.log_retention_days,
        "adopt": true,
        "tags": site.tags,
    });
    build.resource(LOGS, "control-plane", &inputs)
}

/// Who administers the cluster: those whom the stack file names, never whoever happens to run this.
fn access(build: &mut Build<'_>, site: &Site<'_>, cluster: &Urn) {
    let named = site.cloud.admin_arns.iter().chain(&site.cloud.role_arn);
    let mut admins: Vec<&String> = named.collect();
    admins.dedup();
    if admins.is_empty() {
        build.error(
            "the stack names nobody who may enter its cluster",
            "set cloud.adminArns to the roles or users that administer it, the one that runs Plinth among them (`aws sts get-caller-identity` shows who you are; of a session, name the role), or cloud.roleArn",
        );
    }
    let policy = format!("arn:{}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", site.partition);
    for arn in admins {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let inputs = json!({
            "cluster": build.output(cluster, "name"),
            "principalArn": arn,
            "policies": [{ "arn": policy }],
            "tags": site.tags,
        });
        let entry = build.resource(ACCESS, name, &inputs);
        // Without its entry nobody may talk to the cluster, so its objects wait for all of them.
        build.foundation.doors.push(entry);
    }
}

fn add_on(build: &mut Build<'_>, site: &Site<'_>, cluster: &Urn, name: &str, roles: Option<Json>) -> Urn {
    let mut inputs = json!({
        "cluster": build.output(cluster, "name"),
        "name": name,
        "clusterVersion": build.output(cluster, "version"),
        "tags": site.tags,
    });
    if let Some(roles) = roles {
        inputs["podIdentities"] = roles;
    }
    build.resource(ADD_ON, name, &inputs)
}

/// The driver of disks, with the role that it makes them in.
fn disks(build: &mut Build<'_>, site: &Site<'_>, cluster: &Urn) -> Urn {
    let trust = policies::trust_of_pods("kube-system", DISK_ACCOUNT);
    let attached = ["service-role/AmazonEBSCSIDriverPolicy"];
    let role = role(build, site, "disks", &trust, &attached, json!({}));
    let roles = json!({ DISK_ACCOUNT: build.output(&role, "arn") });
    add_on(build, site, cluster, "aws-ebs-csi-driver", Some(roles))
}

fn node_pools(build: &mut Build<'_>, site: &Site<'_>, network: &Network, cluster: &Urn) -> Vec<Urn> {
    let service = if site.partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
    let trust = policies::trust_of_service(service);
    let attached =
        ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"];
    let role = role(build, site, "nodes", &trust, &attached, json!({}));
    let standard: Option<NodePool> = serde_json::from_value(json!({ "name": "general" })).ok();
    let pools = match build.stack.cluster.node_pools.as_slice() {
        [] => standard.as_slice(),
        pools => pools,
    };
    let mut urns = Vec::new();
    for pool in pools {
        let machine = pool.instance_type.as_deref().unwrap_or(MACHINE);
        let taints: Vec<Json> = pool.taints.iter().map(taint).collect();
        let inputs = json!({
            "cluster": build.output(cluster, "name"),
            "roleArn": build.output(&role, "arn"),
            "subnetIds": network.private_in(build, &pool.zones),
            "minSize": pool.min_size,
            "maxSize": pool.max_size.max(pool.min_size),
            "desiredSize": pool.desired(),
            "instanceTypes": [machine],
            "amiType": image(machine),
            "diskGb": pool.disk_gb,
            "capacityType": if pool.spot { "SPOT" } else { "ON_DEMAND" },
            "labels": pool.labels,
            "taints": taints,
            "version": build.output(cluster, "version"),
            "tags": site.tags,
        });
        let urn = build.resource(NODES, pool.name.as_str(), &inputs);
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

fn taint(taint: &crate::model::Taint) -> Json {
    let effect = match taint.effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    };
    let mut json = json!({ "key": taint.key, "effect": effect });
    if let Some(value) = &taint.value {
        json["value"] = value.as_str().into();
    }
    json
}

/// The image of the nodes. Machines of Amazon's own processors carry a `g` behind their generation: `m7g`, `c8gn`.
fn image(machine: &str) -> &'static str {
    let family = machine.split('.').next().unwrap_or(machine);
    let behind = family.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let behind = behind.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if behind.starts_with('g') || family == "a1" {
        "AL2023_ARM_64_STANDARD"
    } else {
        "AL2023_x86_64_STANDARD"
    }
}

fn identities(build: &mut Build<'_>, site: &Site<'_>, cluster: &Urn) {
    let key = build.stack.storage.buckets.encryption_key.clone();
    for (part, purpose, writes) in super::ACCESS {
        if super::runs(build, *part) {
            let bucket = build.bucket(*purpose);
            let arn = match bucket.needs.first() {
                Some(urn) => build.output(urn, "arn"),
                None => format!("arn:{}:s3:::{}", site.partition, bucket.name),
            };
            let own = json!({ "bucket": policies::use_of_bucket(&arn, *writes, key.as_deref()) });
            identity(build, site, cluster, *part, own);
        }
    }
    if let Some(Acme { solver: AcmeSolver::Dns(DnsSolver::Route53(_)), .. }) =
        &build.platform.cert_manager.acme
        && build.platform.cert_manager.install
    {
        let own = json!({ "dns": policies::change_of_dns(site.partition) });
        identity(build, site, cluster, parts::CERT_MANAGER_CONTROLLER, own);
    }
}

/// A role for the pods of one part, and of no other.
fn identity(build: &mut Build<'_>, site: &Site<'_>, cluster: &Urn, part: kit::Part, own: Json) {
    let namespace = build.namespace(part.space).to_owned();
    let trust = policies::trust_of_pods(&namespace, &part.name());
    let role = role(build, site, &part.name(), &trust, &[], own);
    let mut inputs = Map::new();
    inputs.insert("cluster".to_owned(), build.output(cluster, "name").into());
    inputs.insert("namespace".to_owned(), namespace.into());
    inputs.insert("serviceAccount".to_owned(), part.name().into());
    inputs.insert("roleArn".to_owned(), build.output(&role, "arn").into());
    inputs.insert("tags".to_owned(), site.tags.clone());
    let urn = build.resource(POD_IDENTITY, &part.name(), &inputs);
    // An association reaches pods at their admission and never after.
    let marks = [("plinth.dev/identity", "id"), ("plinth.dev/identity-role", "roleArn")]
        .map(|(mark, output)| (mark.to_owned(), build.output(&urn, output)));
    let identity = kit::Identity {
        needs: vec![urn],
        marks: marks.into_iter().collect(),
        variable: Some("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ..kit::Identity::default()
    };
    build.foundation.identities.insert(part, identity);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_fits_the_machine() {
        for arm in
            ["m7g.large", "c6gn.xlarge", "r8gd.2xlarge", "t4g.small", "a1.large", "x2gd.large", "im4gn.large"]
        {
            assert_eq!(image(arm), "AL2023_ARM_64_STANDARD", "{arm}");
        }
        for intel in ["m7i.xlarge", "g5.xlarge", "m7a.large", "c7i-flex.large", "t3.medium", "i4i.large"] {
            assert_eq!(image(intel), "AL2023_x86_64_STANDARD", "{intel}");
        }
    }
}
