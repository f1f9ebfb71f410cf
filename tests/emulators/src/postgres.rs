//! A PostgreSQL server with a database of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::server::{Process, tool};

/// The user that owns nothing: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// A PostgreSQL server: superuser `plinth` with [`Postgres::PASSWORD`], database `postgres`.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
}

/// Starts PostgreSQL.
///
/// # Panics
/// When it cannot be started; with what it said.
pub fn postgres() -> Option<Postgres> {
    let (server, initdb) = (tool("PLINTH_POSTGRES")?, tool("PLINTH_INITDB")?);
    let command = |port: u16, folder: &Path| {
        let (server, data) = prepare(&server, &initdb, folder);
        let mut command = Command::new(server);
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        command.arg("-k").arg(&data);
        for setting in ["dynamic_shared_memory_type=mmap", "max_connections=200", "shared_buffers=16MB"] {
            command.args(["-c", setting]);
        }
        as_nobody(&mut command);
        command
    };
    let (process, port) = Process::start("postgres", command, |folder, _| {
        let status = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        status.lines().nth(7).is_some_and(|line| line.trim() == "ready")
    });
    Some(Postgres { process, port })
}

impl Postgres {
    /// The superuser's password.
    pub const PASSWORD: &str = "for-tests-only";

    /// `postgres://plinth:…@127.0.0.1:<port>/postgres`.
    pub fn url(&self) -> String {
        format!("postgres://plinth:{}@127.0.0.1:{}/postgres", Self::PASSWORD, self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, and with all its children.
        self.process.end(Signal::QUIT);
    }
}

/// Makes the data folder, and gives the server's program and that folder.
fn prepare(server: &Path, initdb: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let (mut server, mut initdb) = (server.to_owned(), initdb.to_owned());
    if is_root() {
        // What belongs to root may lie where nobody else can reach it, below root's home for one.
        let copy = folder.join("programs");
        let package = server.ancestors().nth(4).expect("the package's folder").to_owned();
        let inside = |program: &Path| copy.join(program.strip_prefix(&package).expect("in the package"));
        copy_programs(&package, &copy);
        (server, initdb) = (inside(&server), inside(&initdb));
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let data = folder.join("data");
    fs::create_dir(&data).expect("the data folder");
    let password = folder.join("password");
    fs::write(&password, Postgres::PASSWORD).expect("the password");
    if is_root() {
        chown(&data, Some(NOBODY), Some(NOBODY)).expect("the data folder's owner");
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("permissions");
    let mut command = Command::new(initdb);
    command.arg("-D").arg(&data).args(["-U", "plinth", "--no-sync", "--no-locale", "-E", "UTF8"]);
    command.args(["--auth", "scram-sha-256", "--pwfile"]).arg(password);
    as_nobody(&mut command);
    let output = command.stdin(Stdio::null()).output().expect("initdb starts");
    assert!(
        output.status.success(),
        "initdb failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (server, data)
}

/// Whether this process is root's.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn as_nobody(command: &mut Command) {
    if is_root() {
        // Leaves root's further groups too.
        command.uid(NOBODY).gid(NOBODY);
    }
    // The folder that tests run in may be closed to nobody.
    command.current_dir("/").env("LC_ALL", "C");
}

/// Copies what the two programs need, readable by everybody: no headers, no static libraries.
fn copy_programs(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("permissions");
    for entry in fs::read_dir(from).expect("the package").map(|entry| entry.expect("its entry")) {
        let (source, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        let name = name.to_string_lossy();
        if source.is_dir() {
            if !matches!(&*name, "include" | "pgxs" | "doc" | "man") {
                copy_programs(&source, &target);
            }
        } else if !name.ends_with(".a") && (from.file_name() != Some("bin".as_ref()) || is_needed(&name)) {
            fs::copy(&source, &target).expect("a copy");
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).expect("permissions");
        }
    }
}

fn is_needed(program: &str) -> bool {
    matches!(program, "postgres" | "initdb")
}
