//! Grafana's configuration file. Every secret is read from a file, so that the configuration itself holds none.

use std::fmt::Write;

use super::{ACCOUNT, ADMIN_DIRECTORY, AUTHORITY_DIRECTORY, DASHBOARDS, DATABASE_DIRECTORY, OIDC_DIRECTORY};
use crate::components::database::{self, Authority};
use crate::kit::parts::{self, ports};
use crate::kit::{Build, CERT_FILE, KEY_FILE};
use crate::model::Oidc;

/// Sections of keys and values, in the order in which they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Ini {
    sections: Vec<(String, Vec<(String, String)>)>,
}

impl Ini {
    /// Adds a section.
    fn section<K: Into<String>, V: Into<String>>(
        &mut self,
        name: &str,
        keys: impl IntoIterator<Item = (K, V)>,
    ) {
        for (key, value) in keys {
            self.set(name, &key.into(), value.into());
        }
    }

    /// Sets a key, in place of what it was.
    fn set(&mut self, section: &str, key: &str, value: String) {
        let position = self.sections.iter().position(|(name, _)| name == section).unwrap_or_else(|| {
            self.sections.push((section.to_owned(), Vec::new()));
            self.sections.len() - 1
        });
        let keys = &mut self.sections[position].1;
        match keys.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => keys.push((key.to_owned(), value)),
        }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, keys) in &self.sections {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "[{name}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        text
    }
}

/// A value in which `#`, `;` or a quote would be misread is put between backquotes, inside which nothing is special.
fn quoted(value: &str) -> String {
    let value = value.replace(['\n', '\r'], " ");
    if value.contains(['#', ';', '"', '\'']) && !value.contains('`') { format!("`{value}`") } else { value }
}

/// A file as a value.
fn file(path: &str) -> String {
    format!("$__file{{{path}}}")
}

/// The configuration.
pub(super) fn ini(b: &Build<'_>) -> Ini {
    let mut ini = Ini::default();
    let host = b.stack.grafana_host();
    let grafana = &b.platform.grafana;
    ini.section(
        "paths",
        [
            ("data", "/var/lib/grafana"),
            ("plugins", "/var/lib/grafana/plugins"),
            ("logs", "/var/log/grafana"),
            ("provisioning", super::PROVISIONING),
        ],
    );
    ini.section(
        "server",
        [
            ("protocol", "https".to_owned()),
            ("http_port", ports::GRAFANA.to_string()),
            ("domain", host.clone()),
            ("root_url", format!("https://{host}/")),
            ("cert_file", CERT_FILE.to_owned()),
            ("cert_key", KEY_FILE.to_owned()),
            // Without this a renewed certificate is never read.
            ("certs_watch_interval", "1m".to_owned()),
            ("min_tls_version", "TLS1.2".to_owned()),
            ("enable_gzip", "true".to_owned()),
        ],
    );
    database(b, &mut ini);
    ini.section(
        "security",
        [
            ("admin_user", grafana.admin.user.clone()),
            ("admin_password", file(&format!("{ADMIN_DIRECTORY}/password"))),
            ("secret_key", file(&format!("{ADMIN_DIRECTORY}/secret-key"))),
            ("cookie_secure", "true".to_owned()),
            ("cookie_samesite", "lax".to_owned()),
            ("strict_transport_security", "true".to_owned()),
            ("disable_gravatar", "true".to_owned()),
            ("allow_embedding", "false".to_owned()),
        ],
    );
    ini.section(
        "users",
        [("allow_sign_up", "false"), ("allow_org_create", "false"), ("auto_assign_org_role", "Viewer")],
    );
    let single_sign_on = grafana.oidc.is_some();
    ini.section(
        "auth",
        [
            ("disable_login_form", single_sign_on.to_string()),
            ("oauth_allow_insecure_email_lookup", "false".to_owned()),
        ],
    );
    ini.section("auth.anonymous", [("enabled", "false")]);
    // Once people come through their provider, no password opens anything. The administrator's, for emergencies, works
    // again after turning this and the login form back on.
    ini.section("auth.basic", [("enabled", (!single_sign_on).to_string())]);
    machines(b, &mut ini);
    if let Some(oidc) = &grafana.oidc {
        open_id_connect(oidc, &mut ini);
    }
    alerting(b, &mut ini);
    ini.section(
        "plugins",
        [
            // Data sources are plugins that come with the image; the installer would try to replace them from the internet.
            ("preinstall_disabled", "true"),
            ("preinstall_auto_update", "false"),
            ("plugin_admin_enabled", "false"),
        ],
    );
    ini.section("unified_storage", [("index_path", super::INDEX)]);
    ini.section(
        "analytics",
        [
            ("reporting_enabled", "false"),
            ("check_for_updates", "false"),
            ("check_for_plugin_updates", "false"),
            ("feedback_links_enabled", "false"),
        ],
    );
    ini.section("news", [("news_feed_enabled", "false")]);
    ini.section("snapshots", [("external_enabled", "false")]);
    ini.section("log", [("mode", "console"), ("level", "info")]);
    ini.section("log.console", [("format", "json")]);
    ini.section("metrics", [("enabled", "true")]);
    if grafana.dashboards.built_in {
        let home = format!("{DASHBOARDS}/platform/overview.json");
        ini.section("dashboards", [("default_home_dashboard_path", home)]);
    }
    for (section, keys) in &grafana.settings {
        ini.section(section, keys.clone());
    }
    ini
}

