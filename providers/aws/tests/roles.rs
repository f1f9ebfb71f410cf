//! The conformance suite for the kinds that emulators of other people do.
#![forbid(unsafe_code)]

use aws_config::{BehaviorVersion, Region};
use plinth_aws::{Aws, Settings};
use plinth_provider::conformance::{Case, run};
use plinth_provider::{Urn, Value};
use std::time::Duration;

async fn provider(url: String) -> Aws {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .endpoint_url(url)
        .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    let settings = Settings {
        poll: (Duration::from_millis(50), Duration::from_millis(200)),
        ..Settings::new("eu-central-1")
    };
    Aws::with_config(settings, config)
}

#[tokio::test]
async fn role() {
    let Some(moto) = plinth_emulators::moto() else { return };
    let aws = provider(moto.url()).await;
    let urn = Urn::new("dev", "aws:iam/Role", "loki").unwrap();
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["*"]}]}"#;
    let inputs = Value::from([
        ("trust", Value::from(trust)),
        ("policies", Value::from([("s3", policy)])),
        ("tags", Value::from([("team", "obs")])),
    ]);
    let mut updated = inputs.clone();
    updated.set(&"policies".into(), Value::from([("other", policy)]));
    updated
        .set(&"attached".into(), Value::List(vec!["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy".into()]));
    updated.set(&"description".into(), "x".into());
    let mut replaced = updated.clone();
    replaced.set(&"name".into(), "other".into());
    let mut case = Case::new(urn, inputs);
    case.updated = Some(updated);
    case.replaced = Some(replaced);
    run(&aws, &case).await;
}
