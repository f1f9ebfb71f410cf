//! Recorded resources by what a user calls them.

use plinth_provider::{Path, Urn};

use super::failure::Failure;

/// Finds the resource that a text names, by URN, by kind and name, or by name where that is unique: the longest match
/// wins, the rest is the path of a value in it.
///
/// # Errors
/// When nothing matches, or several do.
pub fn find<'a>(what: &str, urns: impl Iterator<Item = &'a Urn> + Clone) -> Result<(Urn, Path), Failure> {
    let mut cuts: Vec<usize> = what.match_indices(['.', '[']).map(|(at, _)| at).collect();
    cuts.push(what.len());
    for cut in cuts.into_iter().rev() {
        let (name, path) = what.split_at(cut);
        let matches = |urn: &&Urn| {
            urn.as_str() == name || urn.short() == name || urn.name() == name || kind_and_name(urn) == name
        };
        let found: Vec<&Urn> = urns.clone().filter(matches).collect();
        match found.as_slice() {
            [] => {}
            [urn] => return Ok(((*urn).clone(), Path::parse(path.strip_prefix('.').unwrap_or(path)))),
            several => {
                let list: Vec<&str> = several.iter().map(|urn| urn.short()).collect();
                return Err(Failure::new(format!("`{name}` names several resources"))
                    .help(format!("say which: {}", list.join(", "))));
            }
        }
    }
    Err(Failure::new(format!("no resource is recorded under `{what}`"))
        .help("`plinth state list` lists them"))
}

fn kind_and_name(urn: &Urn) -> String {
    let kind = urn.kind().rsplit(['/', ':']).next().unwrap_or_default();
    format!("{kind}/{}", urn.name())
}
