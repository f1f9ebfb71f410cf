//! The sections that Loki and Tempo have in common, because they are built on the same library for servers, clients
//! and gossip.

use plinth_provider::Urn;
use serde::Serialize;

use crate::kit::parts::ports;
use crate::kit::{
    Build, CA_FILE, CERT_FILE, CertificateSpec, Custom, INTERNAL_ISSUER, IssuerReference, KEY_FILE, Part,
    Space, go_duration, metadata,
};

/// The servers of a part. `internal_server` is left alone: with it on, no part ever ends when told to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Server {
    http_listen_port: i32,
    grpc_listen_port: i32,
    http_tls_config: ServerTls,
    grpc_tls_config: ServerTls,
    tls_min_version: &'static str,
    log_level: &'static str,
    log_format: &'static str,
    graceful_shutdown_timeout: &'static str,
    grpc_server_max_recv_msg_size: u64,
    grpc_server_max_send_msg_size: u64,
    http_server_read_timeout: &'static str,
    http_server_write_timeout: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerTls {
    cert_file: &'static str,
    key_file: &'static str,
    client_ca_file: &'static str,
    client_auth_type: &'static str,
}

impl ServerTls {
    fn new(client_auth_type: &'static str) -> Self {
        Self { cert_file: CERT_FILE, key_file: KEY_FILE, client_ca_file: CA_FILE, client_auth_type }
    }
}

impl Server {
    /// Callers of gRPC must show a certificate. On the port that the kubelet probes it is checked when shown; the
    /// network policy decides who reaches that port.
    pub fn new(http: i32, grpc: i32) -> Self {
        Self {
            http_listen_port: http,
            grpc_listen_port: grpc,
            http_tls_config: ServerTls::new("VerifyClientCertIfGiven"),
            grpc_tls_config: ServerTls::new("RequireAndVerifyClientCert"),
            tls_min_version: "VersionTLS12",
            log_level: "info",
            log_format: "logfmt",
            graceful_shutdown_timeout: "30s",
            grpc_server_max_recv_msg_size: 64 << 20,
            grpc_server_max_send_msg_size: 64 << 20,
            http_server_read_timeout: "5m",
            http_server_write_timeout: "5m",
        }
    }
}

/// The certificate that a client of another part shows, and the name that it expects there: pods are dialled by
/// address, so the name must be stated.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClientTls {
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_enabled: Option<bool>,
    tls_cert_path: &'static str,
    tls_key_path: &'static str,
    tls_ca_path: &'static str,
    tls_server_name: String,
    tls_min_version: &'static str,
}

impl ClientTls {
    pub fn to_name(name: String) -> Self {
        Self {
            tls_enabled: Some(true),
            tls_cert_path: CERT_FILE,
            tls_key_path: KEY_FILE,
            tls_ca_path: CA_FILE,
            tls_server_name: name,
            tls_min_version: "VersionTLS12",
        }
    }

    pub fn to(b: &Build<'_>, part: Part) -> Self {
        Self::to_name(b.host(part))
    }

