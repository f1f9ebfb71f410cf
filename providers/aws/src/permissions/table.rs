//! Which kind needs which actions on what. Pure.

use std::collections::BTreeSet;

use plinth_provider::Value;

use super::{Need, Place};

/// What a resource needs, in order to be made, read, changed and removed.
pub(super) fn needs(kind: &str, inputs: &Value, place: &Place, unknown: &mut BTreeSet<String>) -> Vec<Need> {
    let mut needs = own(kind, inputs, place, unknown);
    if kind.starts_with("aws:eks/") {
        needs.extend(handed_on(inputs));
    }
    needs
}

/// What others made and a resource of EKS names by its ARN: roles that are handed on to EKS, the key for its secrets.
fn handed_on(inputs: &Value) -> Vec<Need> {
    let text = |path: &str| inputs.at(&path.into()).and_then(Value::as_str).map(str::to_owned);
    let mut roles: Vec<String> =
        ["roleArn", "targetRoleArn", "autoMode.nodeRoleArn"].into_iter().filter_map(text).collect();
    let pods = inputs.get("podIdentities").and_then(Value::as_map).into_iter().flatten();
    roles.extend(pods.filter_map(|(_, role)| role.as_str().map(str::to_owned)));
    let whole = |arn: &String| arn.starts_with("arn:") && !arn.contains('*');
    let roles = roles.into_iter().filter(whole).map(|role| on(role, &["iam:PassRole"]));
    let key = text("secretsKeyArn").filter(whole);
    roles.chain(key.map(|key| on(key, &["kms:CreateGrant", "kms:DescribeKey"]))).collect()
}

/// What a resource itself needs.
fn own(kind: &str, inputs: &Value, place: &Place, unknown: &mut BTreeSet<String>) -> Vec<Need> {
    let text = |key: &str| inputs.text_at(key).unwrap_or("*").to_owned();
    let (name, cluster) = (text("name"), text("cluster"));
    let path = inputs.text_at("path").unwrap_or("/").to_owned();
    match kind {
        "aws:iam/Role" => vec![on(place.iam(&format!("role{path}{name}")), ROLE)],
        "aws:iam/Policy" => vec![on(place.iam(&format!("policy{path}{name}")), POLICY)],
        "aws:iam/OidcProvider" => {
            let issuer = text("url").trim_start_matches("https://").to_owned();
            vec![on(place.iam(&format!("oidc-provider/{issuer}")), OIDC)]
        }
        "aws:kms/Key" => vec![
            on("*".to_owned(), KEYS),
            on(place.arn("kms", "key/*"), &["kms:ListResourceTags", "kms:DescribeKey", "kms:TagResource"]),
            Need { tagged: true, ..on(place.arn("kms", "key/*"), KEY) },
            on(place.arn("eks", "cluster/*"), &["eks:DescribeCluster"]),
        ],
        "aws:kms/Alias" => {
            let alias = place.arn("kms", &format!("alias/{}", name.trim_start_matches("alias/")));
            vec![
                on(alias, ALIAS),
                Need { tagged: true, ..on(place.arn("kms", "key/*"), ALIAS) },
                on(place.arn("kms", "key/*"), &["kms:DescribeKey"]),
            ]
        }
        "aws:logs/LogGroup" => vec![
            on("*".to_owned(), &["logs:DescribeLogGroups"]),
            on(place.arn("logs", &format!("log-group:{name}")), LOG_GROUP),
            on(place.arn("logs", &format!("log-group:{name}:*")), LOG_GROUP),
        ],
        "aws:s3/Bucket" => bucket(&name, inputs, place),
        "aws:cloudformation/Stack" => stack(&name, inputs, place, unknown),
        "aws:eks/Cluster" => vec![
            on(place.arn("eks", &format!("cluster/{name}")), CLUSTER),
            // The latter two tell what is left in the account when the cluster is gone.
            on(
                "*".to_owned(),
                &["eks:DescribeClusterVersions", "logs:DescribeLogGroups", "tag:GetResources"],
            ),
            on(place.iam("role/aws-service-role/eks*.amazonaws.com/*"), SERVICE_ROLE),
        ],
        "aws:eks/NodeGroup" => vec![
            on(
                place.arn("eks", &format!("cluster/{cluster}")),
                &["eks:CreateNodegroup", "eks:ListNodegroups"],
            ),
            on(place.arn("eks", &format!("nodegroup/{cluster}/*/*")), NODE_GROUP),
            on(place.iam("role/aws-service-role/eks-nodegroup.amazonaws.com/*"), SERVICE_ROLE),
        ],
        "aws:eks/AddOn" => vec![
            on(place.arn("eks", &format!("cluster/{cluster}")), &["eks:CreateAddon", "eks:ListAddons"]),
            on(place.arn("eks", &format!("addon/{cluster}/{name}/*")), ADD_ON),
            on("*".to_owned(), &["eks:DescribeAddonVersions"]),
        ]
        .into_iter()
        .chain(inputs.get("podIdentities").map(|_| pod_identity(&cluster, place)).into_iter().flatten())
        .collect(),
        "aws:eks/AccessEntry" => vec![
            on(
                place.arn("eks", &format!("cluster/{cluster}")),
                &["eks:CreateAccessEntry", "eks:ListAccessEntries"],
            ),
            on(place.arn("eks", &format!("access-entry/{cluster}/*")), ACCESS_ENTRY),
        ],
        "aws:eks/PodIdentityAssociation" => pod_identity(&cluster, place),
        _ => Vec::new(),
    }
}

