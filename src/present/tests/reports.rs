use std::collections::BTreeMap;
use std::sync::Arc;

use insta::assert_snapshot;
use jiff::tz::TimeZone;
use plinth_provider::{Drift, Recorded};
use plinth_stacks::check::{Finding, Severity};
use plinth_state::{Finish, Provenance, ProvenanceKind, Revision, Tracked};

use super::*;
use crate::engine::{DriftReport, Verdict};
use crate::present::{Style, check, drift, history, state};

fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

fn drifted() -> DriftReport {
    let field = |path: &str, recorded: Option<Value>, live: Option<Value>| Drift {
        path: Path::parse(path),
        recorded,
        live,
        by: None,
        at: None,
    };
    let fields = vec![
        Drift {
            by: Some("kubectl-edit".into()),
            at: Some(at("2026-03-01T12:30:00.5Z")),
            ..field("spec.replicas", Some(2.into()), Some(3.into()))
        },
        field("metadata.labels[\"a|b\"]", None, Some("`x`".into())),
        field("data.token", Some(Value::secret("old")), Some(Value::secret("new"))),
    ];
    DriftReport {
        resources: 210,
        drifted: vec![
            (urn(DEPLOYMENT, "grafana/grafana"), Verdict::Changed(fields)),
            (urn("k8s:v1/ConfigMap", "a \"quoted\" name"), Verdict::Missing),
        ],
    }
}

