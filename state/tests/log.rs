//! The log under races, crashes and lost replies.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::*;
use plinth_state::{Action, Backend, Clock, Error, Event, Holder, Log, RevisionStarted, verify};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn a_stack_that_was_never_written_to_is_empty_and_stays_so() {
    let folder_ = tempfile::tempdir().unwrap();
    let root = folder_.path().join("not yet there");
    let backend = folder(&root);
    let (log, state) = open(&backend).await;
    assert_eq!((state.seq, state.resources.len(), log.stack()), (0, 0, STACK));
    assert!(!root.exists(), "reading makes no folder");
    assert!(verify(backend, STACK, no_keys()).await.unwrap().is_whole());
}

#[tokio::test]
async fn what_was_appended_is_there_for_the_next_run() {
    let folder_ = tempfile::tempdir().unwrap();
    // Spaces and percent signs, encoded or not.
    let root = folder_.path().join("state of 100%");
    let url = format!("file://{}/state%20of 100%25", folder_.path().display());
    let backend = plinth_state::open_backend(&url).unwrap();
    fill(&backend, no_keys(), 3).await;
    assert!(root.join(entry_key(1)).is_file());
    let (log, state) = open(&folder(&folder_.path().join("state of 100%25"))).await;
    assert_eq!(state.resources.len(), 3);
    assert_eq!((state.epoch, &state.lease), (1, &None));
    assert_eq!(log.entry(2).await.unwrap().unwrap().seq, 2);
    assert_eq!(log.entry(99).await.unwrap(), None);
}

#[tokio::test]
async fn entries_are_json_that_a_person_can_read() {
    let backend = memory();
    fill(&backend, no_keys(), 1).await;
    let bytes = backend.get(&entry_key(2)).await.unwrap().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["version"], 2);
    assert_eq!(json["stack"], "dev");
    assert_eq!(json["seq"], 2);
    assert_eq!(json["events"][0]["type"], "intent");
    assert_eq!(json["events"][0]["action"], "create");
    assert_eq!(json["events"][1]["result"]["is"], "succeeded");
    assert!(json["prev"].as_str().unwrap().starts_with("sha256:"));
    let lines = std::str::from_utf8(&bytes).unwrap().lines().count();
    assert_eq!(lines, 6, "one event per line");
}

#[tokio::test]
async fn the_lease_keeps_others_out_until_it_is_released() {
    let backend = memory();
    let writer = write(&backend, no_keys()).await;
    let (log, state) = open(&backend).await;
    let refused =
        log.acquire(state.clone(), holder("two"), TTL, Duration::from_millis(50)).await.unwrap_err();
    assert!(refused.is_held());
    let text = refused.to_string();
    assert!(text.contains("one (process 1, `apply`)") && text.contains("unlock"), "{text}");

    let waiting = tokio::spawn(async move { log.acquire(state, holder("two"), TTL, TTL).await });
    writer.release().await.unwrap();
    assert!(matches!(writer.append(vec![Event::LeaseReleased]).await, Err(Error::Closed { .. })));
    let second = waiting.await.unwrap().unwrap();
    assert_eq!((writer.epoch(), second.epoch()), (1, 2));
}

#[tokio::test]
async fn a_dead_process_of_this_machine_is_replaced_at_once() {
    let backend = memory();
    let alive = Holder::current(Some("ada".into()), "apply");
    assert!(!alive.is_dead());
    let (log, state) = open(&backend).await;
    let first = log.acquire(state.clone(), alive.clone(), TTL, Duration::ZERO).await.unwrap();
    assert!(log.acquire(state, holder("two"), TTL, Duration::ZERO).await.unwrap_err().is_held());
    drop(first);

    if cfg!(target_os = "linux") {
        // The same process number, but another process had it then.
        let (system, start) = alive.process.rsplit_once('/').unwrap();
        let dead = Holder { process: format!("{system}/{start}0"), ..alive.clone() };
        assert!(dead.is_dead());
        let elsewhere = Holder { host: "elsewhere".into(), ..dead.clone() };
        assert!(!elsewhere.is_dead(), "nothing is known about another machine");
        let backend = memory();
        let (log, state) = open(&backend).await;
        drop(log.acquire(state.clone(), dead, TTL, Duration::ZERO).await.unwrap());
        let second = log.acquire(state, alive, TTL, Duration::ZERO).await.unwrap();
        assert_eq!(second.epoch(), 2);
    }
}

