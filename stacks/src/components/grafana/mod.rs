//! Grafana: dashboards, log-in, and alerts that people make. Replicas share a database and tell each other what they
//! have sent.

mod ini;
pub(crate) mod sources;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1 as core;
use serde::Serialize;

use crate::catalogue::Image;
use crate::components::database::{self, Authority};
use crate::components::{dashboards, thanos::text};
use crate::kit::parts::{self, ports};
use crate::kit::{
    Build, CA_FILE, CERT_FILE, Check, Container, Entry, GRAFANA_ADMIN, Outside, Phase, Probes, Workload,
};

/// The uid and gid of Grafana.
const USER: i64 = 472;
/// Where the configuration file is mounted.
const CONFIG: &str = "/etc/grafana/config";
/// Where provisioning files are read.
const PROVISIONING: &str = "/etc/grafana/provisioning";
/// Where dashboards are mounted, a folder each.
pub(crate) const DASHBOARDS: &str = "/etc/grafana/dashboards";
/// Where the administrator's password and the secret key are mounted.
const ADMIN_DIRECTORY: &str = "/etc/grafana/admin";
/// Where the client's secret is mounted.
const OIDC_DIRECTORY: &str = "/etc/grafana/oidc";
/// Where the database's password is mounted.
const DATABASE_DIRECTORY: &str = "/etc/grafana/database";
/// Where the database's authority is mounted, when it has one of its own.
const AUTHORITY_DIRECTORY: &str = "/etc/grafana/database-ca";
/// Where the index of dashboards is kept: one for each pod, never shared.
const INDEX: &str = "/var/lib/grafana-search";

/// The Secret with the client's secret.
const OIDC_SECRET: &str = "grafana-oidc";
/// For whom a ServiceAccount's token must be, so that Grafana accepts it.
pub(crate) const TOKEN_AUDIENCE: &str = "grafana";
/// The header in which jobs of the platform show their token.
pub(crate) const TOKEN_HEADER: &str = "X-JWT-Assertion";

/// A file that tells Grafana about folders of dashboards.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DashboardProviders {
    api_version: u32,
    providers: Vec<DashboardProvider>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DashboardProvider {
    name: String,
    folder: String,
    folder_uid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    disable_deletion: bool,
    allow_ui_updates: bool,
    update_interval_seconds: u32,
    options: DashboardFolder,
}

#[derive(Debug, Clone, Serialize)]
struct DashboardFolder {
    path: String,
}

/// Declares Grafana.
pub(crate) fn declare(b: &mut Build<'_>) {
    b.phase(Phase::Dashboards);
    let part = parts::GRAFANA;
    let shape = b.sizing.grafana.clone();
    secrets(b);
    let folders = dashboards::folders(b);
    let mut workload = Workload::deployment(b, part, Image::Grafana, &shape)
        .user(USER, USER)
        .grace(60)
        .main(|main| {
            let main = main
                .env("GF_PATHS_CONFIG", format!("{CONFIG}/grafana.ini"))
                .env("GF_PATHS_PROVISIONING", PROVISIONING)
                .env("GF_PATHS_DATA", "/var/lib/grafana")
                .env("GF_PLUGINS_PREINSTALL_DISABLED", "true")
                .env("GF_PLUGINS_PREINSTALL_AUTO_UPDATE", "false")
                .env_field("POD_IP", "status.podIP")
                .port("https", ports::GRAFANA)
                .mount("cluster", ACCOUNT, true)
                // Liveness leaves the database out: its outage must not restart every replica. Migrations take time.
                .probes(
                    Probes::new(Check::Https("https", "/api/health"), Check::Https("https", "/healthz"))
                        .startup(900),
                )
                .stop_delay(10);
            main.port("gossip", ports::ALERTMANAGER_GOSSIP).udp_port("gossip-udp", ports::ALERTMANAGER_GOSSIP)
        })
        .config(CONFIG, [("grafana.ini", ini::ini(b).text())])
        .more_config(
            "sources",
            &format!("{PROVISIONING}/datasources"),
            [("datasources.yaml", text(&sources::sources(b)))],
        )
        .more_config(
            "providers",
            &format!("{PROVISIONING}/dashboards"),
            [("providers.yaml", text(&providers(&folders)))],
        )
        .secret("admin", GRAFANA_ADMIN, ADMIN_DIRECTORY)
        .secret("database", database::SECRET, DATABASE_DIRECTORY)
        .scratch("data", "/var/lib/grafana")
        .scratch("index", INDEX)
        .scratch("logs", "/var/log/grafana")
        .tls()
        .headless()
        .sidecar(renewal(b))
        .more_config("renewal", RENEWAL, [("renew.sh", renewal_script(b))])
        .volume(token_volume())
        .volume(cluster_volume())
        .metrics(ports::GRAFANA, "/metrics");
    for (key, value) in b.https_backend() {
        workload = workload.service_annotation(key, value);
    }
    for folder in &folders {
        let files = folder.files.clone();
        workload = workload.more_config(&folder.config_map(), &folder.path(), files);
    }
    if b.platform.grafana.oidc.is_some() {
        workload = workload.secret("oidc", OIDC_SECRET, OIDC_DIRECTORY);
    }
    if database::connection(b).authority == Authority::ConfigMap {
        workload = workload.config_map("database-ca", database::AUTHORITY, AUTHORITY_DIRECTORY);
    }
    workload.deploy(b);
    let host = b.stack.grafana_host();
    b.reachable(part, &host, "https", ports::GRAFANA);
    edges(b);
}

