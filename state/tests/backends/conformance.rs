//! What every backend must do.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use plinth_state::{Backend, Created};

/// How many times writers meet at one key, and how many they are.
const ROUNDS: usize = 25;
const WRITERS: usize = 8;
/// More keys than a page of any listing holds.
const MANY: usize = 1100;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub async fn everything(backend: Arc<dyn Backend>) {
    an_object_is_created_once(&*backend).await;
    one_of_many_writers_wins(&backend).await;
    reads_and_writes(&*backend).await;
}

/// All but creates.
async fn reads_and_writes(backend: &dyn Backend) {
    nothing_is_there_at_first(backend).await;
    puts_replace_and_deletes_repeat(backend).await;
    lists_are_sorted_whole_and_of_one_folder(backend).await;
    big_objects_come_back(backend).await;
}

async fn nothing_is_there_at_first(backend: &dyn Backend) {
    assert_eq!(backend.get("none/log/1.json").await.unwrap(), None);
    assert!(backend.list("none/log").await.unwrap().is_empty());
    assert!(backend.list_after("none/log", "none/log/1.json").await.unwrap().is_empty());
    backend.delete("none/log/1.json").await.unwrap();
}

async fn an_object_is_created_once(backend: &dyn Backend) {
    assert_eq!(backend.create("dev/log/1.json", bytes("first")).await.unwrap(), Created::Created);
    assert_eq!(backend.create("dev/log/1.json", bytes("second")).await.unwrap(), Created::Exists);
    assert_eq!(backend.create("dev/log/1.json", bytes("first")).await.unwrap(), Created::Exists);
    assert_eq!(backend.get("dev/log/1.json").await.unwrap(), Some(bytes("first")));
    backend.delete("dev/log/1.json").await.unwrap();
    assert_eq!(backend.create("dev/log/1.json", bytes("third")).await.unwrap(), Created::Created);
}

async fn one_of_many_writers_wins(backend: &Arc<dyn Backend>) {
    for round in 0..ROUNDS {
        let key = format!("race/log/{round}.json");
        let writers = (0..WRITERS).map(|writer| {
            let (backend, key) = (Arc::clone(backend), key.clone());
            tokio::spawn(
                async move { backend.create(&key, bytes(&format!("writer {writer}"))).await.unwrap() },
            )
        });
        let outcomes: Vec<Created> =
            futures::future::join_all(writers).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<usize> = outcomes
            .iter()
            .enumerate()
            .filter(|(_, outcome)| **outcome == Created::Created)
            .map(|(n, _)| n)
            .collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let found = backend.get(&key).await.unwrap();
        assert_eq!(found, Some(bytes(&format!("writer {}", winners[0]))), "round {round}");
    }
}

async fn puts_replace_and_deletes_repeat(backend: &dyn Backend) {
    for text in ["one", "two"] {
        backend.put("dev/checkpoint/1.json", bytes(text)).await.unwrap();
        assert_eq!(backend.get("dev/checkpoint/1.json").await.unwrap(), Some(bytes(text)));
    }
    backend.put("dev/checkpoint/1.json", Bytes::new()).await.unwrap();
    assert_eq!(backend.get("dev/checkpoint/1.json").await.unwrap(), Some(Bytes::new()));
    for _ in 0..2 {
        backend.delete("dev/checkpoint/1.json").await.unwrap();
        assert_eq!(backend.get("dev/checkpoint/1.json").await.unwrap(), None);
    }
}

async fn lists_are_sorted_whole_and_of_one_folder(backend: &dyn Backend) {
    let key = |n: usize| format!("many/log/{n:020}.json");
    // In no order, and with neighbours whose names begin alike.
    let others = ["many/logs/1.json", "many/lo", "many/checkpoint/1.json", "many2/log/1.json"];
    let keys = (0..MANY).map(|n| key(n * 7 % MANY)).chain(others.map(str::to_owned));
    stream::iter(keys)
        .map(|key| async move { backend.put(&key, bytes("x")).await })
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await
        .unwrap();
    let expected: Vec<String> = (0..MANY).map(key).collect();
    assert_eq!(backend.list("many/log").await.unwrap(), expected);
    for start in [0, 1, 999, 1000, MANY - 2, MANY - 1] {
        assert_eq!(
            backend.list_after("many/log", &key(start)).await.unwrap(),
            expected[start + 1..],
            "{start}"
        );
    }
    let between = "many/log/000000000000000010000";
    let after = backend.list_after("many/log", between).await.unwrap();
    let wanted: Vec<String> = expected.iter().filter(|key| key.as_str() > between).cloned().collect();
    assert_eq!(after, wanted);
    assert_eq!(backend.list_after("many/log", "many/a").await.unwrap(), expected, "from before the folder");
    let all: BTreeSet<String> = backend.list("many").await.unwrap().into_iter().collect();
    let everything = backend.list("").await.unwrap();
    assert!(plinth_state::stacks(backend).await.unwrap().contains(&"many".to_owned()));
    assert!(
        everything.iter().any(|key| key == "many2/log/1.json") && everything.is_sorted(),
        "the whole place"
    );
    assert_eq!(all.len(), MANY + 3, "what lies deeper is listed too, and nothing of the neighbours");
}

async fn big_objects_come_back(backend: &dyn Backend) {
    let big: Bytes =
        (0..10_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>().into();
    backend.put("big/checkpoint/1.json", big.clone()).await.unwrap();
    let found = backend.get("big/checkpoint/1.json").await.unwrap().unwrap();
    assert!(found == big, "10 MB came back as {} other bytes", found.len());
}
