//! Who may enter a cluster, and the roles that its pods act in.

use serde_json::{Value, json};

use super::wire::{Refused, Reply, in_use, invalid, missing};
use super::world::{Cluster, Thing, World, arn, merge, now};
use super::{ACCOUNT, Ask};

fn find<'a>(cluster: &'a mut Cluster, principal: &str) -> Result<&'a mut Thing, Refused> {
    cluster.entries.get_mut(principal).ok_or_else(|| {
        missing(format!("The specified principalArn could not be found. You can view your available access entries with 'ListAccessEntries'. ({principal})"))
    })
}

/// The policies of an entry are kept beside its description, under a name that no description has.
const POLICIES: &str = "_policies";

fn shown(thing: &Thing) -> Value {
    let mut doc = thing.doc.clone();
    if let Some(doc) = doc.as_object_mut() {
        doc.remove(POLICIES);
    }
    json!({ "accessEntry": doc })
}

pub(super) fn entry(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, principal) = (ask.part(1), ask.part(3));
    let id = world.id();
    let cluster = world.active(cluster_name)?;
    if cluster.doc["accessConfig"]["authenticationMode"] == "CONFIG_MAP" {
        let said = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
        return Err(super::wire::refused(400, "InvalidRequestException", said));
    }
    match ask.operation {
        "CreateAccessEntry" => {
            let principal = ask.text("principalArn").unwrap_or_default();
            let token = ask.text("clientRequestToken");
            if let Some(thing) = cluster.entries.get(principal) {
                if token.is_some() && thing.token.as_deref() == token {
                    return Ok(shown(thing));
                }
                return Err(in_use("The specified access entry resource is already in use on this cluster."));
            }
            if !principal.contains(":iam::") {
                return Err(invalid("The specified principalArn is invalid: invalid principal."));
            }
            let asked = &ask.body["kubernetesGroups"];
            let groups = match ask.text("type") {
                None | Some("STANDARD") if asked.is_null() => json!([]),
                None | Some("STANDARD") => asked.clone(),
                Some(_) if asked.is_null() && ask.text("username").is_none() => json!(["system:nodes"]),
                Some(kind) => {
                    return Err(invalid(format!(
                        "You cannot specify kubernetesGroups or username for an access entry of type {kind}"
                    )));
                }
            };
            let path = principal.split(':').nth(5).unwrap_or_default().replace('/', &format!("/{ACCOUNT}/"));
            let own = principal.rsplit(':').next().unwrap_or_default();
            let doc = json!({
                "clusterName": cluster_name,
                "principalArn": principal,
                "kubernetesGroups": groups,
                "accessEntryArn": arn(ask.region, "access-entry", &format!("{cluster_name}/{path}/{id}")),
                "createdAt": now(),
                "modifiedAt": now(),
                "tags": if ask.body["tags"].is_null() { json!({}) } else { ask.body["tags"].clone() },
                "username": ask.text("username").map_or_else(|| format!("arn:aws:sts::{ACCOUNT}:assumed-{own}/{{{{SessionName}}}}"), str::to_owned),
                "type": ask.text("type").unwrap_or("STANDARD"),
                POLICIES: {},
            });
            let thing = Thing { doc, token: token.map(str::to_owned), ends: None };
            let answer = shown(&thing);
            cluster.entries.insert(principal.to_owned(), thing);
            Ok(answer)
        }
        "ListAccessEntries" => Ok(json!({ "accessEntries": cluster.entries.keys().collect::<Vec<_>>() })),
        "DescribeAccessEntry" => find(cluster, principal).map(|thing| shown(thing)),
        "DeleteAccessEntry" => {
            find(cluster, principal)?;
            cluster.entries.remove(principal);
            Ok(json!({}))
        }
        "UpdateAccessEntry" => {
            let thing = find(cluster, principal)?;
            if thing.doc["type"] != "STANDARD" {
                return Err(invalid("Only access entries of type STANDARD can be updated"));
            }
            for key in ["kubernetesGroups", "username"] {
                if !ask.body[key].is_null() {
                    thing.doc[key] = ask.body[key].clone();
                }
            }
            Ok(shown(thing))
        }
        "AssociateAccessPolicy" => {
            let thing = find(cluster, principal)?;
            if thing.doc["type"] != "STANDARD" {
                return Err(invalid("Access policies can be associated with entries of type STANDARD only"));
            }
            let policy = ask.text("policyArn").unwrap_or_default();
            let scope = ask.body["accessScope"].clone();
            if scope["type"] == "namespace" && scope["namespaces"].as_array().is_none_or(Vec::is_empty) {
                return Err(invalid("namespaces must be given with a scope of type namespace"));
            }
            thing.doc[POLICIES][policy] = scope.clone();
            Ok(json!({
                "clusterName": cluster_name,
                "principalArn": principal,
                "associatedAccessPolicy": { "policyArn": policy, "accessScope": scope, "associatedAt": now(), "modifiedAt": now() },
            }))
        }
        "ListAssociatedAccessPolicies" => {
            let thing = find(cluster, principal)?;
            let held = thing.doc[POLICIES].as_object().into_iter().flatten();
            let held: Vec<Value> =
                held.map(|(policy, scope)| json!({ "policyArn": policy, "accessScope": scope })).collect();
            Ok(
                json!({ "clusterName": cluster_name, "principalArn": principal, "associatedAccessPolicies": held }),
            )
        }
        _ => {
            let thing = find(cluster, principal)?;
            let policies = thing.doc[POLICIES].as_object_mut();
            match policies.and_then(|policies| policies.remove(ask.part(5))) {
                Some(_) => Ok(json!({})),
                None => Err(missing("The specified access policy is not associated")),
            }
        }
    }
}

