//! A webhook server that makes its own serving certificate, as cert-manager's does: once it is up, the secret with its
//! authority appears. The injector of CA bundles waits for that secret.

use base64::Engine as _;

use super::super::json::{Json, Look, json, namespace};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::{Again, Controller};

const MANAGER: &str = "webhook";
const DEPLOYMENTS: &str = "deployments.apps";
const NAME_FLAG: &str = "--dynamic-serving-ca-secret-name=";

/// The controller.
pub(super) struct ServingAuthority;

impl Controller for ServingAuthority {
    fn concerns(&self, server: &Server, key: &Key, object: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            DEPLOYMENTS if !deleted && secret_name(object).is_some() => vec![key.clone()],
            // A server whose secret goes makes it again.
            "secrets" if deleted => {
                let (deployments, _) = server.store.list(DEPLOYMENTS, Some(&key.namespace));
                let own = deployments.iter().filter(|d| secret_name(d) == Some(&key.name));
                own.map(|d| Key::new(DEPLOYMENTS, namespace(d), d.text("metadata.name"))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(deployment) = server.store.get(key) else { return Ok(None) };
        let Some(secret) = secret_name(&deployment) else { return Ok(None) };
        let up = deployment.int("status.readyReplicas").unwrap_or_default() > 0;
        let exists = server.store.get(&Key::new("secrets", &key.namespace, secret)).is_some();
        if up && !exists {
            let pem = |kind: &str| {
                let engine = base64::engine::general_purpose::STANDARD;
                let body = engine.encode(format!("simulated {kind} {}", deployment.text("metadata.uid")));
                engine.encode(format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"))
            };
            let data = json!({
                "ca.crt": pem("CERTIFICATE"), "tls.crt": pem("CERTIFICATE"), "tls.key": pem("PRIVATE KEY"),
            });
            server.system_create(
                MANAGER,
                json!({
                    "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
                    "metadata": {"name": secret, "namespace": key.namespace,
                        "annotations": {"cert-manager.io/allow-direct-injection": "true"}},
                }),
            )?;
        }
        Ok(None)
    }
}

/// The secret that a webhook server was told to keep its authority in.
fn secret_name(deployment: &Json) -> Option<&str> {
    let containers = deployment.list("spec.template.spec.containers");
    let mut args = containers.iter().flat_map(|container| container.list("args"));
    args.find_map(|arg| arg.as_str()?.strip_prefix(NAME_FLAG))
}
