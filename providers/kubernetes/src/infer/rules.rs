//! The rules, one object at a time.

use plinth_provider::{Path, Value};

use super::Weight;
use super::acyclic::Edge;
use super::index::{Entry, Index, service_accounts};
use super::pods::{self, Need};

pub(super) const RBAC: &str = "rbac.authorization.k8s.io";

/// Collects what one object needs.
struct Needs<'a, 'b> {
    index: &'a Index<'b>,
    at: usize,
    edges: &'a mut Vec<Edge>,
}

impl Needs<'_, '_> {
    fn on(&mut self, to: Option<usize>, weight: Weight) {
        if let Some(to) = to {
            self.edges.push(Edge { from: self.at, to, weight });
        }
    }

    fn all(&mut self, to: &[usize], weight: Weight) {
        for to in to {
            self.on(Some(*to), weight);
        }
    }

    /// A Secret, or the Certificate that writes it.
    fn secret(&mut self, namespace: &str, name: &str) {
        self.on(self.index.named_in(self.at, "", "Secret", Some(namespace), name), Weight::Reference);
        self.all(self.index.certificates(self.at, namespace, name), Weight::Reference);
    }
}

pub(super) fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    value.at(&Path::parse(path)).and_then(Value::as_list).unwrap_or_default()
}

/// The edges of the object at `at`.
pub(super) fn of(index: &Index<'_>, at: usize, edges: &mut Vec<Edge>) {
    let Entry { resource, gvk, namespace, .. } = index.entry(at);
    let inputs = &resource.inputs;
    let mut needs = Needs { index, at, edges };
    if let Some(namespace) = namespace {
        needs.on(index.named_in(at, "", "Namespace", None, namespace), Weight::Place);
    }
    needs.on(index.definition(at, &gvk.group, &gvk.kind), Weight::Place);
    let namespace = namespace.unwrap_or_default();
    if let Some(spec) = pods::pod_spec(gvk, inputs) {
        workload(&mut needs, namespace, spec);
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "StatefulSet") => {
            if let Some(service) = inputs.text_at("spec.serviceName") {
                needs.on(index.named(at, "", "Service", service), Weight::Reference);
            }
            for claim in list(inputs, "spec.volumeClaimTemplates") {
                storage_class(&mut needs, claim);
            }
        }
        ("", "PersistentVolumeClaim") => {
            storage_class(&mut needs, inputs);
            if let Some(volume) = inputs.text_at("spec.volumeName") {
                needs.on(index.named_in(at, "", "PersistentVolume", None, volume), Weight::Reference);
            }
        }
        ("", "PersistentVolume") => storage_class(&mut needs, inputs),
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => binding(&mut needs, inputs, namespace),
        ("networking.k8s.io", "Ingress") => ingress(&mut needs, inputs, namespace),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            let target = inputs.at(&Path::parse("spec.scaleTargetRef"));
            if let Some((kind, name)) = target.and_then(|t| Some((t.text_at("kind")?, t.text_at("name")?))) {
                needs.on(index.named(at, "apps", kind, name), Weight::Reference);
            }
        }
        ("apiregistration.k8s.io", "APIService") => {
            if let Some(service) = inputs.at(&Path::parse("spec.service")) {
                service_and_pods(&mut needs, service);
            }
        }
        ("apiextensions.k8s.io", _) => {
            if let Some(service) = inputs.at(&Path::parse("spec.conversion.webhook.clientConfig.service")) {
                // Its objects cannot be read without the conversion; the definition itself can be made.
                needs.on(service_of(index, at, service), Weight::Guard);
            }
        }
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => {
            for webhook in list(inputs, "webhooks") {
                if let Some(service) = webhook.at(&Path::parse("clientConfig.service")) {
                    service_and_pods(&mut needs, service);
                }
            }
        }
        ("admissionregistration.k8s.io", kind) => {
            if let (Some(policy), Some(policy_kind)) =
                (inputs.text_at("spec.policyName"), kind.strip_suffix("Binding"))
            {
                let found = index.named_in(at, "admissionregistration.k8s.io", policy_kind, None, policy);
                needs.on(found, Weight::Reference);
            }
        }
        ("cert-manager.io", "Certificate") => {
            if let Some(name) = inputs.text_at("spec.issuerRef.name") {
                let kind = inputs.text_at("spec.issuerRef.kind").unwrap_or("Issuer");
                let place = (kind == "Issuer").then_some(namespace);
                needs.on(index.named_in(at, "cert-manager.io", kind, place, name), Weight::Reference);
            }
        }
        ("cert-manager.io", "Issuer" | "ClusterIssuer") => issuer(&mut needs, inputs, namespace),
        _ => {}
    }
}

