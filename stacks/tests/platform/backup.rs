//! The backup's scripts, run by a shell against a Grafana and a bucket that are three lines of shell each.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::support::{cases, manifest};

/// Answers what Grafana answers: two pages of dashboards, everything else an empty list; `broken` is an error.
const CURL: &str = r#"#!/bin/sh
for url in "$@"; do :; done
case "$url" in
  *broken*) echo "curl: (22) 500" >&2; exit 22 ;;
  *search*page=1) printf '[{"id":1,"uid":"one","folderUid":"f"},{"id":2,"uid":"two"}]' ;;
  *search*page=2) printf '[{"id":3,"uid":"%s"}]' "${THIRD:-three}" ;;
  */dashboards/uid/*) printf '{"dashboard":{"uid":"%s"}}' "${url##*/}" ;;
  *) printf '[]' ;;
esac
"#;

/// Copies into a folder, and writes down what it was asked.
const RCLONE: &str = r#"#!/bin/sh
echo "$*" >> "$LOG"
if [ "$1" = copy ]; then
  target="$BUCKETS/$(echo "$4" | cut -d: -f2)"
  mkdir -p "$target" && cp -R "$3"/. "$target"
fi
"#;

fn scripts() -> (String, String) {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == "gcp").unwrap();
    let config = case
        .resources
        .iter()
        .find(|one| one.urn.kind() == "k8s:v1/ConfigMap" && one.urn.name() == "observability/backup");
    let data = manifest(config.unwrap())["data"].clone();
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (text("export.sh"), text("upload.sh"))
}

/// Runs a script with the stand-ins, and with the pod's folders moved below `root`.
fn run(root: &Path, script: &str, variables: &[(&str, &str)]) -> Output {
    let here = |path: &str| root.join(path).to_string_lossy().into_owned();
    let script = script
        .replace("/backup/current", &here("backup/current"))
        .replace("/etc/grafana-admin", &here("admin"))
        .replace("/tmp/", &here("tmp/"));
    let file = root.join("script.sh");
    fs::write(&file, script).unwrap();
    Command::new("sh")
        .arg(&file)
        .env("PATH", format!("{}:{}", here("bin"), std::env::var("PATH").unwrap()))
        .env("LOG", here("log"))
        .env("BUCKETS", here("buckets"))
        .envs([("GRAFANA_HOST", "grafana"), ("GRAFANA_PORT", "3000"), ("CA_FILE", "/ca.crt")])
        .envs([("BUCKET", "kept"), ("KEEP", "86400s")])
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["admin", "tmp/", "bin"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    fs::write(root.path().join("admin/user"), "admin").unwrap();
    fs::write(root.path().join("admin/password"), "hush").unwrap();
    for (name, text) in [("curl", CURL), ("rclone", RCLONE)] {
        let file = root.path().join("bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    root
}

#[test]
fn every_dashboard_of_every_page_arrives_in_the_bucket() {
    let (export, upload) = scripts();
    let root = root();
    let output = run(root.path(), &export, &[]);
    assert!(output.status.success(), "{output:?}");
    let output = run(root.path(), &upload, &[]);
    assert!(output.status.success(), "{output:?}");
    let kept = root.path().join("buckets/kept/grafana");
    let stamp = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    for uid in ["one", "two", "three"] {
        let text = fs::read_to_string(stamp.join(format!("dashboards/{uid}.json"))).unwrap();
        assert!(text.contains(uid), "{text}");
    }
    for file in ["folders/all.json", "data-sources/all.json", "alerting/alert-rules.json"] {
        assert!(stamp.join(file).exists(), "{file}");
    }
    let asked = fs::read_to_string(root.path().join("log")).unwrap();
    let order: Vec<&str> = asked.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(order, ["copy", "check", "delete"], "nothing old goes before the new is there");
}

#[test]
fn what_cannot_be_exported_is_an_error_and_the_password_is_no_argument() {
    let (export, _) = scripts();
    let root = root();
    let output = run(root.path(), &export, &[("THIRD", "broken")]);
    assert!(!output.status.success(), "a dashboard that cannot be read must not be left out quietly");
    assert!(!export.contains("--user"), "the password would be in the list of processes");
}
