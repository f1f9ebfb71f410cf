//! What EKS knows of an upgrade before it is made: its insights, read anew, since it keeps them for a day.

use aws_sdk_eks::types::{Category, InsightStatusValue, InsightsFilter, InsightsRefreshStatus};
use plinth_provider::{Class, Error, Result};

use super::Call;
use crate::error::refused;
use crate::wait::{Look, until};

/// Has EKS look again, and waits until it has.
pub(super) async fn refresh(call: &Call<'_>, cluster: &str) -> Result<()> {
    let started = call.aws.eks.start_insights_refresh().cluster_name(cluster).send().await;
    match started.map_err(|error| refused("eks:StartInsightsRefresh", cluster, error)) {
        Ok(_) => {}
        // One that is going on already is as good.
        Err(error) if matches!(error.class, Class::Conflict) => {}
        Err(error) => return Err(error),
    }
    until(call.context, call.settings.poll, || async {
        let asked = call.aws.eks.describe_insights_refresh().cluster_name(cluster).send().await;
        let answer = asked.map_err(|error| refused("eks:DescribeInsightsRefresh", cluster, error))?;
        Ok(match answer.status() {
            Some(InsightsRefreshStatus::InProgress) => {
                Look::Waiting(format!("EKS is checking what an upgrade of the cluster {cluster} would break"))
            }
            Some(InsightsRefreshStatus::Failed) => {
                let said = answer.message().unwrap_or("EKS does not say why");
                call.context.reporter.warning(&format!("the upgrade insights could not be renewed: {said}"));
                Look::Done(())
            }
            _ => Look::Done(()),
        })
    })
    .await
}

/// What stands against going to a version, each with EKS's advice.
pub(super) async fn blockers(call: &Call<'_>, cluster: &str, version: &str) -> Result<Vec<String>> {
    let filter = InsightsFilter::builder()
        .categories(Category::UpgradeReadiness)
        .statuses(InsightStatusValue::Error)
        .build();
    let mut found = Vec::new();
    let mut pages =
        call.aws.eks.list_insights().cluster_name(cluster).filter(filter).into_paginator().items().send();
    while let Some(insight) = pages.next().await {
        let insight = insight.map_err(|error| refused("eks:ListInsights", cluster, error))?;
        let is_error =
            insight.insight_status().and_then(|held| held.status()) == Some(&InsightStatusValue::Error);
        let concerns = insight.kubernetes_version().is_none_or(|of| of == version);
        let readiness = insight.category().is_none_or(|of| *of == Category::UpgradeReadiness);
        if !is_error || !concerns || !readiness {
            continue;
        }
        let name = insight.name().unwrap_or("an insight without a name");
        let reason = insight.insight_status().and_then(|held| held.reason()).or(insight.description());
        let mut text = format!("{name}: {}", reason.unwrap_or("EKS does not say why"));
        if let Some(id) = insight.id() {
            let asked = call.aws.eks.describe_insight().cluster_name(cluster).id(id).send().await;
            let answer = asked.map_err(|error| refused("eks:DescribeInsight", cluster, error))?;
            if let Some(advice) = answer.insight().and_then(|insight| insight.recommendation()) {
                text = format!("{text} ({advice})");
            }
        }
        found.push(text);
    }
    Ok(found)
}

/// The error for an upgrade that EKS says will break things.
pub(super) fn blocked(cluster: &str, version: &str, blockers: &[String]) -> Error {
    Error::invalid(format!(
        "EKS advises against upgrading the cluster {cluster} to {version}: {}",
        blockers.join("; ")
    ))
    .at("version".into())
    .help("put these right first (`aws eks list-insights` shows them all), or set `force: true` on the cluster to upgrade in spite of them")
}