#[tokio::test]
async fn a_stale_writer_is_fenced_and_stays_fenced() {
    let backend = memory();
    let (log, state) = open(&backend).await;
    let stale = log.acquire(state.clone(), holder("one"), Duration::ZERO, Duration::ZERO).await.unwrap();
    let fresh = log.acquire(state, holder("two"), TTL, Duration::ZERO).await.unwrap();
    for _ in 0..2 {
        let op = stale.next_op();
        let error = stale.append(vec![intends(intent(op, Action::Create, "a"))]).await.unwrap_err();
        assert!(error.is_fenced(), "{error}");
        assert!(error.to_string().contains("taken over by two"), "{error}");
    }
    assert!(stale.release().await.unwrap_err().is_fenced());
    assert!(stale.lost().is_cancelled() && !fresh.lost().is_cancelled());
    let op = fresh.next_op();
    fresh.append(vec![intends(intent(op, Action::Create, "b"))]).await.unwrap();
    let (_, state) = open(&backend).await;
    assert_eq!(state.pending.values().map(|p| p.intent.urn.clone()).collect::<Vec<_>>(), [urn("b")]);
}

#[tokio::test]
async fn unlocking_ends_a_lease_and_fences_its_holder() {
    let backend = memory();
    let writer = write(&backend, no_keys()).await;
    let (log, mut state) = open(&backend).await;
    let ended = log.unlock(&mut state, holder("admin")).await.unwrap().unwrap();
    assert_eq!(ended.holder.host, "one");
    assert_eq!(log.unlock(&mut state, holder("admin")).await.unwrap(), None);
    let error = writer.append(vec![intends(intent(1, Action::Create, "a"))]).await.unwrap_err();
    assert!(error.is_fenced() && error.to_string().contains("admin"), "{error}");
    log.acquire(state, holder("two"), TTL, Duration::ZERO).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_position_has_one_winner() {
    let folder_ = tempfile::tempdir().unwrap();
    // Leases that expire at once: everybody takes over from everybody, all the time.
    let run = |name: &'static str| {
        let backend = folder(folder_.path());
        async move {
            let (log, state) = open(&backend).await;
            let mut won = Vec::new();
            for n in 0..15 {
                let Ok(writer) = log
                    .acquire(state.clone(), holder(name), Duration::from_millis(3), Duration::from_secs(5))
                    .await
                else {
                    continue;
                };
                for m in 0..3 {
                    let op = writer.next_op();
                    let resource = format!("{name}-{n}-{m}");
                    match writer.append(vec![intends(intent(op, Action::Create, &resource))]).await {
                        Ok(()) => won.push(resource),
                        Err(error) => {
                            assert!(error.is_fenced(), "{error}");
                            break;
                        }
                    }
                }
            }
            won
        }
    };
    let (one, two) = tokio::join!(tokio::spawn(run("one")), tokio::spawn(run("two")));
    let mut won: Vec<String> = one.unwrap();
    won.extend(two.unwrap());
    let backend = folder(folder_.path());
    let report = verify(Arc::clone(&backend), STACK, no_keys()).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);

    // Whatever a writer was told is durable is in the log exactly once, and nothing else is.
    let (log, state) = open(&backend).await;
    let mut logged = Vec::new();
    for seq in 1..=state.seq {
        for event in log.entry(seq).await.unwrap().unwrap().events {
            if let Event::Intent(intent) = event {
                logged.push(intent.urn.name().to_owned());
            }
        }
    }
    won.sort();
    logged.sort();
    assert!(won.len() >= 15);
    assert_eq!(logged, won);
}

#[tokio::test]
async fn lost_replies_and_false_denials_are_seen_through() {
    let faulty = Faulty::new(memory());
    let backend: Arc<dyn Backend> = faulty.clone();
    let writer = write(&backend, no_keys()).await;
    let append = async |name: &str| {
        let op = writer.next_op();
        writer.append(vec![intends(intent(op, Action::Create, name))]).await
    };
    faulty.lose_replies.store(true, Ordering::SeqCst);
    append("lost").await.unwrap();
    faulty.lose_replies.store(false, Ordering::SeqCst);
    faulty.deny_own.store(true, Ordering::SeqCst);
    append("denied").await.unwrap();
    faulty.deny_own.store(false, Ordering::SeqCst);
    faulty.conflicts.store(2, Ordering::SeqCst);
    append("conflict").await.unwrap();
    assert_eq!(writer.state().pending.len(), 3);
    writer.release().await.unwrap();
    let (_, state) = open(&backend).await;
    assert_eq!((state.pending.len(), state.seq), (3, 5), "each exactly once");
}

