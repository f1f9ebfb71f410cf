//! Every kind of storage keeps the same promises, shown on servers that we did not write.
//!
//! `conformance` is what one backend must do, `whole_log` what a log on it must do, `faults` what holds when its network
//! breaks, `errors` what a person is told. Here: each server, and which of them it goes through. fake-gcs-server is not
//! among them: it refuses the plain PUT that our client sends, whatever its preconditions.

#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod errors;
mod faults;
mod whole_log;

use std::sync::Arc;

use plinth_emulators::{Gcs, Server};
use plinth_state::{Backend, Options, open_backend_with};

fn open(url: &str, options: &Options) -> Arc<dyn Backend> {
    open_backend_with(url, options).unwrap()
}

fn aws() -> Options {
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")]
        .into_iter()
        .collect()
}

fn s3(endpoint: &str, place: &str) -> String {
    format!("s3://{place}?endpoint={endpoint}&allow_http=true")
}

fn azure() -> Options {
    [("AZURE_STORAGE_ACCOUNT", "devstoreaccount1"), ("AZURE_STORAGE_KEY", Server::AZURITE_KEY)]
        .into_iter()
        .collect()
}

fn az(endpoint: &str, place: &str) -> String {
    format!("az://{place}?endpoint={endpoint}/devstoreaccount1&allow_http=true")
}

fn gs(endpoint: &str, place: &str) -> String {
    format!("gs://{place}?endpoint={endpoint}&allow_http=true")
}

/// Everything, at two places in one bucket: what happens at one is not seen at the other.
async fn all(place: impl Fn(&str) -> Arc<dyn Backend>) {
    conformance::everything(place("one")).await;
    assert!(
        place("two").list("dev").await.unwrap().is_empty(),
        "another prefix sees the objects of the first"
    );
    whole_log::everything(place("log")).await;
}

#[tokio::test]
async fn file() {
    let folder = tempfile::tempdir().unwrap();
    all(|place| open(&format!("file://{}/{place}", folder.path().display()), &Options::default())).await;
}

#[tokio::test]
async fn memory() {
    let backend = || open("memory://", &Options::default());
    conformance::everything(backend()).await;
    whole_log::everything(backend()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_moto() {
    let Some(server) = plinth_emulators::moto() else { return };
    server.make_bucket("state");
    all(|place| open(&s3(&server.url(), &format!("state/{place}")), &aws())).await;
    faults::everything(&server.url(), |endpoint, place| {
        open(&s3(endpoint, &format!("state/{place}")), &aws())
    })
    .await;
    errors::no_bucket(open(&s3(&server.url(), "absent"), &aws()), "s3://absent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_on_ministack() {
    let Some(server) = plinth_emulators::ministack() else { return };
    server.make_bucket("state");
    all(|place| open(&s3(&server.url(), &format!("state/{place}")), &aws())).await;
    errors::no_bucket(open(&s3(&server.url(), "absent"), &aws()), "s3://absent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_on_our_stand_in() {
    let server = Gcs::new();
    let options = Options::default();
    all(|place| open(&gs(&server.url(), &format!("bucket/{place}")), &options)).await;
    faults::everything(&server.url(), |endpoint, place| {
        open(&gs(endpoint, &format!("bucket/{place}")), &options)
    })
    .await;
    errors::no_bucket(open(&gs(&server.url(), "absent"), &options), "gs://absent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_on_azurite() {
    let Some(server) = plinth_emulators::azurite() else { return };
    server.make_container("state");
    all(|place| open(&az(&server.url(), &format!("state/{place}")), &azure())).await;
    faults::everything(&server.url(), |endpoint, place| {
        open(&az(endpoint, &format!("state/{place}")), &azure())
    })
    .await;
    errors::no_bucket(open(&az(&server.url(), "absent"), &azure()), "az://absent").await;
    let wrong: Options = [("AZURE_STORAGE_ACCOUNT", "devstoreaccount1"), ("AZURE_STORAGE_KEY", "d3Jvbmc=")]
        .into_iter()
        .collect();
    errors::refused(open(&az(&server.url(), "state"), &wrong), &["az://state", "az login"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = plinth_emulators::postgres() else { return };
    all(|place| open(&format!("{}?table=state_{place}", server.url()), &Options::default())).await;
    faults::of_a_connection(server.port(), |port| {
        let url = server.url().replace(&format!(":{}/", server.port()), &format!(":{port}/"));
        open(&format!("{url}?table=faults"), &Options::default())
    })
    .await;
    let other = |from: &str, to: &str| open(&server.url().replace(from, to), &Options::default());
    errors::refused(other("for-tests-only", "wrong"), &["postgres://plinth@127.0.0.1", "PGPASSWORD"]).await;
    errors::refused(other("/postgres", "/none"), &["does not exist", "make the database"]).await;
    let tls = open(&format!("{}?sslmode=require", server.url()), &Options::default());
    errors::refused(tls, &["TLS", "sslmode=disable"]).await;
}
