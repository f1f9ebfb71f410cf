//! What Grafana is told.

use serde_json::{Value as Json, json};

use crate::components::rules::testing::{Rendered, highly_available, local};

fn oidc() -> Rendered {
    Rendered::of(json!({
        "highAvailability": true,
        "domain": "observability.example.com",
        "grafana": {
            "oidc": {
                "issuer": "https://idp.example.com", "clientId": "grafana", "clientSecret": { "value": "oidc-hush" },
                "authUrl": "https://idp.example.com/authorize", "tokenUrl": "https://idp.example.com/token",
                "apiUrl": "https://idp.example.com/userinfo",
                "roleAttributePath": "contains(groups[*], 'admins') && 'Admin' || 'Viewer'",
                "allowedGroups": ["admins", "people"],
            },
            "settings": { "users": { "default_theme": "dark" } },
        },
    }))
}

/// The value of a key in a section of the configuration file.
fn value(rendered: &Rendered, section: &str, key: &str) -> Option<String> {
    let text = rendered.file("grafana", "grafana.ini");
    let from = text.split_once(&format!("[{section}]\n"))?.1;
    from.lines()
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix(&format!("{key} = ")))
        .map(str::to_owned)
}

#[track_caller]
fn expect(rendered: &Rendered, section: &str, key: &str, wanted: &str) {
    assert_eq!(value(rendered, section, key).as_deref(), Some(wanted), "[{section}] {key}");
}

#[test]
fn it_serves_tls_and_reads_renewed_certificates() {
    let rendered = oidc();
    expect(&rendered, "server", "protocol", "https");
    expect(&rendered, "server", "root_url", "https://grafana.observability.example.com/");
    expect(&rendered, "server", "certs_watch_interval", "1m");
    expect(&rendered, "security", "cookie_secure", "true");
}

#[test]
fn people_come_through_their_provider_and_no_other_way() {
    let rendered = oidc();
    expect(&rendered, "auth", "disable_login_form", "true");
    expect(&rendered, "auth.anonymous", "enabled", "false");
    expect(&rendered, "auth.basic", "enabled", "false");
    expect(&rendered, "auth.generic_oauth", "enabled", "true");
    expect(&rendered, "auth.generic_oauth", "use_pkce", "true");
    expect(&rendered, "auth.generic_oauth", "allowed_groups", "admins people");
    expect(
        &rendered,
        "auth.generic_oauth",
        "role_attribute_path",
        "`contains(groups[*], 'admins') && 'Admin' || 'Viewer'`",
    );
    expect(&rendered, "auth.generic_oauth", "role_attribute_strict", "true");
    expect(&rendered, "users", "default_theme", "dark");
    // Without a provider the administrator's password is the only way.
    expect(&local(), "auth", "disable_login_form", "false");
    expect(&local(), "auth.basic", "enabled", "true");
}

#[test]
fn secrets_are_read_from_files() {
    let rendered = oidc();
    expect(&rendered, "database", "password", "$__file{/etc/grafana/database/password}");
    expect(&rendered, "security", "admin_password", "$__file{/etc/grafana/admin/password}");
    expect(&rendered, "security", "secret_key", "$__file{/etc/grafana/admin/secret-key}");
    expect(&rendered, "auth.generic_oauth", "client_secret", "$__file{/etc/grafana/oidc/client-secret}");
    assert!(!rendered.everything_but_secrets().contains("oidc-hush"));
    let admin = rendered.object("Secret", "grafana-admin").to_string();
    for key in ["password", "secret-key", "user"] {
        assert!(admin.contains(key), "{key}");
    }
}

