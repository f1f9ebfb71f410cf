//! The platform's components, one module each: a function `declare(&mut Build)` from the stack's model to resources.
//! Each states its own network edges. Which component comes when is in [`declare`]; what waits for what is not, that
//! follows from references.

use crate::kit::Build;

/// Declares the whole platform.
pub(crate) fn declare(_build: &mut Build<'_>) {}
