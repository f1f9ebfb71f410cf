//! Control planes.

use std::time::Instant;

use serde_json::{Value, json};

use super::Ask;
use super::update::{begin, free};
use super::wire::{Refused, Reply, in_use, invalid, refused};
use super::world::{Cluster, End, Of, World, arn, now};

/// The versions in service.
pub(super) const VERSIONS: &[&str] = &["1.33", "1.34", "1.35", "1.36"];

/// The minor version as a number.
pub(super) fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

/// What a cluster is described with only when it was asked for.
const FURTHER: [&str; 8] = [
    "outpostConfig",
    "encryptionConfig",
    "zonalShiftConfig",
    "controlPlaneScalingConfig",
    "remoteNetworkConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
];

/// The three parts of Auto Mode, which are only taken together.
fn auto_mode(body: &Value) -> Result<Option<Value>, Refused> {
    let balancing = &body["kubernetesNetworkConfig"]["elasticLoadBalancing"];
    let parts = [
        &body["computeConfig"]["enabled"],
        &balancing["enabled"],
        &body["storageConfig"]["blockStorage"]["enabled"],
    ];
    if parts.iter().all(|part| part.is_null()) {
        return Ok(None);
    }
    if parts.iter().any(|part| *part != parts[0]) {
        return Err(invalid(
            "For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.",
        ));
    }
    Ok(Some(json!({
        "computeConfig": body["computeConfig"],
        "kubernetesNetworkConfig": { "elasticLoadBalancing": balancing },
        "storageConfig": body["storageConfig"],
    })))
}

/// The versions in service; those that are asked for, where some are.
pub(super) fn versions(world: &World, ask: &Ask<'_>) -> Reply {
    const DAY: f64 = 86_400.0;
    let asked = ask.query.get("clusterVersions");
    let wanted =
        VERSIONS.iter().filter(|version| asked.is_none_or(|asked| asked.iter().any(|one| one == *version)));
    let told = |version: &&str| {
        let extended = world.extended.iter().any(|one| one == version);
        let standard_ends = now() + if extended { -10.0 * DAY } else { 300.0 * DAY };
        json!({
            "clusterVersion": version,
            "clusterType": "eks",
            "defaultPlatformVersion": "eks.1",
            "defaultVersion": *version == "1.35",
            "releaseDate": now() - 200.0 * DAY,
            "endOfStandardSupportDate": standard_ends,
            "endOfExtendedSupportDate": standard_ends + 365.0 * DAY,
            "versionStatus": if extended { "EXTENDED_SUPPORT" } else { "STANDARD_SUPPORT" },
        })
    };
    Ok(json!({ "clusterVersions": wanted.map(told).collect::<Vec<_>>() }))
}

fn shown(cluster: &Cluster) -> Value {
    json!({ "cluster": cluster.doc })
}

pub(super) fn list(world: &World) -> Reply {
    Ok(json!({ "clusters": world.clusters.keys().collect::<Vec<_>>() }))
}

pub(super) fn describe(world: &mut World, ask: &Ask<'_>) -> Reply {
    world.cluster(ask.part(1)).map(|cluster| shown(cluster))
}

