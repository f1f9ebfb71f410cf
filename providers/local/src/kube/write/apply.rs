//! Server-side apply.

use super::super::fields::manager::{Writer, apply, conflict_message, decode as entries_of, update};
use super::super::fields::typed::{misfit_text, misfits};
use super::super::json::{Json, Look, json, remove};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::Status;
use super::super::store::Key;
use super::create::{Owned, identity};
use super::{Change, WriteOptions, Written, decode, ignored, shown, without_managed};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const CLIENT_SIDE: &str = "\"kubectl-client-side-apply\"";

impl Server {
    /// Applies a configuration: creates what is absent, merges into what is there.
    pub fn apply(
        &self,
        resource: &Resource,
        namespace: &str,
        object_name: &str,
        mut config: Json,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Written, Status> {
        if config.at("metadata").get("managedFields").is_some_and(|m| !m.is_null()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        if let Some(metadata) = config.get_mut("metadata").and_then(Json::as_object_mut) {
            metadata.shift_remove("managedFields");
        }
        if config.text("apiVersion") != resource.api_version() || config.text("kind") != resource.kind {
            let (group, version) = match config.text("apiVersion").split_once('/') {
                Some((group, version)) => (group, version),
                None => ("", config.text("apiVersion")),
            };
            let kind = config.text("kind");
            return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
        }
        let document = config.clone();
        identity(resource, namespace, object_name, &mut config)?;
        let typed = misfits(&config, &resource.schema);
        if !typed.is_empty() {
            return Err(Status::internal_bare(format!(
                "failed to create typed patch object ({}): {}",
                shown(resource, &document),
                misfit_text(&typed)
            )));
        }
        let key = Key::new(&resource.storage, namespace, object_name);
        for _ in 0..3 {
            if self.store.get(&key).is_none() {
                if !options.subresource.is_empty() {
                    return Err(Status::not_found(&resource.group, &resource.plural, object_name));
                }
                if super::super::json::name(&document).is_empty() {
                    return Err(Status::bad_request(format!(
                        "the name of the object ({object_name} based on URL) was undeterminable: name must be provided"
                    )));
                }
                match self.apply_absent(resource, namespace, &document, &config, options, warnings) {
                    Err(status) if status.reason == "AlreadyExists" && !options.dry_run => continue,
                    other => return other,
                }
            }
            let mut merge = |live: &Json| self.merged(resource, live, &document, &config, options);
            match self.modify(resource, namespace, object_name, options, warnings, &mut merge) {
                Err(status) if status.code == 404 => {}
                other => return other,
            }
        }
        Err(Status::modified(&resource.group, &resource.plural, object_name))
    }

    fn apply_absent(
        &self,
        resource: &Resource,
        namespace: &str,
        document: &Json,
        config: &Json,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Written, Status> {
        let uid = config.text("metadata.uid");
        if !uid.is_empty() {
            return Err(Status::conflict(
                &resource.group,
                &resource.plural,
                super::super::json::name(config),
                &format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                ),
            ));
        }
        let empty = json!({"apiVersion": resource.api_version(), "kind": resource.kind});
        let change = self.merged(resource, &empty, document, config, options)?;
        let mut object = change.object;
        super::super::json::drop_nulls(super::super::json::place(&mut object, "metadata"));
        fit(resource, &mut object, document, options, warnings)?;
        remove(&mut object, "metadata.resourceVersion");
        let entries = change.entries.unwrap_or_default();
        self.create_decoded(resource, namespace, object, Owned::Entries(entries), options, warnings)
    }

    fn merged(
        &self,
        resource: &Resource,
        live: &Json,
        document: &Json,
        config: &Json,
        options: &WriteOptions,
    ) -> Result<Change, Status> {
        let plain = without_managed(live);
        let mut entries = entries_of(live);
        if entries.is_empty() && live.has("metadata.uid") {
            // Ownership was wiped: what is there belonged to somebody before.
            let empty = json!({"apiVersion": resource.api_version(), "kind": resource.kind});
            let writer = Writer {
                manager: "before-first-apply",
                api_version: &resource.api_version(),
                subresource: "",
            };
            update(&empty, &plain, &resource.schema, &mut entries, &writer, &ignored(resource, ""));
        }
        let writer = Writer {
            manager: &options.manager,
            api_version: &resource.api_version(),
            subresource: &options.subresource,
        };
        let ignored = ignored(resource, &options.subresource);
        let attempt = |entries: &mut Vec<_>, force| {
            apply(&plain, config, &resource.schema, entries, &writer, &ignored, force)
        };
        let before = entries.clone();
        let mut outcome = attempt(&mut entries, options.force);
        // kubectl may go over from client-side to server-side apply: what it applied last is its own.
        if let Err(conflicts) = &outcome
            && options.manager == "kubectl"
            && live.at("metadata.annotations").get(LAST_APPLIED).is_some()
            && conflicts.iter().all(|conflict| conflict.with.starts_with(CLIENT_SIDE))
        {
            entries = before;
            outcome = attempt(&mut entries, true);
        }
        match outcome {
            Ok(Some(mut object)) => {
                fit(resource, &mut object, document, options, &mut Vec::new())?;
                Ok(Change::owned(object, entries))
            }
            Ok(None) => Ok(Change::owned(plain, entries)),
            Err(conflicts) => {
                let causes = conflicts
                    .iter()
                    .map(|c| {
                        json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", c.with),
                            "field": c.path})
                    })
                    .collect();
                Err(Status::apply_conflict(conflict_message(&conflicts), causes))
            }
        }
    }
}

/// Decoding after a merge; what fails here fails as the conversion of the merged object.
fn fit(
    resource: &Resource,
    object: &mut Json,
    document: &Json,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let lenient = WriteOptions { strictness: super::Strictness::Ignore, ..options.clone() };
    decode(resource, object, &lenient, warnings).map_err(|status| {
        let why = status.message.split_once(": ").map_or(status.message.as_str(), |(_, why)| why);
        let how = if why.starts_with("illegal base64") { "error decoding from json: " } else { "" };
        let at = shown(resource, document);
        let kind = at.split_once("; ").map_or("", |(_, kind)| kind);
        Status::internal_bare(format!(
            "failed to convert new object ({at}) to proper version: unable to convert unstructured object to {kind}: {how}{why}"
        ))
    })
}
