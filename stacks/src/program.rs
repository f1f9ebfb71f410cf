//! From a stack to its resources: the platform, if it has one, and the resources that the stack file adds.

use plinth_provider::{Resource, Urn, UrnError, Value};

use crate::components;
use crate::kit::Build;
pub use crate::kit::{ProgramError, Target};
use crate::model::Stack;

/// What a stack declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its resources, in a stable order.
    pub resources: Vec<Resource>,
    /// How objects of Kubernetes reach the stack's cluster; none means the default one.
    pub connection: Option<Value>,
    /// What every object of the stack's cluster waits for, beside what it refers to.
    pub doors: Vec<Urn>,
}

/// The resources of a stack, in a stable order.
///
/// # Errors
/// Everything that is wrong with the stack, at once.
pub fn program(stack: &Stack, target: &Target) -> Result<Vec<Resource>, Vec<ProgramError>> {
    Ok(declared(stack, target)?.resources)
}

/// The resources of a stack, and how to reach its cluster.
///
/// # Errors
/// Everything that is wrong with the stack, at once.
pub fn declared(stack: &Stack, target: &Target) -> Result<Declared, Vec<ProgramError>> {
    let (mut resources, connection, doors) = match &stack.platform {
        Some(platform) => {
            let mut build = Build::new(stack, platform, *target).map_err(|error| vec![error])?;
            components::declare(&mut build);
            let (connection, doors) = (build.foundation.connection.clone(), build.foundation.doors.clone());
            (build.finish()?, connection, doors)
        }
        None => {
            // A rehearsal has a cluster of its own.
            let own = if target.rehearse {
                None
            } else {
                crate::resources::own_cluster(stack).map_err(misnamed)?
            };
            let (connection, doors) = own.unzip();
            (
                Vec::new(),
                connection.or_else(|| components::existing_connection(stack, target)),
                doors.unwrap_or_default(),
            )
        }
    };
    let mut more = crate::resources::declared(stack, connection.as_ref()).map_err(misnamed)?;
    if !doors.is_empty() {
        for resource in more.iter_mut().filter(|resource| resource.urn.kind().starts_with("k8s:")) {
            resource.options.depends_on.extend(doors.iter().cloned());
        }
    }
    match resources.is_empty() {
        true => resources = more,
        false => resources.append(&mut more),
    }
    Ok(Declared { resources, connection, doors })
}

fn misnamed(error: UrnError) -> Vec<ProgramError> {
    vec![ProgramError {
        message: error.to_string(),
        help: "give the entry under `resources` another name".to_owned(),
    }]
}