#[test]
fn drift_as_text() {
    assert_snapshot!(drift::text("prod", &drifted(), &Style::default()), @r#"
    ~ k8s:apps/v1/Deployment::grafana/grafana
        spec.replicas: 2 → 3  (by kubectl-edit, 2026-03-01T12:30:00Z)
        metadata.labels.a|b: added "`x`"
        data.token: (secret), changed
    - k8s:v1/ConfigMap::a "quoted" name  is gone

    Drift in prod: 1 changed, 1 missing, of 210 resources.
    `plinth apply --refresh always` brings them back to what the stack file says.
    "#);
    let none = DriftReport { resources: 1, ..DriftReport::default() };
    assert_snapshot!(drift::text("prod", &none, &Style::default()), @"No drift in prod: 1 resource as recorded.");
}

#[test]
fn drift_as_json() {
    assert_snapshot!(drift::json("prod", &drifted()), @r#"
    {
      "stack": "prod",
      "resources": 210,
      "missing": 1,
      "changed": 1,
      "drifted": [
        {
          "urn": "plinth:prod::k8s:apps/v1/Deployment::grafana/grafana",
          "verdict": "changed",
          "fields": [
            {
              "path": "spec.replicas",
              "recorded": 2,
              "live": 3,
              "by": "kubectl-edit",
              "at": "2026-03-01T12:30:00.5Z"
            },
            {
              "path": "metadata.labels.a|b",
              "recorded": null,
              "live": "`x`",
              "by": null,
              "at": null
            },
            {
              "path": "data.token",
              "recorded": {
                "$secret": "masked"
              },
              "live": {
                "$secret": "masked"
              },
              "by": null,
              "at": null
            }
          ]
        },
        {
          "urn": "plinth:prod::k8s:v1/ConfigMap::a \"quoted\" name",
          "verdict": "missing",
          "fields": []
        }
      ]
    }
    "#);
}

#[test]
fn drift_as_markdown() {
    assert_snapshot!(drift::markdown("prod", &drifted()), @r#"
    ## Drift in `prod`

    1 changed, 1 missing, of 210 resources.

    | resource | path | recorded | live | by |
    | --- | --- | --- | --- | --- |
    | `k8s:apps/v1/Deployment::grafana/grafana` | `spec.replicas` | `2` | `3` | by kubectl-edit, 2026-03-01T12:30:00Z |
    | `k8s:apps/v1/Deployment::grafana/grafana` | `metadata.labels.a\|b` | absent | `` "`x`" `` |  |
    | `k8s:apps/v1/Deployment::grafana/grafana` | `data.token` | `(secret)` | `(secret)` |  |
    | `k8s:v1/ConfigMap::a "quoted" name` |  |  | **gone** |  |
    "#);
}

#[test]
fn drift_as_sarif() {
    assert_snapshot!(drift::sarif("prod", &drifted()), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "version": "2.1.0",
      "runs": [
        {
          "tool": {
            "driver": {
              "name": "plinth",
              "version": "0.1.0",
              "semanticVersion": "0.1.0",
              "informationUri": "https://github.com/plinth-dev/plinth",
              "rules": [
                {
                  "id": "drift/missing",
                  "shortDescription": {
                    "text": "A resource that Plinth created is gone"
                  },
                  "help": {
                    "text": "Run `plinth apply` to create it again, or `plinth state rm` if it is meant to be gone."
                  }
                },
                {
                  "id": "drift/changed",
                  "shortDescription": {
                    "text": "A resource differs from what Plinth recorded"
                  },
                  "help": {
                    "text": "Run `plinth apply` to bring it back, or carry the change over into the stack file."
                  }
                }
              ]
            }
          },
          "automationDetails": {
            "id": "plinth-drift/prod/"
          },
          "columnKind": "unicodeCodePoints",
          "results": [
            {
              "ruleId": "drift/changed",
              "ruleIndex": 1,
              "level": "warning",
              "message": {
                "text": "k8s:apps/v1/Deployment::grafana/grafana differs from what was recorded: spec.replicas: 2 → 3  (by kubectl-edit, 2026-03-01T12:30:00Z); metadata.labels.a|b: added \"`x`\"; data.token: (secret), changed."
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "stacks/prod.yaml"
                    },
                    "region": {
                      "startLine": 1
                    }
                  },
                  "logicalLocations": [
                    {
                      "name": "grafana/grafana",
                      "fullyQualifiedName": "plinth:prod::k8s:apps/v1/Deployment::grafana/grafana",
                      "kind": "resource"
                    }
                  ]
                }
              ],
              "partialFingerprints": {
                "plinthUrn/v1": "plinth:prod::k8s:apps/v1/Deployment::grafana/grafana#changed"
              }
            },
            {
              "ruleId": "drift/missing",
              "ruleIndex": 0,
              "level": "error",
              "message": {
                "text": "k8s:v1/ConfigMap::a \"quoted\" name is gone."
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "stacks/prod.yaml"
                    },
                    "region": {
                      "startLine": 1
                    }
                  },
                  "logicalLocations": [
                    {
                      "name": "a \"quoted\" name",
                      "fullyQualifiedName": "plinth:prod::k8s:v1/ConfigMap::a \"quoted\" name",
                      "kind": "resource"
                    }
                  ]
                }
              ],
              "partialFingerprints": {
                "plinthUrn/v1": "plinth:prod::k8s:v1/ConfigMap::a \"quoted\" name#missing"
              }
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn drift_as_metrics() {
    assert_snapshot!(drift::prometheus("prod", &drifted(), at("2026-03-01T12:30:00.5Z")), @r#"
    # HELP plinth_drift_resources Resources of the stack, by what became of them.
    # TYPE plinth_drift_resources gauge
    plinth_drift_resources{stack="prod",verdict="missing"} 1
    plinth_drift_resources{stack="prod",verdict="changed"} 1
    plinth_drift_resources{stack="prod",verdict="unchanged"} 208
    # HELP plinth_drift_resource One for every resource that is not as recorded.
    # TYPE plinth_drift_resource gauge
    plinth_drift_resource{stack="prod",kind="k8s:apps/v1/Deployment",name="grafana/grafana",verdict="changed"} 1
    plinth_drift_resource{stack="prod",kind="k8s:v1/ConfigMap",name="a \"quoted\" name",verdict="missing"} 1
    # HELP plinth_drift_resource_fields How many fields of a resource differ from what was recorded.
    # TYPE plinth_drift_resource_fields gauge
    plinth_drift_resource_fields{stack="prod",kind="k8s:apps/v1/Deployment",name="grafana/grafana",verdict="changed"} 3
    # HELP plinth_drift_checked_timestamp_seconds When live systems were asked.
    # TYPE plinth_drift_checked_timestamp_seconds gauge
    plinth_drift_checked_timestamp_seconds{stack="prod"} 1772368200.5
    "#);
}

#[test]
fn no_secret_is_in_any_drift_report() {
    let report = drifted();
    for text in [
        drift::text("prod", &report, &Style::default()),
        drift::json("prod", &report),
        drift::markdown("prod", &report),
        drift::sarif("prod", &report),
    ] {
        assert!(!text.contains("\"old\"") && !text.contains("\"new\""), "{text}");
    }
}

fn revision(number: u64, command: &str, result: Option<Finish>, counts: &[(&str, u64)]) -> Arc<Revision> {
    Arc::new(Revision {
        number,
        command: command.into(),
        seq: number * 10,
        started: at("2026-03-01T12:00:00Z"),
        finished: result.map(|_| at("2026-03-01T12:01:32Z")),
        result,
        counts: counts.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect::<BTreeMap<_, _>>(),
        provenance: None,
        settings: serde_json::Value::Null,
        stack_file_digest: String::new(),
        promotion: None,
    })
}

fn from(kind: ProvenanceKind, stack: &str, revision: u64) -> Option<Provenance> {
    Some(Provenance {
        kind,
        from_stack: stack.into(),
        revision,
        base: serde_json::Value::Null,
        overlay: serde_json::Value::Null,
    })
}

fn revisions() -> Vec<Arc<Revision>> {
    let mut revisions = vec![
        revision(1, "apply", Some(Finish::Succeeded), &[("create", 250), ("same", 3)]),
        revision(2, "promote", Some(Finish::Failed), &[("update", 3), ("failed", 1), ("skipped", 4)]),
        revision(3, "rollback", None, &[]),
        revision(4, "apply", Some(Finish::Interrupted), &[("replace", 1), ("delete", 2)]),
        revision(5, "apply", None, &[]),
    ];
    Arc::make_mut(&mut revisions[1]).provenance = from(ProvenanceKind::Promotion, "dev", 4);
    Arc::make_mut(&mut revisions[2]).provenance = from(ProvenanceKind::Rollback, "prod", 1);
    revisions
}

#[test]
fn history_newest_first() {
    assert_snapshot!(history::text(&revisions(), &TimeZone::UTC, &Style::default()), @r"
    revision  began                command   result         took  what
           5  2026-03-01 12:00:00  apply     unfinished
           4  2026-03-01 12:00:00  apply     interrupted  1m 32s  -/+1 -2
           3  2026-03-01 12:00:00  rollback  cut off              rolled back to 1
           2  2026-03-01 12:00:00  promote   failed       1m 32s  promoted from dev@4; ~3 failed 1 skipped 4
           1  2026-03-01 12:00:00  apply     succeeded    1m 32s  +250
    ");
    assert_snapshot!(history::text(&[], &TimeZone::UTC, &Style::default()), @"No revisions. Nothing has been applied to this stack yet.");
    assert_snapshot!(history::markdown("prod", &revisions()[..2], &TimeZone::UTC), @r"
    ## History of `prod`

    | revision | began | command | result | took | what |
    | ---: | --- | --- | --- | ---: | --- |
    | 2 | 2026-03-01 12:00:00 | promote | failed | 1m 32s | promoted from dev@4; ~3 failed 1 skipped 4 |
    | 1 | 2026-03-01 12:00:00 | apply | succeeded | 1m 32s | +250 |
    ");
}

#[test]
fn a_recorded_resource_in_full_but_for_its_secrets() {
    let recorded = Recorded {
        urn: urn(BUCKET, "loki-chunks"),
        id: "arn:aws:s3:::loki-chunks".into(),
        inputs: Value::from([("region", "eu-west-1".into()), ("key", Value::secret("hunter2"))]),
        outputs: Value::from([("arn", Value::from("arn:aws:s3:::loki-chunks"))]),
        connection: None,
        dependencies: vec![urn(NAMESPACE, "logs")],
        options: Options { protect: true, phase: "storage".into(), ..Options::default() },
        unsettled: true,
    };
    assert_snapshot!(state::outputs(&recorded, &Style::default()), @r#"
    aws:s3/Bucket::loki-chunks
      arn: "arn:aws:s3:::loki-chunks"
    "#);
    let tracked = Tracked {
        recorded: recorded.into(),
        created_revision: 3,
        updated_at: at("2026-03-01T12:00:00.25Z"),
        duration_ms: 1500,
    };
    assert_snapshot!(state::resource(&tracked, &Style::default()), @r#"
    plinth:prod::aws:s3/Bucket::loki-chunks
      id: arn:aws:s3:::loki-chunks
      created by revision 3
      last written 2026-03-01T12:00:00Z, its last operation took 1.5s
      its last operation did not end well; the next apply brings it to its inputs again
      inputs
        key: (secret)
        region: "eu-west-1"
      outputs
        arn: "arn:aws:s3:::loki-chunks"
      needs
        k8s:v1/Namespace::logs
      options
        phase: "storage"
        protect: true
    "#);
}

#[test]
fn a_log_whole_or_damaged() {
    let mut report = plinth_state::Report { entries: 1, checkpoints: 2, ..plinth_state::Report::default() };
    assert_snapshot!(state::verify("prod", &report), @"The log of prod is whole: 1 entry and 2 checkpoints.");
    report.problems.push(plinth_state::Problem {
        seq: Some(7),
        file: "log/00000000000000000007.json".into(),
        what: "its checksum does not fit".into(),
        todo: "restore it",
    });
    assert_snapshot!(state::verify("prod", &report), @r"
    entry 7 (log/00000000000000000007.json): its checksum does not fit
      restore it

    The log of prod is damaged: 1 problem in 1 entry and 2 checkpoints.
    ");
    assert_snapshot!(state::verify_json(&report), @r#"
    {"event":"verified","entries":1,"first":0,"checkpoints":2,"whole":false,"problems":[{"seq":7,"file":"log/00000000000000000007.json","what":"its checksum does not fit","todo":"restore it"}]}
    "#);
}

#[test]
fn findings_say_where_why_and_what_to_do() {
    let finding = |severity, message: &str, help: Option<&str>| Finding {
        severity,
        rule: "replicas",
        message: message.into(),
        path: "platform.loki.replicas".into(),
        location: None,
        help: help.map(str::to_owned),
    };
    let findings = [
        finding(Severity::Error, "one replica is no high availability", Some("set it to 3")),
        finding(Severity::Info, "it takes about 3 GiB", None),
    ];
    assert_snapshot!(check::text("prod", &findings, &Style::default()), @r"
    error: one replica is no high availability
      platform.loki.replicas (replicas)
      help: set it to 3

    note: it takes about 3 GiB
      platform.loki.replicas (replicas)

    prod: 1 error and 1 note.
    ");
    assert_snapshot!(check::text("dev", &[], &Style::default()), @"dev: nothing to object to.");
    let lines: Vec<String> = check::events(&findings).iter().map(ToString::to_string).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    {"event":"finding","severity":"error","rule":"replicas","message":"one replica is no high availability","path":"platform.loki.replicas","at":null,"help":"set it to 3"}
    {"event":"finding","severity":"info","rule":"replicas","message":"it takes about 3 GiB","path":"platform.loki.replicas","at":null,"help":null}
    {"event":"summary","errors":1,"warnings":0,"infos":1}
    "#);
}
