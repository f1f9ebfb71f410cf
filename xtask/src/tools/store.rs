//! The folder that holds installed tools: `packages/<name>-<version>-<checksum>/` whole packages, `bin/` links to
//! their programs for people. A package folder appears by one rename, so its presence means that it is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::fetch::fetch;
use super::table::{Package, Program};
use crate::{process, workspace};

/// Installs packages, or finds that they are installed.
pub struct Store {
    root: PathBuf,
    // Held as long as the store: two runs at once must not install over each other.
    _lock: File,
}

impl Store {
    /// Opens the workspace's store, waiting for another run that is using it.
    pub fn open() -> Result<Self> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            bail!(
                "the pinned tools are built for Linux on x86_64 only; elsewhere run `cargo nextest run --workspace`, \
                 which skips the tests that need them"
            );
        }
        Self::open_at(workspace::tools_dir())
    }

    fn open_at(root: PathBuf) -> Result<Self> {
        for dir in ["packages", "bin"] {
            let dir = root.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let path = root.join("lock");
        let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { root, _lock: lock })
    }

    /// Makes a package's programs available and returns the path of each, in the table's order.
    ///
    /// These are paths inside the package, which never change, and not the links: a checkout with other pins that
    /// shares this folder may move those while tests of this one run.
    pub fn install(&self, package: &Package) -> Result<Vec<PathBuf>> {
        let home = self.home(package);
        if home.exists() && package.programs.iter().any(|program| works(&home, program).is_err()) {
            eprintln!(
                "tools: {} {} does not work any more, installing it anew",
                package.name, package.version
            );
            remove(&home)?;
        }
        if !home.exists() {
            self.unpack(package, &home)
                .with_context(|| format!("cannot install {} {}", package.name, package.version))?;
        }
        for program in package.programs {
            self.link(&home, program)?;
        }
        Ok(package.programs.iter().map(|program| home.join(program.path)).collect())
    }

    fn home(&self, package: &Package) -> PathBuf {
        let name = package.name.trim_start_matches('@').replace('/', "-");
        let checksum = package.sha256.get(..12).unwrap_or(package.sha256);
        self.root.join("packages").join(format!("{name}-{}-{checksum}", package.version))
    }

    /// Fetches into a folder beside the final one, proves the programs to work there, and renames it.
    fn unpack(&self, package: &Package, home: &Path) -> Result<()> {
        eprintln!("tools: installing {} {}", package.name, package.version);
        let staging = self.root.join("staging");
        remove(&staging)?;
        let (scratch, unpacked) = (staging.join("download"), staging.join("unpacked"));
        fs::create_dir_all(&scratch)?;
        fs::create_dir_all(&unpacked)?;
        fetch(package, &scratch, &unpacked)?;
        for program in package.programs {
            works(&unpacked, program)?;
        }
        fs::rename(&unpacked, home).with_context(|| format!("cannot create {}", home.display()))?;
        remove(&staging)
    }

    fn link(&self, home: &Path, program: &Program) -> Result<()> {
        let (target, link) = (home.join(program.path), self.root.join("bin").join(program.name));
        if fs::read_link(&link).is_ok_and(|current| current == target) {
            return Ok(());
        }
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        symlink(&target, &link).with_context(|| format!("cannot link {}", link.display()))
    }
}

/// Asks a program for its version and compares the answer.
fn works(home: &Path, program: &Program) -> Result<()> {
    let answer = process::capture(Command::new(home.join(program.path)).args(program.check))?;
    if !answer.contains(program.answers) {
        bail!("{} answers {:?}, without {:?}", program.name, answer.trim_end(), program.answers);
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    fs::copy(target, link).map(drop)
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::table::Source;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const PACKAGE: Package = Package {
        name: "@scope/never-fetched",
        version: "1.2.3",
        sha256: "0000000000000000000000000000000000000000000000000000000000000000",
        source: Source::Wheel,
        programs: &[Program {
            name: "greet",
            path: "usr/greet",
            env: None,
            check: &["world"],
            answers: "hello world",
        }],
    };

    fn store(dir: &Path, script: &str) -> Store {
        let store = Store::open_at(dir.join("tools")).expect("store");
        let program = store.home(&PACKAGE).join("usr/greet");
        fs::create_dir_all(program.parent().expect("parent")).expect("folder");
        fs::write(&program, script).expect("script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("mode");
        store
    }

    #[test]
    fn an_installed_package_is_only_linked() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let store = store(dir.path(), "#!/bin/sh\necho hello $1\n");
        for _ in 0..2 {
            let paths = store.install(&PACKAGE).expect("installed");
            assert_eq!(paths, [store.home(&PACKAGE).join("usr/greet")]);
            let answer =
                process::capture(Command::new(dir.path().join("tools/bin/greet")).arg("you")).expect("runs");
            assert_eq!(answer, "hello you\n");
        }
    }

    #[test]
    fn a_link_to_an_older_version_is_moved() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let store = store(dir.path(), "#!/bin/sh\necho hello $1\n");
        let link = dir.path().join("tools/bin/greet");
        symlink(Path::new("/nowhere"), &link).expect("stale link");
        let paths = store.install(&PACKAGE).expect("installed");
        assert_eq!(fs::read_link(&link).expect("link"), paths[0]);
    }

    #[test]
    fn a_program_of_another_version_does_not_pass() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let store = store(dir.path(), "#!/bin/sh\necho goodbye $1\n");
        let error = works(&store.home(&PACKAGE), &PACKAGE.programs[0]).expect_err("wrong answer").to_string();
        assert!(error.contains("goodbye world") && error.contains("hello world"), "{error}");
    }
}
