//! A component: a function that declares what belongs together, and gives back what others refer to.

use std::collections::BTreeMap;

use plinth::k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use plinth::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use plinth::local::{Bucket, LifecycleRule};
use plinth::{Program, Result, Typed};

use crate::notice::Notice;

/// What a team gets: a bucket for its reports, a namespace whose programs are told where that is, and a notice.
pub fn team(program: &mut Program, name: &str, retention_days: u32) -> Result<Typed<Notice>> {
    let reports = program.declare(
        &format!("{name}-reports"),
        &Bucket {
            lifecycle: vec![LifecycleRule {
                id: "old".to_owned(),
                expiration_days: Some(retention_days),
                ..LifecycleRule::default()
            }],
            ..Bucket::default()
        },
    )?;
    let metadata = |namespace: Option<&str>, name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ObjectMeta::default()
    };
    plinth::object(program, &Namespace { metadata: metadata(None, name), ..Namespace::default() })?;
    let settings = BTreeMap::from([("bucket".to_owned(), reports.text("url"))]);
    plinth::object(
        program,
        &ConfigMap {
            metadata: metadata(Some(name), "reports"),
            data: Some(settings),
            ..ConfigMap::default()
        },
    )?;
    let text = format!("Reports of {name} are in {}, for {retention_days} days.", reports.text("url"));
    program.declare(name, &Notice { title: name.to_owned(), text: text.into(), pinned: false })
}
