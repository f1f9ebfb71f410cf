//! The conformance suite for everything but clusters, against what others wrote to stand in for AWS.
#![forbid(unsafe_code)]

mod buckets;
mod networks;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use plinth_aws::{Aws, Settings};
use plinth_emulators::Server;
use plinth_provider::conformance::{Case, run};
use plinth_provider::{Class, Context, Provider, ReadRequest, Recorded, Request, Urn, Value};

const REGION: &str = "eu-central-1";

async fn config(server: &Server) -> SdkConfig {
    config_at(&server.url()).await
}

async fn config_at(url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "test"))
        .load()
        .await
}

async fn provider(server: &Server) -> Aws {
    provider_at(&server.url()).await
}

async fn provider_at(url: &str) -> Aws {
    let settings = Settings {
        poll: (Duration::from_millis(50), Duration::from_millis(200)),
        log_delay: Duration::ZERO,
        ..Settings::new(REGION)
    };
    Aws::with_config(settings, config_at(url).await)
}

fn urn(kind: &str, name: &str) -> Urn {
    Urn::new("dev", kind, name).unwrap()
}

fn json(text: &str) -> Value {
    Value::from_json(serde_json::from_str(text).unwrap())
}

fn case(urn: Urn, inputs: &str) -> Case {
    Case::new(urn, json(inputs))
}

/// The inputs with further ones laid over them.
fn with(inputs: &Value, over: &str) -> Option<Value> {
    let mut inputs = inputs.clone();
    for (key, value) in json(over).as_map().unwrap() {
        inputs.set(&plinth_provider::Path::root().key(key), value.clone());
    }
    Some(inputs)
}

fn both() -> Vec<Server> {
    plinth_emulators::moto().into_iter().chain(plinth_emulators::ministack()).collect()
}

const READ: &str = r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"] }] }"#;

#[tokio::test]
async fn role() {
    for server in both() {
        let trust = r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
            "Principal": { "Service": "pods.eks.amazonaws.com" }, "Action": ["sts:AssumeRole", "sts:TagSession"] }] }"#;
        let inputs =
            format!(r#"{{ "trust": {trust}, "policies": {{ "s3": {READ} }}, "tags": {{ "team": "obs" }} }}"#);
        let mut case = case(urn("aws:iam/Role", "loki"), &inputs);
        let over = format!(
            r#"{{ "policies": {{ "other": {READ} }}, "description": "x", "maxSessionSeconds": 7200,
            "attached": ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"], "tags": {{ "owner": "me" }} }}"#
        );
        case.updated = with(&case.inputs, &over);
        case.replaced = with(case.updated.as_ref().unwrap(), r#"{ "name": "other" }"#);
        run(&provider(&server).await, &case).await;
    }
}

