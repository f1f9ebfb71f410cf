//! What is found in our own stack files and in bad ones.

use std::path::{Path, PathBuf};

use super::*;
use crate::file::{Loaded, load, load_text};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn own(name: &str) -> Loaded {
    let loaded = load(&folder().join(format!("{name}.yaml")));
    loaded.unwrap_or_else(|found| {
        panic!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
    })
}

fn report(loaded: &Loaded) -> String {
    check(&loaded.stack, &loaded.locations)
        .iter()
        .map(|finding| {
            let place = finding.location.as_ref().map_or_else(String::new, |location| {
                let file = location.file.strip_prefix(folder()).unwrap_or(&location.file);
                format!(" {}:{}", file.display(), location.line)
            });
            format!("{:<7} {:<20}{place}: {}\n", finding.severity, finding.rule, finding.message)
        })
        .collect()
}

fn rules(body: &str) -> Vec<(Severity, &'static str)> {
    let text = format!("apiVersion: plinth.dev/v1\nkind: Stack\nname: test\n{body}");
    let loaded = load_text(Path::new("test.yaml"), &text).unwrap();
    check(&loaded.stack, &loaded.locations).iter().map(|finding| (finding.severity, finding.rule)).collect()
}

#[test]
fn our_own_stacks() {
    for name in ["local", "dev", "staging", "prod"] {
        let loaded = own(name);
        assert_eq!(loaded.stack.name.as_str(), name);
        assert!(loaded.missing.is_empty());
        insta::assert_snapshot!(name, report(&loaded));
    }
}

#[test]
fn production_fulfils_every_row_of_the_guide() {
    let loaded = own("prod");
    let broken: Vec<_> = requirements(&check(&loaded.stack, &loaded.locations))
        .into_iter()
        .filter(|requirement| !requirement.fulfilled())
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_platform_that_is_nothing_but_highly_available_is_refused() {
    let found = rules("platform: { highAvailability: true }\n");
    for rule in ["oidc", "database", "domain", "receivers"] {
        assert!(found.contains(&(Severity::Error, rule)), "{rule}: {found:?}");
    }
    let found = rules("platform: {}\n");
    assert!(!found.iter().any(|(severity, _)| *severity == Severity::Error), "{found:?}");
}

#[test]
fn every_way_to_be_unfit_is_found() {
    let cloud =
        "cloud: { provider: aws, region: eu-central-1, zones: [a, b], network: { natPerZone: false } }\n";
    let cases: &[(&str, &str)] = &[
        (
            "nodes",
            "cluster: { nodePools: [ { name: a, instanceType: m7i.xlarge, minSize: 2 } ] }\nplatform: { highAvailability: true }\n",
        ),
        (
            "node-size",
            "cluster: { nodePools: [ { name: a, instanceType: m7i.large } ] }\nplatform: { highAvailability: true }\n",
        ),
        (
            "node-size",
            "cluster: { nodePools: [ { name: a, instanceType: c7i.xlarge } ] }\nplatform: { highAvailability: true }\n",
        ),
        (
            "node-capacity",
            "cluster: { nodePools: [ { name: a, instanceType: m7i.xlarge, maxSize: 3 } ] }\nplatform: { highAvailability: true, loki: { gbPerDay: 5000 } }\n",
        ),
        (
            "spot-nodes",
            "cluster: { nodePools: [ { name: a, spot: true } ] }\nplatform: { highAvailability: true }\n",
        ),
        ("zones", "platform: { highAvailability: true }\n"),
        ("nat", "platform: { highAvailability: true }\n"),
        ("kubernetes-version", "cluster: { version: \"1.29\" }\nplatform: { highAvailability: true }\n"),
        (
            "secrets-encryption",
            "cluster: { secretsEncryption: false }\nplatform: { highAvailability: true }\n",
        ),
        (
            "bucket-destroy",
            "storage: { buckets: { forceDestroy: true } }\nplatform: { highAvailability: true }\n",
        ),
        (
            "bucket-names",
            "storage: { buckets: { prefix: a123456789012345678901234567890123456789012345678901234567890 } }\nplatform: { highAvailability: true }\n",
        ),
        ("replicas", "platform: { highAvailability: true, loki: { ingester: { replicas: 2 } } }\n"),
        ("replicas", "platform: { highAvailability: true, grafana: { replicas: 1 } }\n"),
        ("long-term-metrics", "platform: { highAvailability: true, thanos: { enabled: false } }\n"),
        ("retention", "platform: { highAvailability: true, prometheus: { retention: 2h } }\n"),
        (
            "database-tls",
            "platform: { highAvailability: true, database: { external: { host: d, password: { generate: {} }, sslMode: disable } } }\n",
        ),
        (
            "default-password",
            "platform: { highAvailability: true, grafana: { admin: { password: { value: Admin } } } }\n",
        ),
        (
            "anonymous",
            "platform: { highAvailability: true, grafana: { settings: { auth.anonymous: { enabled: \"true\" } } } }\n",
        ),
        ("network-policies", "platform: { highAvailability: true, networkPolicies: { enabled: false } }\n"),
        (
            "acme",
            "platform: { highAvailability: true, domain: a.internal, certManager: { acme: { email: a@b, solver: { http: {} } } } }\n",
        ),
        ("backup", "platform: { highAvailability: true, backup: { enabled: false } }\n"),
        ("self-monitoring", "platform: { highAvailability: true, selfMonitoring: { enabled: false } }\n"),
        ("versions", "catalogue: { loki: { version: latest } }\nplatform: { highAvailability: true }\n"),
    ];
    for (rule, body) in cases {
        let found = rules(&format!("{cloud}{body}"));
        assert!(found.contains(&(Severity::Error, rule)), "{rule} is not found in\n{body}\n{found:?}");
    }
}

#[test]
fn findings_point_at_what_they_are_about() {
    let text = "apiVersion: plinth.dev/v1\nkind: Stack\nname: test\nplatform:\n  highAvailability: true\n  loki:\n    ingester:\n      replicas: 2\n";
    let loaded = load_text(Path::new("test.yaml"), text).unwrap();
    let findings = check(&loaded.stack, &loaded.locations);
    let finding = findings.iter().find(|finding| finding.rule == "replicas").unwrap();
    assert_eq!(finding.location.as_ref().unwrap().to_string(), "test.yaml:8:7");
    assert_eq!(finding.path, "platform.loki.ingester.replicas");
}
