//! What EKS says of a version of Kubernetes before a control plane goes to it: whether there is one, and for how long it
//! is supported. Read from EKS, since versions come and go faster than releases of Plinth.

use std::time::{Duration, SystemTime};

use aws_sdk_eks::config::Builder;
use aws_sdk_eks::types::{ClusterVersionInformation, VersionStatus};
use plinth_provider::{Error, Result};

use super::Call;

/// How long before its end the standard support of a version is told of.
const SOON: Duration = Duration::from_secs(60 * 24 * 3600);

/// What the user should know of a version. Where EKS does not tell, nothing is known.
///
/// # Errors
/// When EKS has no such version.
pub(super) async fn notes(call: &Call<'_>, version: &str) -> Result<Vec<String>> {
    let Some(known) = told(call).await else { return Ok(Vec::new()) };
    let Some(found) = known.iter().find(|one| one.cluster_version() == Some(version)) else {
        let mut names: Vec<&str> = known.iter().filter_map(|one| one.cluster_version()).collect();
        names.sort_unstable();
        return Err(Error::invalid(format!("EKS has no Kubernetes {version} in {}", call.aws.region()))
            .at("version".into())
            .help(format!("take one of {}", names.join(", "))));
    };
    judged(version, found, SystemTime::now())
}

/// The versions that there are; `None` when EKS does not tell.
async fn told(call: &Call<'_>) -> Option<Vec<ClusterVersionInformation>> {
    // What cannot tell says so at once, and asking again changes nothing.
    let once = aws_config::retry::RetryConfig::standard().with_max_attempts(3);
    let once = once.with_initial_backoff(Duration::from_millis(100));
    let mut known = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = call.aws.eks.describe_cluster_versions().include_all(true).set_next_token(next);
        let page = page.customize().config_override(Builder::new().retry_config(once.clone()));
        let page = page.send().await.ok()?;
        known.extend_from_slice(page.cluster_versions());
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            return (!known.is_empty()).then_some(known);
        }
    }
}

fn judged(version: &str, found: &ClusterVersionInformation, now: SystemTime) -> Result<Vec<String>> {
    let day = |at: Option<&aws_smithy_types::DateTime>| {
        let at = at.and_then(|at| jiff::Timestamp::from_second(at.secs()).ok());
        at.map_or_else(|| "a day that EKS does not tell".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
    };
    Ok(match found.version_status() {
        Some(VersionStatus::Unsupported) => {
            return Err(Error::invalid(format!("EKS supports Kubernetes {version} no more"))
                .at("version".into())
                .help("take a newer version"));
        }
        Some(VersionStatus::ExtendedSupport) => vec![format!(
            "Kubernetes {version} is in extended support, which costs several times as much, until {}",
            day(found.end_of_extended_support_date())
        )],
        _ => {
            let end = found.end_of_standard_support_date();
            let left = end.and_then(|end| SystemTime::try_from(*end).ok()?.duration_since(now).ok());
            let soon = left.is_some_and(|left| left < SOON);
            let note = format!("the standard support of Kubernetes {version} ends on {}", day(end));
            soon.then_some(note).into_iter().collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_support_is_told_before_it_comes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let at = |days: i64| aws_smithy_types::DateTime::from_secs(1_790_000_000 + days * 86_400);
        let of = |status: VersionStatus, days: i64| {
            let found = ClusterVersionInformation::builder()
                .version_status(status)
                .end_of_standard_support_date(at(days))
                .end_of_extended_support_date(at(days + 365))
                .build();
            judged("1.34", &found, now)
        };
        assert_eq!(of(VersionStatus::StandardSupport, 200).unwrap(), Vec::<String>::new());
        let soon = of(VersionStatus::StandardSupport, 20).unwrap();
        assert!(soon[0].contains("ends on 2026-10-11"), "{soon:?}");
        assert!(of(VersionStatus::ExtendedSupport, -20).unwrap()[0].contains("extended support"));
        assert!(of(VersionStatus::Unsupported, -500).is_err());
    }
}
