//! How a command ends: exit codes, and failures as diagnostics.

use std::process::ExitCode;

use plinth_state::Lease;

use super::stack_args::error_style;
use crate::engine::{PlanError, RunError};
use crate::present::{self, diagnostics};

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Done, or nothing to do.
    Done,
    /// Something is wrong.
    Error,
    /// `plan` found changes, `drift` found drift.
    Pending,
    /// Another run holds the lease.
    Held,
    /// The user stopped it.
    Interrupted,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Done => 0,
            Code::Error => 1,
            Code::Pending => 2,
            Code::Held => 3,
            Code::Interrupted => 130,
        }
        .into()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub enum Diagnostic {
    /// What is wrong, and what to do.
    Error {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A text that says it all.
    Rendered(String),
}

impl Diagnostic {
    /// Something that is wrong.
    pub fn error(message: impl Into<String>) -> Self {
        Self::Error { message: message.into(), help: None }
    }

    /// A text that says it all.
    pub fn rendered(text: impl Into<String>) -> Self {
        Self::Rendered(text.into())
    }

    /// Why a resource cannot be planned.
    pub fn plan(error: &PlanError) -> Self {
        let diagnostic = Self::error(error.to_string());
        match error.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        match self {
            Self::Error { message, .. } => Self::Error { message, help: Some(help.into()) },
            rendered => rendered,
        }
    }

    fn print(&self) {
        match self {
            Self::Error { message, help } => diagnostics::error(message, help.as_deref(), error_style()),
            Self::Rendered(text) => present::err(&format!("{}\n", text.trim_end())),
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The stack whose lease another run holds, and that lease.
    held: Option<Box<(String, Lease)>>,
    code: Code,
    diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// One error.
    pub fn new(message: impl Into<String>) -> Self {
        Self { held: None, code: Code::Error, diagnostics: vec![Diagnostic::error(message)] }
    }

    /// Several errors.
    pub fn many(diagnostics: Vec<Diagnostic>) -> Self {
        Self { held: None, code: Code::Error, diagnostics }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        if let Some(last) = self.diagnostics.pop() {
            self.diagnostics.push(last.help(help));
        }
        self
    }

    /// Another exit code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Prints the diagnostics, and with `json` the event of a lease that is held, and gives the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        if let Some((stack, lease)) = self.held.as_deref().filter(|_| json) {
            present::out(&present::state::held_json(stack, lease));
        }
        self.diagnostics.iter().for_each(Diagnostic::print);
        self.code.into()
    }
}

impl From<plinth_state::Error> for Failure {
    fn from(error: plinth_state::Error) -> Self {
        let failure = Self::new(error.to_string());
        if error.is_held() {
            let failure = failure.code(Code::Held).help(
                "wait for that run to end, or give `--lock-timeout`; a lease whose process died is taken over by itself",
            );
            return match error {
                plinth_state::Error::Held { stack, lease } => {
                    Self { held: Some(Box::new((stack, *lease))), ..failure }
                }
                _ => failure,
            };
        }
        if error.is_fenced() { failure.code(Code::Held) } else { failure }
    }
}

impl From<Vec<plinth_stacks::file::Diagnostic>> for Failure {
    fn from(found: Vec<plinth_stacks::file::Diagnostic>) -> Self {
        // The stack file's own diagnostics are whole texts already, with place and snippet.
        Self::many(found.into_iter().map(|diagnostic| Diagnostic::rendered(diagnostic.to_string())).collect())
    }
}

impl From<Vec<plinth_stacks::program::ProgramError>> for Failure {
    fn from(errors: Vec<plinth_stacks::program::ProgramError>) -> Self {
        Self::many(
            errors.into_iter().map(|error| Diagnostic::error(error.message).help(error.help)).collect(),
        )
    }
}

impl From<plinth_local::PlaceError> for Failure {
    fn from(error: plinth_local::PlaceError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let diagnostics = match error {
            RunError::State(error) => return error.into(),
            RunError::Recover(error) => match error {
                crate::engine::RecoverError::State(error) => return error.into(),
                other => vec![Diagnostic::error(other.to_string())],
            },
            RunError::Graph(errors) => {
                errors.iter().map(|error| Diagnostic::error(error.to_string())).collect()
            }
            RunError::Plan(errors) => errors.iter().map(Diagnostic::plan).collect(),
            RunError::Refresh(errors) => refresh(&errors),
            RunError::Interrupted => {
                return Self::new(error.to_string()).code(Code::Interrupted);
            }
            RunError::PlanMoved(why) => vec![
                Diagnostic::error(format!("the plan is out of date: {why}"))
                    .help("make a new plan, look at it, and apply that one"),
            ],
        };
        Self::many(diagnostics)
    }
}

/// One unreachable system makes as many errors as it holds resources; they are told once.
fn refresh(errors: &[crate::engine::RefreshError]) -> Vec<Diagnostic> {
    let mut seen: Vec<(String, Option<String>, String, usize)> = Vec::new();
    for error in errors {
        match seen.iter_mut().find(|(message, ..)| *message == error.error.message) {
            Some((_, _, _, count)) => *count += 1,
            None => {
                seen.push((error.error.message.clone(), error.error.help.clone(), error.urn.to_string(), 1))
            }
        }
    }
    seen.into_iter()
        .map(|(message, help, urn, count)| {
            let more = match count {
                1 => String::new(),
                2 => " and 1 more resource".to_owned(),
                count => format!(" and {} more resources", count - 1),
            };
            let diagnostic = Diagnostic::error(format!("reading {urn}{more} failed: {message}"));
            diagnostic.help(help.unwrap_or_else(|| {
                "what cannot be read is never taken for deleted; `--refresh never` plans from what is recorded".to_owned()
            }))
        })
        .collect()
}
