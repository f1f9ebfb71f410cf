//! Storage classes, and the object store inside the cluster for stacks that name none outside.

use std::collections::BTreeMap;

use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::json;

use crate::catalogue::Image;
use crate::kit::parts::{self, ports};
use crate::kit::{
    Build, CERT_FILE, Check, Entry, KEY_FILE, Outside, Phase, Probes, Space, Workload, metadata,
};
use crate::model::{BucketPurpose, Cloud, ReclaimPolicy};

/// The class that a stack makes unless it names one that exists.
const OWN_CLASS: &str = "plinth-ssd";

/// A cloud's driver for disks.
struct Driver {
    provisioner: &'static str,
    /// The parameter that names the kind of disk.
    type_parameter: &'static str,
    fast: &'static str,
    more: &'static [(&'static str, &'static str)],
}

const LOCAL: Driver =
    Driver { provisioner: "local.plinth.dev/disk", type_parameter: "type", fast: "ssd", more: &[] };

fn driver(build: &Build<'_>) -> Option<Driver> {
    match &build.stack.cloud {
        Cloud::Local(_) => Some(LOCAL),
        Cloud::Existing(_) if build.target.rehearse => Some(LOCAL),
        Cloud::Existing(_) => None,
        Cloud::Aws(_) => Some(Driver {
            provisioner: "ebs.csi.aws.com",
            type_parameter: "type",
            fast: "gp3",
            more: &[("encrypted", "true")],
        }),
        Cloud::Gcp(_) => Some(Driver {
            provisioner: "pd.csi.storage.gke.io",
            type_parameter: "type",
            fast: "pd-ssd",
            more: &[],
        }),
        Cloud::Azure(_) => Some(Driver {
            provisioner: "disk.csi.azure.com",
            type_parameter: "skuName",
            fast: "PremiumV2_LRS",
            more: &[("cachingMode", "None")],
        }),
    }
}

pub(crate) fn declare_classes(build: &mut Build<'_>) {
    build.phase(Phase::Storage);
    let storage = &build.stack.storage;
    let Some(driver) = driver(build) else {
        if let Some(class) = storage.classes.first() {
            let name = class.name.to_string();
            build.error(
                format!("the storage class `{name}` cannot be made: the driver of an existing cluster is not known"),
                "make the class yourself and name it in `cloud.storageClass`",
            );
        }
        return;
    };
    // In a rehearsal of an existing cluster the class that is there already is made too.
    let own = match build.stack.storage_class() {
        Some(name) if storage.class_name.is_none() || build.target.rehearse => Some(name),
        Some(_) => None,
        None => Some(OWN_CLASS.to_owned()),
    };
    if let Some(name) = own
        && !storage.classes.iter().any(|class| class.name.as_str() == name)
    {
        let disk = storage.disk_type.clone().unwrap_or_else(|| driver.fast.to_owned());
        let is_default = build.stack.storage_class().is_none();
        let class =
            class(build, &driver, &name, &disk, &storage.parameters, ReclaimPolicy::Delete, is_default);
        build.object(class);
    }
    for class_model in &storage.classes {
        let object = class(
            build,
            &driver,
            class_model.name.as_str(),
            &class_model.disk_type,
            &class_model.parameters,
            class_model.reclaim_policy,
            class_model.default,
        );
        build.object(object);
    }
}

fn class(
    build: &Build<'_>,
    driver: &Driver,
    name: &str,
    disk: &str,
    more: &BTreeMap<String, String>,
    reclaim: ReclaimPolicy,
    default: bool,
) -> StorageClass {
    let mut parameters: BTreeMap<String, String> =
        driver.more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    parameters.insert(driver.type_parameter.to_owned(), disk.to_owned());
    parameters.extend(more.clone());
    let mut meta = metadata(None, name, build.common_labels());
    if default {
        let annotation = ("storageclass.kubernetes.io/is-default-class".to_owned(), "true".to_owned());
        meta.annotations = Some([annotation].into_iter().collect());
    }
    StorageClass {
        metadata: meta,
        provisioner: driver.provisioner.to_owned(),
        parameters: Some(parameters),
        reclaim_policy: Some(
            match reclaim {
                ReclaimPolicy::Delete => "Delete",
                ReclaimPolicy::Retain => "Retain",
            }
            .to_owned(),
        ),
        allow_volume_expansion: Some(true),
        // A disk is made in the zone in which its pod lands, not the other way round.
        volume_binding_mode: Some("WaitForFirstConsumer".to_owned()),
        ..StorageClass::default()
    }
}

/// The Secret with the identities that the object store knows.
const STORE_CONFIG: &str = "object-store-config";

/// The small object store inside the cluster.
pub(crate) fn declare_object_store(build: &mut Build<'_>) {
    if !build.stack.embedded_object_store() {
        return;
    }
    build.phase(Phase::Storage);
    let password = build.password("object-store", 40).mark();
    let identities = json!({
        "identities": [{
            "name": "plinth",
            "credentials": [{ "accessKey": "plinth", "secretKey": password }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }],
    });
    build.secret(Space::Platform, STORE_CONFIG, vec![Entry::text("s3.json", identities.to_string())]);
    let shape = build.sizing.object_store.clone();
    let port = ports::OBJECT_STORE;
    Workload::stateful_set(build, parts::OBJECT_STORE, Image::ObjectStore, &shape)
        .user(1000, 1000)
        .grace(60)
        .ordered()
        .main(|main| {
            main.command(["weed"])
                .args([
                    "server".to_owned(),
                    "-dir=/data".to_owned(),
                    "-ip=127.0.0.1".to_owned(),
                    "-ip.bind=127.0.0.1".to_owned(),
                    "-master.volumeSizeLimitMB=1024".to_owned(),
                    "-volume.max=0".to_owned(),
                    "-s3".to_owned(),
                    // Everything else stays inside the pod; S3 alone is served, and only over TLS.
                    "-s3.ip.bind=0.0.0.0".to_owned(),
                    "-s3.port=8334".to_owned(),
                    format!("-s3.port.https={port}"),
                    format!("-s3.cert.file={CERT_FILE}"),
                    format!("-s3.key.file={KEY_FILE}"),
                    "-s3.config=/etc/seaweedfs/s3.json".to_owned(),
                ])
                .port("s3", port)
                .probes(Probes::same(Check::Tcp("s3")))
        })
        .secret("identities", STORE_CONFIG, "/etc/seaweedfs")
        .disk("/data")
        .tls()
        .priority("plinth-foundation")
        .deploy(build);
    declare_buckets(build);
}

/// The job that makes the buckets in the store inside the cluster.
fn declare_buckets(build: &mut Build<'_>) {
    let names: Vec<String> =
        BucketPurpose::ALL.into_iter().map(|purpose| build.stack.bucket_name(purpose)).collect();
    let script = format!(
        "set -eu\nfor bucket in {}; do\n  until rclone mkdir \"bucket:$bucket\"; do\n    echo \"waiting for the object store\" >&2\n    sleep 5\n  done\ndone\n",
        names.join(" ")
    );
    super::job::Script {
        part: parts::OBJECT_STORE_BUCKETS,
        image: Image::Rclone,
        script,
        bucket: BucketPurpose::Backup,
    }
    .declare(build);
    build.allow_outside(parts::OBJECT_STORE_BUCKETS, Outside::ObjectStore);
}