#[tokio::test]
async fn an_append_that_landed_although_it_was_given_up_is_taken_in() {
    let faulty = Faulty::new(memory());
    let backend: Arc<dyn Backend> = faulty.clone();
    let writer = write(&backend, no_keys()).await;
    faulty.blind.store(true, Ordering::SeqCst);
    let error = writer.append(vec![intends(intent(1, Action::Create, "blind"))]).await.unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error}");
    assert!(writer.state().pending.is_empty());
    faulty.blind.store(false, Ordering::SeqCst);
    writer.append(vec![intends(intent(2, Action::Create, "seen"))]).await.unwrap();
    assert_eq!(writer.state().pending.keys().copied().collect::<Vec<_>>(), [1, 2]);
    writer.release().await.unwrap();
    let (_, state) = open(&backend).await;
    assert_eq!(state.pending.len(), 2);
}

#[tokio::test]
async fn storage_that_is_down_is_an_error_and_not_the_end() {
    let faulty = Faulty::new(memory());
    let backend: Arc<dyn Backend> = faulty.clone();
    let writer = write(&backend, no_keys()).await;
    faulty.down.store(true, Ordering::SeqCst);
    let error = writer.append(vec![intends(intent(1, Action::Create, "a"))]).await.unwrap_err();
    assert!(error.to_string().contains("connection reset"), "{error}");
    faulty.down.store(false, Ordering::SeqCst);
    writer.append(vec![intends(intent(2, Action::Create, "a"))]).await.unwrap();
    writer.release().await.unwrap();
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_its_intents_to_the_next() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = folder(folder_.path());
    let (log, state) = open(&backend).await;
    let ttl = Duration::from_millis(200);
    let writer = log.acquire(state.clone(), holder("one"), ttl, Duration::ZERO).await.unwrap();
    let op = writer.next_op();
    writer.append(vec![intends(intent(op, Action::Create, "a"))]).await.unwrap();
    writer.append(vec![Event::Started { op, handle: "long".into() }]).await.unwrap();
    drop(writer);

    let next = log.acquire(state, holder("two"), TTL, Duration::from_secs(10)).await.unwrap();
    let seen = next.state();
    let pending = &seen.pending[&op];
    assert_eq!((pending.intent.urn.name(), pending.handle.as_deref()), ("a", Some("long")));
    assert!(next.next_op() > op, "numbers are never used again");
    next.append(vec![succeeded(op, recorded("a", "a", "v"))]).await.unwrap();
    assert!(next.state().pending.is_empty());
    next.release().await.unwrap();
}

#[tokio::test]
async fn an_idle_writer_learns_that_it_was_fenced() {
    let backend = memory();
    let (log, mut state) = open(&backend).await;
    let ttl = Duration::from_millis(150);
    let writer = log.acquire(state.clone(), holder("one"), ttl, Duration::ZERO).await.unwrap();
    log.unlock(&mut state, holder("admin")).await.unwrap();
    tokio::time::timeout(TTL, writer.lost().cancelled()).await.unwrap();
    assert!(writer.append(vec![Event::LeaseReleased]).await.unwrap_err().is_fenced());
}

#[tokio::test]
async fn what_a_crash_leaves_between_writing_and_publishing_is_ignored() {
    let folder_ = tempfile::tempdir().unwrap();
    let backend = folder(folder_.path());
    fill(&backend, no_keys(), 2).await;
    let staged = folder_.path().join(format!("{}#1", entry_key(5)));
    std::fs::write(&staged, "{\"version\":1,\"seq\":5,").unwrap();
    fill(&backend, no_keys(), 2).await;
    assert!(staged.exists());
    let (_, state) = open(&backend).await;
    assert_eq!(state.seq, 8);
    assert!(verify(backend, STACK, no_keys()).await.unwrap().is_whole());
}

#[tokio::test]
async fn the_lease_is_renewed_while_it_is_held() {
    let backend = memory();
    let (log, state) = open(&backend).await;
    let ttl = Duration::from_millis(300);
    let writer = log.acquire(state.clone(), holder("one"), ttl, Duration::ZERO).await.unwrap();
    let first = writer.state().lease.clone().unwrap().expires;
    tokio::time::sleep(ttl * 2).await;
    assert!(log.acquire(state, holder("two"), ttl, Duration::ZERO).await.unwrap_err().is_held());
    assert!(writer.state().lease.clone().unwrap().expires > first);
    writer.release().await.unwrap();
}

