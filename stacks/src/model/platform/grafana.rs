//! Grafana and its database.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::scalars::{DnsName, Quantity, Url};
use crate::model::secret::SecretSource;
use crate::model::workload::Resources;

/// Grafana's database: one that exists, or a small one inside the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Database {
    /// A PostgreSQL server that exists; what high availability needs.
    External(ExternalDatabase),
    /// A single PostgreSQL inside the cluster, for stacks that are not highly available.
    Embedded(EmbeddedDatabase),
}

impl Default for Database {
    fn default() -> Self {
        Self::Embedded(EmbeddedDatabase::default())
    }
}

/// A PostgreSQL server that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalDatabase {
    /// The server's name.
    pub host: DnsName,
    /// The server's port.
    #[serde(default = "postgresql_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The database's name.
    #[serde(default = "grafana")]
    pub name: String,
    /// The user.
    #[serde(default = "grafana")]
    pub user: String,
    /// The user's password.
    pub password: SecretSource,
    /// How the connection is protected.
    #[serde(default)]
    pub ssl_mode: SslMode,
    /// The authority that signed the server's certificate, as PEM text; the system's authorities when left out.
    #[serde(default)]
    pub ca_certificate: Option<String>,
}

fn postgresql_port() -> u16 {
    5432
}

fn grafana() -> String {
    "grafana".to_owned()
}

/// How a connection to PostgreSQL is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Not at all.
    Disable,
    /// Encrypted, with whoever answers.
    Require,
    /// Encrypted, with a certificate of a known authority.
    VerifyCa,
    /// Encrypted, with a certificate of a known authority for that very name.
    #[default]
    VerifyFull,
}

/// A single PostgreSQL inside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmbeddedDatabase {
    /// Requests and limits.
    pub resources: Resources,
    /// The size of its disk.
    pub storage: Option<Quantity>,
}

/// Grafana.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Grafana {
    /// The number of pods.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: Resources,
    /// The size of each pod's disk.
    pub storage: Option<Quantity>,
    /// The name under which it is reached; `grafana.<domain>` when left out.
    pub host: Option<DnsName>,
    /// Log-in by an OpenID Connect provider. Without it, only the administrator's password opens Grafana.
    pub oidc: Option<Oidc>,
    /// The administrator, for emergencies when the provider above is not reachable.
    pub admin: GrafanaAdmin,
    /// The key that encrypts what Grafana keeps in its database. Generated when left out.
    pub secret_key: Option<SecretSource>,
    /// Dashboards.
    pub dashboards: Dashboards,
    /// More settings, as section → key → value of Grafana's configuration file; not for secrets.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
}

/// An OpenID Connect provider. Grafana does not discover endpoints, so each is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// The name on the log-in button.
    #[serde(default = "single_sign_on")]
    pub name: String,
    /// The provider.
    pub issuer: Url,
    /// The client's id at the provider.
    pub client_id: String,
    /// The client's secret at the provider.
    pub client_secret: SecretSource,
    /// Where the browser is sent to log in.
    pub auth_url: Url,
    /// Where Grafana exchanges the code for tokens.
    pub token_url: Url,
    /// Where Grafana reads who the user is.
    pub api_url: Url,
    /// Where the browser is sent to log out.
    #[serde(default)]
    pub signout_url: Option<Url>,
    /// What Grafana asks for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// A JMESPath expression from the user's claims to a role (`GrafanaAdmin`, `Admin`, `Editor`, `Viewer`).
    #[serde(default)]
    pub role_attribute_path: Option<String>,
    /// Refuses users for whom that expression gives no role.
    #[serde(default = "yes")]
    pub role_attribute_strict: bool,
    /// A JMESPath expression from the user's claims to the user's groups.
    #[serde(default)]
    pub groups_attribute_path: Option<String>,
    /// Groups whose members may log in; everyone the provider knows when empty.
    #[serde(default)]
    pub allowed_groups: Vec<String>,
    /// Addresses of the provider, for the network policy; everywhere on port 443 when empty.
    #[serde(default)]
    pub cidrs: Vec<crate::model::scalars::Cidr>,
}

fn single_sign_on() -> String {
    "Single sign-on".to_owned()
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email", "groups", "offline_access"].map(str::to_owned).to_vec()
}

fn yes() -> bool {
    true
}

/// Grafana's administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GrafanaAdmin {
    /// The log-in name.
    pub user: String,
    /// The password. Generated when left out; read it with `plinth output`.
    pub password: Option<SecretSource>,
}

impl Default for GrafanaAdmin {
    fn default() -> Self {
        Self { user: "admin".to_owned(), password: None }
    }
}

/// Dashboards that the stack provisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Dashboards {
    /// Provisions the dashboards about the platform and the cluster that come with it.
    pub built_in: bool,
    /// A folder of more dashboards as JSON files, relative to the stack file; its sub-folders become Grafana folders.
    pub directory: Option<String>,
}

impl Default for Dashboards {
    fn default() -> Self {
        Self { built_in: true, directory: None }
    }
}
