//! The built-in kinds: what they are called in a path, where they live, which struct describes them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use k8s_openapi::api::{
    admissionregistration, apps, autoscaling, batch, certificates, coordination, core, discovery, events,
    flowcontrol, networking, node, policy, rbac, resource, scheduling, storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::kind::Gvk;

/// A kind that comes with Kubernetes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuiltIn {
    /// Its name in a path.
    pub plural: &'static str,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Adds its schema to a generator's definitions and gives the reference.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

trait Scope {
    const NAMESPACED: bool;
}
impl Scope for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}
impl Scope for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

fn entry<T>() -> (Gvk, BuiltIn)
where
    T: k8s_openapi::Resource + JsonSchema,
    T::Scope: Scope,
{
    let built_in = BuiltIn {
        plural: T::URL_PATH_SEGMENT,
        namespaced: <T::Scope as Scope>::NAMESPACED,
        schema: |generator| generator.subschema_for::<T>(),
    };
    (Gvk::new(T::GROUP, T::VERSION, T::KIND), built_in)
}

macro_rules! table {
    ($($kind:ty),* $(,)?) => { HashMap::from([$(entry::<$kind>()),*]) };
}

static TABLE: LazyLock<HashMap<Gvk, BuiltIn>> = LazyLock::new(|| {
    table![
        admissionregistration::v1::MutatingAdmissionPolicy,
        admissionregistration::v1::MutatingAdmissionPolicyBinding,
        admissionregistration::v1::MutatingWebhookConfiguration,
        admissionregistration::v1::ValidatingAdmissionPolicy,
        admissionregistration::v1::ValidatingAdmissionPolicyBinding,
        admissionregistration::v1::ValidatingWebhookConfiguration,
        apiextensions::v1::CustomResourceDefinition,
        apiregistration::v1::APIService,
        apps::v1::ControllerRevision,
        apps::v1::DaemonSet,
        apps::v1::Deployment,
        apps::v1::ReplicaSet,
        apps::v1::StatefulSet,
        autoscaling::v1::HorizontalPodAutoscaler,
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::CronJob,
        batch::v1::Job,
        certificates::v1::CertificateSigningRequest,
        coordination::v1::Lease,
        core::v1::ConfigMap,
        core::v1::Endpoints,
        core::v1::Event,
        core::v1::LimitRange,
        core::v1::Namespace,
        core::v1::Node,
        core::v1::PersistentVolume,
        core::v1::PersistentVolumeClaim,
        core::v1::Pod,
        core::v1::PodTemplate,
        core::v1::ReplicationController,
        core::v1::ResourceQuota,
        core::v1::Secret,
        core::v1::Service,
        core::v1::ServiceAccount,
        discovery::v1::EndpointSlice,
        events::v1::Event,
        flowcontrol::v1::FlowSchema,
        flowcontrol::v1::PriorityLevelConfiguration,
        networking::v1::IPAddress,
        networking::v1::Ingress,
        networking::v1::IngressClass,
        networking::v1::NetworkPolicy,
        networking::v1::ServiceCIDR,
        node::v1::RuntimeClass,
        policy::v1::PodDisruptionBudget,
        rbac::v1::ClusterRole,
        rbac::v1::ClusterRoleBinding,
        rbac::v1::Role,
        rbac::v1::RoleBinding,
        resource::v1::DeviceClass,
        resource::v1::ResourceClaim,
        resource::v1::ResourceClaimTemplate,
        resource::v1::ResourceSlice,
        scheduling::v1::PriorityClass,
        storage::v1::CSIDriver,
        storage::v1::CSINode,
        storage::v1::CSIStorageCapacity,
        storage::v1::StorageClass,
        storage::v1::VolumeAttachment,
        storage::v1::VolumeAttributesClass,
    ]
});

/// The built-in kind, if it is one.
pub(crate) fn built_in(gvk: &Gvk) -> Option<&'static BuiltIn> {
    TABLE.get(gvk)
}

static GROUPS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| TABLE.keys().map(|gvk| gvk.group.as_str()).collect());

/// Whether a group is one of Kubernetes itself. Not every group under `k8s.io` is.
pub(crate) fn is_built_in_group(group: &str) -> bool {
    GROUPS.contains(group)
}

/// The built-in kind whose name is nearest, as a URN spells it.
pub(crate) fn nearest(gvk: &Gvk) -> Option<String> {
    TABLE
        .keys()
        .map(|known| {
            let same_group =
                usize::from(known.group != gvk.group) + usize::from(known.version != gvk.version);
            (super::validate::distance(&known.kind, &gvk.kind) * 3 + same_group, known)
        })
        .filter(|(distance, _)| *distance <= 9)
        .min()
        .map(|(_, known)| known.urn_kind())
}
