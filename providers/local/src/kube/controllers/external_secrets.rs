//! What the External Secrets operator does, as far as others can see: stores are valid, secrets are synced.

use super::super::json::{Json, Look, deleting, json, name, namespace, now, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::kit::{event, owned_by, put, set_condition};
use super::{Again, Controller};

const MANAGER: &str = "external-secrets";
const EXTERNAL: &str = "externalsecrets.external-secrets.io";
const STORES: [&str; 2] = ["secretstores.external-secrets.io", "clustersecretstores.external-secrets.io"];

/// The controller.
pub(super) struct ExternalSecrets;

impl Controller for ExternalSecrets {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        match key.resource.as_str() {
            EXTERNAL if !deleted => vec![key.clone()],
            resource if STORES.contains(&resource) && !deleted => vec![key.clone()],
            "secrets" if deleted => {
                let (all, _) = server.store.list(EXTERNAL, Some(&key.namespace));
                let lost = all.iter().filter(|e| target(e) == key.name);
                lost.map(|e| Key::new(EXTERNAL, namespace(e), name(e))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(object) = server.store.get(key) else { return Ok(None) };
        if deleting(&object) {
            return Ok(None);
        }
        if key.resource != EXTERNAL {
            server.system_update(MANAGER, "status", key, |s| {
                set_condition(s, "Ready", "True", "Valid", "store validated", &now());
                set(s, "status.capabilities", "ReadWrite");
            })?;
            return Ok(None);
        }
        sync(server, key, &object)?;
        Ok(None)
    }
}

fn target(external: &Json) -> &str {
    match external.text("spec.target.name") {
        "" => name(external),
        given => given,
    }
}

/// Makes the secret, with a value for every key that is asked for.
fn sync(server: &Server, key: &Key, external: &Json) -> Result<(), Status> {
    use base64::Engine as _;
    let secret = Key::new("secrets", &key.namespace, target(external));
    let keys: Vec<&str> = external.list("spec.data").iter().map(|d| d.text("secretKey")).collect();
    let value = |field: &str| {
        base64::engine::general_purpose::STANDARD.encode(format!("simulated-{}-{field}", name(external)))
    };
    let fill = |object: &mut Json| {
        for field in &keys {
            if object.at("data").get(*field).is_none() {
                put(object, "data", field, &value(field));
            }
        }
        if external.list("spec.data").is_empty() && object.map("data").is_none_or(|d| d.is_empty()) {
            put(object, "data", "value", &value("value"));
        }
        put(object, "metadata.labels", "reconcile.external-secrets.io/managed", "true");
    };
    if server.store.get(&secret).is_some() {
        server.system_update(MANAGER, "", &secret, fill)?;
    } else {
        let mut made = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": secret.name, "namespace": secret.namespace}});
        if external.text("spec.target.creationPolicy") != "Orphan" {
            set(&mut made, "metadata.ownerReferences", json!([owned_by(external)]));
        }
        fill(&mut made);
        server.system_create(MANAGER, made)?;
        event(server, external, MANAGER, "Normal", "Created", "secret created");
    }
    let fresh = !external.has("status.refreshTime");
    server.system_update(MANAGER, "status", key, |e| {
        set_condition(e, "Ready", "True", "SecretSynced", "secret synced", &now());
        if fresh {
            set(e, "status.refreshTime", now());
        }
        set(e, "status.binding.name", secret.name.as_str());
    })?;
    Ok(())
}
