use insta::assert_snapshot;
use plinth_provider::{OutputRef, Path, Value};

use super::*;
use crate::present::{Style, plan_markdown, plan_text, plan_text_verbose};

fn reviewed() -> Plan {
    let mut update = step(Op::Update, "dashboards", DEPLOYMENT, "grafana/grafana");
    let image = "registry.example.org/observability/platform/grafana/grafana-enterprise-with-plugins";
    update.changes = vec![
        change("spec.replicas", Some(2.into()), Some(3.into())),
        change("metadata.labels[\"app.kubernetes.io/version\"]", None, Some("12.0".into())),
        change("spec.paused", Some(true.into()), None),
        change(
            "spec.template.spec.containers[0].image",
            Some(format!("{image}:12.0.1").into()),
            Some(format!("{image}:12.0.2").into()),
        ),
        change("spec.password", Some(Value::secret("old")), Some(Value::secret("new"))),
        change("spec.host", Some("a".into()), Some(Value::Unknown)),
    ];
    update.reason = Some("its live state drifted".into());
    let mut config = step(Op::Update, "logs", "k8s:v1/ConfigMap", "logs/loki");
    config.changes = vec![change(
        "data[\"loki.yaml\"]",
        Some("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\n".into()),
        Some("a: 1\nb: 2\nc: 3\nd: 5\ne: 5\nf: 6\n\x1b[2Jg: 7\n".into()),
    )];
    let mut replace = step(Op::Replace, "storage", BUCKET, "loki-chunks");
    replace.changes = vec![
        change("region", Some("eu-central-1".into()), Some("eu-west-1".into())),
        change("tags.team", Some("a".into()), Some("b".into())),
    ];
    replace.forced_by = vec![Path::parse("region")];
    let mut dependent = step(Op::Replace, "identity", "aws:iam/RolePolicy", "loki");
    dependent.delete_before_replace = true;
    dependent.forced_by = vec![Path::parse("role")];
    let mut moved = step(Op::Update, "logs", NAMESPACE, "logging");
    moved.moved_from = Some(urn(NAMESPACE, "logs"));
    let mut created = step(Op::Create, "logs", "k8s:v1/Secret", "logs/token");
    let reference = OutputRef { urn: urn(BUCKET, "loki-chunks"), path: "name".into() };
    created.inputs = Value::from([
        ("bucket", Value::Output(reference)),
        ("data", Value::from([("token", Value::secret("hunter2"))])),
        ("list", Value::List(vec![1.into(), "two".into()])),
        ("script", "set -e\nrun\n".into()),
    ]);
    let mut plan = plan(vec![
        replace,
        dependent,
        created,
        step(Op::Create, "logs", DEPLOYMENT, "logs/loki-write"),
        step(Op::Create, "", "plinth:Data", "note"),
        update,
        config,
        moved,
        step(Op::Same, "cluster", NAMESPACE, "kube-system"),
        step(Op::Delete, "traces", DEPLOYMENT, "traces/tempo"),
        step(Op::Forget, "storage", BUCKET, "archive"),
    ]);
    plan.notes.push("3 resources were read more than 15 minutes ago".into());
    plan
}

