//! Buckets, with all their parts; whose they are, and whose their names are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use plinth_aws::{Aws, Settings};
use plinth_provider::conformance::run;
use plinth_provider::{Class, Context, Provider, Request, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{REGION, both, case, config, create, drift, json, provider, urn, with};

#[tokio::test]
async fn bucket() {
    for server in both() {
        let inputs =
            r#"{ "lifecycle": [{ "id": "expire", "expirationDays": 30 }], "tags": { "team": "obs" } }"#;
        let mut case = case(urn("aws:s3/Bucket", "loki"), inputs);
        let over = r#"{ "lifecycle": [], "tlsOnly": false, "encryption": { "algorithm": "aws:kms" },
            "publicAccessBlock": false, "ownership": "BucketOwnerPreferred", "tags": { "owner": "me" } }"#;
        case.updated = with(&case.inputs, over);
        case.replaced = with(case.updated.as_ref().unwrap(), r#"{ "name": "dev-other" }"#);
        run(&provider(&server).await, &case).await;
    }
}

#[tokio::test]
async fn a_bucket_with_all_its_parts() {
    for server in both() {
        let aws = provider(&server).await;
        let target = urn("aws:s3/Bucket", "copy");
        let target_inputs = aws.check(&target, Value::map()).unwrap();
        let copy = create(&aws, &target, &target_inputs).await;
        let arn = copy.outputs.text_at("arn").unwrap();
        let inputs = format!(
            r#"{{ "replication": {{ "role": "arn:aws:iam::123456789012:role/replicates", "destination": "{arn}" }},
            "objectLock": {{ "mode": "GOVERNANCE", "days": 3 }},
            "lifecycle": [
                {{ "id": "retention", "expirationDays": 30 }},
                {{ "id": "earlier-versions", "noncurrentExpirationDays": 7 }},
                {{ "id": "unfinished-uploads", "abortUploadsDays": 7 }} ],
            "policy": {{ "Version": "2012-10-17", "Statement": [{{ "Sid": "x", "Effect": "Deny", "Principal": "*",
                "Action": "s3:PutObject", "Resource": "arn:aws:s3:::dev-main/*" }}] }} }}"#
        );
        let mut case = case(urn("aws:s3/Bucket", "main"), &inputs);
        case.updated = with(&case.inputs, r#"{ "replication": null, "policy": null }"#);
        run(&aws, &case).await;
    }
}

#[tokio::test]
async fn a_bucket_without_tags_is_ours_only_when_it_is_younger_than_the_intent() {
    let Some(moto) = plinth_emulators::moto() else { return };
    let aws = provider(&moto).await;
    let s3 = aws_sdk_s3::config::Builder::from(&config(&moto).await).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let urn = urn("aws:s3/Bucket", "loki");
    let inputs = aws.check(&urn, Value::map()).unwrap();
    let request = Request { urn: &urn, inputs: &inputs, connection: None };
    // What a crash between the two calls leaves, in a store that takes no tags with a create.
    let intended =
        Context { token: uuid::Uuid::now_v7().to_string(), ..Context::new("dev", Duration::from_secs(30)) };
    let place =
        aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
    s3.create_bucket().bucket("dev-loki").create_bucket_configuration(place).send().await.unwrap();
    assert!(aws.find(&intended, request).await.unwrap().is_some());
    assert!(aws.find(&Context::new("dev", Duration::from_secs(30)), request).await.unwrap().is_none());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let later =
        Context { token: uuid::Uuid::now_v7().to_string(), ..Context::new("dev", Duration::from_secs(30)) };
    assert!(aws.find(&later, request).await.unwrap().is_none(), "it was there before");
    assert_eq!(aws.create(&later, request).await.unwrap_err().class, Class::AlreadyExists);
    s3.put_object().bucket("dev-loki").key("theirs").send().await.unwrap();
    assert!(aws.find(&intended, request).await.unwrap().is_none(), "somebody uses it");
}

const OWN: &str = r#"{ "bucketNamespace": "account-regional", "name": "logs-123456789012-eu-central-1-an" }"#;

