//! Grafana's database: one that exists, of which only the password is ours to hand over, or a single PostgreSQL inside
//! the cluster for stacks that are not highly available.

use k8s_openapi::api::core::v1::ConfigMap;

use crate::catalogue::Image;
use crate::kit::parts::{self, ports};
use crate::kit::{
    Build, CA_FILE, CERT_FILE, Check, Entry, KEY_FILE, Phase, Probes, Space, Workload, metadata, text_map,
};
use crate::model::{Database, SslMode};

/// The Secret with the password, under the key `password`.
pub(crate) const SECRET: &str = "grafana-database";
/// The ConfigMap with the external server's authority, under the key `ca.crt`; only where the stack names one.
pub(crate) const AUTHORITY: &str = "grafana-database-ca";

/// How Grafana reaches its database.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The server's name.
    pub host: String,
    /// The server's port.
    pub port: i32,
    /// The database's name.
    pub name: String,
    /// The user.
    pub user: String,
    /// How the connection is protected, in PostgreSQL's words.
    pub ssl_mode: &'static str,
    /// The file with the authority inside a pod that has the internal certificate; for an external server with an
    /// authority of its own, the ConfigMap [`AUTHORITY`] must be mounted.
    pub authority: Authority,
}

/// Who signed the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The platform's own authority, in the file that every pod with a certificate has.
    Internal(&'static str),
    /// The one in the ConfigMap [`AUTHORITY`].
    ConfigMap,
    /// Those that the image knows.
    System,
}

/// How Grafana reaches its database.
pub(crate) fn connection(build: &Build<'_>) -> Connection {
    match &build.platform.database {
        Database::External(database) => Connection {
            host: database.host.to_string(),
            port: i32::from(database.port),
            name: database.name.clone(),
            user: database.user.clone(),
            ssl_mode: match database.ssl_mode {
                SslMode::Disable => "disable",
                SslMode::Require => "require",
                SslMode::VerifyCa => "verify-ca",
                SslMode::VerifyFull => "verify-full",
            },
            authority: match database.ca_certificate {
                Some(_) => Authority::ConfigMap,
                None => Authority::System,
            },
        },
        Database::Embedded(_) => Connection {
            host: build.host(parts::DATABASE),
            port: ports::POSTGRESQL,
            name: "grafana".to_owned(),
            user: "grafana".to_owned(),
            ssl_mode: "verify-full",
            authority: Authority::Internal(CA_FILE),
        },
    }
}

pub(crate) fn declare(build: &mut Build<'_>) {
    build.phase(Phase::Database);
    match build.platform.database.clone() {
        Database::External(database) => {
            build.secret(Space::Platform, SECRET, vec![Entry::source("password", Some(&database.password))]);
            if let Some(certificate) = database.ca_certificate {
                let namespace = build.namespace(Space::Platform).to_owned();
                let labels = build.labels(parts::GRAFANA);
                build.object(ConfigMap {
                    metadata: metadata(Some(&namespace), AUTHORITY, labels),
                    data: Some(text_map([("ca.crt", certificate)])),
                    ..ConfigMap::default()
                });
            }
        }
        Database::Embedded(_) => embedded(build),
    }
}

/// Everyone must come over TLS and know the password; only the container itself need not.
const ACCESS_RULES: &str =
    "local all all trust\nhostssl all all all scram-sha-256\nhost all all all reject\n";

/// A renewed certificate is read when the server is told so.
const START: &str = "(while sleep 21600; do pg_ctl reload -s -D \"$PGDATA\" || true; done) & exec docker-entrypoint.sh \"$@\"";

fn embedded(build: &mut Build<'_>) {
    build.secret(Space::Platform, SECRET, vec![Entry::source("password", None)]);
    let shape = build.sizing.database.clone();
    Workload::stateful_set(build, parts::DATABASE, Image::Postgresql, &shape)
        .user(999, 999)
        .grace(60)
        .ordered()
        .priority("plinth-foundation")
        .main(|main| {
            main.command(["bash", "-c", START, "--"])
                .args([
                    "postgres".to_owned(),
                    "-c".to_owned(),
                    "ssl=on".to_owned(),
                    "-c".to_owned(),
                    format!("ssl_cert_file={CERT_FILE}"),
                    "-c".to_owned(),
                    format!("ssl_key_file={KEY_FILE}"),
                    "-c".to_owned(),
                    "ssl_min_protocol_version=TLSv1.2".to_owned(),
                    "-c".to_owned(),
                    "hba_file=/etc/postgresql/pg_hba.conf".to_owned(),
                ])
                .env("POSTGRES_DB", "grafana")
                .env("POSTGRES_USER", "grafana")
                .env("POSTGRES_PASSWORD_FILE", "/etc/postgresql-secret/password")
                .env("POSTGRES_INITDB_ARGS", "--auth-host=scram-sha-256 --data-checksums")
                .env("PGDATA", "/var/lib/postgresql/data/pgdata")
                .port("postgresql", ports::POSTGRESQL)
                .probes(Probes::same(Check::Exec(
                    ["pg_isready", "-U", "grafana", "-d", "grafana"].map(str::to_owned).to_vec(),
                )))
        })
        .config("/etc/postgresql", [("pg_hba.conf", ACCESS_RULES.to_owned())])
        .secret("password", SECRET, "/etc/postgresql-secret")
        .disk("/var/lib/postgresql/data")
        .scratch("run", "/var/run/postgresql")
        .tls()
        .deploy(build);
}
