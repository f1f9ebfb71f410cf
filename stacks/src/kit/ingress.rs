//! How a part is reached from outside the cluster.

use k8s_openapi::api::networking::v1 as net;
use plinth_provider::Urn;

use super::build::Build;
use super::custom::{CertificateSpec, Custom, IssuerReference, PrivateKey};
use super::network::Peer;
use super::object::{metadata, text_map};
use super::parts::{self, Part};
use super::services::INTERNAL_ISSUER;

/// The ClusterIssuer for names that browsers see, where the stack asks an ACME authority.
pub(crate) const PUBLIC_ISSUER: &str = "plinth-public";

/// The class of the ingress controller that the stack installs.
const OWN_CLASS: &str = "plinth-traefik";

impl Build<'_> {
    /// The ingress class of everything that is reached from outside.
    pub fn ingress_class(&self) -> String {
        self.platform.ingress.class_name.clone().unwrap_or_else(|| OWN_CLASS.to_owned())
    }

    /// Declares the way from outside to a part that serves TLS at a port of this name: a certificate for the host and
    /// an Ingress. The part's Service must carry [`Build::https_backend`].
    pub fn reachable(&mut self, part: Part, host: &str, port_name: &str, port: i32) -> Urn {
        let namespace = self.namespace(part.space).to_owned();
        let labels = self.labels(part);
        let secret = format!("{}-public-tls", part.name());
        let issuer = if self.platform.cert_manager.acme.is_some() { PUBLIC_ISSUER } else { INTERNAL_ISSUER };
        let certificate = CertificateSpec {
            secret_name: secret.clone(),
            dns_names: vec![host.to_owned()],
            usages: vec!["server auth".to_owned()],
            private_key: PrivateKey::default(),
            issuer_ref: IssuerReference::cluster(issuer),
            ..CertificateSpec::default()
        };
        let issuers = self.issuers.clone();
        let meta = metadata(Some(&namespace), secret.as_str(), labels.clone());
        let certificate = self.object_after(Custom::new(meta, certificate), &issuers);

        let mut meta = metadata(Some(&namespace), part.name(), labels);
        meta.annotations = Some(if self.platform.ingress.class_name.is_none() {
            text_map([
                ("traefik.ingress.kubernetes.io/router.entrypoints", "websecure"),
                ("traefik.ingress.kubernetes.io/router.tls", "true"),
                ("traefik.ingress.kubernetes.io/router.tls.options", "modern@file"),
                ("traefik.ingress.kubernetes.io/router.middlewares", "secure-headers@file"),
            ])
        } else {
            // Whoever serves the class decides; this is how several of them are told that the backend speaks TLS.
            text_map([
                ("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
                ("haproxy.org/server-ssl", "true"),
                ("traefik.ingress.kubernetes.io/router.tls", "true"),
            ])
        });
        match self.platform.ingress.class_name {
            None => self.allow(parts::TRAEFIK, part, &[port]),
            // Nobody knows in which namespace the controller runs.
            Some(_) => self.allow(Peer::EveryPod, part, &[port]),
        }
        let after: Vec<Urn> = std::iter::once(certificate).chain(self.ingress.clone()).collect();
        self.object_after(
            net::Ingress {
                metadata: meta,
                spec: Some(net::IngressSpec {
                    ingress_class_name: Some(self.ingress_class()),
                    tls: Some(vec![net::IngressTLS {
                        hosts: Some(vec![host.to_owned()]),
                        secret_name: Some(secret),
                    }]),
                    rules: Some(vec![net::IngressRule {
                        host: Some(host.to_owned()),
                        http: Some(net::HTTPIngressRuleValue {
                            paths: vec![net::HTTPIngressPath {
                                path: Some("/".to_owned()),
                                path_type: "Prefix".to_owned(),
                                backend: net::IngressBackend {
                                    service: Some(net::IngressServiceBackend {
                                        name: part.name(),
                                        port: Some(net::ServiceBackendPort {
                                            name: Some(port_name.to_owned()),
                                            number: None,
                                        }),
                                    }),
                                    resource: None,
                                },
                            }],
                        }),
                    }]),
                    default_backend: None,
                }),
                status: None,
            },
            &after,
        )
    }

    /// Annotations of a Service whose pods speak TLS with a certificate of the internal authority.
    pub fn https_backend(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("traefik.ingress.kubernetes.io/service.serversscheme", "https"),
            ("traefik.ingress.kubernetes.io/service.serverstransport", "internal@file"),
        ]
    }
}
