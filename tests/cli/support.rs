//! A folder to run Plinth in, and the clients to look at what it did with.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// A folder with stack files, and nothing of the user's environment.
pub struct Sandbox {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What a command printed and how it ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Standard output as events, one per line.
    #[track_caller]
    pub fn events(&self) -> Vec<Json> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The summary event, which is the last one.
    #[track_caller]
    pub fn summary(&self) -> Json {
        let last = self.events().pop().unwrap_or_else(|| panic!("no events; stderr: {}", self.err));
        assert_eq!(last["event"], "summary", "the last event is the summary: {last}");
        last
    }

    /// Create, update, replace, delete, failed of the summary.
    #[track_caller]
    pub fn counts(&self) -> [u64; 5] {
        let summary = self.summary();
        ["create", "update", "replace", "delete", "failed"].map(|key| summary[key].as_u64().unwrap())
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A sandbox with the repository's own stack files.
    pub fn with_stacks() -> Self {
        let sandbox = Self::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks");
        for folder in ["", "shared"] {
            for entry in std::fs::read_dir(from.join(folder)).unwrap().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "yaml") {
                    let to = sandbox.path("stacks").join(folder);
                    std::fs::create_dir_all(&to).unwrap();
                    std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        sandbox
    }

    /// Leaves the folder where it is, for a person to look at.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub fn write(&self, relative: &str, text: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces a text in a file; it must be there.
    #[track_caller]
    pub fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "{relative} holds `{from}`:\n{text}");
        self.write(relative, text.replace(from, to));
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// A command on a stack whose account, and its state with it, is at this address.
    pub fn on_aws(&self, url: &str, stack: &str, secret: &str, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command
            .args(["-s", stack, "--state", "s3://state/plinth"])
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", secret);
        command
    }

    /// Sets an environment variable of every command from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn plinth(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Keeps the embedded cloud up until the guard is dropped.
    pub fn serve(&self, args: &[&str]) -> Serving<'_> {
        let mut all = vec!["local", "serve"];
        all.extend(args);
        let child = self.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut serving = Serving { sandbox: self, child };
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut kubeconfig = vec!["local", "kubeconfig"];
            kubeconfig.extend(args);
            let ran = self.plinth(&kubeconfig);
            if ran.code == 0 {
                self.write("kubeconfig", ran.out);
                return serving;
            }
            assert!(serving.child.try_wait().unwrap().is_none(), "`plinth local serve` ended: {}", ran.err);
            assert!(Instant::now() < deadline, "`plinth local serve` does not serve: {}", ran.err);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs the real kubectl against the cluster that a kubeconfig names.
    #[track_caller]
    pub fn kubectl(&self, kubeconfig: &Path, args: &[&str]) -> Ran {
        let program = std::env::var_os("PLINTH_KUBECTL").unwrap_or_else(|| "kubectl".into());
        let output = Command::new(&program)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(args)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .output();
        Ran::of(output.unwrap_or_else(|error| {
            panic!("kubectl ({}) cannot run: {error}; `cargo xtask test` installs it", program.display())
        }))
    }

    /// Everything in the folder, file by file.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => files.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default())),
                }
            }
        }
        files
    }
}

/// A running `plinth local serve`.
pub struct Serving<'a> {
    sandbox: &'a Sandbox,
    child: Child,
}

impl Serving<'_> {
    /// Runs the real kubectl against the embedded API server.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> Ran {
        self.sandbox.kubectl(&self.sandbox.path("kubeconfig"), args)
    }

    /// How many requests that change something the API server has seen.
    #[track_caller]
    pub fn writes(&self) -> u64 {
        use std::io::{Read, Write};
        let kubeconfig = std::fs::read_to_string(self.sandbox.path("kubeconfig")).unwrap();
        let value = |key: &str| kubeconfig.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        let (address, token) = (value("server: https://"), value("token: "));
        // The same port speaks without TLS, too.
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /metrics-lite HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = &reply[reply.find('{').unwrap_or_else(|| panic!("{reply}"))..=reply.rfind('}').unwrap()];
        let counters: Json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}"));
        counters["writes"].as_u64().unwrap_or_else(|| panic!("no counter of writes: {counters}"))
    }

    /// Ends it in good order.
    pub fn end(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }

    /// Kills it as a machine would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stack with one resource of each provider, and an edge between each two.
pub const SMALL: &str = r#"apiVersion: plinth.dev/v1
kind: Stack
name: small
cloud: { provider: local }
resources:
  - { kind: "plinth:Data", name: first, inputs: { value: "v0" } }
  - { kind: "plinth:Data", name: second, inputs: { value: "after ${first.value}" } }
  - kind: "local:cloud/Bucket"
    name: store
    inputs: { name: small-store, location: local-1 }
  - kind: "k8s:v1/Namespace"
    name: app
    inputs: { metadata: { name: app } }
  - kind: "k8s:v1/ConfigMap"
    name: note
    inputs: { metadata: { name: note, namespace: app }, data: { text: "${second.value}", bucket: "${store.name}" } }
  - kind: "k8s:apps/v1/Deployment"
    name: web
    inputs:
      metadata: { name: web, namespace: app, labels: { app: web } }
      spec:
        replicas: 2
        selector: { matchLabels: { app: web } }
        template:
          metadata: { labels: { app: web } }
          spec:
            containers:
              - name: web
                image: docker.io/library/web:1.0.0
                envFrom: [ { configMapRef: { name: note } } ]
  - kind: "k8s:storage.k8s.io/v1/StorageClass"
    name: disk
    inputs: { metadata: { name: small-disk }, provisioner: local.plinth.dev/disk, allowVolumeExpansion: true }
  - kind: "k8s:apps/v1/StatefulSet"
    name: db
    inputs:
      metadata: { name: db, namespace: app, labels: { app: db } }
      spec:
        serviceName: db
        replicas: 1
        selector: { matchLabels: { app: db } }
        template:
          metadata: { labels: { app: db } }
          spec:
            containers:
              - { name: db, image: "docker.io/library/db:1.0.0", volumeMounts: [ { name: data, mountPath: /data } ] }
        volumeClaimTemplates:
          - metadata: { name: data }
            spec: { accessModes: [ ReadWriteOnce ], storageClassName: small-disk, resources: { requests: { storage: 1Gi } } }
"#;

/// The binary that is tried: the one that was built with these tests, or what `PLINTH_BINARY` names.
pub fn binary() -> PathBuf {
    std::env::var_os("PLINTH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_plinth").into(), PathBuf::from)
}
