//! The platform that stack files come to: every object, what providers say of them, and scripts that they run.

#[cfg(unix)]
mod backup;
mod objects;
mod providers;
mod support;
