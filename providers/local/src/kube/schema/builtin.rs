//! The types of the built-in kinds, made at run time from the schemas that `k8s-openapi` carries.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authn,
    authorization::v1 as authz, autoscaling::v1 as autoscaling1, autoscaling::v2 as autoscaling2,
    batch::v1 as batch, certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;

use super::super::json::{Json, Look};
use super::{Arena, ListKind, Node, Scalar, Shape, TypeRef, lists};

const REF: &str = "#/components/schemas/";

/// Everything that is known about built-in types.
pub(crate) struct Builtin {
    /// Schemas by full name, as JSON, `$ref`s pointing into `#/components/schemas/`.
    pub definitions: serde_json::Map<String, Json>,
    arena: Arc<Arena>,
    by_name: HashMap<String, usize>,
}

impl Builtin {
    /// The type with a full name like `io.k8s.api.apps.v1.Deployment`.
    pub fn by_name(&self, name: &str) -> Option<TypeRef> {
        self.by_name.get(name).map(|id| TypeRef { arena: Arc::clone(&self.arena), id: *id })
    }
}

/// The types, made on first use and shared by every server of the process.
pub(crate) fn builtin() -> &'static Builtin {
    static BUILTIN: OnceLock<Builtin> = OnceLock::new();
    BUILTIN.get_or_init(|| {
        let mut generator = SchemaSettings::draft2020_12()
            .with(|s| {
                s.definitions_path = "/components/schemas".into();
                s.meta_schema = None;
                s.transforms.clear();
            })
            .into_generator();
        register(&mut generator);
        let definitions = generator.take_definitions(false);
        let (arena, by_name) = compile(&definitions);
        Builtin { definitions, arena: Arc::new(arena), by_name }
    })
}

fn register(g: &mut SchemaGenerator) {
    macro_rules! kinds { ($($module:ident: $($kind:ident),+;)+) => { $($(
        let _ = g.subschema_for::<$module::$kind>();
    )+)+ } }
    kinds! {
        core: Namespace, Node, Pod, PodTemplate, Service, Endpoints, ServiceAccount, ConfigMap, Secret, PersistentVolume,
            PersistentVolumeClaim, Event, ReplicationController, ResourceQuota, LimitRange, Binding;
        apps: Deployment, StatefulSet, DaemonSet, ReplicaSet, ControllerRevision;
        batch: Job, CronJob;
        autoscaling1: HorizontalPodAutoscaler, Scale;
        autoscaling2: HorizontalPodAutoscaler;
        policy: PodDisruptionBudget, Eviction;
        networking: Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR;
        rbac: Role, RoleBinding, ClusterRole, ClusterRoleBinding;
        storage: StorageClass, CSIDriver, CSINode, VolumeAttachment, CSIStorageCapacity, VolumeAttributesClass;
        scheduling: PriorityClass;
        admission: ValidatingWebhookConfiguration, MutatingWebhookConfiguration, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding;
        apiextensions: CustomResourceDefinition;
        apiregistration: APIService;
        coordination: Lease;
        discovery: EndpointSlice;
        flowcontrol: FlowSchema, PriorityLevelConfiguration;
        events: Event;
        authn: TokenReview, SelfSubjectReview, TokenRequest;
        authz: SelfSubjectAccessReview, SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectRulesReview;
        certificates: CertificateSigningRequest;
        node: RuntimeClass;
        meta: DeleteOptions, Status, ListMeta;
    }
}

fn compile(definitions: &serde_json::Map<String, Json>) -> (Arena, HashMap<String, usize>) {
    let mut arena = Arena::default();
    let by_name: HashMap<String, usize> =
        definitions.keys().map(|name| (name.clone(), arena.add(Node::new(Shape::Any)))).collect();
    for (name, schema) in definitions {
        let short = name.rsplit('.').next().unwrap_or(name);
        let mut node = match (short, name.contains("apimachinery")) {
            ("Quantity", true) => Node::new(Shape::Scalar(Scalar::Quantity)),
            ("IntOrString", true) => Node::new(Shape::Scalar(Scalar::IntOrString)),
            ("Time" | "MicroTime", true) => Node::new(Shape::Scalar(Scalar::Time)),
            ("RawExtension" | "FieldsV1", true) => Node::new(Shape::Any),
            (
                "JSON" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray",
                _,
            ) => Node::new(Shape::Any),
            _ => node_of(&mut arena, &by_name, schema, short, ""),
        };
        node.atomic |= lists::atomic_struct(short);
        short.clone_into(&mut node.name);
        arena.nodes[by_name[name]] = node;
    }
    (arena, by_name)
}

