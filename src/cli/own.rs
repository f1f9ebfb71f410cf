//! What the process's own program adds to a stack: see [`crate::program`].

use std::path::Path;
use std::sync::Arc;

use plinth_provider::{Error, Program, Provider, Resource};
use plinth_stacks::file::Loaded;
use plinth_stacks::program::{Target, declared};

use super::failure::{Diagnostic, Failure};
use crate::program::{Site, setup};

/// Where a tree of progress shows the program's resources.
const PHASE: &str = "program";
/// What the kinds of Plinth's own providers begin with, whether the stack at hand has them or not.
const TAKEN: [&str; 4] = ["aws", "k8s", "local", "plinth"];

/// The providers that the program brings, beside Plinth's own.
///
/// # Errors
/// When one cannot be made, or its name cannot be the first part of a kind.
pub fn providers(loaded: &Loaded, rehearse: bool, folder: &Path) -> Result<Vec<Arc<dyn Provider>>, Failure> {
    let site = Site { stack: &loaded.stack, rehearse, folder };
    let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
    for make in setup().into_iter().flat_map(|setup| &setup.providers) {
        let provider = make(&site).map_err(|error| located(loaded, error))?;
        let name = provider.name();
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(word) {
            return Err(Failure::new(format!("`{name}` cannot be the name of a provider"))
                .help("use lower-case letters, digits and dashes: its kinds begin with it"));
        }
        if TAKEN.contains(&name) || providers.iter().any(|other| other.name() == name) {
            return Err(Failure::new(format!("a second provider is called `{name}`"))
                .help("give the program's own provider another name: its kinds begin with it"));
        }
        providers.push(provider);
    }
    Ok(providers)
}

/// The resources of a stack: the platform's, the stack file's, the program's.
///
/// # Errors
/// When the program refuses the stack.
pub fn resources(loaded: &Loaded, target: &Target) -> Result<Vec<Resource>, Failure> {
    let mut declared = declared(&loaded.stack, target)?;
    for declare in setup().into_iter().flat_map(|setup| &setup.programs) {
        let mut program = Program::new(loaded.stack.name.as_str());
        declare(&loaded.stack, &mut program).map_err(|error| located(loaded, error))?;
        declared.resources.extend(program.into_resources().into_iter().map(|mut resource| {
            if resource.urn.kind().starts_with("k8s:") && resource.connection.is_none() {
                resource.connection.clone_from(&declared.connection);
                resource.options.depends_on.extend(declared.doors.iter().cloned());
            }
            if resource.options.phase.is_empty() {
                PHASE.clone_into(&mut resource.options.phase);
            }
            resource
        }));
    }
    Ok(declared.resources)
}

/// A program's error; a path in it is one into the stack file.
fn located(loaded: &Loaded, error: Error) -> Failure {
    let Some(path) = &error.path else {
        let failure = Failure::new(error.message);
        return match error.help {
            Some(help) => failure.help(help),
            None => failure,
        };
    };
    let mut placed = loaded.locations.diagnostic(path, error.message);
    if let Some(help) = error.help {
        placed = placed.help(help);
    }
    Failure::many(vec![Diagnostic::rendered(placed.to_string())])
}
