//! From declared inputs to those that a provider is given: the one place where they are checked, at plan time and again
//! once everything is known.

use plinth_provider::{Error, KindSchema, Options, Path, Provider, Recorded, Redactor, Result, Urn, Value};

/// Checks resolved inputs, wraps what the kind calls secret, keeps the name of what exists and what changes are ignored.
///
/// # Errors
/// When the provider refuses them, or they set what the system computes.
pub fn prepare(
    provider: &dyn Provider,
    schema: &KindSchema,
    urn: &Urn,
    declared: &Value,
    recorded: Option<&Recorded>,
    options: &Options,
) -> Result<Value> {
    // A refusal may quote what it refuses.
    let checked = provider.check(urn, declared.clone());
    let mut inputs = checked.map_err(|error| Redactor::of([declared]).error(error))?;
    if let Some(path) = schema.computed_in(&inputs) {
        return Err(Error::invalid(format!("`{path}` is computed by the system and cannot be set"))
            .at(path)
            .help("leave it out; once the resource exists, it is among its outputs"));
    }
    if !schema.secret.is_empty() {
        inputs = schema.seal(inputs);
    }
    let Some(recorded) = recorded else { return Ok(inputs) };
    inputs = provider.keep_name(recorded, declared, inputs);
    for path in &options.ignore_changes {
        match recorded.inputs.at(path) {
            Some(value) => inputs.set(path, value.clone()),
            None => {
                inputs.remove(path);
            }
        }
    }
    Ok(inputs)
}

/// What a live object's inputs are, as far as the declared ones speak of them: `desired` with everything that differs
/// as it is.
pub fn as_it_is(desired: &Value, differences: &[(Path, Option<Value>)]) -> Value {
    let mut inputs = desired.clone();
    // From the last to the first, so that what goes from a list does not move what is still to be changed in it.
    for (path, live) in differences.iter().rev() {
        match live {
            Some(value) => inputs.set(path, value.clone()),
            None => {
                inputs.remove(path);
            }
        }
    }
    inputs
}