#[test]
fn a_plan_can_be_reviewed() {
    assert_snapshot!(plan_text(&reviewed(), &Style { colour: false, width: 100 }), @r#"
    3 resources to create
      logs (2)
        + k8s:v1/Secret::logs/token
        + k8s:apps/v1/Deployment::logs/loki-write
      resources (1)
        + plinth:Data::note

    3 resources to update in place
      dashboards (1)
        ~ k8s:apps/v1/Deployment::grafana/grafana
            (its live state drifted)
            spec.replicas: 2 → 3
            metadata.labels["app.kubernetes.io/version"]: + "12.0"
            spec.paused: - true
            spec.template.spec.containers[0].image: …se-with-plugins:12.0.1" → …se-with-plugins:12.0.2"
            spec.password: (secret), changed
            spec.host: "a" → (known after apply)
      logs (2)
        ~ k8s:v1/ConfigMap::logs/loki
            data["loki.yaml"]:
                b: 2
                c: 3
              - d: 4
              + d: 5
                e: 5
                f: 6
              + g: 7
        ~ k8s:v1/Namespace::logging
            (was k8s:v1/Namespace::logs)

    2 resources to replace
      storage (1)
        -/+ aws:s3/Bucket::loki-chunks
            (the new one is created before the old one is deleted)
            region: "eu-central-1" → "eu-west-1"  (forces replacement)
            tags.team: "a" → "b"
      identity (1)
        -/+ aws:iam/RolePolicy::loki
            (the old one is deleted before the new one is created)
            role: forces replacement

    1 resource to delete
      traces (1)
        - k8s:apps/v1/Deployment::traces/tempo

    1 resource to forget (no longer managed, left where they are)
      storage (1)
        = aws:s3/Bucket::archive

    Plan: 3 to create, 3 to update, 2 to replace, 1 to delete, 1 to forget; 1 unchanged.
    note: 3 resources were read more than 15 minutes ago
    "#);
}

#[test]
fn verbose_shows_the_inputs_of_what_is_created_and_no_secret() {
    let text = plan_text_verbose(&reviewed(), &Style { colour: false, width: 80 });
    let created: Vec<&str> = text.lines().take_while(|line| !line.contains("to update")).collect();
    assert_snapshot!(created.join("\n"), @r#"
    3 resources to create
      logs (2)
        + k8s:v1/Secret::logs/token
            bucket: (known after apply)
            data.token: (secret)
            list[0]: 1
            list[1]: "two"
            script:
              set -e
              run
        + k8s:apps/v1/Deployment::logs/loki-write
      resources (1)
        + plinth:Data::note
    "#);
}

#[test]
fn nothing_to_do_is_said_in_one_sentence() {
    let same = plan(vec![step(Op::Same, "", "plinth:Data", "a")]);
    assert_snapshot!(plan_text(&same, &Style::default()), @"No changes. Everything is as the stack file says.");
    assert_snapshot!(plan_markdown(&same), @r"
    ## Plan for `prod`

    No changes. Everything is as the stack file says.
    ");
}

#[test]
fn a_plan_fits_into_a_merge_request() {
    assert_snapshot!(plan_markdown(&reviewed()), @r#"
    ## Plan for `prod`

    Plan: 3 to create, 3 to update, 2 to replace, 1 to delete, 1 to forget; 1 unchanged.

    > 3 resources were read more than 15 minutes ago

    <details><summary>3 resources to create</summary>

    ```diff
    # logs
    + k8s:v1/Secret::logs/token
    + k8s:apps/v1/Deployment::logs/loki-write
    # resources
    + plinth:Data::note
    ```

    </details>

    <details><summary>3 resources to update in place</summary>

    ```diff
    # dashboards
    ! k8s:apps/v1/Deployment::grafana/grafana
        (its live state drifted)
        spec.replicas: 2 → 3
        metadata.labels["app.kubernetes.io/version"]: + "12.0"
        spec.paused: - true
        spec.template.spec.containers[0].image: …-enterprise-with-plugins:12.0.1" → …-enterprise-with-plugins:12.0.2"
        spec.password: (secret), changed
        spec.host: "a" → (known after apply)
    # logs
    ! k8s:v1/ConfigMap::logs/loki
        data["loki.yaml"]:
            b: 2
            c: 3
          - d: 4
          + d: 5
            e: 5
            f: 6
          + g: 7
    ! k8s:v1/Namespace::logging
        (was k8s:v1/Namespace::logs)
    ```

    </details>

    <details open><summary>2 resources to replace</summary>

    ```diff
    # storage
    ! aws:s3/Bucket::loki-chunks
        (the new one is created before the old one is deleted)
        region: "eu-central-1" → "eu-west-1"  (forces replacement)
        tags.team: "a" → "b"
    # identity
    ! aws:iam/RolePolicy::loki
        (the old one is deleted before the new one is created)
        role: forces replacement
    ```

    </details>

    <details open><summary>1 resource to delete</summary>

    ```diff
    # traces
    - k8s:apps/v1/Deployment::traces/tempo
    ```

    </details>

    <details><summary>1 resource to forget (no longer managed, left where they are)</summary>

    ```diff
    # storage
    = aws:s3/Bucket::archive
    ```

    </details>
    "#);
}

#[test]
fn colours_change_nothing_but_colours() {
    let plain = plan_text(&reviewed(), &Style { colour: false, width: 100 });
    let coloured = plan_text(&reviewed(), &Style { colour: true, width: 100 });
    assert_ne!(plain, coloured);
    assert_eq!(plain, console::strip_ansi_codes(&coloured));
}

#[test]
fn no_secret_is_in_any_rendering_of_a_plan() {
    let style = Style { colour: true, width: 200 };
    for text in
        [plan_text(&reviewed(), &style), plan_text_verbose(&reviewed(), &style), plan_markdown(&reviewed())]
    {
        assert!(!text.contains("hunter2") && !text.contains("\"old\"") && !text.contains("\"new\""));
    }
}

#[test]
fn a_plan_of_thousands_is_rendered_quickly() {
    let steps = (0..5_000)
        .map(|at| step(Op::Create, &format!("phase-{}", at % 20), "plinth:Data", &format!("r{at}")))
        .collect();
    let text = plan_text(&plan(steps), &Style::default());
    assert!(text.ends_with("Plan: 5000 to create, 0 to update, 0 to replace, 0 to delete; 0 unchanged.\n"));
    assert_eq!(text.lines().count(), 5_000 + 20 + 3);
}

#[test]
fn what_is_made_anew_in_its_place_is_said_so() {
    let mut set = step(Op::Replace, "logs", "k8s:apps/v1/StatefulSet", "logs/loki");
    set.delete_before_replace = true;
    set.by_update = true;
    let text = plan_text(&plan(vec![set]), &Style::default());
    assert!(text.contains("(it is made anew in its place; what belongs to it stays)"), "{text}");
    assert!(!text.contains("deleted before"), "{text}");
}
