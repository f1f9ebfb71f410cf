//! From a stack to its resources: the platform, if it has one, and the resources that the stack file adds.

use plinth_provider::Resource;

use crate::components;
use crate::kit::Build;
pub use crate::kit::{ProgramError, Target};
use crate::model::Stack;

/// The resources of a stack, in a stable order.
///
/// # Errors
/// Everything that is wrong with the stack, at once.
pub fn program(stack: &Stack, target: &Target) -> Result<Vec<Resource>, Vec<ProgramError>> {
    let mut resources = Vec::new();
    if let Some(platform) = &stack.platform {
        let mut build = Build::new(stack, platform, *target).map_err(|error| vec![error])?;
        components::declare(&mut build);
        resources = build.finish()?;
    }
    Ok(resources)
}
