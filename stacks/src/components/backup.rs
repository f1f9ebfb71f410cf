//! Backups of what people made in Grafana: a job exports folders, dashboards, data sources and alerting to files, and
//! copies them to the backup bucket.

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, EmptyDirVolumeSource, PodTemplateSpec, SecretVolumeSource, ServiceAccount, Volume,
};

use super::job;
use crate::catalogue::Image;
use crate::kit::parts::{self, ports};
use crate::kit::{
    Build, CA_FILE, Container, GRAFANA_ADMIN, Outside, Phase, TLS_DIRECTORY, exceptions, metadata, pod,
    text_map,
};
use crate::model::BucketPurpose;

/// Asks Grafana for everything, one file per thing. An answer other than success ends it with an error.
const EXPORT: &str = r#"set -eu
umask 077
out=/backup/current
mkdir -p "$out/dashboards" "$out/folders" "$out/data-sources" "$out/alerting"

# The password goes by a file, so that no list of processes shows it.
printf 'machine %s login %s password %s\n' "$GRAFANA_HOST" "$(cat /etc/grafana-admin/user)" "$(cat /etc/grafana-admin/password)" > /tmp/netrc

ask() {
    curl --silent --show-error --fail --retry 5 --retry-connrefused --max-time 60 \
        --cacert "$CA_FILE" --netrc-file /tmp/netrc "https://$GRAFANA_HOST:$GRAFANA_PORT$1"
}
uids() {
    grep -o '"uid":"[^"]*"' | cut -d'"' -f4 | sort -u
}

ask '/api/folders?limit=1000' > "$out/folders/all.json"
ask /api/datasources > "$out/data-sources/all.json"
ask /api/v1/provisioning/alert-rules > "$out/alerting/alert-rules.json"
ask '/api/v1/provisioning/contact-points' > "$out/alerting/contact-points.json"
ask /api/v1/provisioning/policies > "$out/alerting/notification-policies.json"
ask /api/v1/provisioning/mute-timings > "$out/alerting/mute-timings.json"
ask /api/v1/provisioning/templates > "$out/alerting/templates.json"

page=1
while :; do
    ask "/api/search?type=dash-db&limit=500&page=$page" > /tmp/page.json
    uids < /tmp/page.json > /tmp/page.uids || true
    [ -s /tmp/page.uids ] || break
    while read -r uid; do
        ask "/api/dashboards/uid/$uid" > "$out/dashboards/$uid.json"
    done < /tmp/page.uids
    page=$((page + 1))
done
echo "exported $(find "$out" -type f | wc -l) files"
"#;

/// Copies the files under the time of day, proves that they arrived, and only then removes what is too old.
const UPLOAD: &str = r#"set -eu
stamp=$(date -u +%Y-%m-%dT%H-%M-%SZ)
rclone copy --checksum /backup/current "bucket:$BUCKET/grafana/$stamp"
rclone check --one-way /backup/current "bucket:$BUCKET/grafana/$stamp"
rclone delete --min-age "$KEEP" "bucket:$BUCKET/grafana"
echo "kept as grafana/$stamp"
"#;

