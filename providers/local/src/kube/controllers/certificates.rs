//! What cert-manager does, as far as others can see: issuers and certificates become ready, secrets appear.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;

use super::super::json::{Json, Look, condition, deleting, json, name, namespace, now, set, stamp};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{event, fingerprint, put, set_condition};
use super::{Again, Controller};

const MANAGER: &str = "cert-manager-certificates-readiness";
const CERTIFICATES: &str = "certificates.cert-manager.io";
const ISSUERS: [&str; 2] = ["issuers.cert-manager.io", "clusterissuers.cert-manager.io"];

/// The controller.
#[derive(Default)]
pub(super) struct Certificates {
    due: Mutex<HashMap<String, Instant>>,
}

impl Controller for Certificates {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        let certificates = |test: &dyn Fn(&Json) -> bool| -> Vec<Key> {
            let (found, _) = server.store.list(CERTIFICATES, None);
            found.iter().filter(|c| test(c)).map(|c| Key::new(CERTIFICATES, namespace(c), name(c))).collect()
        };
        match key.resource.as_str() {
            CERTIFICATES if !deleted => vec![key.clone()],
            resource if ISSUERS.contains(&resource) => {
                let mut keys = certificates(&|c| c.text("spec.issuerRef.name") == key.name);
                if !deleted {
                    keys.push(key.clone());
                }
                keys
            }
            "secrets" => {
                // A secret that goes is made again; one that comes may be the key of a CA.
                let mut keys =
                    certificates(&|c| namespace(c) == key.namespace && c.text("spec.secretName") == key.name);
                for resource in ISSUERS {
                    let (issuers, _) = server.store.list(resource, None);
                    let waiting = issuers.iter().filter(|i| i.text("spec.ca.secretName") == key.name);
                    keys.extend(waiting.map(|i| Key::new(resource, namespace(i), name(i))));
                }
                keys
            }
            "ingresses.networking.k8s.io" if !deleted => vec![key.clone()],
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(object) = server.store.get(key) else { return Ok(None) };
        if deleting(&object) {
            return Ok(None);
        }
        match key.resource.as_str() {
            CERTIFICATES => self.certificate(server, key, &object),
            "ingresses.networking.k8s.io" => ingress(server, &object),
            _ => issuer(server, key, &object),
        }
    }
}

fn issuer(server: &Server, key: &Key, issuer: &Json) -> Result<Again, Status> {
    let secret = issuer.text("spec.ca.secretName");
    let (state, reason, message) = if secret.is_empty() {
        if issuer.has("spec.acme") {
            (
                "True",
                "ACMEAccountRegistered",
                "The ACME account was registered with the ACME server".to_owned(),
            )
        } else {
            ("True", "IsReady", String::new())
        }
    } else {
        let place = if key.namespace.is_empty() { "cert-manager" } else { &key.namespace };
        let there = server
            .store
            .get(&Key::new("secrets", place, secret))
            .is_some_and(|s| s.at("data").get("tls.crt").is_some());
        if there {
            ("True", "KeyPairVerified", "Signing CA verified".to_owned())
        } else {
            (
                "False",
                "ErrGetKeyPair",
                format!("Error getting keypair for CA issuer: secrets \"{secret}\" not found"),
            )
        }
    };
    let generation = issuer.int("metadata.generation").unwrap_or(1);
    server.system_update("cert-manager-issuers", "status", key, |i| {
        set_condition(i, "Ready", state, reason, &message, &now());
        for c in super::super::json::list_mut(i, "status.conditions").into_iter().flatten() {
            c["observedGeneration"] = json!(generation);
        }
    })?;
    Ok(None)
}

impl Certificates {
    fn certificate(&self, server: &Server, key: &Key, certificate: &Json) -> Result<Again, Status> {
        let reference = certificate.at("spec.issuerRef");
        let (resource, place) = match reference.text("kind") {
            "ClusterIssuer" => (ISSUERS[1], ""),
            _ => (ISSUERS[0], key.namespace.as_str()),
        };
        let issuer = server.store.get(&Key::new(resource, place, reference.text("name")));
        let ready = issuer
            .as_ref()
            .is_some_and(|i| condition(i, "Ready").is_some_and(|c| c.text("status") == "True"));
        let secret_name = certificate.text("spec.secretName");
        let secret = Key::new("secrets", &key.namespace, secret_name);
        let wanted = fingerprint(&json!([
            certificate.at("spec"),
            issuer.as_ref().map(|i| i.text("metadata.uid").to_owned())
        ]));
        let current = server.store.get(&secret);
        let valid = current.as_ref().is_some_and(|s| {
            super::super::json::annotation(s, "simulation.plinth.dev/fingerprint") == Some(wanted.as_str())
        });
        if valid {
            return self.ready(server, key, certificate, None);
        }
        if !ready {
            let message = "Issuing certificate as Secret does not exist".to_owned();
            return self.ready(server, key, certificate, Some(("DoesNotExist", message)));
        }
        let delay = server.options.scaled(server.options.certificate);
        let left = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let at = *due
                .entry(format!("{}{wanted}", certificate.text("metadata.uid")))
                .or_insert_with(|| Instant::now() + delay);
            at.saturating_duration_since(Instant::now())
        };
        if !left.is_zero() {
            self.ready(
                server,
                key,
                certificate,
                Some(("DoesNotExist", "Issuing certificate as Secret does not exist".into())),
            )?;
            return Ok(Some(left));
        }
        let authority = issuer.as_ref().map_or("unknown".into(), |i| authority(server, i, place));
        write_secret(server, &secret, certificate, &authority, &wanted, current.is_some())?;
        event(
            server,
            certificate,
            "cert-manager-certificates-issuing",
            "Normal",
            "Issuing",
            "The certificate has been successfully issued",
        );
        self.ready(server, key, certificate, None)
    }

    fn ready(
        &self,
        server: &Server,
        key: &Key,
        certificate: &Json,
        why: Option<(&str, String)>,
    ) -> Result<Again, Status> {
        let generation = certificate.int("metadata.generation").unwrap_or(1);
        let issued = why.is_none();
        let fresh = !certificate.has("status.notAfter");
        server.system_update(MANAGER, "status", key, |c| {
            let time = now();
            match &why {
                None => set_condition(
                    c,
                    "Ready",
                    "True",
                    "Ready",
                    "Certificate is up to date and has not expired",
                    &time,
                ),
                Some((reason, message)) => {
                    set_condition(c, "Ready", "False", reason, message, &time);
                    set_condition(c, "Issuing", "True", reason, message, &time);
                }
            }
            if issued {
                super::kit::drop_condition(c, "Issuing");
                if fresh {
                    let start = jiff::Timestamp::now();
                    let day = |n: i64| stamp(start + jiff::SignedDuration::from_hours(24 * n));
                    set(c, "status.notBefore", stamp(start));
                    set(c, "status.notAfter", day(90));
                    set(c, "status.renewalTime", day(60));
                    set(c, "status.revision", 1);
                }
            }
            for condition in super::super::json::list_mut(c, "status.conditions").into_iter().flatten() {
                condition["observedGeneration"] = json!(generation);
            }
        })?;
        Ok(None)
    }
}

