//! What a kind declares about itself.

use std::time::Duration;

use crate::Pattern;

/// The properties of a kind that the engine plans with.
#[derive(Debug, Clone)]
pub struct KindSchema {
    /// Inputs whose change forces a replacement.
    pub immutable: Vec<Pattern>,
    /// Inputs whose change forces a replacement that `update` carries out by itself, since something that belongs to
    /// the old one must outlive it (a StatefulSet's pods and volumes).
    pub recreated: Vec<Pattern>,
    /// Inputs and outputs that are secret whoever sets them.
    pub secret: Vec<Pattern>,
    /// Outputs that the system computes, and that may change with an update.
    pub computed: Vec<Pattern>,
    /// Lists whose order means nothing.
    pub set_like: Vec<Pattern>,
    /// The physical name is fixed, so the old one must go before the new one can come.
    pub delete_before_replace: bool,
    /// How long a create usually takes; the scheduler's weight until the log knows better.
    pub usual_duration: Duration,
    /// How long one operation may take unless the resource says otherwise.
    pub default_timeout: Duration,
}

impl Default for KindSchema {
    fn default() -> Self {
        Self {
            immutable: Vec::new(),
            recreated: Vec::new(),
            secret: Vec::new(),
            computed: Vec::new(),
            set_like: Vec::new(),
            delete_before_replace: false,
            usual_duration: Duration::from_millis(500),
            default_timeout: Duration::from_secs(600),
        }
    }
}

impl KindSchema {
    /// Patterns from their texts.
    pub fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text)).collect()
    }
}
