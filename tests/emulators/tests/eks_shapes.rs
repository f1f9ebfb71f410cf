//! What the stand-in for EKS answers, held against the model that Amazon publishes with its SDKs: no member that the model
//! does not know, none of another type, none missing that it requires; for every operation that the stand-in knows.

use std::time::Duration;

use plinth_emulators::Eks;

/// Calls everything once, as documented, and judges each answer.
const SCRIPT: &str = include_str!("eks_shapes.py");

#[test]
fn answers_have_the_shapes_of_amazons_model() {
    let eks = Eks::new();
    eks.pace(Duration::from_millis(10));
    eks.advise_against("1.36", "Deprecated APIs", "somebody still uses one");
    let Some(boto) = plinth_emulators::boto(&eks.url(), "eu-central-1") else { return };
    let said = boto.run(SCRIPT);
    let called: std::collections::BTreeSet<String> = said.split_whitespace().map(str::to_owned).collect();
    let seen: std::collections::BTreeSet<String> =
        eks.take_seen().into_iter().map(|call| call.operation).collect();
    assert_eq!(called, seen, "every operation is the one that the SDK meant");
    let known: std::collections::BTreeSet<String> =
        Eks::operations().iter().map(|&operation| operation.to_owned()).collect();
    assert_eq!(called, known, "every operation that there is has been called");
}