fn database(b: &Build<'_>, ini: &mut Ini) {
    let database = database::connection(b);
    ini.section(
        "database",
        [
            ("type", "postgres".to_owned()),
            ("host", format!("{}:{}", database.host, database.port)),
            ("name", database.name.clone()),
            ("user", database.user.clone()),
            ("password", file(&format!("{DATABASE_DIRECTORY}/password"))),
            ("ssl_mode", database.ssl_mode.to_owned()),
            ("max_open_conn", "50".to_owned()),
            ("max_idle_conn", "10".to_owned()),
            ("conn_max_lifetime", "3600".to_owned()),
            // Replicas that start together take turns.
            ("migration_locking", "true".to_owned()),
            ("locking_attempt_timeout_sec", "120".to_owned()),
        ],
    );
    match database.authority {
        Authority::Internal(path) => ini.section("database", [("ca_cert_path", path)]),
        Authority::ConfigMap => {
            ini.section("database", [("ca_cert_path", format!("{AUTHORITY_DIRECTORY}/ca.crt"))]);
        }
        Authority::System => {}
    }
}

/// Jobs of the platform log in with the token of their ServiceAccount, for which no password is kept anywhere.
fn machines(b: &Build<'_>, ini: &mut Ini) {
    let account =
        |part: crate::kit::Part| format!("system:serviceaccount:{}:{}", b.namespace(part.space), part.name());
    // Only Grafana itself may have data sources provisioned again.
    let role = format!(
        "sub == '{}' && 'Admin' || sub == '{}' && 'GrafanaAdmin' || 'None'",
        account(parts::BACKUP),
        account(parts::GRAFANA)
    );
    ini.section(
        "auth.jwt",
        [
            ("enabled", "true".to_owned()),
            ("header_name", super::TOKEN_HEADER.to_owned()),
            ("username_claim", "sub".to_owned()),
            ("email_claim", "sub".to_owned()),
            ("auto_sign_up", "true".to_owned()),
            ("expect_claims", format!("{{\"aud\": [\"{}\"]}}", super::TOKEN_AUDIENCE)),
            ("role_attribute_path", role),
            ("role_attribute_strict", "true".to_owned()),
            ("allow_assign_grafana_admin", "true".to_owned()),
            ("jwk_set_url", "https://kubernetes.default.svc/openid/v1/jwks".to_owned()),
            ("jwk_set_bearer_token_file", format!("{ACCOUNT}/token")),
            ("tls_client_ca", format!("{ACCOUNT}/ca.crt")),
            ("cache_ttl", "60m".to_owned()),
        ],
    );
}

fn open_id_connect(oidc: &Oidc, ini: &mut Ini) {
    let section = "auth.generic_oauth";
    ini.section(
        section,
        [
            ("enabled", "true".to_owned()),
            ("name", oidc.name.clone()),
            ("client_id", oidc.client_id.clone()),
            ("client_secret", file(&format!("{OIDC_DIRECTORY}/client-secret"))),
            ("scopes", oidc.scopes.join(" ")),
            ("auth_url", oidc.auth_url.to_string()),
            ("token_url", oidc.token_url.to_string()),
            ("api_url", oidc.api_url.to_string()),
            ("use_pkce", "true".to_owned()),
            ("use_refresh_token", oidc.scopes.iter().any(|scope| scope == "offline_access").to_string()),
            ("allow_sign_up", "true".to_owned()),
            ("login_attribute_path", "preferred_username".to_owned()),
            ("email_attribute_path", "email".to_owned()),
            ("name_attribute_path", "name".to_owned()),
            ("auto_login", "false".to_owned()),
            ("allow_assign_grafana_admin", "true".to_owned()),
        ],
    );
    if let Some(url) = &oidc.signout_url {
        ini.section(section, [("signout_redirect_url", url.to_string())]);
    }
    match &oidc.role_attribute_path {
        Some(path) => ini.section(
            section,
            [
                ("role_attribute_path", path.clone()),
                ("role_attribute_strict", oidc.role_attribute_strict.to_string()),
            ],
        ),
        None => ini.section(section, [("skip_org_role_sync", "true")]),
    }
    if let Some(path) = &oidc.groups_attribute_path {
        ini.section(section, [("groups_attribute_path", path.clone())]);
    }
    if !oidc.allowed_groups.is_empty() {
        ini.section(section, [("allowed_groups", oidc.allowed_groups.join(" "))]);
        if oidc.groups_attribute_path.is_none() {
            ini.section(section, [("groups_attribute_path", "groups")]);
        }
    }
}

/// Replicas tell each other what they have sent. A single one is told the same, so that a change of their number changes
/// nothing else.
fn alerting(b: &Build<'_>, ini: &mut Ini) {
    ini.section("unified_alerting", [("enabled", "true")]);
    let port = ports::ALERTMANAGER_GOSSIP;
    ini.section(
        "unified_alerting",
        [
            ("ha_listen_address", format!("${{POD_IP}}:{port}")),
            ("ha_advertise_address", format!("${{POD_IP}}:{port}")),
            ("ha_peers", format!("{}:{port}", b.headless_host(parts::GRAFANA))),
            ("ha_peer_timeout", "15s".to_owned()),
            ("ha_reconnect_timeout", "2m".to_owned()),
            ("ha_label", b.stack.name.to_string()),
        ],
    );
}