fn workload(needs: &mut Needs<'_, '_>, namespace: &str, spec: &Value) {
    let (index, at) = (needs.index, needs.at);
    for need in pods::needs(spec) {
        match need {
            Need::ConfigMap(name) => needs.on(index.named(at, "", "ConfigMap", name), Weight::Reference),
            Need::Secret(name) => needs.secret(namespace, name),
            Need::Claim(name) => {
                needs.on(index.named(at, "", "PersistentVolumeClaim", name), Weight::Reference);
            }
            Need::ServiceAccount(name) => {
                needs.on(index.named(at, "", "ServiceAccount", name), Weight::Reference);
                needs.all(index.bindings(at, namespace, name), Weight::Access);
            }
            Need::PriorityClass(name) => {
                needs.on(
                    index.named_in(at, "scheduling.k8s.io", "PriorityClass", None, name),
                    Weight::Reference,
                );
            }
            Need::RuntimeClass(name) => {
                needs.on(index.named_in(at, "node.k8s.io", "RuntimeClass", None, name), Weight::Reference);
            }
        }
    }
}

fn storage_class(needs: &mut Needs<'_, '_>, claim: &Value) {
    if let Some(class) = claim.text_at("spec.storageClassName") {
        let found = needs.index.named_in(needs.at, "storage.k8s.io", "StorageClass", None, class);
        needs.on(found, Weight::Reference);
    }
}

fn binding(needs: &mut Needs<'_, '_>, inputs: &Value, namespace: &str) {
    let (index, at) = (needs.index, needs.at);
    if let (Some(kind), Some(name)) = (inputs.text_at("roleRef.kind"), inputs.text_at("roleRef.name")) {
        let place = (kind == "Role").then_some(namespace);
        needs.on(index.named_in(at, RBAC, kind, place, name), Weight::Reference);
    }
    for (place, name) in service_accounts(inputs, namespace) {
        needs.on(index.named_in(at, "", "ServiceAccount", Some(&place), &name), Weight::Reference);
    }
}

fn ingress(needs: &mut Needs<'_, '_>, inputs: &Value, namespace: &str) {
    let (index, at) = (needs.index, needs.at);
    if let Some(class) = inputs.text_at("spec.ingressClassName") {
        needs.on(index.named_in(at, "networking.k8s.io", "IngressClass", None, class), Weight::Reference);
    }
    let default = inputs.text_at("spec.defaultBackend.service.name");
    let backends = list(inputs, "spec.rules")
        .iter()
        .flat_map(|rule| list(rule, "http.paths"))
        .filter_map(|path| path.text_at("backend.service.name"));
    for service in backends.chain(default) {
        needs.on(index.named(at, "", "Service", service), Weight::Reference);
    }
    for tls in list(inputs, "spec.tls") {
        if let Some(secret) = tls.text_at("secretName") {
            needs.secret(namespace, secret);
        }
    }
}

/// A CA issuer needs the Secret with its key, wherever cluster-wide issuers look for theirs: the namespace is set on
/// cert-manager's controller, so any Certificate in the stack that writes a Secret of this name counts.
fn issuer(needs: &mut Needs<'_, '_>, inputs: &Value, namespace: &str) {
    let Some(secret) = inputs.text_at("spec.ca.secretName") else { return };
    if !namespace.is_empty() {
        needs.secret(namespace, secret);
        return;
    }
    for place in ["cert-manager", "kube-system"] {
        needs.secret(place, secret);
    }
}

fn service_of(index: &Index<'_>, at: usize, reference: &Value) -> Option<usize> {
    let (namespace, name) = (reference.text_at("namespace")?, reference.text_at("name")?);
    index.named_in(at, "", "Service", Some(namespace), name)
}

/// A Service that must answer: the Service and the workloads behind it.
fn service_and_pods(needs: &mut Needs<'_, '_>, reference: &Value) {
    for to in backing(needs.index, needs.at, reference) {
        needs.on(Some(to), Weight::Reference);
    }
}

pub(super) fn backing(index: &Index<'_>, at: usize, reference: &Value) -> Vec<usize> {
    let Some(service) = service_of(index, at, reference) else { return Vec::new() };
    let entry = index.entry(service);
    let selector = entry.resource.inputs.at(&Path::parse("spec.selector")).and_then(Value::as_map);
    let mut found = vec![service];
    if let (Some(selector), Some(namespace)) = (selector, entry.namespace) {
        found.extend(index.selected(service, namespace, selector));
    }
    found
}
