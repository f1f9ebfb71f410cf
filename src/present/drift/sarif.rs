//! SARIF 2.1.0, which code scanning services read.

use serde_json::{Value as Json, json};

use super::{DriftReport, Verdict, message, verdict_name};

/// The report in SARIF. Results point to the stack's file in its usual place.
pub fn sarif(stack: &str, report: &DriftReport) -> String {
    let stack_file = format!("stacks/{stack}.yaml");
    let results: Vec<Json> = report
        .drifted
        .iter()
        .map(|(urn, verdict)| {
            json!({
                "ruleId": format!("drift/{}", verdict_name(verdict)),
                "ruleIndex": usize::from(*verdict != Verdict::Missing),
                "level": if *verdict == Verdict::Missing { "error" } else { "warning" },
                "message": { "text": message(urn, verdict) },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": uri(&stack_file) },
                        "region": { "startLine": 1 },
                    },
                    "logicalLocations": [{
                        "name": urn.name(),
                        "fullyQualifiedName": urn.as_str(),
                        "kind": "resource",
                    }],
                }],
                // The same drift of the same resource is the same finding on the next run.
                "partialFingerprints": { "plinthUrn/v1": format!("{}#{}", urn, verdict_name(verdict)) },
            })
        })
        .collect();
    let rule = |id: &str, short: &str, help: &str| {
        json!({
            "id": id,
            "shortDescription": { "text": short },
            "help": { "text": help },
        })
    };
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "plinth",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": [
                    rule(
                        "drift/missing",
                        "A resource that Plinth created is gone",
                        "Run `plinth apply` to create it again, or `plinth state rm` if it is meant to be gone.",
                    ),
                    rule(
                        "drift/changed",
                        "A resource differs from what Plinth recorded",
                        "Run `plinth apply` to bring it back, or carry the change over into the stack file.",
                    ),
                ],
            } },
            "automationDetails": { "id": format!("plinth-drift/{stack}/") },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
