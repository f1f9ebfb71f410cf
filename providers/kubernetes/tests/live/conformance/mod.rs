//! Every kind keeps every promise of the contract: on the embedded server, and on a real cluster when there is one.

mod core;
mod policy;
mod workloads;

use plinth_provider::conformance::{Case, run};
use plinth_provider::{Provider, Urn, Value};
use serde_json::Value as Json;

use crate::cluster::Cluster;

/// A kind to try. `RUN` stands for what tells this run's objects from others on a cluster that is shared.
struct Kind {
    kind: &'static str,
    inputs: Json,
    updated: Option<Json>,
    replaced: Option<Json>,
}

async fn conform(cluster: &Cluster, kind: Kind) {
    let urn = Urn::new("s", &format!("k8s:{}", kind.kind), "r").unwrap();
    let own = |inputs: Json| cluster.own(&urn, inputs);
    let case = Case {
        updated: kind.updated.map(own),
        replaced: kind.replaced.map(own),
        ..Case::new(urn.clone(), own(kind.inputs))
    };
    run(&cluster.provider, &case).await;
    predictions_hold(cluster, &case).await;
}

/// What a plan says of the outputs is what comes, as far as it says anything.
async fn predictions_hold(cluster: &Cluster, case: &Case) {
    let first = cluster.provider.check(&case.urn, case.inputs.clone()).unwrap();
    let predicted = cluster.provider.predict(&case.urn, &first, None);
    let created = cluster.try_create_checked(&case.urn, first).await.unwrap();
    assert_predicted(&predicted, &created.outputs);
    let mut last = created;
    if let Some(updated) = &case.updated {
        let updated = cluster.provider.check(&case.urn, updated.clone()).unwrap();
        let predicted = cluster.provider.predict(&case.urn, &updated, Some(&last));
        last = cluster.try_update_checked(&last, updated).await.unwrap();
        assert_predicted(&predicted, &last.outputs);
    }
    cluster.delete(&last).await.unwrap();
}

fn assert_predicted(predicted: &Value, actual: &Value) {
    match predicted {
        Value::Unknown => {}
        Value::Map(map) => {
            for (key, value) in map {
                match actual.get(key) {
                    Some(actual) => assert_predicted(value, actual),
                    // What is not known may also not come.
                    None => assert!(value.has_unknown(), "{key} of {predicted} in {actual}"),
                }
            }
        }
        known => assert_eq!(known, actual),
    }
}

/// One test on the embedded server, one on the cluster that `PLINTH_TEST_KUBECONFIG` names.
macro_rules! conforms {
    ($name:ident, $kind:expr, $inputs:expr, $updated:expr, $replaced:expr) => {
        mod $name {
            use super::*;

            fn kind() -> Kind {
                Kind { kind: $kind, inputs: $inputs, updated: $updated, replaced: $replaced }
            }

            #[tokio::test]
            async fn embedded() {
                conform(&Cluster::start().await, kind()).await;
            }

            #[tokio::test]
            async fn real() {
                let Some(cluster) = Cluster::real().await else { return };
                conform(&cluster, kind()).await;
            }
        }
    };
}
use conforms;