fn on(resource: String, actions: &[&'static str]) -> Need {
    Need { actions: actions.to_vec(), resource, tagged: false }
}

fn pod_identity(cluster: &str, place: &Place) -> Vec<Need> {
    vec![
        on(
            place.arn("eks", &format!("cluster/{cluster}")),
            &["eks:CreatePodIdentityAssociation", "eks:ListPodIdentityAssociations"],
        ),
        on(place.arn("eks", &format!("podidentityassociation/{cluster}/*")), POD_IDENTITY),
    ]
}

fn bucket(name: &str, inputs: &Value, place: &Place) -> Vec<Need> {
    let mut needs = vec![on(place.s3(name), BUCKET), on("*".to_owned(), &["s3:ListAllMyBuckets"])];
    if inputs.get("forceDestroy") == Some(&Value::Bool(true)) {
        needs.push(on(place.s3(&format!("{name}/*")), &["s3:DeleteObject", "s3:DeleteObjectVersion"]));
    }
    needs
}

fn stack(name: &str, inputs: &Value, place: &Place, unknown: &mut BTreeSet<String>) -> Vec<Need> {
    let mut needs = vec![
        on(place.arn("cloudformation", &format!("stack/{name}/*")), STACK),
        on("*".to_owned(), &["cloudformation:DescribeStackDriftDetectionStatus"]),
    ];
    let template = inputs.text_at("template").and_then(|text| serde_json::from_str(text).ok());
    let template: serde_json::Value = template.unwrap_or_default();
    let resources = template.get("Resources").and_then(|held| held.as_object());
    let kinds: BTreeSet<&str> =
        resources.into_iter().flatten().filter_map(|(_, resource)| resource.get("Type")?.as_str()).collect();
    for kind in kinds {
        // What CloudFormation does, it does with the permissions of who asks it.
        match TYPES.iter().find(|(known, _)| *known == kind) {
            Some((_, actions)) => needs.push(on("*".to_owned(), actions)),
            None => {
                unknown.insert(kind.to_owned());
            }
        }
    }
    needs
}

const ROLE: &[&str] = &[
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies",
    // Services take a role only from who may hand it on.
    "iam:PassRole",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
];

const POLICY: &[&str] = &[
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListEntitiesForPolicy",
    "iam:ListPolicyVersions",
    "iam:TagPolicy",
    "iam:UntagPolicy",
];

const OIDC: &[&str] = &[
    "iam:AddClientIDToOpenIDConnectProvider",
    "iam:CreateOpenIDConnectProvider",
    "iam:DeleteOpenIDConnectProvider",
    "iam:GetOpenIDConnectProvider",
    "iam:RemoveClientIDFromOpenIDConnectProvider",
    "iam:TagOpenIDConnectProvider",
    "iam:UntagOpenIDConnectProvider",
    "iam:UpdateOpenIDConnectProviderThumbprint",
];

const SERVICE_ROLE: &[&str] = &["iam:CreateServiceLinkedRole"];

/// These know no resources.
const KEYS: &[&str] = &["eks:ListClusters", "kms:CreateKey", "kms:ListAliases", "kms:ListKeys"];

const KEY: &[&str] = &[
    "kms:CancelKeyDeletion",
    // A cluster encrypts with it on behalf of who makes the cluster.
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
];

const ALIAS: &[&str] = &["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"];

const LOG_GROUP: &[&str] = &[
    "logs:AssociateKmsKey",
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:DeleteRetentionPolicy",
    "logs:DisassociateKmsKey",
    "logs:ListTagsForResource",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "logs:UntagResource",
];

const BUCKET: &[&str] = &[
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
    "s3:TagResource",
];

const STACK: &[&str] = &[
    "cloudformation:CreateChangeSet",
    "cloudformation:CreateStack",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DescribeStackResources",
    "cloudformation:DescribeStacks",
    "cloudformation:DetectStackDrift",
    "cloudformation:DetectStackResourceDrift",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:TagResource",
    "cloudformation:UpdateStack",
    "cloudformation:UpdateTerminationProtection",
];

const CLUSTER: &[&str] = &[
    "eks:AssociateEncryptionConfig",
    "eks:CreateCluster",
    "eks:DeleteCluster",
    "eks:DescribeCluster",
    "eks:DescribeInsight",
    "eks:DescribeInsightsRefresh",
    "eks:DescribeUpdate",
    "eks:ListInsights",
    "eks:ListNodegroups",
    "eks:ListUpdates",
    "eks:StartInsightsRefresh",
    "eks:TagResource",
    "eks:UntagResource",
    "eks:UpdateClusterConfig",
    "eks:UpdateClusterVersion",
];

const NODE_GROUP: &[&str] = &[
    "eks:DeleteNodegroup",
    "eks:DescribeNodegroup",
    "eks:DescribeUpdate",
    "eks:ListUpdates",
    "eks:TagResource",
    "eks:UntagResource",
    "eks:UpdateNodegroupConfig",
    "eks:UpdateNodegroupVersion",
];

const ADD_ON: &[&str] = &[
    "eks:DeleteAddon",
    "eks:DescribeAddon",
    "eks:DescribeUpdate",
    "eks:ListUpdates",
    "eks:TagResource",
    "eks:UntagResource",
    "eks:UpdateAddon",
];

const ACCESS_ENTRY: &[&str] = &[
    "eks:AssociateAccessPolicy",
    "eks:DeleteAccessEntry",
    "eks:DescribeAccessEntry",
    "eks:DisassociateAccessPolicy",
    "eks:ListAssociatedAccessPolicies",
    "eks:TagResource",
    "eks:UntagResource",
    "eks:UpdateAccessEntry",
];

const POD_IDENTITY: &[&str] = &[
    "eks:DeletePodIdentityAssociation",
    "eks:DescribePodIdentityAssociation",
    "eks:TagResource",
    "eks:UntagResource",
    "eks:UpdatePodIdentityAssociation",
];

/// What CloudFormation calls for the types that Plinth's own templates hold. Most of these calls know their resource only
/// once it is there, so they are allowed on all.
const TYPES: &[(&str, &[&str])] = &[
    (
        "AWS::EC2::VPC",
        &[
            "ec2:CreateTags",
            "ec2:CreateVpc",
            // What the network plugin of a cluster leaves pins the network.
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteTags",
            "ec2:DeleteVpc",
            "ec2:DescribeNetworkInterfaces",
            // What a stack has left that CloudFormation has forgotten is found by its tags.
            "ec2:DescribeTags",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcs",
            "ec2:ModifyVpcAttribute",
        ],
    ),
    (
        "AWS::EC2::Subnet",
        &[
            "ec2:CreateSubnet",
            "ec2:CreateTags",
            "ec2:DeleteSubnet",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeSubnets",
            "ec2:ModifySubnetAttribute",
        ],
    ),
    (
        "AWS::EC2::InternetGateway",
        &["ec2:CreateInternetGateway", "ec2:DeleteInternetGateway", "ec2:DescribeInternetGateways"],
    ),
    (
        "AWS::EC2::VPCGatewayAttachment",
        &["ec2:AttachInternetGateway", "ec2:DescribeInternetGateways", "ec2:DetachInternetGateway"],
    ),
    ("AWS::EC2::RouteTable", &["ec2:CreateRouteTable", "ec2:DeleteRouteTable", "ec2:DescribeRouteTables"]),
    (
        "AWS::EC2::Route",
        &["ec2:CreateRoute", "ec2:DeleteRoute", "ec2:DescribeRouteTables", "ec2:ReplaceRoute"],
    ),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        &["ec2:AssociateRouteTable", "ec2:DescribeRouteTables", "ec2:DisassociateRouteTable"],
    ),
    (
        "AWS::EC2::EIP",
        &["ec2:AllocateAddress", "ec2:DescribeAddresses", "ec2:DisassociateAddress", "ec2:ReleaseAddress"],
    ),
    ("AWS::EC2::NatGateway", &["ec2:CreateNatGateway", "ec2:DeleteNatGateway", "ec2:DescribeNatGateways"]),
    (
        "AWS::EC2::VPCEndpoint",
        &[
            "ec2:CreateVpcEndpoint",
            "ec2:DeleteVpcEndpoints",
            "ec2:DescribeVpcEndpoints",
            "ec2:ModifyVpcEndpoint",
        ],
    ),
];
