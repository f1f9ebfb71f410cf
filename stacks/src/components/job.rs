//! A job that runs a script once.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, EmptyDirVolumeSource, PodTemplateSpec, SecretVolumeSource,
    ServiceAccount, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use plinth_provider::Urn;

use crate::catalogue::Image;
use crate::kit::{Build, Container, Part, TLS_DIRECTORY, exceptions, metadata, pod, text_map};
use crate::model::{BucketPurpose, Mesh};

/// A script that runs once against a bucket.
pub(crate) struct Script {
    /// The part it is.
    pub part: Part,
    /// What it runs in; an image with `sh`.
    pub image: Image,
    /// The script.
    pub script: String,
    /// The bucket it reaches as `bucket:`.
    pub bucket: BucketPurpose,
}

impl Script {
    /// Declares the job with everything around it.
    pub fn declare(self, build: &mut Build<'_>) -> Urn {
        let part = self.part;
        let name = part.name();
        let namespace = build.namespace(part.space).to_owned();
        build.runs(part);
        let labels = build.labels(part);
        build.object(ServiceAccount {
            metadata: metadata(Some(&namespace), &name, labels.clone()),
            automount_service_account_token: Some(false),
            ..Default::default()
        });
        build.object(ConfigMap {
            metadata: metadata(Some(&namespace), &name, labels.clone()),
            data: Some(text_map([("run.sh", self.script)])),
            ..Default::default()
        });
        let certificate = build.certificate(part, &[]);
        let (environment, _) = build.bucket(self.bucket).rclone();
        let shape = build.sizing.backup.clone();
        let mut container = Container::new("run", build.stack.catalogue.image(self.image))
            .command(["sh", "/scripts/run.sh"])
            .compute(&shape.resources)
            .env("HOME", "/tmp")
            .mount("tmp", "/tmp", false)
            .mount("scripts", "/scripts", true)
            .mount("tls", TLS_DIRECTORY, true);
        for (key, value) in environment {
            container = container.env(key, value);
        }
        if let Some(secret) = build.foundation.credentials.clone() {
            for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                container = container.env_secret(key, &secret, key);
            }
        }
        let mut spec = pod::base(
            &name,
            false,
            pod::security(65532, 65532),
            vec![container.finish()],
            Vec::new(),
            volumes(&name),
        );
        spec.restart_policy = Some("OnFailure".to_owned());
        spec.priority_class_name = Some("plinth-platform".to_owned());
        let mut after = build.foundation.nodes.clone();
        after.push(certificate);
        let mut meta = metadata(Some(&namespace), &name, labels.clone());
        meta.annotations = Some(exceptions::of_pod(&spec));
        build.object_after(
            Job {
                metadata: meta,
                spec: Some(JobSpec {
                    backoff_limit: Some(10),
                    active_deadline_seconds: Some(1800),
                    template: PodTemplateSpec {
                        metadata: Some(template_metadata(build, labels)),
                        spec: Some(spec),
                    },
                    ..Default::default()
                }),
                status: None,
            },
            &after,
        )
    }
}

/// Metadata of a pod that runs to its end: it stays out of a mesh, whose proxy would not end with it.
pub(crate) fn template_metadata(build: &Build<'_>, mut labels: BTreeMap<String, String>) -> ObjectMeta {
    let mut annotations = BTreeMap::new();
    match build.platform.mesh {
        Mesh::None => {}
        Mesh::Istio => {
            labels.insert("sidecar.istio.io/inject".to_owned(), "false".to_owned());
        }
        Mesh::Linkerd => {
            annotations.insert("linkerd.io/inject".to_owned(), "disabled".to_owned());
        }
    }
    pod::template_metadata(labels, annotations)
}

/// The volumes of a pod that runs a script: a folder to write in, the script, and its certificate.
pub(crate) fn volumes(name: &str) -> Vec<Volume> {
    vec![
        Volume {
            name: "tmp".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Default::default()
        },
        Volume {
            name: "scripts".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: name.to_owned(),
                default_mode: Some(0o555),
                ..Default::default()
            }),
            ..Default::default()
        },
        Volume {
            name: "tls".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(format!("{name}-tls")),
                default_mode: Some(0o440),
                ..Default::default()
            }),
            ..Default::default()
        },
    ]
}
