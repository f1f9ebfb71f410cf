//! The embedded API driven by a real `kubectl`, found in `PLINTH_KUBECTL` or on the path.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use plinth_local::kube::{ApiServer, Options, Serving};

struct Cluster {
    _serving: Serving,
    dir: tempfile::TempDir,
    kubectl: PathBuf,
}

impl Cluster {
    async fn new() -> Self {
        let kubectl =
            std::env::var_os("PLINTH_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
        let found = Command::new(&kubectl)
            .args(["version", "--client"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            found.is_ok_and(|s| s.success()),
            "no kubectl: put one on the path or name it in PLINTH_KUBECTL (tried {})",
            kubectl.display()
        );
        let api = ApiServer::in_memory(Options { time_scale: 0.5, ..Options::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let serving = api.serve(listener).expect("serves");
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("config"), serving.kubeconfig()).expect("writes");
        Self { _serving: serving, dir, kubectl }
    }

    async fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.dir.path().join("config"))
            .arg("--cache-dir")
            .arg(self.dir.path().join("cache"))
            .args(args)
            .env("HOME", self.dir.path())
            .env("KUBECTL_EXTERNAL_DIFF", "diff -u -N")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("starts");
            std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), input.as_bytes())
                .expect("writes");
            child.wait_with_output().expect("ends")
        })
        .await
        .expect("runs")
    }

    /// Runs a command that must succeed and say something.
    #[track_caller]
    fn ok<'a>(&'a self, line: &'a str, expected: &'a str) -> impl Future<Output = String> + 'a {
        self.with(line, "", expected)
    }

    async fn with(&self, line: &str, input: &str, expected: &str) -> String {
        let args: Vec<&str> = split(line);
        let output = self.run(&args, input).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {line}\n{text}{errors}");
        assert!(text.contains(expected), "kubectl {line} does not say {expected:?}:\n{text}{errors}");
        text
    }

    /// Runs a command that must fail and say why.
    async fn fails(&self, line: &str, input: &str, expected: &str) {
        let output = self.run(&split(line), input).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "kubectl {line} went well");
        assert!(errors.contains(expected), "kubectl {line} does not say {expected:?}:\n{errors}");
    }
}

/// Words, with single quotes around those that hold spaces.
fn split(line: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            out.push(part);
        } else {
            out.extend(part.split_whitespace());
        }
    }
    out
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  a: \"1\"\n";

#[tokio::test]
async fn generators_readers_and_writers() {
    let k = Cluster::new().await;
    k.ok("version", "Server Version: v1.36.2").await;
    k.ok("cluster-info", "is running at").await;
    k.ok("api-resources", "deployments").await;
    k.ok("api-versions", "networking.k8s.io/v1").await;
    k.ok("get namespaces", "kube-system").await;
    k.ok("get nodes -o wide", "plinth-local").await;
    k.ok("create namespace shop", "namespace/shop created").await;
    k.ok("create configmap note --from-literal=x=1 -n shop", "configmap/note created").await;
    k.ok("get configmap note -n shop -o jsonpath={.data.x}", "1").await;
    k.ok("create secret generic key --from-literal=a=b", "secret/key created").await;
    k.ok("get secret key -o go-template={{.type}}", "Opaque").await;
    k.ok("create service clusterip web --tcp=80:8080", "service/web created").await;
    k.ok("create serviceaccount robot", "serviceaccount/robot created").await;
    k.ok("create token robot", ".").await;
    k.ok("create role reader --verb=get --resource=pods", "role.rbac.authorization.k8s.io/reader created")
        .await;
    k.ok("create rolebinding b --role=reader --serviceaccount=default:robot", "created").await;
    k.ok("create quota q --hard=pods=30", "resourcequota/q created").await;
    k.ok("create poddisruptionbudget p --selector=app=web --min-available=1", "created").await;
    k.ok("create ingress i --rule=a.b/c=web:80", "ingress.networking.k8s.io/i created").await;
    k.ok("create cronjob c --image=busybox '--schedule=*/5 * * * *'", "cronjob.batch/c created").await;
    k.ok("auth can-i create pods", "yes").await;
    k.ok("auth whoami", "kubernetes-admin").await;
    k.ok("explain deployment.spec.strategy", "rollingUpdate").await;
    k.ok("explain cronjob --recursive", "schedule").await;
    k.ok("label configmap note -n shop tier=front", "labeled").await;
    k.ok("annotate configmap note -n shop owner=me", "annotated").await;
    k.ok("get cm -A -l tier=front", "note").await;
    k.ok("get cm -n shop note -o yaml --show-managed-fields", "manager: kubectl-label").await;
    k.ok("get --raw /readyz", "ok").await;
    k.ok("delete namespace shop --timeout=10s", "deleted").await;
    k.fails("get configmap note", "", "(NotFound): configmaps \"note\" not found").await;
    k.fails("get pods --field-selector spec.foo=x", "", "field label not supported: spec.foo").await;
}

