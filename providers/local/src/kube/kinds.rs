//! The built-in kinds as one table, and what a resource is to the rest of the server.

use super::json::Json;
use super::schema::TypeRef;
use super::schema::builtin::builtin;
use super::status::qualified;

/// One resource in one served version: what a path like `/apis/apps/v1/deployments` leads to.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub short: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    /// Whether there is a `/status`.
    pub status: bool,
    /// Where `/scale` finds things, if there is one.
    pub scale: Option<Scale>,
    /// Whether `metadata.generation` counts changes of the specification.
    pub generation: bool,
    /// The name under which objects are stored; several versions or groups may share it.
    pub storage: String,
    /// Only POST makes sense, nothing is stored.
    pub review: bool,
    pub schema: TypeRef,
    /// The version entry of the definition, for custom resources.
    pub custom: Option<Custom>,
}

/// Where a scale subresource reads and writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    pub spec: String,
    pub status: String,
    pub selector: String,
}

/// What only custom resources have.
#[derive(Debug, Clone)]
pub(crate) struct Custom {
    pub schema: Json,
    pub columns: Vec<Json>,
    pub storage_version: String,
    /// Paths that field selectors may name.
    pub selectable: Vec<String>,
    pub deprecated: Option<String>,
}

impl Resource {
    /// `group/version`, or `version` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
    /// `deployments.apps`, as error messages say it.
    pub fn qualified(&self) -> String {
        qualified(&self.group, &self.plural)
    }
}

const NS: u8 = 1;
const STATUS: u8 = 2;
const SCALE: u8 = 4;
const GENERATION: u8 = 8;
const REVIEW: u8 = 16;

type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, u8);

/// Group, version, kind, plural, short names, categories, flags.
const KINDS: &[Row] = &[
    ("", "v1", "Binding", "bindings", "", "", NS | REVIEW),
    ("", "v1", "ConfigMap", "configmaps", "cm", "", NS),
    ("", "v1", "Endpoints", "endpoints", "ep", "", NS),
    ("", "v1", "Event", "events", "ev", "", NS),
    ("", "v1", "LimitRange", "limitranges", "limits", "", NS),
    ("", "v1", "Namespace", "namespaces", "ns", "", STATUS),
    ("", "v1", "Node", "nodes", "no", "", STATUS),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "", NS | STATUS),
    ("", "v1", "PersistentVolume", "persistentvolumes", "pv", "", STATUS),
    ("", "v1", "Pod", "pods", "po", "all", NS | STATUS | GENERATION),
    ("", "v1", "PodTemplate", "podtemplates", "", "", NS),
    (
        "",
        "v1",
        "ReplicationController",
        "replicationcontrollers",
        "rc",
        "all",
        NS | STATUS | SCALE | GENERATION,
    ),
    ("", "v1", "ResourceQuota", "resourcequotas", "quota", "", NS | STATUS),
    ("", "v1", "Secret", "secrets", "", "", NS),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", "", NS),
    ("", "v1", "Service", "services", "svc", "all", NS | STATUS),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
        "",
        "api-extensions",
        GENERATION,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        "",
        "api-extensions",
        GENERATION,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "",
        "api-extensions",
        GENERATION,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        "",
        "api-extensions",
        STATUS | GENERATION,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "",
        "api-extensions",
        GENERATION,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "",
        "api-extensions",
        GENERATION,
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd,crds",
        "api-extensions",
        STATUS | GENERATION,
    ),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", "", "api-extensions", STATUS),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", "", "", NS),
    ("apps", "v1", "DaemonSet", "daemonsets", "ds", "all", NS | STATUS | GENERATION),
    ("apps", "v1", "Deployment", "deployments", "deploy", "all", NS | STATUS | SCALE | GENERATION),
    ("apps", "v1", "ReplicaSet", "replicasets", "rs", "all", NS | STATUS | SCALE | GENERATION),
    ("apps", "v1", "StatefulSet", "statefulsets", "sts", "all", NS | STATUS | SCALE | GENERATION),
    ("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "", "", REVIEW),
    ("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "", "", REVIEW),
    (
        "authorization.k8s.io",
        "v1",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "",
        "",
        NS | REVIEW,
    ),
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "", "", REVIEW),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "", "", REVIEW),
    ("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", "", "", REVIEW),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "all", NS | STATUS),
    ("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "all", NS | STATUS),
    ("batch", "v1", "CronJob", "cronjobs", "cj", "all", NS | STATUS | GENERATION),
    ("batch", "v1", "Job", "jobs", "", "all", NS | STATUS | GENERATION),
    (
        "certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        "csr",
        "",
        STATUS,
    ),
    ("coordination.k8s.io", "v1", "Lease", "leases", "", "", NS),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "", "", NS | GENERATION),
    ("events.k8s.io", "v1", "Event", "events", "ev", "", NS),
    ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", "", "", STATUS | GENERATION),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        "",
        "",
        STATUS | GENERATION,
    ),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "", "", GENERATION),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", "", NS | STATUS | GENERATION),
    ("networking.k8s.io", "v1", "IPAddress", "ipaddresses", "ip", "", 0),
    ("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", "", "", STATUS),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol", "", NS | GENERATION),
    ("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "", "", 0),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "", NS | STATUS | GENERATION),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "", "", 0),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "", "", 0),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "", "", NS),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", "", "", NS),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", "", GENERATION),
    ("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "", "", 0),
    ("storage.k8s.io", "v1", "CSINode", "csinodes", "", "", 0),
    ("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", "", "", NS),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", "", 0),
    ("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", "vac", "", 0),
    ("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "", "", STATUS),
];

/// The order in which groups appear in discovery, which is also what short names resolve by.
pub(crate) const GROUP_ORDER: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

/// The full name of a built-in kind's type.
pub(crate) fn type_name(group: &str, version: &str, kind: &str) -> String {
    match group {
        "" => format!("io.k8s.api.core.{version}.{kind}"),
        "apiextensions.k8s.io" => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}")
        }
        "apiregistration.k8s.io" => {
            format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{version}.{kind}")
        }
        other => format!("io.k8s.api.{}.{version}.{kind}", other.split('.').next().unwrap_or(other)),
    }
}

/// All built-in resources.
pub(crate) fn builtin_resources() -> Vec<Resource> {
    let words = |s: &str| s.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    KINDS
        .iter()
        .filter_map(|(group, version, kind, plural, short, categories, flags)| {
            let schema = builtin().by_name(&type_name(group, version, kind))?;
            let storage = match (*group, *plural) {
                ("events.k8s.io", _) => "events".to_owned(),
                _ => qualified(group, plural),
            };
            let scale = (flags & SCALE != 0).then(|| Scale {
                spec: ".spec.replicas".into(),
                status: ".status.replicas".into(),
                selector: String::new(),
            });
            Some(Resource {
                group: (*group).into(),
                version: (*version).into(),
                kind: (*kind).into(),
                plural: (*plural).into(),
                singular: kind.to_lowercase(),
                short: words(short),
                categories: words(categories),
                namespaced: flags & NS != 0,
                status: flags & STATUS != 0,
                scale,
                generation: flags & GENERATION != 0,
                storage,
                review: flags & REVIEW != 0,
                schema,
                custom: None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_has_a_type() {
        assert_eq!(builtin_resources().len(), KINDS.len());
        assert!(KINDS.iter().all(|k| GROUP_ORDER.contains(&k.0)));
    }
}
