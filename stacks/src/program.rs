//! From a stack to its resources: the platform, if it has one, and the resources that the stack file adds.

use plinth_provider::Resource;

use crate::components;
use crate::kit::Build;
pub use crate::kit::{ProgramError, Target};
use crate::model::Stack;
use crate::resources;

/// The resources of a stack, in a stable order.
///
/// # Errors
/// Everything that is wrong with the stack, at once.
pub fn program(stack: &Stack, target: &Target) -> Result<Vec<Resource>, Vec<ProgramError>> {
    let (mut all, connection) = match &stack.platform {
        Some(platform) => {
            let mut build = Build::new(stack, platform, *target).map_err(|error| vec![error])?;
            components::declare(&mut build);
            let connection = build.foundation.connection.clone();
            (build.finish()?, connection)
        }
        None => (Vec::new(), components::existing_connection(stack, target)),
    };
    let more = resources::declared(stack, connection.as_ref()).map_err(|error| {
        vec![ProgramError {
            message: error.to_string(),
            help: "give the entry under `resources` another name".to_owned(),
        }]
    })?;
    all.extend(more);
    Ok(all)
}
