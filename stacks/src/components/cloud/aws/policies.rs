//! What roles may do, and who may act in them: no more than the part needs.

use serde_json::{Value as Json, json};

fn document(statements: Vec<Json>) -> Json {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A service of AWS acts in the role.
pub(super) fn trust_of_service(service: &str) -> Json {
    let actions = if service.starts_with("eks.") {
        json!(["sts:AssumeRole", "sts:TagSession"])
    } else {
        json!(["sts:AssumeRole"])
    };
    document(vec![json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": actions })])
}

/// The pods of one service account act in the role, and no others.
pub(super) fn trust_of_pods(namespace: &str, account: &str) -> Json {
    document(vec![json!({
        "Effect": "Allow",
        "Principal": { "Service": "pods.eks.amazonaws.com" },
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": { "StringEquals": {
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": account,
        } },
    })])
}

/// The control plane encrypts with a key.
pub(super) fn use_of_key(key: &str) -> Json {
    document(vec![json!({
        "Effect": "Allow",
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"],
        "Resource": key,
    })])
}

/// A part reads a bucket, or writes it as well.
pub(super) fn use_of_bucket(arn: &str, writes: bool, key: Option<&str>) -> Json {
    let mut objects = vec!["s3:GetObject"];
    if writes {
        objects.extend([
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
        ]);
    }
    let mut statements = vec![
        json!({ "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": arn }),
        json!({ "Effect": "Allow", "Action": objects, "Resource": format!("{arn}/*") }),
    ];
    if let Some(key) = key {
        let mut actions = vec!["kms:Decrypt"];
        if writes {
            actions.push("kms:GenerateDataKey");
        }
        statements.push(json!({ "Effect": "Allow", "Action": actions, "Resource": key }));
    }
    document(statements)
}

/// Certificates are proved by records in zones of the account.
pub(super) fn change_of_dns(partition: &str) -> Json {
    document(vec![
        json!({ "Effect": "Allow", "Action": "route53:GetChange", "Resource": format!("arn:{partition}:route53:::change/*") }),
        json!({
            "Effect": "Allow",
            "Action": ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"],
            "Resource": format!("arn:{partition}:route53:::hostedzone/*"),
            "Condition": { "ForAllValues:StringEquals": { "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"] } },
        }),
        json!({ "Effect": "Allow", "Action": "route53:ListHostedZonesByName", "Resource": "*" }),
    ])
}

/// S3 acts in the role to copy objects.
pub(super) fn trust_of_replication() -> Json {
    trust_of_service("s3.amazonaws.com")
}

/// S3 copies from one bucket to another.
pub(super) fn replication(source: &str, copy: &str) -> Json {
    document(vec![
        json!({ "Effect": "Allow", "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": source }),
        json!({
            "Effect": "Allow",
            "Action": [
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            "Resource": format!("{source}/*"),
        }),
        json!({
            "Effect": "Allow",
            "Action": ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
            "Resource": format!("{copy}/*"),
        }),
    ])
}
