//! The suite that every kind of every provider passes against its emulator.
//!
//! A provider's tests build one [`Case`] per kind and call [`run`]; a broken promise panics with its name.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Applied, Class, Context, Diff, Provider, ReadRequest, Recorded, Request, Urn, Value};

/// One kind to try, with what to try it with.
#[derive(Debug, Clone)]
pub struct Case {
    /// The resource; its stack is the owner.
    pub urn: Urn,
    /// What to create it with.
    pub inputs: Value,
    /// The same, with something changed that can change in place.
    pub updated: Option<Value>,
    /// The same, with something changed that forces a replacement.
    pub replaced: Option<Value>,
    /// How to reach the system.
    pub connection: Option<Value>,
    /// Whether it exists outside state; only `plinth:Data` does not.
    pub has_live: bool,
    /// How long one call may take.
    pub timeout: Duration,
}

impl Case {
    /// A case that is only created and deleted.
    pub fn new(urn: Urn, inputs: Value) -> Self {
        Self {
            urn,
            inputs,
            updated: None,
            replaced: None,
            connection: None,
            has_live: true,
            timeout: Duration::from_secs(30),
        }
    }
}

struct Suite<'a> {
    provider: &'a dyn Provider,
    case: &'a Case,
}

impl Suite<'_> {
    fn context(&self) -> Context {
        Context::new(self.case.urn.stack(), self.case.timeout)
    }

    fn check(&self, inputs: &Value) -> Value {
        let checked = self.provider.check(&self.case.urn, inputs.clone()).expect("check accepts the inputs");
        let again =
            self.provider.check(&self.case.urn, checked.clone()).expect("check accepts its own result");
        assert_eq!(again, checked, "check is idempotent");
        checked
    }

    fn request<'b>(&'b self, inputs: &'b Value) -> Request<'b> {
        Request { urn: &self.case.urn, inputs, connection: self.case.connection.as_ref() }
    }

    fn recorded(&self, inputs: &Value, applied: Applied) -> Recorded {
        Recorded {
            urn: self.case.urn.clone(),
            id: applied.id,
            inputs: inputs.clone(),
            outputs: applied.outputs,
            connection: self.case.connection.clone(),
            dependencies: Vec::new(),
            options: crate::Options::default(),
            unsettled: false,
        }
    }

    async fn create(&self, inputs: &Value) -> Recorded {
        let applied =
            self.provider.create(&self.context(), self.request(inputs)).await.expect("create succeeds");
        self.recorded(inputs, applied)
    }

    async fn delete(&self, recorded: &Recorded) {
        self.provider.delete(&self.context(), recorded).await.expect("delete succeeds");
    }

    async fn assert_in_sync(&self, recorded: &Recorded, when: &str) {
        let live =
            self.provider.read(&self.context(), ReadRequest { recorded }).await.expect("read succeeds");
        let live = live.unwrap_or_else(|| panic!("{when}: read finds it"));
        assert_eq!(live.id, recorded.id, "{when}: read gives the same id");
        assert_eq!(self.provider.drift(recorded, &live), [], "{when}: nothing has drifted");
        let diff = self.provider.diff(recorded, &self.check(&recorded.inputs)).expect("diff succeeds");
        assert_eq!(diff, Diff::None, "{when}: the diff against the same inputs is empty");
        let many = self.provider.read_many(&self.context(), &[ReadRequest { recorded }]).await;
        let [Ok(Some(same))] = many.as_slice() else { panic!("{when}: read_many finds it: {many:?}") };
        assert_eq!(same.id, live.id, "{when}: read_many agrees with read");
    }

    async fn assert_gone(&self, recorded: &Recorded, when: &str) {
        let live =
            self.provider.read(&self.context(), ReadRequest { recorded }).await.expect("read succeeds");
        assert_eq!(live, None, "{when}: reading what is missing gives nothing");
        let found =
            self.provider.find(&self.context(), self.request(&recorded.inputs)).await.expect("find succeeds");
        assert_eq!(found, None, "{when}: finding what is missing gives nothing");
    }
}

/// Runs every promise of the contract that applies to the case.
///
/// # Panics
/// With the broken promise.
pub async fn run(provider: &dyn Provider, case: &Case) {
    let suite = Suite { provider, case };
    let schema = provider.schema(case.urn.kind()).expect("the kind has a schema");
    let inputs = suite.check(&case.inputs);

    let recorded = suite.create(&inputs).await;
    suite.assert_in_sync(&recorded, "after create").await;

    let again = suite.create(&inputs).await;
    assert_eq!(again.id, recorded.id, "create twice adopts what it made the first time");

    if case.has_live {
        // A create whose reply was lost is one whose result nobody saw.
        let found = provider.find(&suite.context(), suite.request(&inputs)).await.expect("find succeeds");
        assert_eq!(
            found.map(|live| live.id),
            Some(recorded.id.clone()),
            "a create whose reply was lost is found"
        );
    }

    let mut current = again;
    if let Some(updated) = &case.updated {
        let updated = suite.check(updated);
        let diff = provider.diff(&current, &updated).expect("diff succeeds");
        assert!(matches!(diff, Diff::Update(_)), "the change is an update in place, not {diff:?}");
        let applied = provider
            .update(&suite.context(), suite.request(&updated), &current)
            .await
            .expect("update succeeds");
        assert_eq!(applied.id, current.id, "an update in place keeps the id");
        current = suite.recorded(&updated, applied);
        suite.assert_in_sync(&current, "after update").await;
    }
    if let Some(replaced) = &case.replaced {
        let replaced = suite.check(replaced);
        let diff = provider.diff(&current, &replaced).expect("diff succeeds");
        let Diff::Replace { forced_by, .. } = diff else {
            panic!("the change forces a replacement, not {diff:?}")
        };
        assert!(!forced_by.is_empty(), "a replacement names the paths that force it");
        let by_update = |path: &crate::Path| {
            !schema.immutable.iter().any(|pattern| pattern.touches(path))
                && schema.recreated.iter().any(|pattern| pattern.touches(path))
        };
        if forced_by.iter().all(by_update) {
            let request = suite.request(&replaced);
            let applied =
                provider.update(&suite.context(), request, &current).await.expect("update replaces");
            current = suite.recorded(&replaced, applied);
            suite.assert_in_sync(&current, "after replacement by update").await;
        } else if schema.delete_before_replace {
            suite.delete(&current).await;
            current = suite.create(&replaced).await;
            suite.assert_in_sync(&current, "after replacement").await;
        }
    }

    suite.delete(&current).await;
    if case.has_live {
        suite.assert_gone(&current, "after delete").await;
    }
    suite.delete(&current).await;

    if case.has_live {
        cancelled(&suite, &inputs).await;
    }
}

/// A create that was stopped may or may not have happened; `find` knows, and nothing is left after a delete.
async fn cancelled(suite: &Suite<'_>, inputs: &Value) {
    let cancel = CancellationToken::new();
    let context = Context { cancel: cancel.clone(), ..suite.context() };
    cancel.cancel();
    match suite.provider.create(&context, suite.request(inputs)).await {
        Ok(_) => {}
        Err(error) => assert!(
            matches!(error.class, Class::Cancelled | Class::UnknownOutcome),
            "a cancelled create says so, not {error:?}"
        ),
    }
    let found = suite.provider.find(&suite.context(), suite.request(inputs)).await.expect("find succeeds");
    if let Some(live) = found {
        let recorded = suite.recorded(inputs, Applied { id: live.id, outputs: live.outputs });
        suite.delete(&recorded).await;
        suite.assert_gone(&recorded, "after a cancelled create").await;
    }
}
