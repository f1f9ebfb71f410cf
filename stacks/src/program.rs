//! From a stack to its resources: the platform, if it has one, and the resources that the stack file adds.

use plinth_provider::{Resource, Value};

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
    let (mut resources, connection) = match &stack.platform {
        Some(platform) => {
            let mut build = Build::new(stack, platform, *target).map_err(|error| vec![error])?;
            components::declare(&mut build);
            let connection = build.foundation.connection.clone();
            (build.finish()?, connection)
        }
        None => (Vec::new(), components::existing_connection(stack, target)),
    };
    let more = crate::resources::declared(stack, connection.as_ref()).map_err(|error| {
        vec![ProgramError {
            message: error.to_string(),
            help: "give the entry under `resources` another name".to_owned(),
        }]
    })?;
    resources.extend(more);
    Ok(Declared { resources, connection })
}
