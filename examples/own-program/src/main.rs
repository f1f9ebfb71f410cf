//! A program of one's own: what each team of a company gets, and a board with notices about it.
//!
//! `docs/programs.md` explains it step by step.
#![forbid(unsafe_code)]

mod board;
mod notice;
mod team;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use plinth::{Program, Provider, Result, Setup, Site, Stack};
use serde::Deserialize;

use crate::board::Board;
use crate::notice::Notice;
use crate::team::team;

/// What the stack file says under `parameters`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    board: PathBuf,
    retention_days: u32,
    edition: u32,
}

fn main() -> ExitCode {
    plinth::run(Setup::new().provider(make_board).program(declare))
}

fn make_board(site: &Site<'_>) -> Result<Arc<dyn Provider>> {
    let parameters: Parameters = site.stack.parameters()?;
    let folder = match site.rehearse {
        true => site.folder.join("board"),
        false => site.stack.directory.join(parameters.board),
    };
    Ok(Arc::new(Board::new(folder)))
}

fn declare(stack: &Stack, program: &mut Program) -> Result<()> {
    let parameters: Parameters = stack.parameters()?;
    let checkout = team(program, "checkout", parameters.retention_days)?;
    let search = team(program, "search", parameters.retention_days)?;
    let text = format!("Two teams have joined; see {} and {}.", checkout.text("title"), search.text("title"));
    let welcome =
        Notice { title: format!("welcome-{}", parameters.edition), text: text.into(), pinned: true };
    program.declare("welcome", &welcome)?;
    Ok(())
}
