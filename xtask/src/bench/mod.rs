//! `cargo xtask bench`: the same graphs through the release binary and, where it is installed, through Terraform,
//! side by side on one machine in one run. Every figure is of a whole process: wall time, CPU time, peak memory.
//!
//! `graph` invents the graphs and writes them for either program, `subject` drives the programs, `measure` watches a
//! process, `makespan` collects what the simulated clock says, `table` turns all of it into `docs/performance.md`.

mod graph;
mod makespan;
mod measure;
mod subject;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use self::graph::Shape;
use self::measure::{Usage, median};
use self::subject::{Plinth, Subject, Terraform};
use self::table::{Goal, Row, Table};
use crate::{process, workspace};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Measure this binary instead of building one with `cargo build --release`
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// How often each graph is run; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Leave Terraform out even if it is on the PATH
    #[arg(long)]
    no_terraform: bool,
    /// Stop at graphs of this many resources
    #[arg(long, default_value_t = 100_000, value_name = "RESOURCES")]
    up_to: usize,
    /// Leave out the makespans of the simulated clock
    #[arg(long)]
    no_makespan: bool,
    /// Show the table and leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// A graph, what is asked of Plinth there, and whether Terraform gets through it in reasonable time.
struct Case {
    shape: Shape,
    plan: Goal,
    apply: Goal,
    replan: Goal,
    terraform: bool,
}

const MIB: u64 = 1 << 20;

fn cases() -> Vec<Case> {
    let none = Goal::default();
    vec![
        Case {
            shape: Shape::flat(1_000),
            plan: none,
            apply: none,
            replan: Goal { ratio: Some(100.0), ..none },
            terraform: true,
        },
        Case {
            shape: Shape::layered(1_000),
            plan: none,
            apply: Goal { ratio: Some(200.0), ..none },
            replan: Goal { ratio: Some(200.0), ..none },
            terraform: true,
        },
        {
            let goal = Goal { seconds: Some(1.0), memory: Some(150 * MIB), ..none };
            Case { shape: Shape::layered(10_000), plan: goal, apply: goal, replan: goal, terraform: false }
        },
        {
            let plan = Goal { seconds: Some(3.0), memory: Some(1024 * MIB), growth: Some(12.0), ..none };
            let apply = Goal { memory: Some(1024 * MIB), growth: Some(12.0), ..none };
            Case { shape: Shape::layered(100_000), plan, apply, replan: plan, terraform: false }
        },
    ]
}

/// Measures and writes the table.
pub fn run(args: &Args) -> Result<()> {
    ensure!(args.runs > 0, "--runs must be at least 1");
    let plinth = Plinth::at(match &args.binary {
        Some(binary) => {
            binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?
        }
        None => build()?,
    });
    let terraform = if args.no_terraform { None } else { Terraform::find() };
    let mut table = Table::new(terraform.as_ref().map(|terraform| terraform.version.clone()));
    table.push(version_row(&plinth, args.runs)?);
    let mut smaller: Option<[Usage; 3]> = None;
    for case in cases().iter().filter(|case| case.shape.resources() <= args.up_to) {
        eprintln!("{}", case.shape.title());
        // Where one run takes seconds, its own length evens it out.
        let runs = if case.shape.resources() > 50_000 { args.runs.min(3) } else { args.runs };
        let ours = measured(&plinth, case.shape, runs)?;
        let theirs = match &terraform {
            Some(terraform) if case.terraform => Some(measured(terraform, case.shape, 1)?),
            _ => None,
        };
        let growth = smaller.filter(|_| case.shape.is_layered());
        let goals = [case.plan, case.apply, case.replan];
        for (at, step) in ["plan, everything new", "apply", "plan, no changes"].into_iter().enumerate() {
            table.push(Row {
                work: format!("{}: {step}", case.shape.title()),
                ours: ours[at],
                theirs: theirs.map(|theirs| theirs[at]),
                smaller: growth.map(|smaller| smaller[at]),
                goal: goals[at],
            });
        }
        smaller = case.shape.is_layered().then_some(ours);
    }
    let makespans = if args.no_makespan { Vec::new() } else { makespan::collect()? };
    let text = table.markdown(&makespans);
    println!("{text}");
    if args.dry_run {
        return Ok(());
    }
    table::write_into(&workspace::root().join("docs/performance.md"), &text)
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(workspace::root()).args(["build", "--release", "--locked", "--bin", "plinth"]);
    process::stream(&mut command)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let binary = workspace::root().join(target).join("release").join("plinth");
    binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))
}

/// The middle of several runs, step by step: plan of what is new, apply, plan of what is there.
fn measured(subject: &dyn Subject, shape: Shape, runs: usize) -> Result<[Usage; 3]> {
    let mut all: [Vec<Usage>; 3] = Default::default();
    for _ in 0..runs {
        let folder = tempfile::tempdir()?;
        subject.prepare(folder.path(), shape)?;
        all[0].push(subject.plan(folder.path(), true)?);
        all[1].push(subject.apply(folder.path())?);
        all[2].push(subject.plan(folder.path(), false)?);
    }
    Ok(all.map(|mut usages| median(&mut usages)))
}

fn version_row(plinth: &Plinth, runs: usize) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let mut usages =
        (0..runs.max(5) * 3).map(|_| plinth.version(folder.path())).collect::<Result<Vec<_>>>()?;
    Ok(Row {
        work: "`plinth --version`".to_owned(),
        ours: median(&mut usages),
        theirs: None,
        smaller: None,
        goal: Goal { seconds: Some(0.010), ..Goal::default() },
    })
}