#[tokio::test]
async fn policy() {
    for server in both() {
        let inputs = format!(r#"{{ "document": {READ}, "tags": {{ "team": "obs" }} }}"#);
        let mut case = case(urn("aws:iam/Policy", "read"), &inputs);
        let document = READ.replace("GetObject", "PutObject");
        case.updated =
            with(&case.inputs, &format!(r#"{{ "document": {document}, "tags": {{ "owner": "me" }} }}"#));
        case.replaced = with(case.updated.as_ref().unwrap(), r#"{ "path": "/plinth/" }"#);
        run(&provider(&server).await, &case).await;
    }
}

#[tokio::test]
async fn a_policy_of_many_versions_takes_another() {
    for server in both() {
        let aws = provider(&server).await;
        let urn = urn("aws:iam/Policy", "many");
        let inputs = aws.check(&urn, json(&format!(r#"{{ "document": {READ} }}"#))).unwrap();
        let mut recorded = create(&aws, &urn, &inputs).await;
        for round in 0..7 {
            let document = READ.replace("GetObject", &format!("GetObject{round}"));
            let inputs = aws.check(&urn, json(&format!(r#"{{ "document": {document} }}"#))).unwrap();
            let context = Context::new("dev", Duration::from_secs(30));
            let request = Request { urn: &urn, inputs: &inputs, connection: None };
            aws.update(&context, request, &recorded).await.unwrap();
            recorded.inputs = inputs;
        }
        assert_eq!(drift(&aws, &recorded).await, 0);
        aws.delete(&Context::new("dev", Duration::from_secs(60)), &recorded).await.unwrap();
    }
}

#[tokio::test]
async fn oidc_provider() {
    const ISSUER: &str =
        r#"{ "url": "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC", "tags": { "a": "b" } }"#;
    let Some(moto) = plinth_emulators::moto() else { return };
    let mut case = case(urn("aws:iam/OidcProvider", "main"), ISSUER);
    case.updated = with(
        &case.inputs,
        r#"{ "tags": { "c": "d" }, "thumbprints": ["9999999999999999999999999999999999999999"] }"#,
    );
    run(&provider(&moto).await, &case).await;
    let Some(ministack) = plinth_emulators::ministack() else { return };
    case.updated = None;
    run(&provider(&ministack).await, &case).await;
}

#[tokio::test]
async fn key() {
    for server in both() {
        let mut case =
            case(urn("aws:kms/Key", "secrets"), r#"{ "description": "one", "tags": { "team": "obs" } }"#);
        let over = r#"{ "description": "two", "rotation": false, "tags": { "owner": "me" }, "policy": {
            "Version": "2012-10-17", "Statement": [{ "Sid": "more", "Effect": "Allow", "Principal": { "AWS": "*" },
            "Action": "kms:DescribeKey", "Resource": "*" }] } }"#;
        case.updated = with(&case.inputs, over);
        run(&provider(&server).await, &case).await;
    }
}

#[tokio::test]
async fn a_key_that_is_to_be_deleted_is_taken_back() {
    for server in both() {
        let aws = provider(&server).await;
        let urn = urn("aws:kms/Key", "secrets");
        let inputs = aws.check(&urn, json(r#"{ "deletionWindowDays": 7 }"#)).unwrap();
        let first = create(&aws, &urn, &inputs).await;
        let name = format!(r#"{{ "name": "plinth-secrets", "key": "{}" }}"#, first.id);
        let alias = self::urn("aws:kms/Alias", "secrets");
        let alias_inputs = aws.check(&alias, json(&name)).unwrap();
        create(&aws, &alias, &alias_inputs).await;
        aws.delete(&Context::new("dev", Duration::from_secs(30)), &first).await.unwrap();
        let kms = aws_sdk_kms::Client::new(&config(&server).await);
        let alias = kms.describe_key().key_id("alias/plinth-secrets").send().await;
        assert!(alias.is_err(), "the alias goes with its key");

        let again = create(&aws, &urn, &inputs).await;
        assert_eq!(again.id, first.id);
        let held = kms.describe_key().key_id(&again.id).send().await.unwrap();
        assert_eq!(held.key_metadata().unwrap().key_state().unwrap().as_str(), "Enabled");
        assert_eq!(drift(&aws, &again).await, 0);
    }
}

#[tokio::test]
async fn log_group() {
    for server in both() {
        let inputs = r#"{ "name": "/aws/eks/dev/cluster", "retentionDays": 30, "tags": { "team": "obs" } }"#;
        let mut case = case(urn("aws:logs/LogGroup", "control-plane"), inputs);
        case.updated = with(&case.inputs, r#"{ "retentionDays": 90, "tags": { "owner": "me" } }"#);
        case.replaced = with(case.updated.as_ref().unwrap(), r#"{ "name": "/aws/eks/other/cluster" }"#);
        run(&provider(&server).await, &case).await;
    }
}

/// Makes a log group as EKS does: without anybody's marks.
fn eks_logs(server: &Server) {
    let signed = "AWS4-HMAC-SHA256 Credential=eks/20260101/eu-central-1/logs/aws4_request, SignedHeaders=host, Signature=0";
    let headers = [
        ("Authorization", signed),
        ("X-Amz-Target", "Logs_20140328.CreateLogGroup"),
        ("Content-Type", "application/x-amz-json-1.1"),
    ];
    let status = server.send("POST", "/", &headers, r#"{ "logGroupName": "/aws/eks/dev/cluster" }"#);
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_log_group_that_eks_has_made_is_taken_over_only_where_that_is_meant() {
    for server in both() {
        let aws = provider(&server).await;
        eks_logs(&server);
        let urn = urn("aws:logs/LogGroup", "control-plane");
        let context = Context::new("dev", Duration::from_secs(30));
        for (adopt, owner) in [(false, plinth_provider::Owner::Nobody), (true, plinth_provider::Owner::Ours)]
        {
            let inputs =
                format!(r#"{{ "name": "/aws/eks/dev/cluster", "retentionDays": 7, "adopt": {adopt} }}"#);
            let inputs = aws.check(&urn, json(&inputs)).unwrap();
            let request = Request { urn: &urn, inputs: &inputs, connection: None };
            let there = aws.occupants(&context, &[request]).await.remove(0).unwrap().unwrap();
            assert_eq!(there.owner, owner);
            let made = aws.create(&context, request).await;
            assert_eq!(made.is_ok(), adopt, "{made:?}");
        }
    }
}

#[tokio::test]
async fn a_log_group_that_comes_back_is_deleted_again() {
    let Some(server) = plinth_emulators::moto() else { return };
    let settings = Settings {
        poll: (Duration::from_millis(20), Duration::from_millis(100)),
        log_delay: Duration::from_secs(2),
        ..Settings::new(REGION)
    };
    let aws = Aws::with_config(settings, config(&server).await);
    let urn = urn("aws:logs/LogGroup", "control-plane");
    let inputs = aws.check(&urn, json(r#"{ "name": "/aws/eks/dev/cluster" }"#)).unwrap();
    let made = create(&aws, &urn, &inputs).await;
    let context = Context::new("dev", Duration::from_secs(30));
    let late = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        eks_logs(&server);
    };
    let (gone, ()) = tokio::join!(aws.delete(&context, &made), late);
    gone.unwrap();
    assert_eq!(aws.read(&context, ReadRequest { recorded: &made }).await.unwrap(), None);
}

/// What stands against deleting a resource, alone and together with others.
async fn against(aws: &Aws, going: &[&Recorded]) -> Vec<Option<String>> {
    let context = Context::new("dev", Duration::from_secs(30));
    let asked = aws.preview_deletes(&context, going).await;
    asked.into_iter().map(|one| one.err().map(|error| error.message)).collect()
}

#[tokio::test]
async fn what_stands_against_a_delete_is_told_before() {
    for server in both() {
        let aws = provider(&server).await;
        let urn = urn("aws:s3/Bucket", "logs");
        // They heed the policy, and have no TLS.
        let inputs = aws.check(&urn, json(r#"{ "tlsOnly": false }"#)).unwrap();
        let mut bucket = create(&aws, &urn, &inputs).await;
        assert_eq!(against(&aws, &[&bucket]).await, [None]);
        let s3 = aws_sdk_s3::config::Builder::from(&config(&server).await).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        s3.put_object().bucket("dev-logs").key("k").send().await.unwrap();
        assert!(against(&aws, &[&bucket]).await[0].as_ref().unwrap().contains("not empty"));
        bucket.inputs.set(&"forceDestroy".into(), true.into());
        assert_eq!(against(&aws, &[&bucket]).await, [None]);
    }
    let Some(ministack) = plinth_emulators::ministack() else { return };
    let aws = provider(&ministack).await;
    let urn = urn("aws:cloudformation/Stack", "queues");
    let template = r#"{ "terminationProtection": true, "template": { "Resources": { "Q": { "Type": "AWS::SQS::Queue" } } } }"#;
    let inputs = aws.check(&urn, json(template)).unwrap();
    let stack = create(&aws, &urn, &inputs).await;
    assert!(against(&aws, &[&stack]).await[0].as_ref().unwrap().contains("protected"));
}

#[tokio::test]
async fn a_key_that_a_cluster_needs_is_not_deleted() {
    let Some(ministack) = plinth_emulators::ministack() else { return };
    let aws = provider(&ministack).await;
    let urn = urn("aws:kms/Key", "secrets");
    let inputs = aws.check(&urn, Value::map()).unwrap();
    let key = create(&aws, &urn, &inputs).await;
    let eks = aws_sdk_eks::Client::new(&config(&ministack).await);
    let arn = key.outputs.text_at("arn").unwrap();
    let provider = aws_sdk_eks::types::Provider::builder().key_arn(arn).build();
    let encryption = aws_sdk_eks::types::EncryptionConfig::builder().provider(provider).build();
    eks.create_cluster()
        .name("c")
        .role_arn("arn:aws:iam::000000000000:role/c")
        .resources_vpc_config(aws_sdk_eks::types::VpcConfigRequest::builder().subnet_ids("subnet-1").build())
        .encryption_config(encryption)
        .send()
        .await
        .unwrap();
    let context = Context::new("dev", Duration::from_secs(30));
    let error = aws.delete(&context, &key).await.unwrap_err();
    assert_eq!(error.class, Class::Invalid);
    assert!(error.message.contains("cluster c"), "{}", error.message);
    assert!(against(&aws, &[&key]).await[0].as_ref().unwrap().contains("cluster c"), "the plan says so");
    let cluster = Recorded {
        urn: self::urn("aws:eks/Cluster", "c"),
        inputs: Value::from([("name", "c")]),
        ..key.clone()
    };
    assert_eq!(against(&aws, &[&key, &cluster]).await[0], None, "they go together");
}

#[tokio::test]
async fn alias() {
    for server in both() {
        let aws = provider(&server).await;
        let kms = aws_sdk_kms::Client::new(&config(&server).await);
        let mut keys = Vec::new();
        for _ in 0..2 {
            let made = kms.create_key().send().await.unwrap();
            keys.push(made.key_metadata().unwrap().key_id().to_owned());
        }
        let mut case = case(urn("aws:kms/Alias", "main"), &format!(r#"{{ "key": "{}" }}"#, keys[0]));
        case.updated = with(&case.inputs, &format!(r#"{{ "key": "{}" }}"#, keys[1]));
        case.replaced = with(case.updated.as_ref().unwrap(), r#"{ "name": "alias/other" }"#);
        run(&aws, &case).await;
    }
}

#[tokio::test]
async fn an_alias_of_another_key_is_left_alone() {
    for server in both() {
        let aws = provider(&server).await;
        let kms = aws_sdk_kms::Client::new(&config(&server).await);
        let made = kms.create_key().send().await.unwrap();
        let theirs = made.key_metadata().unwrap().key_id().to_owned();
        kms.create_alias().alias_name("alias/taken").target_key_id(&theirs).send().await.unwrap();
        let made = kms.create_key().send().await.unwrap();
        let ours = made.key_metadata().unwrap().key_id().to_owned();
        let urn = urn("aws:kms/Alias", "taken");
        let inputs = aws.check(&urn, json(&format!(r#"{{ "name": "taken", "key": "{ours}" }}"#))).unwrap();
        let context = Context::new("dev", Duration::from_secs(30));
        let request = Request { urn: &urn, inputs: &inputs, connection: None };
        let error = aws.create(&context, request).await.unwrap_err();
        assert_eq!(error.class, Class::AlreadyExists);
        let held = kms.describe_key().key_id("alias/taken").send().await.unwrap();
        assert_eq!(held.key_metadata().unwrap().key_id(), theirs);
    }
}

#[tokio::test]
async fn stack() {
    // Moto does not take tags with a change.
    let tags = ["", r#", "tags": { "owner": "me" }"#];
    for (server, tags) in both().into_iter().zip(tags) {
        let template = r#"{ "Parameters": { "P": { "Type": "String" } },
        "Resources": { "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": { "Ref": "P" } } } },
        "Outputs": { "Name": { "Value": { "Ref": "P" } } } }"#;
        let inputs = format!(
            r#"{{ "template": {template}, "parameters": {{ "P": "one" }}, "tags": {{ "team": "obs" }} }}"#
        );
        let mut case = case(urn("aws:cloudformation/Stack", "queues"), &inputs);
        let over = format!(r#"{{ "parameters": {{ "P": "two" }}, "terminationProtection": false{tags} }}"#);
        case.updated = with(&case.inputs, &over);
        case.replaced = with(case.updated.as_ref().unwrap(), r#"{ "name": "other" }"#);
        run(&provider(&server).await, &case).await;
    }
}

#[tokio::test]
async fn what_is_changed_inside_a_stack_is_seen() {
    let Some(server) = plinth_emulators::ministack() else { return };
    let aws = provider(&server).await;
    let urn = urn("aws:cloudformation/Stack", "things");
    let inputs = r#"{ "template": { "Resources": {
        "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "things", "VisibilityTimeout": 40 } },
        "Bucket": { "Type": "AWS::S3::Bucket", "Properties": { "BucketName": "things" } } } } }"#;
    let inputs = aws.check(&urn, json(inputs)).unwrap();
    let recorded = create(&aws, &urn, &inputs).await;
    assert_eq!(drift(&aws, &recorded).await, 0);
    let s3 = aws_sdk_s3::config::Builder::from(&config(&server).await).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(s3).delete_bucket().bucket("things").send().await.unwrap();
    let context = Context::new("dev", Duration::from_secs(30));
    let live = aws.read(&context, ReadRequest { recorded: &recorded }).await.unwrap().unwrap();
    let drift = aws.drift(&recorded, &live);
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!(drift[0].path.to_string(), "resources.Bucket");
    assert_eq!(drift[0].live, None);
}

#[tokio::test]
async fn another_accounts_credentials_are_refused() {
    let Some(server) = plinth_emulators::ministack() else { return };
    let settings = Settings { account_id: Some("111111111111".to_owned()), ..Settings::new(REGION) };
    let aws = Aws::with_config(settings, config(&server).await);
    let error = aws.clients().await.unwrap_err();
    assert_eq!(error.class, Class::Denied);
    assert!(error.message.contains("111111111111"), "{}", error.message);
}

async fn create(aws: &Aws, urn: &Urn, inputs: &Value) -> Recorded {
    let context = Context::new("dev", Duration::from_secs(60));
    let applied = aws.create(&context, Request { urn, inputs, connection: None }).await.unwrap();
    Recorded {
        urn: urn.clone(),
        id: applied.id,
        inputs: inputs.clone(),
        outputs: applied.outputs,
        connection: None,
        dependencies: Vec::new(),
        options: plinth_provider::Options::default(),
        unsettled: false,
    }
}

async fn drift(aws: &Aws, recorded: &Recorded) -> usize {
    let context = Context::new("dev", Duration::from_secs(60));
    let live = aws.read(&context, ReadRequest { recorded }).await.unwrap().unwrap();
    let drift = aws.drift(recorded, &live);
    drift.iter().for_each(|drift| eprintln!("{drift:?}"));
    drift.len()
}
