//! Namespaces: what every one of them holds from the start, and their end.

use super::super::json::{Json, Look, deleting, json, name, namespace, now, set};
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::super::write::DeleteOptions;
use super::kit::{MANAGER, set_condition};
use super::{Again, Controller};

const ROOT_CA: &str = "kube-root-ca.crt";

/// The controller.
pub(super) struct Namespaces;

impl Controller for Namespaces {
    fn concerns(&self, server: &Server, key: &Key, _: &Json, deleted: bool) -> Vec<Key> {
        if key.resource == "namespaces" {
            return vec![key.clone()];
        }
        let base = matches!(key.resource.as_str(), "serviceaccounts" | "configmaps")
            && matches!(key.name.as_str(), "default" | ROOT_CA);
        if key.namespace.is_empty() || !(deleted || base) {
            return Vec::new();
        }
        let home = Key::new("namespaces", "", &key.namespace);
        let concerned = server.store.get(&home).is_some_and(|n| deleting(&n) || base);
        if concerned { vec![home] } else { Vec::new() }
    }

    fn reconcile(&self, server: &Server, key: &Key) -> Result<Again, Status> {
        let Some(found) = server.store.get(key) else { return Ok(None) };
        if deleting(&found) {
            return end(server, key);
        }
        let account = Key::new("serviceaccounts", &key.name, "default");
        if server.store.get(&account).is_none() {
            make(
                server,
                json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": key.name}}),
            )?;
        }
        let bundle = Key::new("configmaps", &key.name, ROOT_CA);
        if server.store.get(&bundle).is_none() {
            make(
                server,
                json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": ROOT_CA, "namespace": key.name, "annotations": {
                        "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}},
                    "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n"}
                }),
            )?;
        }
        Ok(None)
    }
}

fn make(server: &Server, object: Json) -> Result<(), Status> {
    match server.system_create(MANAGER, object) {
        Err(status) if status.reason != "AlreadyExists" => Err(status),
        _ => Ok(()),
    }
}

/// Deletes what a namespace holds, and the namespace once that is gone.
fn end(server: &Server, key: &Key) -> Result<Again, Status> {
    let mut left: Vec<(String, usize)> = Vec::new();
    let mut finalizers: Vec<(String, usize)> = Vec::new();
    for storage in server.store.resources() {
        let (objects, _) = server.store.list(&storage, Some(&key.name));
        for object in &objects {
            let options =
                DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() };
            if !deleting(object) {
                server.system_delete(&Key::new(&storage, namespace(object), name(object)), &options)?;
            }
        }
        let (objects, _) = server.store.list(&storage, Some(&key.name));
        if !objects.is_empty() {
            left.push((storage.clone(), objects.len()));
        }
        for finalizer in objects.iter().flat_map(|o| o.list("metadata.finalizers")).filter_map(Json::as_str) {
            match finalizers.iter_mut().find(|(f, _)| f == finalizer) {
                Some((_, count)) => *count += 1,
                None => finalizers.push((finalizer.to_owned(), 1)),
            }
        }
    }
    // Nobody knows what a group that does not answer still holds here.
    let mut stale: Vec<String> = server
        .aggregated()
        .into_iter()
        .filter(|(.., fine)| !fine)
        .map(|(g, v, _)| format!("{g}/{v}"))
        .collect();
    stale.sort();
    let failing: Vec<String> =
        stale.iter().map(|s| format!("{s}: stale GroupVersion discovery: {s}")).collect();
    let time = now();
    server.system_update(MANAGER, "status", key, |n| {
        let mut say = |kind: &str, bad: bool, reason: (&str, &str), message: &str, fine: &str| {
            let (state, reason, text) =
                if bad { ("True", reason.0, message) } else { ("False", reason.1, fine) };
            set_condition(n, kind, state, reason, text, &time);
        };
        say(
            "NamespaceDeletionDiscoveryFailure",
            !stale.is_empty(),
            ("DiscoveryFailed", "ResourcesDiscovered"),
            &format!(
                "Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {}",
                stale.len(),
                failing.join(", ")
            ),
            "All resources successfully discovered",
        );
        say(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            ("", "ParsedGroupVersions"),
            "",
            "All legacy kube types successfully parsed",
        );
        say(
            "NamespaceDeletionContentFailure",
            false,
            ("", "ContentDeleted"),
            "",
            "All content successfully deleted, may be waiting on finalization",
        );
        let some: Vec<String> = left
            .iter()
            .map(|(r, n)| {
                // In the core group the real server leaves a dot behind.
                let dot = if r.contains('.') { "" } else { "." };
                format!("{r}{dot} has {n} resource instances")
            })
            .collect();
        say(
            "NamespaceContentRemaining",
            !left.is_empty(),
            ("SomeResourcesRemain", "ContentRemoved"),
            &format!("Some resources are remaining: {}", some.join(", ")),
            "All content successfully removed",
        );
        let some: Vec<String> =
            finalizers.iter().map(|(f, n)| format!("{f} in {n} resource instances")).collect();
        say(
            "NamespaceFinalizersRemaining",
            !finalizers.is_empty(),
            ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
            &format!("Some content in the namespace has finalizers remaining: {}", some.join(", ")),
            "All content-preserving finalizers finished",
        );
    })?;
    if !stale.is_empty() {
        return Ok(Some(std::time::Duration::from_millis(500)));
    }
    if left.is_empty() {
        server.system_update(MANAGER, "finalize", key, |n| set(n, "spec.finalizers", json!([])))?;
    }
    Ok(None)
}