/// The certificate that a certificate of this issuer chains to, in a form that looks like one.
fn authority(server: &Server, issuer: &Json, place: &str) -> String {
    let secret = issuer.text("spec.ca.secretName");
    let place = if place.is_empty() { "cert-manager" } else { place };
    server
        .store
        .get(&Key::new("secrets", place, secret))
        .and_then(|s| s.at("data").get("tls.crt").and_then(Json::as_str).map(str::to_owned))
        .unwrap_or_else(|| pem("CERTIFICATE", issuer.text("metadata.uid")))
}

/// Text in the armour of a certificate or key, encoded as secrets hold it.
fn pem(kind: &str, seed: &str) -> String {
    let engine = base64::engine::general_purpose::STANDARD;
    let body = engine.encode(format!("simulated {kind} {seed}"));
    engine.encode(format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"))
}

fn write_secret(
    server: &Server,
    key: &Key,
    certificate: &Json,
    authority: &str,
    wanted: &str,
    exists: bool,
) -> Result<(), Status> {
    let data = json!({
        "tls.crt": pem("CERTIFICATE", wanted), "tls.key": pem("PRIVATE KEY", wanted), "ca.crt": authority,
    });
    let dress = |secret: &mut Json| {
        for (field, value) in [
            ("cert-manager.io/certificate-name", name(certificate)),
            ("cert-manager.io/issuer-name", certificate.text("spec.issuerRef.name")),
            ("cert-manager.io/issuer-kind", certificate.text("spec.issuerRef.kind")),
            ("cert-manager.io/common-name", certificate.text("spec.commonName")),
            ("simulation.plinth.dev/fingerprint", wanted),
        ] {
            put(secret, "metadata.annotations", field, value);
        }
        put(secret, "metadata.labels", "controller.cert-manager.io/fao", "true");
        for from in ["annotations", "labels"] {
            for (field, value) in
                certificate.map(&format!("spec.secretTemplate.{from}")).into_iter().flatten()
            {
                put(secret, &format!("metadata.{from}"), field, value.as_str().unwrap_or_default());
            }
        }
        for (field, value) in data.as_object().into_iter().flatten() {
            put(secret, "data", field, value.as_str().unwrap_or_default());
        }
    };
    if exists {
        server.system_update("cert-manager-certificates-issuing", "", key, dress)?;
        return Ok(());
    }
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": key.name, "namespace": key.namespace},
    });
    dress(&mut secret);
    server.system_create("cert-manager-certificates-issuing", secret).map(|_| ())
}

/// An Ingress that names an issuer gets a Certificate for each of its TLS entries.
fn ingress(server: &Server, ingress: &Json) -> Result<Again, Status> {
    let annotation = |key: &str| super::super::json::annotation(ingress, key);
    let (issuer, kind) =
        match (annotation("cert-manager.io/cluster-issuer"), annotation("cert-manager.io/issuer")) {
            (Some(issuer), _) => (issuer, "ClusterIssuer"),
            (_, Some(issuer)) => (issuer, "Issuer"),
            _ => return Ok(None),
        };
    if server.registry.by_storage(CERTIFICATES).is_none() {
        return Ok(None);
    }
    for tls in ingress.list("spec.tls").iter().filter(|t| t.has("secretName")) {
        let secret = tls.text("secretName");
        if server.store.get(&Key::new(CERTIFICATES, namespace(ingress), secret)).is_some() {
            continue;
        }
        server.system_create("cert-manager-ingress-shim", json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": secret, "namespace": namespace(ingress),
                "ownerReferences": [super::kit::owned_by(ingress)]},
            "spec": {"secretName": secret, "dnsNames": tls.at("hosts"),
                "issuerRef": {"name": issuer, "kind": kind, "group": "cert-manager.io"}, "usages": ["digital signature", "key encipherment"]}
        }))?;
    }
    Ok(None)
}
