//! Defaults of the kinds that move traffic.

use super::super::json::{Json, Look, default, json, list_mut, set};

pub(super) fn service(object: &mut Json) {
    default(object, "spec.sessionAffinity", "None");
    default(object, "spec.type", "ClusterIP");
    let kind = object.text("spec.type").to_owned();
    if object.text("spec.sessionAffinity") == "ClientIP" {
        default(object, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", 10800);
    }
    for port in list_mut(object, "spec.ports").into_iter().flatten() {
        default(port, "protocol", "TCP");
        let number = port["port"].clone();
        if port.get("targetPort").is_none_or(|t| t.is_null() || t == &json!(0) || t == &json!("")) {
            set(port, "targetPort", number);
        }
    }
    if kind != "ExternalName" {
        default(object, "spec.internalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default(object, "spec.externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(object, "spec.allocateLoadBalancerNodePorts", true);
    }
    default(object, "status.loadBalancer", json!({}));
}

pub(super) fn endpoints(object: &mut Json) {
    for subset in list_mut(object, "subsets").into_iter().flatten() {
        for port in list_mut(subset, "ports").into_iter().flatten() {
            default(port, "protocol", "TCP");
        }
    }
}

pub(super) fn slice(object: &mut Json) {
    for port in list_mut(object, "ports").into_iter().flatten() {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
    default(object, "endpoints", json!([]));
    default(object, "ports", json!([]));
}

pub(super) fn ingress(object: &mut Json) {
    default(object, "status.loadBalancer", json!({}));
}

pub(super) fn policy(object: &mut Json) {
    default(object, "spec.podSelector", json!({}));
    if !object.has("spec.policyTypes") {
        let mut types = vec!["Ingress"];
        if object.has("spec.egress") {
            types.push("Egress");
        }
        set(object, "spec.policyTypes", json!(types));
    }
    for direction in ["ingress", "egress"] {
        for rule in list_mut(object, &format!("spec.{direction}")).into_iter().flatten() {
            for port in list_mut(rule, "ports").into_iter().flatten() {
                default(port, "protocol", "TCP");
            }
        }
    }
}
