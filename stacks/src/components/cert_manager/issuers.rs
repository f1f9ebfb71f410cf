//! The authorities: a root made by the stack, the internal authority that it signs, and ACME for public names.

use std::collections::BTreeMap;

use plinth_provider::Urn;
use serde_json::json;

use crate::kit::{
    AcmeChallengeSolver, AcmeSpec, Build, CaSpec, CertificateSpec, Custom, Entry, INTERNAL_ISSUER,
    IssuerReference, IssuerSpec, LocalSecret, PUBLIC_ISSUER, PrivateKey, Space, go_duration, metadata,
};
use crate::model::{Acme, AcmeSolver, DnsSolver};

const ROOT_ISSUER: &str = "plinth-root";
const AUTHORITY: &str = "plinth-internal-ca";
const DNS_TOKEN: &str = "acme-dns-token";

pub(super) fn declare(build: &mut Build<'_>, installed: &[Urn]) {
    let labels = build.common_labels();
    let spec = IssuerSpec { self_signed: Some(BTreeMap::new()), ..IssuerSpec::default() };
    let root = build.object_after(Custom::new(metadata(None, ROOT_ISSUER, labels.clone()), spec), installed);

    let valid = build.platform.cert_manager.internal_ca.duration.seconds();
    let authority = CertificateSpec {
        secret_name: AUTHORITY.to_owned(),
        common_name: Some(format!("Plinth internal authority of {}", build.stack.name)),
        is_ca: Some(true),
        duration: Some(go_duration(valid)),
        renew_before: Some(go_duration(valid / 10)),
        usages: vec!["cert sign".to_owned(), "crl sign".to_owned(), "digital signature".to_owned()],
        // A new key would be an authority that nobody trusts yet.
        private_key: PrivateKey { rotation_policy: "Never", ..PrivateKey::default() },
        issuer_ref: IssuerReference::cluster(ROOT_ISSUER),
        ..CertificateSpec::default()
    };
    // A ClusterIssuer looks for its Secret in cert-manager's own namespace.
    let namespace = build.namespace(Space::CertManager).to_owned();
    let meta = metadata(Some(&namespace), AUTHORITY, labels.clone());
    let authority = build.object_after(Custom::new(meta, authority), &[root]);

    let spec = IssuerSpec { ca: Some(CaSpec { secret_name: AUTHORITY.to_owned() }), ..IssuerSpec::default() };
    let internal =
        build.object_after(Custom::new(metadata(None, INTERNAL_ISSUER, labels.clone()), spec), &[authority]);
    build.issuers.push(internal);

    if let Some(acme) = build.platform.cert_manager.acme.clone() {
        let solver = solver(build, &acme);
        let spec = IssuerSpec {
            acme: Some(AcmeSpec {
                email: acme.email,
                server: acme.server.to_string(),
                private_key_secret_ref: LocalSecret { name: "plinth-acme-account".to_owned() },
                solvers: vec![solver],
            }),
            ..IssuerSpec::default()
        };
        let urn = build.object_after(Custom::new(metadata(None, PUBLIC_ISSUER, labels), spec), installed);
        build.issuers.push(urn);
    }
}

fn solver(build: &mut Build<'_>, acme: &Acme) -> AcmeChallengeSolver {
    let dns = match &acme.solver {
        AcmeSolver::Http(_) => {
            let class = build.ingress_class();
            return AcmeChallengeSolver {
                http01: Some(json!({ "ingress": { "ingressClassName": class } })),
                dns01: None,
            };
        }
        AcmeSolver::Dns(dns) => dns,
    };
    let mut settings = match dns {
        DnsSolver::Route53(zone) => {
            let mut settings = json!({ "route53": { "region": zone.region } });
            if let Some(id) = &zone.hosted_zone_id {
                settings["route53"]["hostedZoneID"] = json!(id);
            }
            settings
        }
        DnsSolver::CloudDns(zone) => json!({ "cloudDNS": { "project": zone.project } }),
        DnsSolver::AzureDns(zone) => json!({
            "azureDNS": {
                "subscriptionID": zone.subscription,
                "resourceGroupName": zone.resource_group,
                "hostedZoneName": zone.zone,
                "environment": "AzurePublicCloud",
            },
        }),
        DnsSolver::Cloudflare(zone) => {
            let entry = Entry::source("token", Some(&zone.api_token));
            build.secret(Space::CertManager, DNS_TOKEN, vec![entry]);
            json!({ "cloudflare": { "apiTokenSecretRef": { "name": DNS_TOKEN, "key": "token" } } })
        }
    };
    // The zone may be delegated by a CNAME.
    settings["cnameStrategy"] = json!("Follow");
    AcmeChallengeSolver { http01: None, dns01: Some(settings) }
}