#[test]
fn replicas_wait_for_each_other_and_gossip() {
    let rendered = oidc();
    expect(&rendered, "database", "type", "postgres");
    expect(&rendered, "database", "migration_locking", "true");
    expect(&rendered, "database", "locking_attempt_timeout_sec", "120");
    expect(&rendered, "unified_alerting", "ha_peers", "grafana-headless.observability.svc:9094");
    expect(&rendered, "unified_alerting", "ha_advertise_address", "${POD_IP}:9094");
    assert_eq!(rendered.object("Deployment", "grafana").at("spec.replicas"), json!(2));
    // A single one is told the same: a change of their number changes nothing else.
    expect(&local(), "unified_alerting", "ha_peers", "grafana-headless.observability.svc:9094");
}

#[test]
fn data_source_plugins_stay_as_they_come() {
    expect(&local(), "plugins", "preinstall_disabled", "true");
    expect(&local(), "plugins", "preinstall_auto_update", "false");
}

fn sources(rendered: &Rendered) -> Json {
    rendered.yaml("grafana-sources", "datasources.yaml")["datasources"].clone()
}

#[test]
fn data_sources_show_certificates_and_refer_to_each_other() {
    let sources = sources(&highly_available());
    let list = sources.as_array().unwrap();
    assert_eq!(list.len(), 4);
    for source in list {
        assert_eq!(source["jsonData"]["tlsAuth"], true);
        assert_eq!(source["jsonData"]["tlsAuthWithCACert"], true);
        assert_eq!(source["secureJsonData"]["tlsClientKey"], "$__file{/etc/plinth/tls/tls.key}");
        assert!(source["url"].as_str().unwrap().starts_with("https://"));
    }
    let uids: Vec<_> = list.iter().map(|source| source["uid"].as_str().unwrap()).collect();
    let mut referred = Vec::new();
    collect("datasourceUid", &sources, &mut referred);
    assert!(referred.len() >= 5, "{referred:?}");
    for uid in referred {
        assert!(uids.contains(&uid.as_str()), "{uid}");
    }
}

fn collect(key: &str, json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(map) => {
            for (name, value) in map {
                if name == key {
                    found.extend(value.as_str().map(str::to_owned));
                }
                collect(key, value, found);
            }
        }
        Json::Array(list) => list.iter().for_each(|value| collect(key, value, found)),
        _ => {}
    }
}

#[test]
fn only_what_runs_is_a_data_source() {
    let rendered = Rendered::of(json!({ "loki": { "enabled": false }, "tempo": { "enabled": false } }));
    let sources = sources(&rendered);
    assert_eq!(sources.as_array().unwrap().len(), 2);
    let mut referred = Vec::new();
    collect("datasourceUid", &sources, &mut referred);
    assert!(referred.is_empty(), "{referred:?}");
}

#[test]
fn an_external_database_is_reached_as_the_stack_says() {
    let rendered = Rendered::of(json!({
        "database": { "external": { "host": "db.example.com", "password": { "value": "db-hush" }, "caCertificate": "PEM" } },
    }));
    expect(&rendered, "database", "host", "db.example.com:5432");
    expect(&rendered, "database", "ssl_mode", "verify-full");
    expect(&rendered, "database", "ca_cert_path", "/etc/grafana/database-ca/ca.crt");
    assert!(!rendered.everything_but_secrets().contains("db-hush"));
}

#[test]
fn tokens_are_only_where_they_are_needed() {
    let rendered = highly_available();
    let deployment = rendered.object("Deployment", "grafana");
    assert_eq!(deployment.at("spec.template.spec.automountServiceAccountToken"), json!(false));
    let containers = rendered.containers("Deployment", "grafana");
    let mounts: Vec<_> = containers.iter().map(|container| container["volumeMounts"].to_string()).collect();
    assert!(
        mounts[0].contains("kubernetes.io/serviceaccount")
            && !mounts[1].contains("kubernetes.io/serviceaccount")
    );
    assert!(mounts[1].contains("/var/run/secrets/plinth/grafana"));
    // The job that asks Grafana to read certificates again is known by the same audience.
    expect(&rendered, "auth.jwt", "expect_claims", "`{\"aud\": [\"grafana\"]}`");
    assert!(deployment.to_string().contains("\"audience\":\"grafana\""));
}
