//! The providers of the clouds, from what a stack file says of its cloud and what the environment adds.

use std::time::Duration;

use plinth_aws::{Aws, Settings};
use plinth_provider::Error;
use plinth_stacks::model;

/// What says where AWS is, for those whose AWS is somewhere else.
const AWS_ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];

/// The account of a stack. Nothing is called yet.
pub fn aws(cloud: &model::Aws) -> Aws {
    Aws::new(aws_settings(cloud))
}

/// How the account of a stack is reached.
pub fn aws_settings(cloud: &model::Aws) -> Settings {
    let endpoints = aws_endpoints();
    let mut settings = Settings {
        account_id: cloud.account_id.clone(),
        profile: cloud.profile.clone(),
        role_arn: cloud.role_arn.clone(),
        s3_path_style: !endpoints.is_empty(),
        ..Settings::new(cloud.region.as_str())
    };
    // What stands in for AWS on this machine takes no quarter of an hour for a cluster.
    if endpoints.iter().any(|(_, url)| is_loopback(url)) {
        settings.poll = (Duration::from_millis(50), Duration::from_secs(1));
        settings.pod_identity_delay = Duration::ZERO;
        settings.log_delay = Duration::ZERO;
    }
    settings
}

/// Where the environment says that AWS is, with the variable that says it.
pub fn aws_endpoints() -> Vec<(&'static str, String)> {
    let set = |name: &'static str| Some((name, std::env::var(name).ok().filter(|url| !url.is_empty())?));
    AWS_ENDPOINTS.into_iter().filter_map(set).collect()
}

/// Whether credentials were refused for being those of another account than the stack means.
pub fn is_of_another_account(error: &Error) -> bool {
    error.path.as_ref().is_some_and(|path| path.to_string() == "cloud.accountId")
}

fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or("");
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| authority.starts_with(host))
}
