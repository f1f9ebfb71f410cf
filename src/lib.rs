//! Plinth.