pub(super) fn create(world: &mut World, ask: &Ask<'_>) -> Reply {
    let name = ask.text("name").unwrap_or_default();
    let token = ask.text("clientRequestToken");
    if let Some(cluster) = world.clusters.get(name) {
        if token.is_some() && cluster.token.as_deref() == token {
            return Ok(shown(cluster));
        }
        return Err(in_use(format!("Cluster already exists with name: {name}")));
    }
    let version = ask.text("version").unwrap_or("1.35");
    if !VERSIONS.contains(&version) {
        return Err(invalid(format!("unsupported Kubernetes version {version}")));
    }
    let vpc = &ask.body["resourcesVpcConfig"];
    if vpc["subnetIds"].as_array().is_none_or(|subnets| subnets.len() < 2) {
        return Err(invalid("Subnets specified must be in at least two different AZs"));
    }
    // This zone takes none.
    let closed = |subnet: &Value| subnet.as_str().is_some_and(|subnet| subnet.ends_with("-closed"));
    if vpc["subnetIds"].as_array().is_some_and(|subnets| subnets.iter().any(closed)) {
        let text = "Cannot create cluster because the targeted availability zone does not currently have sufficient capacity";
        let zones = json!({ "clusterName": name, "validZones": ["eu-central-1a", "eu-central-1b"] });
        return Err(Refused { more: zones, ..refused(400, "UnsupportedAvailabilityZoneException", text) });
    }
    let access = &ask.body["accessConfig"];
    let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
    let ranges = or(&vpc["publicAccessCidrs"], json!(["0.0.0.0/0"]));
    let arn = arn(ask.region, "cluster", name);
    let id = world.id();
    let mut doc = json!({
        "name": name,
        "arn": arn,
        "createdAt": now(),
        "version": version,
        "roleArn": ask.body["roleArn"],
        "resourcesVpcConfig": {
            "subnetIds": vpc["subnetIds"],
            "securityGroupIds": or(&vpc["securityGroupIds"], json!([])),
            "clusterSecurityGroupId": format!("sg-{}", &id[..8]),
            "vpcId": "vpc-0123456789",
            "endpointPublicAccess": or(&vpc["endpointPublicAccess"], json!(true)),
            "endpointPrivateAccess": or(&vpc["endpointPrivateAccess"], json!(false)),
            "publicAccessCidrs": ranges,
        },
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": or(&ask.body["kubernetesNetworkConfig"]["serviceIpv4Cidr"], json!("172.20.0.0/16")),
            "ipFamily": or(&ask.body["kubernetesNetworkConfig"]["ipFamily"], json!("ipv4")),
        },
        "logging": or(&ask.body["logging"], json!({ "clusterLogging": [] })),
        "identity": { "oidc": { "issuer": format!("https://oidc.eks.{}.amazonaws.com/id/{}", ask.region, &id[..8]) } },
        "status": "CREATING",
        "platformVersion": "eks.1",
        "tags": or(&ask.body["tags"], json!({})),
        // What a cluster bootstraps is never told again.
        "accessConfig": { "authenticationMode": or(&access["authenticationMode"], json!("CONFIG_MAP")) },
        "upgradePolicy": or(&ask.body["upgradePolicy"], json!({ "supportType": "EXTENDED" })),
        "deletionProtection": or(&ask.body["deletionProtection"], json!(false)),
        "health": { "issues": [] },
    });
    for key in FURTHER {
        if !ask.body[key].is_null() {
            doc[key] = ask.body[key].clone();
        }
    }
    let auto = auto_mode(ask.body)?;
    if auto.as_ref().is_some_and(|auto| auto["computeConfig"]["enabled"] == true) {
        if ask.body["bootstrapSelfManagedAddons"] != false {
            return Err(invalid(
                "EKS Auto Mode takes no self-managed add-ons: bootstrapSelfManagedAddons must be false",
            ));
        }
        if doc["accessConfig"]["authenticationMode"] == "CONFIG_MAP" {
            return Err(invalid("EKS Auto Mode needs the authentication mode API or API_AND_CONFIG_MAP"));
        }
    }
    if let Some(auto) = auto {
        super::world::merge(&mut doc, &auto);
    }
    let ends = Some(world.ending(name));
    let cluster = Cluster { doc, token: token.map(str::to_owned), ends, ..Cluster::default() };
    let answer = shown(&cluster);
    world.clusters.insert(name.to_owned(), cluster);
    Ok(answer)
}

pub(super) fn delete(world: &mut World, ask: &Ask<'_>) -> Reply {
    let name = ask.part(1);
    let pace = world.pace;
    let cluster = world.cluster(name)?;
    if cluster.doc["deletionProtection"] == true {
        let said = format!("Cluster {name} has deletion protection enabled");
        return Err(refused(400, "InvalidRequestException", said));
    }
    if !cluster.node_groups.is_empty() {
        return Err(in_use("Cluster has nodegroups attached"));
    }
    free(cluster, name, &Of::Cluster, "DeleteCluster")?;
    if cluster.ends.as_ref().is_some_and(|(_, end)| *end == End::Active) {
        return Err(in_use(format!("Cannot delete cluster {name}: its creation is in progress")));
    }
    cluster.doc["status"] = "DELETING".into();
    cluster.ends = Some((Instant::now() + pace, End::Gone));
    Ok(shown(cluster))
}

/// The kinds of change that one call may hold only one of.
fn kinds(body: &Value) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    let vpc = &body["resourcesVpcConfig"];
    let mut add =
        |kind: &'static str, change: Option<Value>| found.extend(change.map(|change| (kind, change)));
    let pick = |keys: &[&str]| {
        let picked: serde_json::Map<String, Value> = keys
            .iter()
            .filter(|key| !vpc[**key].is_null())
            .map(|key| ((*key).to_owned(), vpc[*key].clone()))
            .collect();
        (!picked.is_empty()).then(|| json!({ "resourcesVpcConfig": picked }))
    };
    add(
        "EndpointAccessUpdate",
        pick(&["endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"]),
    );
    add("VpcConfigUpdate", pick(&["subnetIds", "securityGroupIds"]));
    for (kind, key) in [
        ("LoggingUpdate", "logging"),
        ("AccessConfigUpdate", "accessConfig"),
        ("UpgradePolicyUpdate", "upgradePolicy"),
        ("ZonalShiftConfigUpdate", "zonalShiftConfig"),
        ("ControlPlaneScalingConfigUpdate", "controlPlaneScalingConfig"),
        ("DeletionProtectionUpdate", "deletionProtection"),
        ("RemoteNetworkConfigUpdate", "remoteNetworkConfig"),
    ] {
        add(kind, (!body[key].is_null()).then(|| json!({ key: body[key] })));
    }
    let components = ["kubeApiServerConfig", "kubeSchedulerConfig", "kubeControllerManagerConfig"];
    let components: serde_json::Map<String, Value> = components
        .into_iter()
        .filter(|key| !body[*key].is_null())
        .map(|key| (key.to_owned(), body[key].clone()))
        .collect();
    add("ControlPlaneComponentConfigUpdate", (!components.is_empty()).then(|| components.into()));
    found
}

