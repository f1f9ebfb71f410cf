//! Puts CA bundles into webhook configurations, API services and definitions that ask for it.

use super::super::json::{Json, Look, annotation, list_mut, name, namespace, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::{Again, Controller};

const MANAGER: &str = "cert-manager-cainjector";
const FROM_SECRET: &str = "cert-manager.io/inject-ca-from-secret";
const FROM_CERTIFICATE: &str = "cert-manager.io/inject-ca-from";
const TARGETS: [&str; 4] = [
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "apiservices.apiregistration.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
];

/// The controller.
pub(super) struct CaInjector;

impl Controller for CaInjector {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        if deleted {
            return Vec::new();
        }
        if TARGETS.contains(&key.resource.as_str()) {
            return if source(server, object).is_some() { vec![key.clone()] } else { Vec::new() };
        }
        if key.resource != "secrets" {
            return Vec::new();
        }
        let asks = |o: &Json| annotation(o, FROM_SECRET).or(annotation(o, FROM_CERTIFICATE)).is_some();
        TARGETS
            .iter()
            .flat_map(|resource| {
                let (found, _) = server.store.list(resource, None);
                found
                    .iter()
                    .filter(|o| asks(o))
                    .map(|o| Key::new(resource, namespace(o), name(o)))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(object) = server.store.get(key) else { return Ok(None) };
        let Some(secret) = source(server, &object).and_then(|key| server.store.get(&key)) else {
            return Ok(None);
        };
        let data = secret.at("data");
        let Some(bundle) = data.get("ca.crt").or(data.get("tls.crt")).and_then(Json::as_str) else {
            return Ok(None);
        };
        server.system_update(MANAGER, "", key, |o| {
            for hook in list_mut(o, "webhooks").into_iter().flatten() {
                set(hook, "clientConfig.caBundle", bundle);
            }
            if o.has("spec.service") {
                set(o, "spec.caBundle", bundle);
            }
            if o.has("spec.conversion.webhook.clientConfig") {
                set(o, "spec.conversion.webhook.clientConfig.caBundle", bundle);
            }
        })?;
        Ok(None)
    }
}

/// The secret that an object wants its bundle from.
fn source(server: &Server, object: &Json) -> Option<Key> {
    if let Some((ns, secret)) = annotation(object, FROM_SECRET).and_then(|s| s.split_once('/')) {
        return Some(Key::new("secrets", ns, secret));
    }
    let (ns, certificate) = annotation(object, FROM_CERTIFICATE)?.split_once('/')?;
    let found = server.store.get(&Key::new("certificates.cert-manager.io", ns, certificate))?;
    Some(Key::new("secrets", ns, found.text("spec.secretName")))
}
