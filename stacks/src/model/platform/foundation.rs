//! What the platform stands on: certificates and the way in from outside.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::scalars::{Cidr, Duration, Url};
use crate::model::secret::SecretSource;
use crate::model::workload::Workload;

/// cert-manager, which issues and renews every certificate of the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CertManager {
    /// Installs it. Turn it off where the cluster has one already.
    pub install: bool,
    /// Certificates for public names. Without it, public names get certificates of the internal authority too.
    pub acme: Option<Acme>,
    /// The authority for certificates between the platform's own components.
    pub internal_ca: InternalCa,
    /// The controller.
    pub controller: Workload,
    /// The webhook.
    pub webhook: Workload,
    /// The injector of authorities into webhook configurations.
    pub cainjector: Workload,
}

impl Default for CertManager {
    fn default() -> Self {
        Self {
            install: true,
            acme: None,
            internal_ca: InternalCa::default(),
            controller: Workload::default(),
            webhook: Workload::default(),
            cainjector: Workload::default(),
        }
    }
}

/// An authority that speaks ACME, such as Let's Encrypt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acme {
    /// Where the authority sends warnings.
    #[schemars(regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub email: String,
    /// The authority's directory.
    #[serde(default = "lets_encrypt")]
    pub server: Url,
    /// How control of a name is proved.
    pub solver: AcmeSolver,
}

fn lets_encrypt() -> Url {
    crate::model::constant("https://acme-v02.api.letsencrypt.org/directory")
}

/// How control of a name is proved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AcmeSolver {
    /// By answering a request over HTTP; the domain must already point to the ingress.
    Http(HttpSolver),
    /// By a DNS record; works before the domain points anywhere.
    Dns(DnsSolver),
}

/// Nothing to set: the stack's ingress class is used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpSolver {}

/// Who serves the domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DnsSolver {
    /// AWS Route 53.
    Route53(Route53),
    /// Google Cloud DNS.
    CloudDns(CloudDns),
    /// Azure DNS.
    AzureDns(AzureDns),
    /// Cloudflare.
    Cloudflare(Cloudflare),
}

/// AWS Route 53, with the pod identity that the stack gives to cert-manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route53 {
    /// The region to sign for.
    pub region: String,
    /// The hosted zone; found by name when left out.
    #[serde(default)]
    pub hosted_zone_id: Option<String>,
}

/// Google Cloud DNS, with the workload identity that the stack gives to cert-manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudDns {
    /// The project that holds the zone.
    pub project: String,
}

/// Azure DNS, with the managed identity that the stack gives to cert-manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureDns {
    /// The subscription that holds the zone.
    pub subscription: String,
    /// The resource group that holds the zone.
    pub resource_group: String,
    /// The zone's name.
    pub zone: String,
}

/// Cloudflare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cloudflare {
    /// A token that may edit the zone's records.
    pub api_token: SecretSource,
}

/// The authority for certificates between the platform's own components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InternalCa {
    /// How long the authority's own certificate is valid.
    pub duration: Duration,
    /// How long the certificates it issues are valid; they are renewed after two thirds of that.
    pub certificate_duration: Duration,
}

impl Default for InternalCa {
    fn default() -> Self {
        Self { duration: crate::model::constant("10y"), certificate_duration: crate::model::constant("90d") }
    }
}

/// The way in from outside: an ingress controller that the stack installs, or one that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ingress {
    /// The class of an ingress controller that is there already. Traefik is installed when left out.
    pub class_name: Option<String>,
    /// The ingress controller that the stack installs.
    pub traefik: Traefik,
}

/// Traefik.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Traefik {
    /// The number of pods.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
    /// Requests and limits of each.
    pub resources: crate::model::workload::Resources,
    /// How the service is reached from outside.
    pub service_type: ServiceType,
    /// Annotations on the service, by which clouds configure their load balancers.
    pub service_annotations: BTreeMap<String, String>,
    /// Ranges that may reach the load balancer; everyone when empty.
    pub source_ranges: Vec<Cidr>,
    /// The oldest version of TLS that is accepted.
    pub min_tls_version: TlsVersion,
}

impl Default for Traefik {
    fn default() -> Self {
        Self {
            replicas: None,
            resources: crate::model::workload::Resources::default(),
            service_type: ServiceType::LoadBalancer,
            service_annotations: BTreeMap::new(),
            source_ranges: Vec::new(),
            min_tls_version: TlsVersion::Tls12,
        }
    }
}

/// How a service is reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// By a load balancer of the cloud.
    LoadBalancer,
    /// By a port on every node.
    NodePort,
    /// Not at all, but by port forwarding.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}
