//! The exact version of everything the platform runs, in one table. A stack file may override a version or move an
//! image to a registry of its own; nothing else in this crate names a version or an image.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One line of the table: `key` is the component's name in stack files, `image` the repository, `tag` the version
/// with what the repository writes in front of it.
struct Entry {
    image: Image,
    key: &'static str,
    repository: &'static str,
    tag_prefix: &'static str,
    version: &'static str,
}

/// An image that the platform runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Image {
    /// cert-manager's controller.
    CertManagerController,
    /// cert-manager's webhook.
    CertManagerWebhook,
    /// cert-manager's injector of authorities.
    CertManagerCainjector,
    /// cert-manager's helper for proofs over HTTP.
    CertManagerAcmesolver,
    /// The ingress controller.
    Traefik,
    /// The embedded database.
    Postgresql,
    /// The object store inside the cluster, for stacks without one outside.
    ObjectStore,
    /// Grafana.
    Grafana,
    /// Prometheus.
    Prometheus,
    /// Every component of Thanos.
    Thanos,
    /// Alertmanager.
    Alertmanager,
    /// Every component of Loki.
    Loki,
    /// The reverse proxy in front of Loki.
    LokiGateway,
    /// Every component of Tempo.
    Tempo,
    /// The OpenTelemetry collector, as gateway and as agent.
    Collector,
    /// kube-state-metrics.
    KubeStateMetrics,
    /// node-exporter.
    NodeExporter,
    /// blackbox-exporter.
    BlackboxExporter,
    /// The HTTP client of backup jobs.
    Curl,
    /// The copier to buckets of backup jobs.
    Rclone,
}

const fn entry(
    image: Image,
    key: &'static str,
    repository: &'static str,
    tag_prefix: &'static str,
    version: &'static str,
) -> Entry {
    Entry { image, key, repository, tag_prefix, version }
}

const TABLE: [Entry; 20] = [
    entry(
        Image::CertManagerController,
        "certManager",
        "quay.io/jetstack/cert-manager-controller",
        "v",
        "1.21.1",
    ),
    entry(Image::CertManagerWebhook, "certManager", "quay.io/jetstack/cert-manager-webhook", "v", "1.21.1"),
    entry(
        Image::CertManagerCainjector,
        "certManager",
        "quay.io/jetstack/cert-manager-cainjector",
        "v",
        "1.21.1",
    ),
    entry(
        Image::CertManagerAcmesolver,
        "certManager",
        "quay.io/jetstack/cert-manager-acmesolver",
        "v",
        "1.21.1",
    ),
    entry(Image::Traefik, "traefik", "docker.io/library/traefik", "v", "3.7.11"),
    entry(Image::Postgresql, "postgresql", "docker.io/library/postgres", "", "17.6"),
    entry(Image::ObjectStore, "objectStore", "docker.io/chrislusf/seaweedfs", "", "3.97"),
    entry(Image::Grafana, "grafana", "docker.io/grafana/grafana", "", "13.2.0"),
    entry(Image::Prometheus, "prometheus", "quay.io/prometheus/prometheus", "v", "3.14.0"),
    entry(Image::Thanos, "thanos", "quay.io/thanos/thanos", "v", "0.42.4"),
    entry(Image::Alertmanager, "alertmanager", "quay.io/prometheus/alertmanager", "v", "0.34.0"),
    entry(Image::Loki, "loki", "docker.io/grafana/loki", "", "3.7.6"),
    entry(Image::LokiGateway, "lokiGateway", "docker.io/nginxinc/nginx-unprivileged", "", "1.29.1"),
    entry(Image::Tempo, "tempo", "docker.io/grafana/tempo", "", "2.10.8"),
    entry(Image::Collector, "collector", "docker.io/otel/opentelemetry-collector-contrib", "", "0.158.0"),
    entry(
        Image::KubeStateMetrics,
        "kubeStateMetrics",
        "registry.k8s.io/kube-state-metrics/kube-state-metrics",
        "v",
        "2.20.0",
    ),
    entry(Image::NodeExporter, "nodeExporter", "quay.io/prometheus/node-exporter", "v", "1.12.1"),
    entry(Image::BlackboxExporter, "blackboxExporter", "quay.io/prometheus/blackbox-exporter", "v", "0.28.0"),
    entry(Image::Curl, "curl", "docker.io/curlimages/curl", "", "8.16.0"),
    entry(Image::Rclone, "rclone", "docker.io/rclone/rclone", "", "1.71.0"),
];