fn providers(folders: &[dashboards::Folder]) -> DashboardProviders {
    DashboardProviders {
        api_version: 1,
        providers: folders
            .iter()
            .map(|folder| DashboardProvider {
                name: folder.name.clone(),
                folder: folder.title.clone(),
                folder_uid: format!("plinth-{}", folder.name),
                kind: "file",
                disable_deletion: true,
                allow_ui_updates: false,
                update_interval_seconds: 60,
                options: DashboardFolder { path: folder.path() },
            })
            .collect(),
    }
}

fn secrets(b: &mut Build<'_>) {
    let grafana = b.platform.grafana.clone();
    let space = parts::GRAFANA.space;
    b.secret(
        space,
        GRAFANA_ADMIN,
        // The keys of the backup job's Secret too.
        vec![
            Entry::text("user", grafana.admin.user),
            Entry::source("password", grafana.admin.password.as_ref()),
            Entry::source("secret-key", grafana.secret_key.as_ref()),
        ],
    );
    if let Some(oidc) = &grafana.oidc {
        b.secret(space, OIDC_SECRET, vec![Entry::source("client-secret", Some(&oidc.client_secret))]);
    }
}

/// Where the script of the sidecar is mounted.
const RENEWAL: &str = "/etc/grafana/renewal";
/// Where a token for Grafana is mounted.
pub(crate) const TOKEN: &str = "/var/run/secrets/plinth/grafana";

/// Data sources keep the certificate that Grafana shows to others in the database, as it was when they were
/// provisioned. Whenever cert-manager has renewed it, the sidecar has Grafana provision them again.
fn renewal(b: &Build<'_>) -> Container {
    let compute = crate::sizing::Compute {
        cpu_request: crate::model::Quantity::millicores(5),
        cpu_limit: crate::model::Quantity::millicores(50),
        memory_request: crate::model::Quantity::mebibytes(16),
        memory_limit: crate::model::Quantity::mebibytes(32),
    };
    Container::new("certificate-watch", b.stack.catalogue.image(Image::Curl))
        .compute(&compute)
        .command(["sh", "/etc/grafana/renewal/renew.sh"])
        .probes(Probes::same(Check::Exec(
            ["sh", "-c", "test -n \"$(find /tmp/renewal -mmin -20)\""].map(str::to_owned).to_vec(),
        )))
        .mount("config-renewal", RENEWAL, true)
        .mount("token", TOKEN, true)
}

fn renewal_script(b: &Build<'_>) -> String {
    let host = b.host(parts::GRAFANA);
    let port = ports::GRAFANA;
    format!(
        "#!/bin/sh
# Has Grafana read its data sources' certificates again when they were renewed.
trap 'exit 0' TERM INT
touch /tmp/renewal
seen=$(sha256sum < {CERT_FILE})
while true; do
  sleep 600 &
  wait $!
  touch /tmp/renewal
  now=$(sha256sum < {CERT_FILE})
  [ \"$now\" = \"$seen\" ] && continue
  if curl --fail --silent --show-error --max-time 30 --request POST \\
    --cacert {CA_FILE} --connect-to {host}:{port}:localhost:{port} \\
    --header \"{TOKEN_HEADER}: $(cat {TOKEN}/token)\" \\
    https://{host}:{port}/api/admin/provisioning/datasources/reload; then
    seen=$now
  fi
done
"
    )
}

/// A token of the pod's own ServiceAccount that is good for Grafana and for nothing else: the volume `token`.
pub(crate) fn token_volume() -> core::Volume {
    core::Volume {
        name: "token".to_owned(),
        projected: Some(core::ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(vec![core::VolumeProjection {
                service_account_token: Some(core::ServiceAccountTokenProjection {
                    audience: Some(TOKEN_AUDIENCE.to_owned()),
                    expiration_seconds: Some(3600),
                    path: "token".to_owned(),
                }),
                ..Default::default()
            }]),
        }),
        ..Default::default()
    }
}

/// Where Grafana finds what it needs to ask the cluster.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A token for the API server and its authority, for Grafana alone and not for the container beside it: reading the
/// keys with which the cluster signs tokens needs one.
fn cluster_volume() -> core::Volume {
    core::Volume {
        name: "cluster".to_owned(),
        projected: Some(core::ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(vec![
                core::VolumeProjection {
                    service_account_token: Some(core::ServiceAccountTokenProjection {
                        audience: None,
                        expiration_seconds: Some(3600),
                        path: "token".to_owned(),
                    }),
                    ..Default::default()
                },
                core::VolumeProjection {
                    config_map: Some(core::ConfigMapProjection {
                        // Kubernetes puts it into every namespace.
                        name: "kube-root-ca.crt".to_owned(),
                        items: Some(vec![core::KeyToPath {
                            key: "ca.crt".to_owned(),
                            path: "ca.crt".to_owned(),
                            mode: None,
                        }]),
                        optional: None,
                    }),
                    ..Default::default()
                },
            ]),
        }),
        ..Default::default()
    }
}

fn edges(b: &mut Build<'_>) {
    let part = parts::GRAFANA;
    let (metrics, port) = sources::metrics_part(b);
    b.allow(part, metrics, &[port]);
    b.allow(part, parts::LOKI_GATEWAY, &[ports::LOKI_GATEWAY]);
    b.allow(part, parts::TEMPO_QUERY_FRONTEND, &[ports::TEMPO_HTTP]);
    b.allow(part, parts::ALERTMANAGER, &[ports::ALERTMANAGER]);
    b.allow(part, part, &[ports::ALERTMANAGER_GOSSIP]);
    b.allow_udp(part, part, &[ports::ALERTMANAGER_GOSSIP]);
    b.allow_outside(part, Outside::Database);
    b.allow_outside(part, Outside::ApiServer);
    if b.platform.grafana.oidc.is_some() {
        b.allow_outside(part, Outside::Oidc);
    }
}