#[tokio::test]
async fn applying_on_both_sides() {
    let k = Cluster::new().await;
    k.with("apply -f -", MAP, "configmap/applied created").await;
    k.with("apply -f -", MAP, "configmap/applied unchanged").await;
    let changed = MAP.replace("a: \"1\"", "a: \"2\"");
    let differs = k.run(&["diff", "-f", "-"], &changed).await;
    assert_eq!(differs.status.code(), Some(1), "{}", String::from_utf8_lossy(&differs.stderr));
    assert!(String::from_utf8_lossy(&differs.stdout).contains("+  a: \"2\""));
    k.with("apply -f -", &changed, "configmap/applied configured").await;
    k.fails(
        "apply --server-side -f - --field-manager=other",
        MAP,
        "conflict with \"kubectl-client-side-apply\" using v1: .data.a",
    )
    .await;
    k.with("apply --server-side --force-conflicts -f - --field-manager=other", MAP, "serverside-applied")
        .await;
    k.with(
        "apply --server-side -f - --dry-run=server --field-manager=other",
        MAP,
        "serverside-applied (server dry run)",
    )
    .await;
    k.with(
        "create --dry-run=server -f -",
        &MAP.replace("applied", "dry"),
        "configmap/dry created (server dry run)",
    )
    .await;
    k.fails("create -f -", &MAP.replace("data:", "dada:"), "unknown field \"dada\"").await;
    k.fails("create -f -", MAP, "already exists").await;
    k.with("replace -f -", MAP, "configmap/applied replaced").await;
    k.ok(
        "patch cm applied --type=json '-p=[{\"op\":\"add\",\"path\":\"/data/b\",\"value\":\"3\"}]'",
        "patched",
    )
    .await;
    k.ok("patch cm applied -p '{\"data\":{\"b\":null}}'", "patched").await;
    k.with("delete -f -", MAP, "configmap \"applied\"").await;
}

#[tokio::test]
async fn rollouts_and_pods() {
    let k = Cluster::new().await;
    k.ok("create deployment web --image=nginx:1 --replicas=2", "deployment.apps/web created").await;
    k.ok("rollout status deployment/web --timeout=20s", "successfully rolled out").await;
    k.ok("scale deployment web --replicas=3", "scaled").await;
    k.ok("set image deployment/web nginx=nginx:2", "image updated").await;
    k.ok("rollout status deployment/web --timeout=20s", "successfully rolled out").await;
    k.ok("rollout restart deployment/web", "restarted").await;
    k.ok("rollout status deployment/web --timeout=20s", "successfully rolled out").await;
    k.ok("rollout history deployment/web", "3").await;
    let owners =
        k.ok("get deployment web -o jsonpath={.metadata.managedFields[*].manager}", "kubectl-create").await;
    for manager in ["kubectl-set", "kubectl-rollout", "kube-controller-manager"] {
        assert!(owners.contains(manager), "{owners}");
    }
    k.ok("rollout undo deployment/web", "rolled back").await;
    k.ok("rollout status deployment/web --timeout=20s", "successfully rolled out").await;
    k.ok("get all -o wide", "deployment.apps/web").await;
    k.ok("describe deployment web", "MinimumReplicasAvailable").await;
    k.ok("logs deployment/web", "started").await;
    k.ok("events", "ScalingReplicaSet").await;
    k.ok("expose deployment web --port=80 --type=LoadBalancer", "service/web exposed").await;
    k.ok("wait --for=jsonpath={.status.loadBalancer.ingress} service/web --timeout=10s", "condition met")
        .await;
    k.ok("autoscale deployment web --min=1 --max=3", "autoscaled").await;
    k.ok("create job once --image=busybox", "job.batch/once created").await;
    k.ok("wait --for=condition=complete job/once --timeout=10s", "condition met").await;
    k.ok("run solo --image=busybox", "pod/solo created").await;
    k.ok("wait --for=condition=Ready pod/solo --timeout=10s", "condition met").await;
    k.ok("delete pod solo --timeout=10s", "deleted").await;
    k.ok("cordon plinth-local", "cordoned").await;
    k.ok("uncordon plinth-local", "uncordoned").await;
    k.ok("taint nodes plinth-local a=b:NoSchedule", "tainted").await;
    k.ok("delete deployment web --cascade=foreground --timeout=10s", "deleted").await;
}