pub(super) fn association(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (cluster_name, wanted) = (ask.part(1), ask.part(3));
    let id = format!("a-{}", &world.id()[..8]);
    let cluster = world.active(cluster_name)?;
    let shown = |thing: &Thing| json!({ "association": thing.doc });
    if let "ListPodIdentityAssociations" = ask.operation {
        let fits = |thing: &&Thing| {
            ask.asked("namespace").is_none_or(|wanted| thing.doc["namespace"] == wanted)
                && ask.asked("serviceAccount").is_none_or(|wanted| thing.doc["serviceAccount"] == wanted)
        };
        const KEYS: [&str; 5] =
            ["clusterName", "namespace", "serviceAccount", "associationArn", "associationId"];
        let summary = |thing: &Thing| {
            let picked = KEYS.iter().map(|key| ((*key).to_owned(), thing.doc[*key].clone()));
            Value::Object(picked.collect())
        };
        let found: Vec<Value> = cluster.associations.values().filter(fits).map(summary).collect();
        return Ok(json!({ "associations": found }));
    }
    if ask.operation == "CreatePodIdentityAssociation" {
        let token = ask.text("clientRequestToken");
        let same = |thing: &&Thing| {
            thing.doc["namespace"] == ask.body["namespace"]
                && thing.doc["serviceAccount"] == ask.body["serviceAccount"]
        };
        if let Some(thing) = cluster.associations.values().find(same) {
            if token.is_some() && thing.token.as_deref() == token {
                return Ok(shown(thing));
            }
            return Err(in_use("Association already exists: the service account has one"));
        }
        let mut doc = json!({
            "clusterName": cluster_name,
            "namespace": ask.body["namespace"],
            "serviceAccount": ask.body["serviceAccount"],
            "roleArn": ask.body["roleArn"],
            "associationArn": arn(ask.region, "podidentityassociation", &format!("{cluster_name}/{id}")),
            "associationId": id,
            "tags": if ask.body["tags"].is_null() { json!({}) } else { ask.body["tags"].clone() },
            "createdAt": now(),
            "modifiedAt": now(),
            "disableSessionTags": ask.body["disableSessionTags"] == true,
        });
        for key in ["targetRoleArn", "policy"] {
            if !ask.body[key].is_null() {
                doc[key] = ask.body[key].clone();
            }
        }
        let thing = Thing { doc, token: token.map(str::to_owned), ends: None };
        let answer = shown(&thing);
        cluster.associations.insert(id, thing);
        return Ok(answer);
    }
    let unknown = || missing(format!("Association with ID {wanted} not found"));
    if ask.operation == "DeletePodIdentityAssociation" {
        return cluster.associations.remove(wanted).map(|thing| shown(&thing)).ok_or_else(unknown);
    }
    let thing = cluster.associations.get_mut(wanted).ok_or_else(unknown)?;
    if ask.operation == "UpdatePodIdentityAssociation" {
        for key in ["roleArn", "targetRoleArn", "policy", "disableSessionTags"] {
            match &ask.body[key] {
                Value::Null => {}
                Value::String(text) if text.is_empty() => merge(&mut thing.doc, &json!({ key: null })),
                value => thing.doc[key] = value.clone(),
            }
        }
    }
    Ok(shown(thing))
}
