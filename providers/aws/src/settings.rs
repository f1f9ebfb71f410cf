//! What a stack says about its account.

use std::time::Duration;

/// Which account, which region, and how to get there. Credentials come from the SDK's default chain (environment,
/// profile, SSO, web identity, container, instance metadata), as do endpoints that `AWS_ENDPOINT_URL` and its like name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The account that must be meant.
    pub account_id: Option<String>,
    /// A named profile of the AWS configuration files.
    pub profile: Option<String>,
    /// A role to assume for every request.
    pub role_arn: Option<String>,
    /// Whether buckets are named in the path instead of the host name, as stores that imitate S3 want it. Follows by
    /// itself from an `AWS_ENDPOINT_URL`; to be set where only `AWS_ENDPOINT_URL_S3` is.
    pub s3_path_style: bool,
    /// How often one request is tried when AWS throttles it or fails. Control planes throttle for long, so this is
    /// more than the SDK's own 3; eksctl takes 13 as well.
    pub attempts: u32,
    /// How often a long operation is looked at: at first, and at most. Doubles in between.
    pub poll: (Duration, Duration),
    /// How long a pod identity association takes to reach its cluster: nothing tells when it has.
    pub pod_identity_delay: Duration,
    /// For how long after its delete the log group of a cluster is looked for again: EKS writes its last logs late.
    pub log_delay: Duration,
}

impl Settings {
    /// The settings of a region, everything else by default.
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            account_id: None,
            profile: None,
            role_arn: None,
            s3_path_style: false,
            attempts: 13,
            poll: (Duration::from_secs(2), Duration::from_secs(20)),
            pod_identity_delay: Duration::from_secs(10),
            log_delay: Duration::from_secs(90),
        }
    }
}