/// A stack's overrides of versions and images, by component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalogue(BTreeMap<String, Override>);

/// What a stack overrides about one component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Override {
    /// The version, without a leading `v`.
    pub version: Option<String>,
    /// The image's repository, such as a mirror of your own. For `certManager`, what stands before `-controller` and so on.
    pub image: Option<String>,
}

impl Image {
    /// Every image, in the order of the table.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::CertManagerController; TABLE.len()];
        let mut position = 0;
        while position < TABLE.len() {
            all[position] = TABLE[position].image;
            position += 1;
        }
        all
    };

    /// The component that the image belongs to, by its name in stack files.
    pub fn component(self) -> &'static str {
        find(self).key
    }
}

impl Catalogue {
    /// The whole reference of an image: repository and tag.
    pub fn image(&self, image: Image) -> String {
        let entry = find(image);
        let changed = self.0.get(entry.key);
        let repository = match changed.and_then(|changed| changed.image.as_deref()) {
            None => entry.repository.to_owned(),
            Some(repository) => match entry.repository.strip_prefix("quay.io/jetstack/cert-manager") {
                Some(part) => format!("{repository}{part}"),
                None => repository.to_owned(),
            },
        };
        format!("{repository}:{}{}", entry.tag_prefix, self.version(image))
    }

    /// The version of what an image holds, without a leading `v`; for labels.
    pub fn version(&self, image: Image) -> &str {
        let entry = find(image);
        self.0
            .get(entry.key)
            .and_then(|changed| changed.version.as_deref())
            .map_or(entry.version, |version| version.strip_prefix('v').unwrap_or(version))
    }

    /// Every component with the version in force (and the image where a stack moved it), as a stack file would say
    /// it: what a run proves, independent of what a later version of this program holds as defaults.
    pub fn resolved(&self) -> serde_json::Value {
        let one = |entry: &Entry| {
            let mut told = serde_json::Map::new();
            told.insert("version".to_owned(), self.version(entry.image).into());
            if let Some(image) = self.0.get(entry.key).and_then(|changed| changed.image.as_deref()) {
                told.insert("image".to_owned(), image.into());
            }
            (entry.key.to_owned(), serde_json::Value::Object(told))
        };
        serde_json::Value::Object(TABLE.iter().map(one).collect())
    }

    /// The names of all components, each once.
    pub fn components() -> Vec<&'static str> {
        let mut names: Vec<_> = TABLE.iter().map(|entry| entry.key).collect();
        names.dedup();
        names
    }
}

fn find(image: Image) -> &'static Entry {
    let entry = &TABLE[image as usize];
    debug_assert_eq!(entry.image, image, "the table is out of order");
    entry
}

impl JsonSchema for Catalogue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Catalogue".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Override>();
        let properties: serde_json::Map<String, serde_json::Value> =
            Self::components().into_iter().map(|name| (name.to_owned(), one.clone().to_value())).collect();
        json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_stands_at_its_own_place_in_the_table() {
        for (position, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.image as usize, position, "{} is out of order", entry.repository);
        }
    }

    #[test]
    fn versions_and_repositories_can_be_overridden() {
        let catalogue: Catalogue = serde_json::from_value(serde_json::json!({
            "certManager": { "image": "mirror.example.com/cert-manager", "version": "v1.21.2" },
            "loki": { "version": "3.7.7" },
        }))
        .unwrap();
        assert_eq!(
            catalogue.image(Image::CertManagerWebhook),
            "mirror.example.com/cert-manager-webhook:v1.21.2"
        );
        assert_eq!(catalogue.image(Image::Loki), "docker.io/grafana/loki:3.7.7");
        assert_eq!(catalogue.image(Image::Thanos), "quay.io/thanos/thanos:v0.42.4");
    }
}
