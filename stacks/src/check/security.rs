//! Log-in, secrets, certificates and networks.

use plinth_provider::Path;

use super::{Ledger, Severity};
use crate::model::{AcmeSolver, Database, DnsSolver, Platform, SecretSource};

/// Passwords that everybody tries first.
const WELL_KNOWN: [&str; 12] = [
    "admin",
    "administrator",
    "password",
    "changeme",
    "change-me",
    "secret",
    "grafana",
    "prom-operator",
    "letmein",
    "postgres",
    "123456",
    "minioadmin",
];
/// Shorter secrets are guessed.
const LEAST_LENGTH: usize = 12;

pub(super) fn check(ledger: &mut Ledger<'_>, platform: &Platform) {
    log_in(ledger, platform);
    secrets(ledger, platform);
    certificates(ledger, platform);
    networks(ledger, platform);
}

fn log_in(ledger: &mut Ledger<'_>, platform: &Platform) {
    match &platform.grafana.oidc {
        None => ledger.must_if_available(
            "oidc",
            "platform.grafana.oidc",
            "people log in to Grafana with one shared password",
            "describe your OpenID Connect provider under `platform.grafana.oidc`",
        ),
        Some(oidc) => {
            if oidc.role_attribute_path.is_none() {
                ledger.should(
                    "oidc-roles",
                    "platform.grafana.oidc.roleAttributePath",
                    "nothing tells which role a person has in Grafana",
                    "for example: contains(groups[*], 'platform') && 'Admin' || 'Viewer'",
                );
            }
            if oidc.allowed_groups.is_empty() {
                ledger.info(
                    "oidc-groups",
                    "platform.grafana.oidc.allowedGroups",
                    "everyone whom the provider knows may log in",
                    "",
                );
            }
            for (key, url) in [
                ("issuer", &oidc.issuer),
                ("authUrl", &oidc.auth_url),
                ("tokenUrl", &oidc.token_url),
                ("apiUrl", &oidc.api_url),
            ] {
                if url.as_str().starts_with("http://") {
                    ledger.must(
                        "oidc-tls",
                        &format!("platform.grafana.oidc.{key}"),
                        format!("`{key}` is reached without TLS"),
                        "use its `https://` address",
                    );
                }
            }
        }
    }
    let settings = &platform.grafana.settings;
    let on = |section: &str, key: &str| {
        settings
            .get(section)
            .and_then(|section| section.get(key))
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    if on("auth.anonymous", "enabled") {
        let path = Path::parse("platform.grafana.settings").key("auth.anonymous").to_string();
        ledger.must(
            "anonymous",
            &path,
            "everyone who reaches Grafana may read it",
            "remove `enabled: \"true\"`",
        );
    }
    if on("auth.basic", "enabled") {
        let path = Path::parse("platform.grafana.settings").key("auth.basic").to_string();
        ledger.must_if_available("oidc", &path, "log-in with passwords is on", "remove `enabled: \"true\"`");
    }
}

fn secrets(ledger: &mut Ledger<'_>, platform: &Platform) {
    let mut all: Vec<(String, &SecretSource)> = Vec::new();
    let grafana = &platform.grafana;
    all.extend(
        grafana.admin.password.iter().map(|secret| ("platform.grafana.admin.password".to_owned(), secret)),
    );
    all.extend(grafana.secret_key.iter().map(|secret| ("platform.grafana.secretKey".to_owned(), secret)));
    all.extend(
        grafana
            .oidc
            .iter()
            .map(|oidc| ("platform.grafana.oidc.clientSecret".to_owned(), &oidc.client_secret)),
    );
    if let Database::External(database) = &platform.database {
        all.push(("platform.database.external.password".to_owned(), &database.password));
    }
    for (at, receiver) in platform.alertmanager.receivers.iter().enumerate() {
        let path = format!("platform.alertmanager.receivers[{at}]");
        for (at, slack) in receiver.slack.iter().enumerate() {
            all.push((format!("{path}.slack[{at}].apiUrl"), &slack.api_url));
        }
        for (at, service) in receiver.pagerduty.iter().enumerate() {
            all.push((format!("{path}.pagerduty[{at}].routingKey"), &service.routing_key));
        }
        for (at, email) in receiver.email.iter().enumerate() {
            all.extend(email.password.iter().map(|secret| (format!("{path}.email[{at}].password"), secret)));
        }
        for (at, hook) in receiver.webhook.iter().enumerate() {
            all.push((format!("{path}.webhook[{at}].url"), &hook.url));
        }
    }
    if let Some(switch) = &platform.alertmanager.dead_mans_switch {
        all.push(("platform.alertmanager.deadMansSwitch.url".to_owned(), &switch.url));
    }
    if let Some(acme) = &platform.cert_manager.acme
        && let AcmeSolver::Dns(DnsSolver::Cloudflare(cloudflare)) = &acme.solver
    {
        all.push((
            "platform.certManager.acme.solver.dns.cloudflare.apiToken".to_owned(),
            &cloudflare.api_token,
        ));
    }
    for (at, remote) in platform.prometheus.remote_write.iter().enumerate() {
        let path = format!("platform.prometheus.remoteWrite[{at}].bearerToken");
        all.extend(remote.bearer_token.iter().map(|secret| (path.clone(), secret)));
    }
    if let crate::model::Cloud::Existing(cluster) = &ledger.stack.cloud
        && let Some(store) = &cluster.object_store
    {
        all.push(("cloud.objectStore.secretAccessKey".to_owned(), &store.secret_access_key));
    }
    for (path, secret) in all {
        let SecretSource::Value(text) = secret else { continue };
        let text = text.expose();
        if WELL_KNOWN.iter().any(|known| text.eq_ignore_ascii_case(known)) {
            ledger.must(
                "default-password",
                &path,
                "this is a password that everybody tries first",
                "use `generate: {}`, or take it from an External Secrets store",
            );
        } else if text.len() < LEAST_LENGTH {
            ledger.must(
                "default-password",
                &path,
                format!("this secret has fewer than {LEAST_LENGTH} characters"),
                "use `generate: {}`, or take it from an External Secrets store",
            );
        } else {
            ledger.should(
                "literal-secret",
                &path,
                "this secret stands in the stack file in the clear",
                "use `fromExternalSecret`, or `generate` where only the platform needs it",
            );
        }
    }
    if platform.external_secrets.is_none() {
        ledger.info(
            "external-secrets",
            "platform.externalSecrets",
            "no External Secrets store is named: secrets are kept in the encrypted state",
            "",
        );
    }
}

fn certificates(ledger: &mut Ledger<'_>, platform: &Platform) {
    let Some(domain) = &platform.domain else {
        ledger.must_if_available(
            "domain",
            "platform.domain",
            format!("the stack has no domain: Grafana would be `{}`", ledger.stack.grafana_host()),
            "set `platform.domain`",
        );
        if platform.cert_manager.acme.is_some() {
            ledger.add(
                Severity::Error,
                "acme",
                "platform.certManager.acme",
                "no public authority issues certificates for a domain that is not public",
                "set `platform.domain`",
            );
        }
        return;
    };
    let reserved = ["internal", "local", "localhost", "test", "invalid", "example", "lan", "home.arpa"];
    let private =
        reserved.iter().any(|end| domain.as_str() == *end || domain.as_str().ends_with(&format!(".{end}")));
    match &platform.cert_manager.acme {
        Some(acme) => {
            if private {
                ledger.add(
                    Severity::Error,
                    "acme",
                    "platform.certManager.acme",
                    format!("no public authority issues certificates for `{domain}`"),
                    "choose a public domain, or remove `acme` to use the internal authority",
                );
            }
            if acme.server.as_str().contains("staging") {
                ledger.must(
                    "acme",
                    "platform.certManager.acme.server",
                    "browsers do not trust certificates of a staging server",
                    "remove `server`",
                );
            }
        }
        None if private => ledger.info(
            "acme",
            "platform.certManager",
            "certificates of public names come from the internal authority, which browsers do not know",
            "",
        ),
        None => ledger.should(
            "acme",
            "platform.certManager",
            "certificates of public names come from the internal authority, which browsers do not know",
            "describe a public authority under `platform.certManager.acme`",
        ),
    }
}

fn networks(ledger: &mut Ledger<'_>, platform: &Platform) {
    let policies = &platform.network_policies;
    if !policies.enabled {
        ledger.must(
            "network-policies",
            "platform.networkPolicies.enabled",
            "every pod of the cluster may talk to every part of the platform",
            "remove `enabled: false`",
        );
    } else {
        let wide: Vec<&str> = [
            ("apiServerCidrs", policies.api_server_cidrs.is_empty()),
            ("objectStoreCidrs", policies.object_store_cidrs.is_empty()),
            (
                "databaseCidrs",
                policies.database_cidrs.is_empty() && matches!(platform.database, Database::External(_)),
            ),
        ]
        .into_iter()
        .filter_map(|(key, wide)| wide.then_some(key))
        .collect();
        if !wide.is_empty() {
            ledger.info(
                "egress",
                "platform.networkPolicies",
                format!("egress is limited by port but not by address: {} are empty", wide.join(", ")),
                "list the address ranges where they are known",
            );
        }
    }
    if platform.collector.allowed_namespaces.is_empty() {
        ledger.warn(
            "otlp-namespaces",
            "platform.collector.allowedNamespaces",
            "no namespace may send telemetry to the collector",
            "list the namespaces of your applications under `platform.collector.allowedNamespaces`",
        );
    }
}