fn type_of(
    arena: &mut Arena,
    by_name: &HashMap<String, usize>,
    schema: &Json,
    owner: &str,
    field: &str,
) -> usize {
    if let Some(id) = schema.text("$ref").strip_prefix(REF).and_then(|n| by_name.get(n)) {
        return *id;
    }
    let node = node_of(arena, by_name, schema, owner, field);
    arena.add(node)
}

fn node_of(
    arena: &mut Arena,
    by_name: &HashMap<String, usize>,
    schema: &Json,
    owner: &str,
    field: &str,
) -> Node {
    if schema.get("type").is_some_and(Json::is_array) {
        return Node::new(Shape::Any);
    }
    match schema.text("type") {
        "string" if schema.text("format") == "byte" => Node::new(Shape::Scalar(Scalar::Bytes)),
        "string" => Node::new(Shape::Scalar(Scalar::String)),
        "integer" => {
            let bits = if schema.text("format") == "int64" { 64 } else { 32 };
            Node::new(Shape::Scalar(Scalar::Integer { bits }))
        }
        "number" => Node::new(Shape::Scalar(Scalar::Number)),
        "boolean" => Node::new(Shape::Scalar(Scalar::Boolean)),
        "array" => {
            let item = type_of(arena, by_name, schema.at("items"), owner, "");
            Node::new(Shape::List { item, kind: list_kind(owner, field) })
        }
        "object" => {
            let extra = schema
                .get("additionalProperties")
                .filter(|s| s.is_object())
                .map(|s| type_of(arena, by_name, s, owner, ""));
            let Some(properties) = schema.map("properties") else {
                let shape = if extra.is_some() {
                    Shape::Object { fields: HashMap::new(), extra }
                } else {
                    Shape::Any
                };
                let mut node = Node::new(shape);
                node.atomic = lists::atomic_map(owner, field);
                return node;
            };
            let fields = properties
                .iter()
                .map(|(name, s)| (name.clone(), type_of(arena, by_name, s, owner, name)))
                .collect();
            let mut node = Node::new(Shape::Object { fields, extra });
            node.required = schema.list("required").iter().filter_map(Json::as_str).map(Into::into).collect();
            node
        }
        _ => Node::new(Shape::Any),
    }
}

fn list_kind(owner: &str, field: &str) -> ListKind {
    if field.is_empty() { ListKind::Atomic } else { lists::list_kind(owner, field) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_have_the_merge_rules_of_the_real_api() {
        let deployment = builtin().by_name("io.k8s.api.apps.v1.Deployment").expect("known");
        let pod = deployment.path("spec.template.spec").expect("pod spec");
        let keyed = |t: Option<TypeRef>| match &t.expect("there").node().shape {
            Shape::List { kind: ListKind::Map(keys), .. } => keys.iter().map(|k| k.0.clone()).collect(),
            other => vec![format!("{other:?}")],
        };
        assert_eq!(keyed(pod.path("containers")), ["name"]);
        assert_eq!(keyed(pod.path("containers.*.ports")), ["containerPort", "protocol"]);
        assert!(pod.path("nodeSelector").is_some_and(|t| t.node().atomic));
        assert!(deployment.path("spec.selector").is_some_and(|t| t.node().atomic));
        let cpu = pod.path("containers.*.resources.limits.cpu").expect("cpu");
        assert!(matches!(cpu.node().shape, Shape::Scalar(Scalar::Quantity)));
    }

    #[test]
    fn every_entry_of_the_tables_names_a_real_field() {
        let types = builtin();
        for (owner, field) in lists::named() {
            let found = types.definitions.iter().any(|(name, schema)| {
                name.rsplit('.').next() == Some(owner) && schema.at("properties").get(field).is_some()
            });
            assert!(found, "{owner}.{field}");
        }
    }
}
