//! What tells whether a stack file has changed: a hash over everything that it says, worked out beside the run.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The digest of a stack file.
#[derive(Debug, Default)]
pub struct Digest {
    known: OnceLock<String>,
    work: Mutex<Work>,
}

/// How far the work on a digest has come.
#[derive(Debug, Default)]
enum Work {
    /// It has not begun.
    Tree(Value),
    /// A task of the runtime is at it.
    Begun(Receiver<String>),
    #[default]
    Done,
}

impl Digest {
    /// Of a merged file.
    pub fn of(tree: &Value) -> Self {
        Self { known: OnceLock::from(hash(tree)), ..Self::default() }
    }

    /// Of a merged file that nobody needs any more; [`Digest::begin`] says when there is time for it.
    pub fn of_last(tree: Value) -> Self {
        Self { work: Mutex::new(Work::Tree(tree)), ..Self::default() }
    }

    /// Begins with it, and lets go of the file, if it is a large one: it would be the largest thing in memory, and both
    /// reading it once more and taking it apart last a while. The runtime does that beside the command, which waits only
    /// if it asks for the text.
    pub fn begin(&self) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let large = |tree: &Value| {
            tree.get("resources").and_then(Value::as_array).is_some_and(|entries| entries.len() >= MANY)
        };
        if let (Work::Tree(tree), Ok(runtime)) = (&mut *work, tokio::runtime::Handle::try_current())
            && large(tree)
        {
            let tree = std::mem::take(tree);
            let (tell, begun) = channel();
            runtime.spawn(async move { drop(tell.send(hash(&tree))) });
            *work = Work::Begun(begun);
        }
    }

    /// As text, with what made it.
    pub fn text(&self) -> &str {
        self.known.get_or_init(|| {
            match std::mem::take(&mut *self.work.lock().unwrap_or_else(PoisonError::into_inner)) {
                Work::Tree(tree) => hash(&tree),
                Work::Begun(worker) => worker.recv().unwrap_or_default(),
                Work::Done => String::new(),
            }
        })
    }
}

/// From so many resources on it is worth handing over.
const MANY: usize = 200;

fn hash(tree: &Value) -> String {
    struct Hashing(Sha256);

    impl std::io::Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut hashing = Hashing(Sha256::new());
    // Neither JSON that was read nor hashing can fail.
    let _ = serde_json::to_writer(&mut hashing, tree);
    hashing.0.finalize().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn it_is_the_same_wherever_it_is_worked_out() {
        let entries: Vec<Value> = (0..MANY)
            .map(|at| serde_json::json!({ "name": format!("r{at}"), "inputs": { "text": "\"é\"" } }))
            .collect();
        let tree = serde_json::json!({ "name": "large", "resources": entries });
        let here = Digest::of(&tree);
        assert_eq!(Digest::of_last(tree.clone()).text(), here.text());
        let beside = Digest::of_last(tree.clone());
        beside.begin();
        assert!(matches!(*beside.work.lock().unwrap(), Work::Begun(_)));
        assert_eq!(beside.text(), here.text());
        assert_eq!(beside.text(), here.text());
        let by_text = Sha256::digest(tree.to_string());
        assert!(here.text().starts_with("sha256:") && here.text().len() == 7 + 64);
        assert!(here.text().ends_with(&format!("{:02x}", by_text[31])));
    }
}
