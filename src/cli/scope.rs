//! Which part of a stack a command is about.

use std::collections::HashMap;

use clap::Args;
use plinth_provider::Urn;

use super::failure::Failure;
use super::lookup::select;
use super::session::Session;
use crate::engine::{Scope, Target};

/// Which part of the stack is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct PartArgs {
    /// Only this resource, with what it depends on (a delete: with what depends on it); may be repeated, `*` matches
    #[arg(long = "target", value_name = "URN")]
    targets: Vec<String>,
    /// Not this resource, nor what depends on it; may be repeated, `*` matches
    #[arg(long = "exclude", value_name = "URN")]
    excludes: Vec<String>,
}

/// Which part of the stack is meant, and what of it is made anew.
#[derive(Debug, Clone, Default, Args)]
pub struct ScopeArgs {
    #[command(flatten)]
    part: PartArgs,
    /// Make this resource anew although nothing asks for it; may be repeated, `*` matches
    #[arg(long = "replace", value_name = "URN")]
    replaces: Vec<String>,
}

impl PartArgs {
    /// The target, narrowed down to the part.
    ///
    /// # Errors
    /// When a name matches nothing that is declared or recorded.
    pub fn narrow(&self, target: Target, session: &Session) -> Result<Target, Failure> {
        if self.targets.is_empty() && self.excludes.is_empty() {
            return Ok(target);
        }
        let mut urns: Vec<&Urn> = target.desired.resources().iter().map(|resource| &resource.urn).collect();
        urns.extend(session.state.resources.keys().filter(|urn| target.desired.position(urn).is_none()));
        // Who has a new name by now is also found by the former one.
        let recorded = &session.state.resources;
        let mut now = HashMap::new();
        for resource in
            target.desired.resources().iter().filter(|resource| !recorded.contains_key(&resource.urn))
        {
            let former = resource.options.aliases.iter().find(|alias| recorded.contains_key(*alias));
            now.extend(former.map(|former| (former, &resource.urn)));
        }
        let select = |texts: &[String]| -> Result<_, Failure> {
            let found = select(texts, &urns)?;
            Ok(found.into_iter().map(|urn| now.get(&urn).map_or(urn, |now| (*now).clone())).collect())
        };
        let scope = Scope {
            targets: select(&self.targets)?,
            excludes: select(&self.excludes)?,
            ..target.scope.clone()
        };
        Ok(Target { scope, ..target })
    }
}

impl ScopeArgs {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.part.targets.is_empty() && self.part.excludes.is_empty() && self.replaces.is_empty()
    }

    /// The target, narrowed down to the part, with what is to be made anew.
    ///
    /// # Errors
    /// As [`PartArgs::narrow`]; only what is declared can be made anew.
    pub fn narrow(&self, target: Target, session: &Session) -> Result<Target, Failure> {
        let mut target = self.part.narrow(target, session)?;
        let declared: Vec<&Urn> = target.desired.resources().iter().map(|resource| &resource.urn).collect();
        target.scope.replaces = select(&self.replaces, &declared)?;
        Ok(target)
    }
}
