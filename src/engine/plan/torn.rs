//! What cannot be kept until its successor is there: orders of a plan that contradict each other.
//!
//! Where something is deleted before it is made anew, what used it goes earlier still, and what needs the new one comes later. Who
//! did the one and does the other, be it through others that go too, cannot make its new instance first; and who lives in
//! what goes cannot just be changed afterwards. That shows only once the whole plan is there, which is then made again.

use std::collections::{HashMap, HashSet};

use plinth_provider::{Providers, Urn};

use super::{Op, Step};
use crate::engine::schedule::{Contradiction, contradictions};

/// What plans so far have shown to be impossible.
#[derive(Debug, Default)]
pub(super) struct Torn {
    /// Whose old instance has to go before the new one comes.
    pub first: HashSet<Urn>,
    /// What does not live longer than something that goes, and than what.
    pub outlived: HashMap<Urn, Urn>,
}

impl Torn {
    /// Takes in what a plan asks for and cannot have; whether that is anything new.
    pub fn add(&mut self, steps: &[Step], providers: &Providers) -> bool {
        if !steps.iter().any(|step| step.op == Op::Replace && step.delete_before_replace && !step.by_update) {
            return false;
        }
        let lives_in = |user: &Step, going: &Step| match (&user.recorded, &going.recorded) {
            (Some(user), Some(going)) => {
                let provider = providers.of(user.urn.kind());
                provider.is_ok_and(|provider| provider.lives_in(user, going))
            }
            _ => false,
        };
        let mut is_new = false;
        for contradiction in contradictions(steps, lives_in) {
            is_new |= match contradiction {
                Contradiction::MakesFirst(step) => self.first.insert(steps[step].urn.clone()),
                Contradiction::Outlives(step, outer) => {
                    let (urn, outer) = (&steps[step].urn, &steps[outer].urn);
                    self.outlived.insert(urn.clone(), outer.clone()).is_none()
                }
            };
        }
        is_new
    }
}