#[tokio::test]
async fn appends_that_come_together_share_entries() {
    let faulty = Faulty::slow(memory(), Duration::from_millis(2));
    let backend: Arc<dyn Backend> = faulty.clone();
    let writer = Arc::new(write(&backend, no_keys()).await);
    let appends = (0..1000).map(|n| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move {
            let op = writer.next_op();
            writer.append(vec![intends(intent(op, Action::Create, &format!("r{n}")))]).await
        })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    let state = writer.state();
    assert_eq!(state.pending.len(), 1000);
    assert!(state.seq <= 50, "1,000 appends made {} entries", state.seq);
    writer.release().await.unwrap();
}

#[tokio::test]
async fn following_a_log_takes_in_what_others_appended() {
    let backend = memory();
    let (log, mut state) = open(&backend).await;
    fill(&backend, no_keys(), 40).await;
    log.refresh(&mut state).await.unwrap();
    assert_eq!(state.resources.len(), 40);
    let (_, fresh) = open(&backend).await;
    assert_eq!(state, fresh);
}

#[tokio::test]
async fn checkpoints_shorten_opening_and_old_ones_go() {
    let faulty = Faulty::new(memory());
    let backend: Arc<dyn Backend> = faulty.clone();
    for round in 0..5 {
        fill(&backend, no_keys(), 60).await;
        let kept = backend.list("dev/checkpoint").await.unwrap();
        assert_eq!(kept.len(), (round + 1).min(3));
    }
    faulty.gets.store(0, Ordering::SeqCst);
    let (log, state) = open(&backend).await;
    let gets = faulty.gets.load(Ordering::SeqCst);
    assert!(gets < 30, "{gets} reads for a log of {} entries", state.seq);

    // The same state without any checkpoint, and with damaged ones.
    let keys = backend.list("dev/checkpoint").await.unwrap();
    backend.put(&keys[2], "garbage".into()).await.unwrap();
    assert_eq!(open(&backend).await.1, state);
    for key in keys {
        backend.delete(&key).await.unwrap();
    }
    assert_eq!(open(&backend).await.1, state);
    drop(log);
}

/// A checkpoint whose bytes are whole and whose list of what was declared cannot be read was written so. A plan needs no
/// such list; a run is begun on what the entries tell.
#[tokio::test]
async fn a_run_is_begun_on_nothing_that_cannot_be_read() {
    let backend = memory();
    let writer = write(&backend, no_keys()).await;
    let graph = [resource("a", "1"), resource("b", "1")];
    let declared = writer.state().delta(&graph);
    let started = RevisionStarted { revision: 1, command: "apply".into(), declared, ..Default::default() };
    writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
    for _ in 0..80 {
        let op = writer.next_op();
        writer.append(vec![intends(intent(op, Action::Read, "b"))]).await.unwrap();
    }
    writer.release().await.unwrap();
    let (_, right) = open(&backend).await;
    for key in backend.list("dev/checkpoint").await.unwrap() {
        let text = String::from_utf8(backend.get(&key).await.unwrap().unwrap().to_vec()).unwrap();
        let (body, _) = text.split_once("\"checksum\":").unwrap();
        let (before, list) = body.split_once("\"declared\":[").unwrap();
        let body = format!("{before}\"declared\":[{}", list.replace("{\"urn\":", "{\"nru\":"));
        let sum: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        backend.put(&key, format!("{body}\"checksum\":\"sha256:{sum}\"}}\n").into()).await.unwrap();
    }
    let (log, state) = open(&backend).await;
    assert_eq!(state.resources, right.resources);
    assert!(log.declared_at(&state, 1).await.unwrap_err().to_string().contains("item cannot be read"));
    let writer = log.acquire(state, holder("next"), TTL, Duration::ZERO).await.unwrap();
    assert_eq!(writer.state().declared.values().map(|found| (**found).clone()).collect::<Vec<_>>(), graph);
    writer.release().await.unwrap();
}

