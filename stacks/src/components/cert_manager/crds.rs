//! cert-manager's six custom resource definitions, written for this platform: every field of the API that its
//! controllers read, as structural schemas. Templates of pods and settings of rarely used solvers are taken as they
//! are.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as ext;
use plinth_provider::Urn;
use serde_json::{Map, Value as Json, json};

use crate::kit::{Build, metadata};

mod schemas;

struct Definition {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    cluster_wide: bool,
    spec: fn() -> Json,
    status: fn() -> Json,
    /// Name, path in the object, whether it is a date.
    columns: &'static [(&'static str, &'static str, bool)],
}

const READY: (&str, &str, bool) = ("Ready", ".status.conditions[?(@.type==\"Ready\")].status", false);
const AGE: (&str, &str, bool) = ("Age", ".metadata.creationTimestamp", true);

const DEFINITIONS: [Definition; 6] = [
    Definition {
        group: "cert-manager.io",
        kind: "Certificate",
        plural: "certificates",
        short: &["cert", "certs"],
        cluster_wide: false,
        spec: schemas::certificate,
        status: schemas::certificate_status,
        columns: &[READY, ("Secret", ".spec.secretName", false), ("Expires", ".status.notAfter", true), AGE],
    },
    Definition {
        group: "cert-manager.io",
        kind: "CertificateRequest",
        plural: "certificaterequests",
        short: &["cr", "crs"],
        cluster_wide: false,
        spec: schemas::request,
        status: schemas::request_status,
        columns: &[
            ("Approved", ".status.conditions[?(@.type==\"Approved\")].status", false),
            ("Denied", ".status.conditions[?(@.type==\"Denied\")].status", false),
            READY,
            ("Issuer", ".spec.issuerRef.name", false),
            AGE,
        ],
    },
    Definition {
        group: "cert-manager.io",
        kind: "Issuer",
        plural: "issuers",
        short: &["iss"],
        cluster_wide: false,
        spec: schemas::issuer,
        status: schemas::issuer_status,
        columns: &[READY, AGE],
    },
    Definition {
        group: "cert-manager.io",
        kind: "ClusterIssuer",
        plural: "clusterissuers",
        short: &["ciss"],
        cluster_wide: true,
        spec: schemas::issuer,
        status: schemas::issuer_status,
        columns: &[READY, AGE],
    },
    Definition {
        group: "acme.cert-manager.io",
        kind: "Order",
        plural: "orders",
        short: &[],
        cluster_wide: false,
        spec: schemas::order,
        status: schemas::order_status,
        columns: &[
            ("State", ".status.state", false),
            ("Issuer", ".spec.issuerRef.name", false),
            ("Reason", ".status.reason", false),
            AGE,
        ],
    },
    Definition {
        group: "acme.cert-manager.io",
        kind: "Challenge",
        plural: "challenges",
        short: &[],
        cluster_wide: false,
        spec: schemas::challenge,
        status: schemas::challenge_status,
        columns: &[
            ("State", ".status.state", false),
            ("Domain", ".spec.dnsName", false),
            ("Reason", ".status.reason", false),
            AGE,
        ],
    },
];

pub(super) fn declare(build: &mut Build<'_>) -> Vec<Urn> {
    DEFINITIONS.iter().map(|definition| declare_one(build, definition)).collect()
}

fn declare_one(build: &mut Build<'_>, definition: &Definition) -> Urn {
    let schema = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": (definition.spec)(),
            "status": (definition.status)(),
        },
    });
    let schema: ext::JSONSchemaProps = match serde_json::from_value(schema) {
        Ok(schema) => schema,
        Err(error) => {
            return build.error(
                format!("the schema of {} is malformed: {error}", definition.kind),
                "report this as a defect",
            );
        }
    };
    let category = if definition.group.starts_with("acme") { "cert-manager-acme" } else { "cert-manager" };
    let short: Vec<String> = definition.short.iter().map(|name| (*name).to_owned()).collect();
    let columns = definition
        .columns
        .iter()
        .map(|(name, path, date)| ext::CustomResourceColumnDefinition {
            name: (*name).to_owned(),
            json_path: (*path).to_owned(),
            type_: if *date { "date" } else { "string" }.to_owned(),
            ..Default::default()
        })
        .collect();
    let name = format!("{}.{}", definition.plural, definition.group);
    let labels = build.common_labels();
    build.object(ext::CustomResourceDefinition {
        metadata: metadata(None, name, labels),
        spec: ext::CustomResourceDefinitionSpec {
            group: definition.group.to_owned(),
            names: ext::CustomResourceDefinitionNames {
                kind: definition.kind.to_owned(),
                list_kind: Some(format!("{}List", definition.kind)),
                plural: definition.plural.to_owned(),
                singular: Some(definition.kind.to_lowercase()),
                short_names: (!short.is_empty()).then_some(short),
                categories: Some(vec![category.to_owned()]),
            },
            scope: if definition.cluster_wide { "Cluster" } else { "Namespaced" }.to_owned(),
            versions: vec![ext::CustomResourceDefinitionVersion {
                name: "v1".to_owned(),
                served: true,
                storage: true,
                schema: Some(ext::CustomResourceValidation { open_api_v3_schema: Some(schema) }),
                subresources: Some(ext::CustomResourceSubresources {
                    status: Some(ext::CustomResourceSubresourceStatus(json!({}))),
                    scale: None,
                }),
                additional_printer_columns: Some(columns),
                ..Default::default()
            }],
            ..Default::default()
        },
        status: None,
    })
}

/// An object with these properties, of which some are required.
fn object(required: &[&str], properties: Json) -> Json {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("properties".to_owned(), properties);
    Json::Object(schema)
}

fn text() -> Json {
    json!({ "type": "string" })
}

fn one_of(values: &[&str]) -> Json {
    json!({ "type": "string", "enum": values })
}

fn integer() -> Json {
    json!({ "type": "integer", "format": "int32" })
}

fn boolean() -> Json {
    json!({ "type": "boolean" })
}

fn date() -> Json {
    json!({ "type": "string", "format": "date-time" })
}

fn bytes() -> Json {
    json!({ "type": "string", "format": "byte" })
}

fn list(items: Json) -> Json {
    json!({ "type": "array", "items": items, "x-kubernetes-list-type": "atomic" })
}

fn map_of_texts() -> Json {
    json!({ "type": "object", "additionalProperties": { "type": "string" } })
}

/// An object that is taken as it is.
fn anything() -> Json {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
