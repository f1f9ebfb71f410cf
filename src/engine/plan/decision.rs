//! What happens to one resource, and why.

use std::collections::BTreeMap;

use plinth_provider::{Change, Diff, Drift, KindSchema, Path, Pattern, Value};

use super::Op;

/// What happens to one resource, and why.
pub(super) struct Decision {
    pub op: Op,
    pub changes: Vec<Change>,
    pub forced_by: Vec<Path>,
    pub reason: Option<String>,
    pub take_over: Vec<Path>,
}

impl Decision {
    /// Whether everything that forces the replacement is what the kind's update replaces by itself.
    pub fn is_by_update(&self, schema: &KindSchema) -> bool {
        let touches = |patterns: &[Pattern], path| patterns.iter().any(|pattern| pattern.touches(path));
        !self.forced_by.is_empty()
            && self
                .forced_by
                .iter()
                .all(|path| touches(&schema.recreated, path) && !touches(&schema.immutable, path))
    }

    pub fn new(op: Op) -> Self {
        Self { op, changes: Vec::new(), forced_by: Vec::new(), reason: None, take_over: Vec::new() }
    }

    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    pub fn from_diff(diff: Diff) -> Self {
        match diff {
            Diff::None => Self::new(Op::Same),
            Diff::Update(changes) => Self { changes, ..Self::new(Op::Update) },
            Diff::Replace { changes, forced_by } => Self { changes, forced_by, ..Self::new(Op::Replace) },
        }
    }

    /// Adds what somebody changed behind Plinth's back: it goes from the live value to the desired one.
    pub fn add_drift(&mut self, drift: &[Drift], inputs: &Value, schema: &KindSchema, ignored: &[Path]) {
        let mut by_path: BTreeMap<Path, Change> = std::mem::take(&mut self.changes)
            .into_iter()
            .map(|change| (change.path.clone(), change))
            .collect();
        for drifted in drift.iter().filter(|drifted| !ignored.iter().any(|path| path.contains(&drifted.path)))
        {
            let after = inputs.at(&drifted.path).cloned().or_else(|| drifted.recorded.clone());
            if drifted.live == after {
                by_path.remove(&drifted.path);
                continue;
            }
            by_path.insert(
                drifted.path.clone(),
                Change { path: drifted.path.clone(), before: drifted.live.clone(), after },
            );
            self.take_over.push(drifted.path.clone());
            if schema.immutable.iter().chain(&schema.recreated).any(|pattern| pattern.touches(&drifted.path))
            {
                self.forced_by.push(drifted.path.clone());
            }
            self.reason.get_or_insert_with(|| match &drifted.by {
                Some(by) => format!("{} was changed outside of Plinth, by {by}", drifted.path),
                None => format!("{} was changed outside of Plinth", drifted.path),
            });
        }
        self.changes = by_path.into_values().collect();
        // A live value that already is the desired one still has to be recorded.
        if self.op == Op::Same && !self.changes.is_empty() {
            self.op = Op::Update;
        }
        if !self.forced_by.is_empty() {
            self.op = Op::Replace;
        }
    }

    /// What the live system would not change in place is replaced.
    pub fn refused_in_place(&mut self, paths: Option<&Vec<Path>>) {
        if let (Op::Update, Some(paths)) = (self.op, paths) {
            self.forced_by.clone_from(paths);
            self.op = Op::Replace;
        }
    }

    pub fn replace_on(&mut self, paths: &[Path]) {
        if self.op != Op::Update {
            return;
        }
        let forcing =
            |change: &Change| paths.iter().any(|p| p.contains(&change.path) || change.path.contains(p));
        self.forced_by = self.changes.iter().filter(|c| forcing(c)).map(|c| c.path.clone()).collect();
        if !self.forced_by.is_empty() {
            self.op = Op::Replace;
        }
    }
}
