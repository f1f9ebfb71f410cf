//! Deleting: at once, gracefully, or once finalizers are done.

use super::super::json::{Json, Look, deleting, json, name, namespace, place, set, stamp};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::{Cause, Status, deleted};
use super::super::store::{Expect, Key, Lost};
use super::super::{convert, fields, webhooks};
use super::modify::free;

/// The options of a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub propagation: Option<String>,
    pub grace: Option<i64>,
    pub uid: Option<String>,
    pub version: Option<String>,
    pub dry_run: bool,
    /// On whose behalf: the server itself, unless said otherwise.
    pub writer: super::WriteOptions,
}

/// What a deletion answers with.
pub(crate) struct Deleted {
    pub body: Json,
}

impl DeleteOptions {
    /// Reads `DeleteOptions` from a body and the query.
    pub fn read(body: &Json, query: impl Fn(&str) -> Option<String>) -> Result<Self, Status> {
        let policy =
            body.at("propagationPolicy").as_str().map(str::to_owned).or_else(|| query("propagationPolicy"));
        let orphan = body.at("orphanDependents").as_bool();
        let refused = |cause: Cause| Err(Status::bad_options("DeleteOptions", cause));
        const POLICY: &str = "propagationPolicy";
        match (&policy, orphan) {
            (Some(policy), Some(_)) => {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                return refused(Cause::invalid(POLICY, &json!(policy), why));
            }
            (Some(policy), _) if !["Orphan", "Background", "Foreground"].contains(&policy.as_str()) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                return refused(Cause::unsupported(POLICY, &json!(policy), &known));
            }
            _ => {}
        }
        Ok(Self {
            propagation: policy
                .or_else(|| orphan.map(|o| if o { "Orphan".into() } else { "Background".into() })),
            grace: body.int("gracePeriodSeconds").or_else(|| query("gracePeriodSeconds")?.parse().ok()),
            uid: body.at("preconditions.uid").as_str().map(str::to_owned),
            version: body.at("preconditions.resourceVersion").as_str().map(str::to_owned),
            writer: super::WriteOptions { trusted: false, ..super::WriteOptions::system("", "") },
            dry_run: !body.list("dryRun").is_empty() || query("dryRun").is_some_and(|d| !d.is_empty()),
        })
    }
}

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// A definition stays until its objects are gone, and says so.
fn definition_ends(object: &mut Json) {
    super::super::controllers::set_condition(
        object,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        &super::super::json::now(),
    );
    let finalizers = place(object, "metadata.finalizers");
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|f| f == CLEANUP) => {}
        Some(list) => list.push(json!(CLEANUP)),
        None => *finalizers = json!([CLEANUP]),
    }
}