    /// For the few clients without a switch of their own.
    pub fn without_switch(mut self) -> Self {
        self.tls_enabled = None;
        self
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct GrpcOnly {
    grpc_client_config: ClientTls,
}

impl GrpcOnly {
    pub fn to(b: &Build<'_>, part: Part) -> Self {
        Self { grpc_client_config: ClientTls::to(b, part) }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ring {
    pub kvstore: KvStore,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct KvStore {
    pub store: &'static str,
}

impl Ring {
    pub const GOSSIP: Self = Self { kvstore: KvStore { store: "memberlist" } };
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Memberlist {
    cluster_label: String,
    join_members: Vec<String>,
    bind_port: i32,
    abort_if_cluster_join_fails: bool,
    rejoin_interval: &'static str,
    left_ingesters_timeout: &'static str,
    #[serde(flatten)]
    tls: ClientTls,
}

impl Memberlist {
    /// Members are found through the pods of the parts in `seeds`, ready or not. Whoever answers shows the
    /// certificate of [`gossip_certificate`].
    pub fn new(b: &Build<'_>, app: &str, seeds: &[Part]) -> Self {
        let seed = |part: &Part| format!("dns+{}:{}", b.headless_host(*part), ports::MEMBERLIST);
        Self {
            cluster_label: format!("{app}-{}", b.stack.name),
            join_members: seeds.iter().map(seed).collect(),
            bind_port: ports::MEMBERLIST,
            abort_if_cluster_join_fails: false,
            rejoin_interval: "90s",
            left_ingesters_timeout: "5m",
            tls: ClientTls {
                tls_cert_path: "/etc/plinth/gossip/tls.crt",
                tls_key_path: "/etc/plinth/gossip/tls.key",
                tls_ca_path: "/etc/plinth/gossip/ca.crt",
                ..ClientTls::to_name(gossip_name(b, app))
            },
        }
    }
}

/// Where the certificate for gossip is mounted.
pub(crate) const GOSSIP_DIRECTORY: &str = "/etc/plinth/gossip";

/// The name that every member of a gossip cluster shows in its certificate.
fn gossip_name(b: &Build<'_>, app: &str) -> String {
    format!("{app}-gossip.{}.svc", b.namespace(Space::Platform))
}

/// Declares the certificate of a gossip cluster's members, and names its Secret. Gossip reads its certificate only
/// when a pod starts, so this one must outlive every pod: it is valid for half as long as the authority itself.
pub(crate) fn gossip_certificate(b: &mut Build<'_>, app: &str) -> (String, Urn) {
    let secret = format!("{app}-gossip-tls");
    let valid = b.platform.cert_manager.internal_ca.duration.seconds() / 2;
    let spec = CertificateSpec {
        secret_name: secret.clone(),
        dns_names: vec![gossip_name(b, app)],
        duration: Some(go_duration(valid)),
        renew_before: Some(go_duration(valid / 3)),
        usages: vec!["server auth".to_owned(), "client auth".to_owned()],
        issuer_ref: IssuerReference::cluster(INTERNAL_ISSUER),
        ..CertificateSpec::default()
    };
    let metadata = metadata(Some(b.namespace(Space::Platform)), secret.as_str(), b.common_labels());
    let issuers = b.issuers.clone();
    let urn = b.object_after(Custom::new(metadata, spec), &issuers);
    (secret, urn)
}

/// Whether the copies of one line of log, or of one span, are kept in different zones. Each pod learns its zone from a
/// label that Kubernetes gives it from 1.35 on. With fewer than three zones there would not be a zone for each copy.
pub(crate) fn zone_aware(b: &Build<'_>, replication_factor: u32) -> bool {
    let zones = b.stack.zones();
    b.highly_available()
        && replication_factor >= 3
        && b.stack.cloud.creates_cluster()
        && b.stack.cluster.version.minor() >= 35
        && (zones.is_empty() || zones.len() >= 3)
}

/// The environment variable in which an ingester finds its zone.
pub(crate) const ZONE: &str = "ZONE";
/// The field of the pod that it comes from.
pub(crate) const ZONE_FIELD: &str = "metadata.labels['topology.kubernetes.io/zone']";

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lifecycler {
    pub ring: IngesterRing,
    pub join_after: &'static str,
    pub min_ready_duration: &'static str,
    pub final_sleep: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_zone: Option<String>,
}

impl Lifecycler {
    /// Copies in as many ingesters as `replication_factor` says, in different zones where there are enough.
    pub fn new(b: &Build<'_>, replication_factor: u32) -> Self {
        let zones = zone_aware(b, replication_factor);
        Self {
            ring: IngesterRing {
                kvstore: Ring::GOSSIP.kvstore,
                replication_factor,
                zone_awareness_enabled: zones,
            },
            join_after: "10s",
            min_ready_duration: "15s",
            final_sleep: "0s",
            availability_zone: zones.then(|| format!("${{{ZONE}}}")),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct IngesterRing {
    pub kvstore: KvStore,
    pub replication_factor: u32,
    zone_awareness_enabled: bool,
}