#[tokio::test]
async fn a_bucket_in_the_accounts_own_space_stays_there() {
    for server in both() {
        let aws = provider(&server).await;
        let urn = urn("aws:s3/Bucket", "logs");
        let inputs = aws.check(&urn, json(OWN)).unwrap();
        let made = create(&aws, &urn, &inputs).await;
        assert_eq!(drift(&aws, &made).await, 0);
        let elsewhere = aws.check(&urn, json(r#"{ "name": "logs" }"#)).unwrap();
        assert!(matches!(aws.diff(&made, &elsewhere).unwrap(), plinth_provider::Diff::Replace { .. }));
        let wrong = json(r#"{ "bucketNamespace": "account-regional", "name": "logs" }"#);
        let refused = aws.check(&urn, wrong).unwrap_err();
        assert!(refused.message.contains("-<account>-eu-central-1-an"), "{refused}");
        aws.delete(&Context::new("dev", Duration::from_secs(30)), &made).await.unwrap();
    }
}

/// Whether all of a request has come.
fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// A server that keeps what it is asked, and says yes to it; there is nothing yet.
async fn listening(heads: Arc<Mutex<Vec<String>>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                let (mut text, mut part) = (Vec::new(), [0; 4096]);
                let head = loop {
                    let read = stream.read(&mut part).await.unwrap_or(0);
                    text.extend_from_slice(&part[..read]);
                    let so_far = String::from_utf8_lossy(&text).into_owned();
                    if so_far.contains("\r\n\r\n") && is_whole(&so_far) {
                        break so_far.to_lowercase();
                    }
                    if read == 0 {
                        return;
                    }
                };
                const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/me</Arn><UserId>me</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
                let (status, body) = match head.split(' ').next() {
                    Some("post") => ("200 OK", IDENTITY),
                    Some("put") => ("200 OK", ""),
                    _ => ("404 Not Found", ""),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                heads.lock().unwrap().push(head);
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

/// What S3 is asked for when a bucket is made.
async fn asked_for(region: &str, inputs: &str) -> (String, String) {
    let heads = Arc::default();
    let url = listening(Arc::clone(&heads)).await;
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .endpoint_url(url)
        .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    let settings = Settings { account_id: Some("123456789012".to_owned()), ..Settings::new(region) };
    let aws = Aws::with_config(settings, config);
    let urn = urn("aws:s3/Bucket", "logs");
    let inputs = aws.check(&urn, json(inputs)).unwrap();
    let name = inputs.text_at("name").unwrap().to_owned();
    let context = Context::new("dev", Duration::from_secs(5));
    // What comes after the bucket itself is of no interest here.
    let _ = aws.create(&context, Request { urn: &urn, inputs: &inputs, connection: None }).await;
    let heads: Vec<String> = std::mem::take(&mut *heads.lock().unwrap());
    let made = heads.iter().find(|head| head.starts_with("put /") && head.contains(&name));
    (name, made.unwrap_or_else(|| panic!("{heads:?}")).clone())
}

#[tokio::test]
async fn a_bucket_in_the_accounts_own_space_is_asked_for_there() {
    for (inputs, asked) in [(r#"{ "bucketNamespace": "account-regional" }"#, true), ("{}", false)] {
        let (name, made) = asked_for(REGION, inputs).await;
        assert_eq!(name, if asked { "dev-logs-123456789012-eu-central-1-an" } else { "dev-logs" });
        assert_eq!(made.contains("x-amz-bucket-namespace: account-regional"), asked, "{made}");
    }
}

#[tokio::test]
async fn a_bucket_is_placed_by_name_but_in_the_first_region() {
    for (region, place) in [("us-east-1", None), ("eu-west-1", Some("eu-west-1"))] {
        let (_, made) = asked_for(region, "{}").await;
        let said = made.split("<locationconstraint>").nth(1).and_then(|rest| rest.split('<').next());
        assert_eq!(said, place, "{made}");
    }
}
