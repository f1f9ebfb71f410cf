//! The programs that are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::graph::Shape;
use super::measure::{Usage, measure};
use crate::process;

/// A program that plans and applies in a folder.
pub trait Subject {
    /// Writes the graph there, and whatever the program wants beside it.
    fn prepare(&self, folder: &Path, shape: Shape) -> Result<()>;
    /// Plans; `changes` says whether some are expected.
    fn plan(&self, folder: &Path, changes: bool) -> Result<Usage>;
    /// Applies.
    fn apply(&self, folder: &Path) -> Result<Usage>;
}

/// What this repository builds.
pub struct Plinth(PathBuf);

impl Plinth {
    /// The binary to measure.
    pub fn at(binary: PathBuf) -> Self {
        Self(binary)
    }

    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.current_dir(folder).args(args);
        for variable in ["PLINTH_STACK", "PLINTH_STATE", "PLINTH_PASSPHRASE", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
            command.env_remove(variable);
        }
        command
    }

    /// How long it takes to say which version it is.
    pub fn version(&self, folder: &Path) -> Result<Usage> {
        measure(&mut self.command(folder, &["--version"]), &[0])
    }
}

impl Subject for Plinth {
    fn prepare(&self, folder: &Path, shape: Shape) -> Result<()> {
        std::fs::write(folder.join("bench.yaml"), shape.stack_file()).context("the stack file")
    }

    fn plan(&self, folder: &Path, changes: bool) -> Result<Usage> {
        let code = if changes { 2 } else { 0 };
        measure(&mut self.command(folder, &["plan", "--stack", "bench.yaml"]), &[code])
    }

    fn apply(&self, folder: &Path) -> Result<Usage> {
        measure(&mut self.command(folder, &["apply", "--stack", "bench.yaml", "--yes"]), &[0])
    }
}

/// What it is measured against.
pub struct Terraform {
    program: PathBuf,
    /// As it tells it itself.
    pub version: String,
}

impl Terraform {
    /// The one on the search path, if there is one that runs.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let program =
            std::env::split_paths(&path).map(|dir| dir.join("terraform")).find(|file| file.is_file())?;
        let said = process::capture(Command::new(&program).arg("version")).ok()?;
        let version = said.lines().find(|line| line.starts_with("Terraform v"))?.to_owned();
        Some(Self { program, version })
    }

    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).args(args).env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1");
        command
    }
}

impl Subject for Terraform {
    fn prepare(&self, folder: &Path, shape: Shape) -> Result<()> {
        std::fs::write(folder.join("main.tf"), shape.configuration()).context("the configuration")?;
        process::capture(&mut self.command(folder, &["init", "-no-color"])).map(drop)
    }

    fn plan(&self, folder: &Path, changes: bool) -> Result<Usage> {
        let code = if changes { 2 } else { 0 };
        let args = ["plan", "-no-color", "-input=false", "-detailed-exitcode"];
        measure(&mut self.command(folder, &args), &[code])
    }

    fn apply(&self, folder: &Path) -> Result<Usage> {
        measure(&mut self.command(folder, &["apply", "-no-color", "-input=false", "-auto-approve"]), &[0])
    }
}
