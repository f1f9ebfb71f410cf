//! Has the API server ask cert-manager's webhook. The authority of the webhook is filled in by the injector, so it must
//! not appear here: what is not sent is not owned.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use plinth_provider::Urn;

use super::{WEBHOOK, WEBHOOK_CA};
use crate::kit::{Build, Space, metadata, parts, text_map};

const TIMEOUT_SECONDS: i32 = 30;

pub(super) fn declare(build: &mut Build<'_>, after: &[Urn]) -> Vec<Urn> {
    let mutating = MutatingWebhookConfiguration {
        metadata: meta(build),
        webhooks: Some(vec![MutatingWebhook {
            name: "webhook.cert-manager.io".to_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: client(build, "/mutate"),
            failure_policy: Some("Fail".to_owned()),
            match_policy: Some("Equivalent".to_owned()),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            rules: Some(vec![rule(&["cert-manager.io"], &["certificaterequests"], &["CREATE"])]),
            ..MutatingWebhook::default()
        }]),
    };
    let validating = ValidatingWebhookConfiguration {
        metadata: meta(build),
        webhooks: Some(vec![ValidatingWebhook {
            name: "webhook.cert-manager.io".to_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: client(build, "/validate"),
            failure_policy: Some("Fail".to_owned()),
            match_policy: Some("Equivalent".to_owned()),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            namespace_selector: Some(LabelSelector {
                match_expressions: Some(vec![LabelSelectorRequirement {
                    key: "cert-manager.io/disable-validation".to_owned(),
                    operator: "NotIn".to_owned(),
                    values: Some(vec!["true".to_owned()]),
                }]),
                ..LabelSelector::default()
            }),
            rules: Some(vec![rule(
                &["cert-manager.io", "acme.cert-manager.io"],
                &["*/*"],
                &["CREATE", "UPDATE"],
            )]),
            ..ValidatingWebhook::default()
        }]),
    };
    vec![build.object_after(mutating, after), build.object_after(validating, after)]
}

fn meta(build: &Build<'_>) -> ObjectMeta {
    let part = parts::CERT_MANAGER_WEBHOOK;
    let mut meta = metadata(None, part.name(), build.labels(part));
    let authority = format!("{}/{WEBHOOK_CA}", build.namespace(Space::CertManager));
    meta.annotations = Some(text_map([("cert-manager.io/inject-ca-from-secret", authority)]));
    meta
}

fn client(build: &Build<'_>, path: &str) -> WebhookClientConfig {
    WebhookClientConfig {
        service: Some(ServiceReference {
            name: parts::CERT_MANAGER_WEBHOOK.name(),
            namespace: build.namespace(Space::CertManager).to_owned(),
            path: Some(path.to_owned()),
            port: Some(WEBHOOK),
        }),
        ..WebhookClientConfig::default()
    }
}

fn rule(groups: &[&str], resources: &[&str], operations: &[&str]) -> RuleWithOperations {
    let texts = |list: &[&str]| Some(list.iter().map(|text| (*text).to_owned()).collect());
    RuleWithOperations {
        api_groups: texts(groups),
        api_versions: texts(&["v1"]),
        resources: texts(resources),
        operations: texts(operations),
        scope: Some("*".to_owned()),
    }
}