/// The finalizer of a definition whose objects are being deleted.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Server {
    /// Deletes one object.
    pub fn delete(
        &self,
        resource: &Resource,
        object_namespace: &str,
        object_name: &str,
        options: &DeleteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Deleted, Status> {
        let key = Key::new(&resource.storage, object_namespace, object_name);
        loop {
            let Some(live) = self.store.get(&key) else {
                return Err(Status::not_found(&resource.group, &resource.plural, object_name));
            };
            self.refuse(resource, &live, options)?;
            let mut object = (*live).clone();
            let asked = super::WriteOptions { dry_run: options.dry_run, ..options.writer.clone() };
            let operation = webhooks::Operation { verb: "DELETE", old: None, options: &asked };
            webhooks::admit(self, resource, &operation, &mut object, warnings)?;
            self.mark(resource, &mut object, options, warnings);
            let version = live.text("metadata.resourceVersion").to_owned();
            let gone = free(resource, &object);
            if options.dry_run {
                return Ok(self.deleted(resource, object, gone));
            }
            let result = if gone {
                self.store.remove(&key, Expect::Version(&version)).map(|o| (o, true))
            } else if super::super::json::same(&live, &object) {
                Ok((live, false))
            } else {
                self.store.put(&key, Expect::Version(&version), object).map(|o| (o, false))
            };
            match result {
                Ok((object, gone)) => {
                    self.noticed(&key, (!gone).then_some(&object));
                    return Ok(self.deleted(resource, (*object).clone(), gone));
                }
                Err(Lost::Race) => {}
                Err(lost) => return Err(lost.into()),
            }
        }
    }

    fn refuse(&self, resource: &Resource, live: &Json, options: &DeleteOptions) -> Result<(), Status> {
        let mismatch = |what: &str, wanted: &str, found: &str, fate: &str| {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {fate}"
            );
            // Here the real server speaks of the kind.
            Status::conflict(&resource.group, &resource.kind, name(live), &why)
        };
        if let Some(uid) = &options.uid
            && uid != live.text("metadata.uid")
        {
            return Err(mismatch("UID", uid, live.text("metadata.uid"), "deleted and then recreated"));
        }
        if let Some(version) = &options.version
            && version != live.text("metadata.resourceVersion")
        {
            let found = live.text("metadata.resourceVersion");
            return Err(mismatch("ResourceVersion", version, found, "modified"));
        }
        if resource.storage == "namespaces" && ["default", "kube-system", "kube-public"].contains(&name(live))
        {
            return Err(Status::forbidden("", "namespaces", name(live), "this namespace may not be deleted"));
        }
        Ok(())
    }

    /// Writes into the object what its deletion waits for.
    fn mark(
        &self,
        resource: &Resource,
        object: &mut Json,
        options: &DeleteOptions,
        warnings: &mut Vec<String>,
    ) {
        let job = resource.storage == "jobs.batch";
        let orphans_by_default = job || resource.storage == "replicationcontrollers";
        if job && options.propagation.is_none() {
            warnings.push("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning".into());
        }
        let policy = match &options.propagation {
            Some(policy) => policy.as_str(),
            None if orphans_by_default => "Orphan",
            None => "",
        };
        let mut finalizers: Vec<Json> = object.list("metadata.finalizers").to_vec();
        if !policy.is_empty() {
            let wanted = match policy {
                "Orphan" => Some("orphan"),
                "Foreground" => Some("foregroundDeletion"),
                _ => None,
            };
            finalizers.retain(|f| f != "orphan" && f != "foregroundDeletion");
            finalizers.extend(wanted.map(|w| json!(w)));
        }
        let grace = self.grace(resource, object, options);
        let first = !deleting(object);
        let meta = place(object, "metadata");
        if finalizers.is_empty() {
            super::super::json::remove(meta, "finalizers");
        } else {
            set(meta, "finalizers", finalizers);
        }
        let sooner = meta.int("deletionGracePeriodSeconds").is_some_and(|g| grace < g);
        if first || sooner {
            let due = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(grace);
            set(meta, "deletionTimestamp", stamp(due));
            // A namespace has its own finalizers instead.
            if resource.storage != "namespaces" {
                set(meta, "deletionGracePeriodSeconds", grace);
            }
        }
        if first && let Some(generation) = meta.int("generation") {
            set(meta, "generation", generation + 1);
        }
        if resource.storage == "namespaces" {
            set(object, "status.phase", "Terminating");
        }
        if resource.storage == DEFINITIONS && first && self.options.controllers {
            definition_ends(object);
        }
    }

    /// Only pods that run somewhere are deleted gracefully.
    fn grace(&self, resource: &Resource, pod: &Json, options: &DeleteOptions) -> i64 {
        if resource.storage != "pods" || !self.options.controllers {
            return 0;
        }
        let finished = matches!(pod.text("status.phase"), "Succeeded" | "Failed");
        if pod.text("spec.nodeName").is_empty() || finished {
            return 0;
        }
        options.grace.or_else(|| pod.int("spec.terminationGracePeriodSeconds")).unwrap_or(30).max(0)
    }

    fn deleted(&self, resource: &Resource, mut object: Json, gone: bool) -> Deleted {
        let returns_object = matches!(
            resource.storage.as_str(),
            "pods" | "persistentvolumeclaims" | "persistentvolumes" | "serviceaccounts" | "resourcequotas"
        );
        if gone && !returns_object {
            let uid = object.text("metadata.uid").to_owned();
            return Deleted { body: deleted(&resource.group, &resource.plural, name(&object), &uid) };
        }
        convert::from_storage(resource, &mut object);
        Deleted { body: object }
    }

    /// Removes a finalizer, as the controller that owns it does.
    pub fn release(&self, resource: &Resource, object: &Json, finalizer: &str) -> Result<(), Status> {
        let mut drop_it = |live: &Json| {
            let mut new = live.clone();
            if let Some(list) = super::super::json::list_mut(&mut new, "metadata.finalizers") {
                list.retain(|f| f != finalizer);
            }
            Ok(super::Change::owned(new, fields::manager::decode(live)))
        };
        let options = super::WriteOptions::system("kube-controller-manager", "");
        match self.modify(resource, namespace(object), name(object), &options, &mut Vec::new(), &mut drop_it)
        {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }
}
