//! Is a stack fit for production? Findings with the rule they come from, the place in the stack file and what to do, made
//! from the stack file alone, before anything is touched. What a highly available stack must have is an error there
//! and at most a warning elsewhere: a stack for trials may be small, as long as it says so.

mod availability;
mod guide;
mod infrastructure;
mod machines;
mod operations;
mod security;
#[cfg(test)]
mod tests;

use plinth_provider::Path;
use serde::Serialize;

pub use guide::{Requirement, requirements};
pub use machines::{Machine, machine};

use crate::file::{Location, Locations};
use crate::model::{Platform, Stack};
use crate::sizing::Sizing;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The stack is not fit for what it says it is for.
    Error,
    /// Unwise, though it may be meant.
    Warning,
    /// Worth knowing: derived sizes, assumptions.
    Info,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The rule's name, stable over versions.
    pub rule: &'static str,
    /// What was found.
    pub message: String,
    /// What it is about, as a path into the stack file.
    pub path: String,
    /// Where that, or the nearest part around it, is written.
    pub location: Option<Location>,
    /// What to do.
    pub help: Option<String>,
}

/// Everything worth saying about a stack: errors first, then in the order of the file.
pub fn check(stack: &Stack, locations: &Locations) -> Vec<Finding> {
    let mut ledger = Ledger { stack, locations, findings: Vec::new() };
    infrastructure::check(&mut ledger);
    if let Some(platform) = &stack.platform {
        let sizing = Sizing::of_platform(platform);
        infrastructure::capacity(&mut ledger, platform, &sizing);
        availability::check(&mut ledger, platform, &sizing);
        security::check(&mut ledger, platform);
        operations::check(&mut ledger, platform, &sizing);
    }
    let mut findings = ledger.findings;
    findings.sort_by(|one, other| {
        one.severity.cmp(&other.severity).then_with(|| one.location.cmp(&other.location))
    });
    findings
}

/// Where the rules write what they find.
struct Ledger<'a> {
    stack: &'a Stack,
    locations: &'a Locations,
    findings: Vec<Finding>,
}

impl<'a> Ledger<'a> {
    fn add(
        &mut self,
        severity: Severity,
        rule: &'static str,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = help.into();
        self.findings.push(Finding {
            severity,
            rule,
            message: message.into(),
            path: path.to_owned(),
            location: self.locations.find(&Path::parse(path)),
            help: (!help.is_empty()).then_some(help),
        });
    }

    /// An error for a highly available stack, a warning for any other.
    fn must(&mut self, rule: &'static str, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let severity = if self.highly_available() { Severity::Error } else { Severity::Warning };
        self.add(severity, rule, path, message, help);
    }

    /// An error for a highly available stack; nothing for any other.
    fn must_if_available(
        &mut self,
        rule: &'static str,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.highly_available() {
            self.add(Severity::Error, rule, path, message, help);
        }
    }

    /// A warning for a highly available stack, worth knowing for any other.
    fn should(
        &mut self,
        rule: &'static str,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let severity = if self.highly_available() { Severity::Warning } else { Severity::Info };
        self.add(severity, rule, path, message, help);
    }

    fn warn(&mut self, rule: &'static str, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, rule, path, message, help);
    }

    fn info(&mut self, rule: &'static str, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Info, rule, path, message, help);
    }

    fn platform(&self) -> Option<&'a Platform> {
        self.stack.platform.as_ref()
    }

    fn highly_available(&self) -> bool {
        self.platform().is_some_and(|platform| platform.high_availability)
    }
}
