//! A process that is killed while it appends: what it was told is durable is there, and the next run goes on at once.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::*;
use plinth_state::{Action, Holder, Log, verify};

const FOLDER: &str = "PLINTH_TEST_CRASH_FOLDER";
const ACKNOWLEDGED: &str = "durable ";

/// Not a test of its own: what the killed process runs. Does nothing when it is not started by the test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(root) = std::env::var_os(FOLDER) else { return };
    let root = std::path::PathBuf::from(root);
    let (log, state) = Log::open(folder(&root.join("state")), STACK, keys(&root)).await.unwrap();
    let writer =
        log.acquire(state, Holder::current(None, "victim"), Duration::from_secs(3600), Duration::ZERO).await;
    let writer = Arc::new(writer.unwrap());
    let work = (0..4).map(|_| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move {
            loop {
                let op = writer.next_op();
                let mut create = intent(op, Action::Create, &format!("r{op}"));
                create.inputs = plinth_provider::Value::secret("s");
                writer.append(vec![intends(create)]).await.unwrap();
                println!("{ACKNOWLEDGED}{op}");
            }
        })
    });
    futures::future::join_all(work).await;
}

#[tokio::test]
async fn a_killed_run_loses_nothing_that_it_was_told_is_durable() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder_ = tempfile::tempdir().unwrap();
    let backend = folder(&folder_.path().join("state"));
    let mut acknowledged = BTreeSet::new();
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(FOLDER, folder_.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // The test harness may have begun the line.
        let number = |line: &str| line.split_once(ACKNOWLEDGED)?.1.parse::<u64>().ok();
        // Killed at a different point of its work each time.
        let mut seen = 0;
        while seen <= round * 7 {
            let op = number(&lines.next().expect("the victim works"));
            acknowledged.extend(op);
            seen += u64::from(op.is_some());
        }
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        acknowledged.extend(lines.filter_map(|line| number(&line)));
        child.wait().unwrap();

        let (log, state) = Log::open(Arc::clone(&backend), STACK, keys(folder_.path())).await.unwrap();
        assert_eq!(state.lease.as_ref().unwrap().holder.command, "victim");
        let logged: BTreeSet<u64> = state.pending.keys().copied().collect();
        let lost: Vec<_> = acknowledged.difference(&logged).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were durable and are gone");
        let report = verify(Arc::clone(&backend), STACK, keys(folder_.path())).await.unwrap();
        assert!(report.is_whole(), "{:?}", report.problems);
        // Its lease would last an hour, but it is dead.
        let writer = log.acquire(state, holder("next"), TTL, Duration::ZERO).await.unwrap();
        assert!(writer.next_op() > *logged.last().unwrap());
        writer.release().await.unwrap();
    }
}
