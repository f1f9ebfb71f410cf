//! Tests.

use crate::model::Stack;
use crate::program::{Target, program};

#[test]
fn smoke() {
    let stack: Stack = serde_json::from_value(serde_json::json!({
        "apiVersion": "plinth.dev/v1", "kind": "Stack", "name": "prod",
        "platform": { "highAvailability": true },
    }))
    .unwrap();
    let all = program(&stack, &Target::default()).unwrap();
    println!("{}", all.len());
    for one in &all {
        println!("{}", one.urn.as_str());
        if one.urn.as_str().contains("ConfigMap") {
            if let Some(map) = one.inputs.get("data").and_then(|d| d.as_map()) {
                for (k, v) in map {
                    if !k.ends_with(".json") {
                        println!("--- {k}\n{v}");
                    }
                }
            }
        }
    }
}
