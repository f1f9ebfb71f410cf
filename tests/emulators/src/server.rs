//! Starting a server on a free port, waiting until it answers, ending it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::proxy::FaultProxy;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::process::{Pid, Signal, kill_process};
use sha2::Sha256;
use tempfile::TempDir;

/// How long a server may take to answer: several may be starting at once on a small machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a server is started anew, when another program has taken its port between our look and its own.
const TRIES: usize = 3;

/// The tool that an environment variable names. Without it a test has nothing to say, and says that; where tools are
/// required (`PLINTH_REQUIRE_TOOLS=1`), it fails.
///
/// # Panics
/// When tools are required and this one is missing.
pub fn tool(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var_os("PLINTH_REQUIRE_TOOLS").is_some_and(|value| value == "1");
        assert!(!required, "{variable} must name the tool: tools are required here");
        eprintln!("skipped: {variable} names no tool; `cargo xtask emulators` installs it");
    }
    found
}

/// Amazon's services by moto. Any credentials do.
///
/// It looks whether an object exists and stores it in two steps, so that of two creates that meet both may win. Amazon
/// does not do that; a proxy before it lets one create in at a time.
pub fn moto() -> Option<Server> {
    let program = tool("PLINTH_MOTO")?;
    let mut server = Server::start("moto", |port, _| {
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
        command
    });
    server.front = Some(FaultProxy::before(&server.url()));
    Some(server)
}

/// Amazon's services by ministack. Any credentials do.
pub fn ministack() -> Option<Server> {
    let program = tool("PLINTH_MINISTACK")?;
    Some(Server::start("ministack", |port, folder| {
        let mut command = Command::new(&program);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("IOT_MTLS_ENABLED", "0")
            .env("GATEWAY_PORT", port.to_string());
        command.env("HOME", folder).current_dir(folder);
        command
    }))
}

/// Azure's blobs by azurite: account `devstoreaccount1` with [`Server::AZURITE_KEY`].
pub fn azurite() -> Option<Server> {
    let program = tool("PLINTH_AZURITE")?;
    Some(Server::start("azurite", |port, folder| {
        let mut command = Command::new(&program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--skipApiVersionCheck"]);
        command.args(["--silent", "--disableTelemetry", "--inMemoryPersistence"]).current_dir(folder);
        command
    }))
}

/// Google's object storage by fake-gcs-server. It enforces preconditions for multipart uploads only.
pub fn fake_gcs_server() -> Option<Server> {
    let program = tool("PLINTH_FAKE_GCS_SERVER")?;
    Some(Server::start("fake-gcs-server", |port, _| {
        let mut command = Command::new(&program);
        let address = format!("127.0.0.1:{port}");
        command.args(["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-log-level", "error"]);
        command.args(["-port", &port.to_string(), "-public-host", &address]);
        command.args(["-external-url", &format!("http://{address}")]);
        command
    }))
}

/// A server that answers HTTP. Ends when dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    port: u16,
    front: Option<FaultProxy>,
}

impl Server {
    /// The key of azurite's one account: it is the same everywhere and protects nothing.
    pub const AZURITE_KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// Starts a server and waits until it answers HTTP.
    ///
    /// # Panics
    /// When it cannot be started or never answers; with what it said.
    pub fn start(name: &str, command: impl Fn(u16, &Path) -> Command) -> Self {
        let (process, port) = Process::start(name, command, |_, port| answers(port).unwrap_or(false));
        Self { process, port, front: None }
    }

    /// Where it is to be reached: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        if let Some(front) = &self.front {
            return front.url();
        }
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port of the server itself.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// Sends one request and returns the reply's status: enough to make a bucket.
    ///
    /// # Panics
    /// When there is no reply.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n", self.port);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let reply =
            exchange(self.port, text.as_bytes()).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("{method} {path}: no reply: {reply}"))
    }

    /// Makes an S3 bucket, in moto or ministack.
    ///
    /// # Panics
    /// When that fails.
    pub fn make_bucket(&self, name: &str) {
        let status = self.send("PUT", &format!("/{name}"), &[("Authorization", SIGNED)], "");
        assert!(status < 300, "making the bucket {name}: {status}");
    }
}

impl Server {
    /// Makes a container, in azurite.
    ///
    /// # Panics
    /// When that fails.
    pub fn make_container(&self, name: &str) {
        let (date, version) = ("Mon, 05 Jan 2026 00:00:00 GMT", "2021-08-06");
        let text = format!(
            "PUT{}x-ms-date:{date}\nx-ms-version:{version}\n/{account}/{account}/{name}\nrestype:container",
            "\n".repeat(12),
            account = AZURITE_ACCOUNT
        );
        let key = STANDARD.decode(Self::AZURITE_KEY).expect("the key is base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length does");
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let authorization = format!("SharedKey {AZURITE_ACCOUNT}:{signature}");
        let headers = [("x-ms-date", date), ("x-ms-version", version), ("Authorization", &authorization)];
        let status = self.send("PUT", &format!("/{AZURITE_ACCOUNT}/{name}?restype=container"), &headers, "");
        assert_eq!(status, 201, "making the container {name}");
    }
}

/// Azurite's one account.
const AZURITE_ACCOUNT: &str = "devstoreaccount1";

/// Shaped like a signature of version 4: moto takes the service and region from it and checks nothing.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=0";

fn answers(port: u16) -> std::io::Result<bool> {
    let reply = exchange(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    Ok(reply.starts_with("HTTP/1."))
}

fn exchange(port: u16, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request)?;
    let mut reply = [0; 1024];
    let length = stream.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..length]).into_owned())
}

/// A child process with a folder of its own. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts a process on a free port, and waits until it is ready.
    pub(crate) fn start(
        name: &str,
        command: impl Fn(u16, &Path) -> Command,
        ready: impl Fn(&Path, u16) -> bool,
    ) -> (Self, u16) {
        for _ in 1..TRIES {
            let (mut process, port) = Self::spawn(name, &command);
            if process.wait_until(|folder| ready(folder, port)) {
                return (process, port);
            }
        }
        let (mut process, port) = Self::spawn(name, &command);
        assert!(
            process.wait_until(|folder| ready(folder, port)),
            "{name} does not answer:\n{}",
            process.said()
        );
        (process, port)
    }

    fn spawn(name: &str, command: &impl Fn(u16, &Path) -> Command) -> (Self, u16) {
        let folder =
            tempfile::Builder::new().prefix("plinth-emulator-").tempdir().expect("a temporary folder");
        let port = free_port();
        let output = File::create(folder.path().join("output")).expect("a file for what it says");
        let child = command(port, folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        (Self { name: name.to_owned(), child, folder }, port)
    }

    fn wait_until(&mut self, ready: impl Fn(&Path) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("its state").is_some() {
                return false;
            }
            if ready(self.folder.path()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Asks the process to end by a signal, and waits; kills it when it does not.
    pub(crate) fn end(&mut self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if matches!(self.child.try_wait(), Ok(None))
            && let Some(pid) = pid
        {
            let _ = kill_process(pid, signal);
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            eprintln!("{} does not end by itself", self.name);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing of it is to stay, so it has nothing to put in order.
        self.end(Signal::KILL);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
