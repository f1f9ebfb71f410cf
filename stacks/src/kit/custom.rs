//! Custom resources that the platform makes, as typed structs: cert-manager's and the External Secrets operator's.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

/// The specification of a custom resource, which knows its kind.
pub(crate) trait CustomSpec: Serialize {
    /// Group and version.
    const API_VERSION: &'static str;
    /// The kind.
    const KIND: &'static str;
}

/// A custom resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Custom<S> {
    api_version: &'static str,
    kind: &'static str,
    /// Name, namespace and so on.
    pub metadata: ObjectMeta,
    /// What is asked for.
    pub spec: S,
}

impl<S: CustomSpec> Custom<S> {
    /// A custom resource.
    pub fn new(metadata: ObjectMeta, spec: S) -> Self {
        Self { api_version: S::API_VERSION, kind: S::KIND, metadata, spec }
    }
}

/// A certificate to issue into a Secret.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateSpec {
    /// Where key, certificate and authority are written.
    pub secret_name: String,
    /// The subject, for authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// The names it is valid for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// The addresses it is valid for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// How long it is valid, in Go's spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How long before its end it is renewed, in Go's spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,
    /// Whether it may sign others.
    #[serde(rename = "isCA", skip_serializing_if = "Option::is_none")]
    pub is_ca: Option<bool>,
    /// What it may be used for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<String>,
    /// The key.
    pub private_key: PrivateKey,
    /// Who signs it.
    pub issuer_ref: IssuerReference,
}

impl CustomSpec for CertificateSpec {
    const API_VERSION: &'static str = "cert-manager.io/v1";
    const KIND: &'static str = "Certificate";
}

/// How a certificate's key is made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PrivateKey {
    /// `ECDSA` or `RSA`.
    pub algorithm: &'static str,
    /// Bits.
    pub size: u32,
    /// `Always` makes a new key with each certificate.
    pub rotation_policy: &'static str,
    /// `PKCS1` or `PKCS8`.
    pub encoding: &'static str,
}

impl Default for PrivateKey {
    fn default() -> Self {
        Self { algorithm: "ECDSA", size: 256, rotation_policy: "Always", encoding: "PKCS8" }
    }
}

/// Who signs a certificate.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct IssuerReference {
    /// The issuer's name.
    pub name: String,
    /// `Issuer` or `ClusterIssuer`.
    pub kind: &'static str,
    /// The issuer's group.
    pub group: &'static str,
}

impl IssuerReference {
    /// A ClusterIssuer.
    pub fn cluster(name: &str) -> Self {
        Self { name: name.to_owned(), kind: "ClusterIssuer", group: "cert-manager.io" }
    }
}

/// An authority for the whole cluster.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IssuerSpec {
    /// Signs with the certificate's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<BTreeMap<String, String>>,
    /// Signs with a key in a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaSpec>,
    /// Asks an authority that speaks ACME.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeSpec>,
}

impl CustomSpec for IssuerSpec {
    const API_VERSION: &'static str = "cert-manager.io/v1";
    const KIND: &'static str = "ClusterIssuer";
}

/// An authority whose key is in a Secret.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CaSpec {
    /// The Secret.
    pub secret_name: String,
}

/// An authority that speaks ACME.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcmeSpec {
    /// Who is warned.
    pub email: String,
    /// The directory.
    pub server: String,
    /// Where the account's key is kept.
    pub private_key_secret_ref: LocalSecret,
    /// How control of names is proved.
    pub solvers: Vec<AcmeChallengeSolver>,
}

/// A Secret by name.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LocalSecret {
    /// The Secret's name.
    pub name: String,
}

/// How control of names is proved. The solver's own settings vary by DNS service.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct AcmeChallengeSolver {
    /// By HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http01: Option<serde_json::Value>,
    /// By DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns01: Option<serde_json::Value>,
}

/// A Secret filled from a store of secrets.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalSecretSpec {
    /// How often it is read again, in Go's spelling.
    pub refresh_interval: String,
    /// The store.
    pub secret_store_ref: StoreReference,
    /// The Secret to fill.
    pub target: ExternalTarget,
    /// What goes into it.
    pub data: Vec<ExternalData>,
}

impl CustomSpec for ExternalSecretSpec {
    const API_VERSION: &'static str = "external-secrets.io/v1";
    const KIND: &'static str = "ExternalSecret";
}

/// A store of secrets.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StoreReference {
    /// The store's name.
    pub name: String,
    /// The store's kind.
    pub kind: &'static str,
}

/// The Secret that an ExternalSecret fills.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalTarget {
    /// The Secret's name.
    pub name: String,
    /// `Owner` makes the Secret; `Merge` adds to one that exists.
    pub creation_policy: &'static str,
}

/// One key of a Secret, and where its value is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalData {
    /// The key in the Secret.
    pub secret_key: String,
    /// The value in the store.
    pub remote_ref: RemoteReference,
}

/// A value in a store of secrets.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RemoteReference {
    /// The entry.
    pub key: String,
    /// The property of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
}

/// A span of time as Go writes it, which is what cert-manager turns every other spelling into.
pub(crate) fn go_duration(seconds: u64) -> String {
    format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_form_that_controllers_keep() {
        assert_eq!(go_duration(90 * 86_400), "2160h0m0s");
        assert_eq!(go_duration(5_400), "1h30m0s");
    }
}
