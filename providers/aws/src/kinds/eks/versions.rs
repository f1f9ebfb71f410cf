//! Versions of Kubernetes as EKS counts them, and which steps between them are safe. Pure.

use plinth_provider::{Error, Result};

/// A minor version, such as 1.35.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minor {
    major: u32,
    minor: u32,
}

impl std::fmt::Display for Minor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Minor {
    /// Of `1.35`; also of `1.35.2`, as node groups and patch releases spell it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        Some(Self { major: parts.next()?.ok()?, minor: parts.next()?.ok()? })
    }

    fn after(self) -> Self {
        Self { minor: self.minor + 1, ..self }
    }
}

/// Judges the text of a version.
pub(super) fn version(text: &str) -> std::result::Result<(), String> {
    let plain =
        text.split('.').count() == 2 && Minor::parse(text).is_some_and(|minor| minor.to_string() == text);
    plain.then_some(()).ok_or_else(|| "EKS takes a minor version alone, such as 1.35".to_owned())
}

/// Whether a control plane may go from one version to the other in one step.
///
/// # Errors
/// With the reason when it may not.
pub(super) fn step(from: &str, to: &str, rollback: bool) -> Result<()> {
    let (Some(old), Some(new)) = (Minor::parse(from), Minor::parse(to)) else { return Ok(()) };
    let refuse = |why: String, help: String| Err(Error::invalid(why).at("version".into()).help(help));
    if new == old || new == old.after() {
        return Ok(());
    }
    if new > old {
        return refuse(
            format!(
                "the control plane is at {old} and cannot go to {new} at once: EKS upgrades one minor version at a time"
            ),
            format!(
                "set the version to {}, apply, let add-ons and node groups follow, then take the next step",
                old.after()
            ),
        );
    }
    if rollback && new.after() == old {
        return Ok(());
    }
    let back = if new.after() == old {
        "; EKS can go back by one within seven days of an upgrade: say so with `rollback: true`, after the node groups have gone back"
    } else {
        ""
    };
    refuse(
        format!(
            "the control plane is at {old} and a lower version, {new}, is asked for: a control plane is not downgraded"
        ),
        format!("set the version to {old} or {}{back}", old.after()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_up_and_nothing_else() {
        assert!(step("1.34", "1.34", false).is_ok());
        assert!(step("1.34", "1.35", false).is_ok());
        let skipped = step("1.34", "1.36", false).unwrap_err();
        assert!(skipped.help.unwrap().contains("1.35"), "the next step is named");
        let down = step("1.35", "1.34", false).unwrap_err();
        assert!(down.message.contains("not downgraded") && down.help.unwrap().contains("rollback: true"));
        assert!(step("1.35", "1.34", true).is_ok());
        assert!(step("1.35", "1.33", true).is_err());
        assert!(step("1.9", "1.10", false).is_ok(), "versions are numbers");
    }

    #[test]
    fn a_patch_is_no_version_of_a_control_plane() {
        assert!(version("1.35").is_ok());
        for wrong in ["1.35.1", "v1.35", "1", "latest", "1.035"] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
    }
}
