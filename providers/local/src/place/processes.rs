//! A place shared by real processes, of which some are killed. The processes are this test program again.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::json;

use super::*;

const PLACE: &str = "PLINTH_TEST_PLACE";
const ANSWERS: &str = "PLINTH_TEST_ANSWERS";
const NUMBER: &str = "PLINTH_TEST_NUMBER";
const EACH: usize = 24;

fn options() -> Options {
    Options { latency_scale: 0.1, ..Options::default() }
}

fn answers(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("answered-{number}"))
}

/// Makes buckets and ConfigMaps one after the other, and writes down which were answered.
#[tokio::test]
#[ignore = "runs as a process of the test below"]
async fn child() {
    let of = |name: &str| std::env::var(name).expect("started by the test below");
    let number: usize = of(NUMBER).parse().unwrap();
    let mut answered = std::fs::File::create(answers(Path::new(&of(ANSWERS)), number)).unwrap();
    let place = Place::new(Path::new(&of(PLACE)), options());
    for at in 0..EACH {
        let name = format!("b{number}-{at}");
        // The token makes it safe to ask again after an answer was lost.
        let bucket = json!({ "inputs": { "name": name }, "clientToken": name }).to_string();
        ask(&place, &format!("/cloud/v1/buckets/{name}"), bucket).await;
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
        ask(&place, "/api/v1/namespaces/default/configmaps", map.to_string()).await;
        writeln!(answered, "{name}").unwrap();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    place.shutdown().await;
}

async fn ask(place: &Place, path: &str, body: String) {
    loop {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Bytes::from(body.clone()))
            .unwrap();
        match place.send(request).await {
            Ok(response) if response.status().is_success() || response.status() == 409 => return,
            Err(CallError::Lost(_)) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn killing_owners_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let place_dir = dir.path().join("place");
    let mut children: Vec<Child> = (0..8)
        .map(|number| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "place::processes::child", "--include-ignored", "--nocapture"])
                .env(PLACE, &place_dir)
                .env(ANSWERS, dir.path())
                .env(NUMBER, number.to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut killed = BTreeSet::new();
    let patience = Instant::now() + Duration::from_secs(60);
    while killed.len() < 4 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let Some(endpoint) = Files::of(&place_dir).endpoint() else { continue };
        if let Some(owner) = children.iter_mut().find(|child| child.id() == endpoint.pid)
            && owner.try_wait().unwrap().is_none()
            && !killed.contains(&endpoint.pid)
        {
            owner.kill().unwrap();
            killed.insert(endpoint.pid);
        }
    }
    for child in &mut children {
        let status = child.wait().unwrap();
        assert!(status.success() || killed.contains(&child.id()), "{status}");
    }
    assert_eq!(killed.len(), 4, "owners were killed while others worked");

    let place = Place::attach(&place_dir, options()).await.unwrap();
    let all = async |path: &str, name: &str| -> BTreeSet<String> {
        let response = place.send(Request::get(path).body(Bytes::new()).unwrap()).await.unwrap();
        let list: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item.pointer(name).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let buckets = all("/cloud/v1/buckets", "/name").await;
    let maps = all("/api/v1/namespaces/default/configmaps", "/metadata/name").await;
    let mut count = 0;
    for number in 0..8 {
        for name in std::fs::read_to_string(answers(dir.path(), number)).unwrap_or_default().lines() {
            assert!(buckets.contains(name) && maps.contains(name), "{name} was answered and is gone");
            count += 1;
        }
    }
    assert!(count >= 4 * EACH, "{count}");
}