#[tokio::test]
async fn older_revisions_can_be_had() {
    let backend = memory();
    let writer = write(&backend, no_keys()).await;
    let graphs: Vec<Vec<_>> = vec![
        vec![resource("a", "1"), resource("b", "1")],
        vec![resource("a", "2"), resource("b", "1")],
        vec![resource("b", "1"), resource("c", "1")],
    ];
    for (n, graph) in graphs.iter().enumerate() {
        let declared = writer.state().delta(graph);
        let revision = n as u64 + 1;
        let started = RevisionStarted { revision, command: "apply".into(), declared, ..Default::default() };
        writer.append(vec![Event::RevisionStarted(Box::new(started))]).await.unwrap();
        for _ in 0..30 {
            let op = writer.next_op();
            writer.append(vec![intends(intent(op, Action::Read, "b"))]).await.unwrap();
        }
    }
    writer.release().await.unwrap();
    let (log, state) = open(&backend).await;
    assert!(!backend.list("dev/checkpoint").await.unwrap().is_empty());
    for (n, graph) in graphs.iter().enumerate() {
        let declared = log.declared_at(&state, n as u64 + 1).await.unwrap();
        assert_eq!(declared.values().map(|r| (**r).clone()).collect::<Vec<_>>(), *graph);
    }
    let error = log.declared_at(&state, 4).await.unwrap_err();
    assert!(
        error.to_string().contains("no revision 4") && error.to_string().contains("newest is 3"),
        "{error}"
    );
}

#[tokio::test]
async fn urls_and_names_that_cannot_work_are_refused_with_a_reason() {
    for (url, why) in [
        ("state", "no scheme"),
        ("file://relative/folder", "absolute path"),
        ("file:///a%zz", "%25"),
        ("file:///a%", "%25"),
        ("ftp://x", "`ftp://` is not supported; file:///absolute/folder, s3://bucket/prefix"),
        ("memory://x", "no path"),
    ] {
        let error = plinth_state::open_backend(url).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(url), "{error}");
    }
    for name in ["", "..", "a/b", "a b", "ü"] {
        assert!(matches!(Log::open(memory(), name, no_keys()).await, Err(Error::StackName { .. })), "{name}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Log::open(folder(file.path()), STACK, no_keys()).await.unwrap_err();
    assert!(error.to_string().contains("not a folder"), "{error}");
}

#[test]
fn a_writer_that_slept_past_its_lease_learns_of_it_before_it_acts() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let backend = memory();
    runtime().block_on(async {
        let (log, state) = open(&backend).await;
        let ttl = Duration::from_millis(60);
        let sleeper = log.acquire(state, holder("one"), ttl, Duration::ZERO).await.unwrap();
        sleeper.hold().await.unwrap();
        let before = open(&backend).await.1.seq;
        assert_eq!(before, 1, "what cannot have expired is not asked about");
        // Nothing of this runtime runs meanwhile, the renewal neither.
        let other = Arc::clone(&backend);
        std::thread::spawn(move || {
            std::thread::sleep(ttl * 2);
            runtime().block_on(async {
                let (log, state) = open(&other).await;
                log.acquire(state, holder("two"), TTL, Duration::ZERO).await.unwrap();
            });
        })
        .join()
        .unwrap();
        assert!(sleeper.hold().await.unwrap_err().is_fenced());
        assert!(sleeper.lost().is_cancelled());
    });
}

#[test]
fn a_writer_that_slept_alone_renews_and_goes_on() {
    let backend = memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (log, state) = open(&backend).await;
        let ttl = Duration::from_millis(30);
        let writer = log.acquire(state, holder("one"), ttl, Duration::ZERO).await.unwrap();
        std::thread::sleep(ttl * 2);
        writer.hold().await.unwrap();
        let (log, state) = open(&backend).await;
        assert!(
            log.entry(state.seq)
                .await
                .unwrap()
                .unwrap()
                .events
                .iter()
                .all(|e| matches!(e, Event::LeaseRenewed { .. }))
        );
    });
}

#[tokio::test]
async fn ten_minutes_between_two_clocks_neither_steal_a_lease_nor_keep_it_for_ever() {
    let backend = memory();
    let by = |minutes| Clock::skewed(jiff::SignedDuration::from_mins(minutes));
    let ttl = Duration::from_millis(300);
    let (log, state) = open(&backend).await;
    let alive = log.acquire(state.clone(), holder("one"), ttl, Duration::ZERO).await.unwrap();
    let ahead = log.clone().with_clock(by(10));
    assert!(ahead.acquire(state.clone(), holder("early"), ttl, Duration::ZERO).await.unwrap_err().is_held());
    drop(alive);
    let behind = log.with_clock(by(-10));
    let second = behind.acquire(state, holder("late"), ttl, Duration::from_secs(5)).await.unwrap();
    assert_eq!(second.epoch(), 2);
    second.append(vec![intends(intent(1, Action::Create, "a"))]).await.unwrap();
}