pub(super) fn configure(world: &mut World, ask: &Ask<'_>) -> Reply {
    let name = ask.part(1);
    let cluster = world.active(name)?;
    let mut changes = kinds(ask.body);
    changes.extend(auto_mode(ask.body)?.map(|change| ("AutoModeUpdate", change)));
    let [(kind, change)] = changes.as_slice() else {
        return Err(match changes.len() {
            0 => invalid("No changes needed for the provided configuration"),
            _ => invalid("Only one type of update can be allowed."),
        });
    };
    free(cluster, name, &Of::Cluster, kind)?;
    let held = &cluster.doc["computeConfig"];
    let wanted = &change["computeConfig"];
    if held["enabled"] == true
        && wanted["enabled"] == true
        && !held["nodeRoleArn"].is_null()
        && held["nodeRoleArn"] != wanted["nodeRoleArn"]
    {
        return Err(invalid("The node role of EKS Auto Mode cannot be changed once it is set"));
    }
    let mut after = cluster.doc.clone();
    super::world::merge(&mut after, change);
    if after == cluster.doc {
        return Err(invalid(format!("Cluster is already at the desired configuration with {kind}")));
    }
    if let Some(mode) = ask.body["accessConfig"]["authenticationMode"].as_str() {
        one_way(&cluster.doc, mode)?;
    }
    begin(world, name, Of::Cluster, kind, ask.text("clientRequestToken"), change.clone())
}

fn one_way(doc: &Value, mode: &str) -> Result<(), Refused> {
    const MODES: [&str; 3] = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
    let rank = |mode: &str| MODES.iter().position(|known| *known == mode);
    let held = doc["accessConfig"]["authenticationMode"].as_str().unwrap_or_default();
    match rank(mode) < rank(held) {
        true => Err(invalid(format!("Unsupported authentication mode update from {held} to {mode}"))),
        false => Ok(()),
    }
}

pub(super) fn upgrade(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (name, to) = (ask.part(1), ask.text("version").unwrap_or_default());
    let warned = world.advice.iter().any(|(version, ..)| version == to) && ask.body["force"] != true;
    let token = ask.text("clientRequestToken");
    let cluster = world.active(name)?;
    let repeated = token.is_some() && cluster.updates.iter().any(|update| update.token.as_deref() == token);
    if !repeated {
        free(cluster, name, &Of::Cluster, "VersionUpdate")?;
        let from = cluster.doc["version"].as_str().unwrap_or_default();
        if minor(to) != minor(from) + 1 || !VERSIONS.contains(&to) {
            return Err(invalid(format!("Unsupported Kubernetes minor version update from {from} to {to}")));
        }
        if let Some((group, _)) = cluster
            .node_groups
            .iter()
            .find(|(_, group)| minor(group.doc["version"].as_str().unwrap_or_default()) < minor(from))
        {
            let said = format!(
                "Nodegroup {group} must be updated to match cluster version {from} before updating cluster version"
            );
            return Err(refused(400, "InvalidRequestException", said));
        }
        if warned {
            let said = "Upgrade readiness insights report errors; use force to override";
            return Err(refused(400, "InvalidRequestException", said));
        }
    }
    let change = json!({ "version": to, "platformVersion": "eks.1" });
    begin(world, name, Of::Cluster, "VersionUpdate", token, change)
}

pub(super) fn encrypt(world: &mut World, ask: &Ask<'_>) -> Reply {
    let name = ask.part(1);
    let cluster = world.active(name)?;
    free(cluster, name, &Of::Cluster, "AssociateEncryptionConfig")?;
    if !cluster.doc["encryptionConfig"].is_null() {
        return Err(invalid("Cluster already has encryption configuration; it cannot be changed"));
    }
    let change = json!({ "encryptionConfig": ask.body["encryptionConfig"] });
    begin(world, name, Of::Cluster, "AssociateEncryptionConfig", ask.text("clientRequestToken"), change)
}