pub(crate) fn declare(build: &mut Build<'_>) {
    if !build.platform.backup.enabled {
        return;
    }
    build.phase(Phase::Backup);
    let part = parts::BACKUP;
    let name = part.name();
    let namespace = build.namespace(part.space).to_owned();
    build.runs(part);
    let labels = build.labels(part);
    let identity = build.foundation.identities.get(&part).cloned().unwrap_or_default();
    let mut account = metadata(Some(&namespace), &name, labels.clone());
    account.annotations = (!identity.annotations.is_empty()).then_some(identity.annotations);
    build.object(ServiceAccount {
        metadata: account,
        automount_service_account_token: Some(false),
        ..Default::default()
    });
    build.object(ConfigMap {
        metadata: metadata(Some(&namespace), &name, labels.clone()),
        data: Some(text_map([("export.sh", EXPORT), ("upload.sh", UPLOAD)])),
        ..Default::default()
    });
    let certificate = build.certificate(part, &[]);
    let bucket = build.bucket(BucketPurpose::Backup);

    let mut volumes = job::volumes(&name);
    volumes.push(Volume {
        name: "backup".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Default::default()
    });
    volumes.push(Volume {
        name: "admin".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(GRAFANA_ADMIN.to_owned()),
            default_mode: Some(0o440),
            ..Default::default()
        }),
        ..Default::default()
    });
    let mut spec = pod::base(
        &name,
        false,
        pod::security(65532, 65532),
        vec![upload(build, &bucket).finish()],
        vec![export(build).finish()],
        volumes,
    );
    spec.restart_policy = Some("Never".to_owned());
    spec.priority_class_name = Some("plinth-platform".to_owned());
    let mut pod_labels = labels.clone();
    pod_labels.extend(identity.labels);

    let mut after = build.foundation.nodes.clone();
    after.push(certificate);
    after.extend(bucket.needs.iter().cloned());
    after.extend(identity.needs);
    let schedule = build.platform.backup.schedule.to_string();
    let mut meta = metadata(Some(&namespace), &name, labels);
    meta.annotations = Some(exceptions::of_pod(&spec));
    build.object_after(
        CronJob {
            metadata: meta,
            spec: CronJobSpec {
                schedule,
                time_zone: Some("Etc/UTC".to_owned()),
                concurrency_policy: Some("Forbid".to_owned()),
                starting_deadline_seconds: Some(3600),
                successful_jobs_history_limit: Some(3),
                failed_jobs_history_limit: Some(3),
                job_template: JobTemplateSpec {
                    metadata: None,
                    spec: Some(JobSpec {
                        backoff_limit: Some(3),
                        active_deadline_seconds: Some(3600),
                        template: PodTemplateSpec {
                            metadata: Some(job::template_metadata(build, pod_labels)),
                            spec: Some(spec),
                        },
                        ..Default::default()
                    }),
                },
                ..Default::default()
            },
            status: None,
        },
        &after,
    );
    build.allow(part, parts::GRAFANA, &[ports::GRAFANA]);
    build.allow_outside(part, Outside::ObjectStore);
    if !build.foundation.identities.is_empty() {
        build.allow_outside(part, Outside::Metadata);
    }
}

fn export(build: &Build<'_>) -> Container {
    Container::new("export", build.stack.catalogue.image(Image::Curl))
        .command(["sh", "/scripts/export.sh"])
        .compute(&build.sizing.backup.resources)
        .env("HOME", "/tmp")
        .env("CA_FILE", CA_FILE)
        .env("GRAFANA_HOST", build.host(parts::GRAFANA))
        .env("GRAFANA_PORT", ports::GRAFANA.to_string())
        .mount("tmp", "/tmp", false)
        .mount("scripts", "/scripts", true)
        .mount("tls", TLS_DIRECTORY, true)
        .mount("admin", "/etc/grafana-admin", true)
        .mount("backup", "/backup", false)
}

fn upload(build: &Build<'_>, bucket: &crate::kit::Bucket) -> Container {
    let (environment, path) = bucket.rclone();
    let mut container = Container::new("upload", build.stack.catalogue.image(Image::Rclone))
        .command(["sh", "/scripts/upload.sh"])
        .compute(&build.sizing.backup.resources)
        .env("HOME", "/tmp")
        .env("BUCKET", path)
        .env("KEEP", format!("{}s", build.platform.backup.retention.seconds()))
        .mount("tmp", "/tmp", false)
        .mount("scripts", "/scripts", true)
        .mount("tls", TLS_DIRECTORY, true)
        .mount("backup", "/backup", true);
    for (key, value) in environment {
        container = container.env(key, value);
    }
    if let Some(secret) = &build.foundation.credentials {
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            container = container.env_secret(key, secret, key);
        }
    }
    container
}
