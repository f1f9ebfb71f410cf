//! Kinds that are questions: who am I, may I. Here everybody is an administrator.

use super::super::json::{Json, json, set};
use super::super::kinds::Resource;
use super::super::server::Server;
use super::super::status::{Cause, Status};
use super::super::store::Key;
use super::Reply;
use super::body::parse;
use super::request::{Ask, Target};

/// Answers a review.
pub(crate) fn review(
    server: &Server,
    ask: &Ask,
    resource: &Resource,
    target: &Target,
) -> Result<Reply, Status> {
    let mut body = parse(&ask.body, ask.content_type())?.value;
    if !body.is_object() {
        return Err(Status::bad_request("the request body is not an object"));
    }
    let user = json!({"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]});
    let status = match resource.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": user}),
        "TokenReview" => {
            json!({"authenticated": true, "user": user, "audiences": ["https://kubernetes.default.svc"]})
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false
        }),
        "Binding" => return bind(server, &body, target),
        _ => {
            let spec = &body["spec"];
            let asks = ["resourceAttributes", "nonResourceAttributes"];
            if asks.iter().filter(|a| spec.get(**a).is_some_and(|v| !v.is_null())).count() != 1 {
                let cause = Cause::invalid(
                    "spec.resourceAttributes",
                    &spec["resourceAttributes"],
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified",
                );
                return Err(Status::invalid(&resource.group, "", "", vec![cause]));
            }
            json!({"allowed": true})
        }
    };
    body["kind"] = json!(resource.kind);
    body["apiVersion"] = json!(resource.api_version());
    if resource.kind == "SelfSubjectReview" {
        set(&mut body, "metadata.creationTimestamp", super::super::json::now());
    } else {
        super::super::json::default(&mut body, "metadata", json!({}));
    }
    body["status"] = status;
    Ok(Reply::with(201, body, Vec::new()))
}

fn bind(server: &Server, body: &Json, target: &Target) -> Result<Reply, Status> {
    use super::super::json::{Look, name};
    let key = Key::new("pods", &target.namespace, name(body));
    let node = body.text("target.name").to_owned();
    let bound = server
        .system_update("kube-scheduler", "binding", &key, |pod| set(pod, "spec.nodeName", node.clone()))?;
    if bound.is_none() {
        return Err(Status::not_found("", "pods", name(body)));
    }
    Ok(Reply::with(
        201,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        Vec::new(),
    ))
}
