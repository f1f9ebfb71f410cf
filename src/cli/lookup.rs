//! Resources by what a user calls them.

use std::collections::BTreeSet;

use plinth_provider::{Path, Urn};

use super::failure::Failure;

/// How much a name may differ from what was typed to be suggested, and how many are.
const LIKENESS: f64 = 0.8;
const SUGGESTED: usize = 3;

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
        let found: Vec<&Urn> =
            urns.clone().filter(|urn| names(urn).iter().any(|known| known == name)).collect();
        match found.as_slice() {
            [] => {}
            [urn] => return Ok(((*urn).clone(), Path::parse(path.strip_prefix('.').unwrap_or(path)))),
            several => return Err(ambiguous(name, several)),
        }
    }
    let all: Vec<&Urn> = urns.collect();
    Err(Failure::new(format!("no resource is recorded under `{what}`"))
        .help(similar(what, &all).unwrap_or_else(|| "`plinth state list` lists them".to_owned())))
}

/// The resources that texts name. One text names one resource, unless `*` in it stands for anything.
///
/// # Errors
/// When one matches nothing, or several resources without a `*`.
pub fn select(wanted: &[String], urns: &[&Urn]) -> Result<BTreeSet<Urn>, Failure> {
    let mut selected = BTreeSet::new();
    for what in wanted {
        let matching = |urn: &&&Urn| names(urn).iter().any(|name| matches(what, name));
        let found: Vec<&Urn> = urns.iter().filter(matching).copied().collect();
        match found.as_slice() {
            [] => {
                return Err(Failure::new(format!("no resource is called `{what}`"))
                    .help(similar(what, urns).unwrap_or_else(|| {
                    "give a URN, a kind and name, or a name; `plinth graph` and `plinth state list` show them"
                        .to_owned()
                })));
            }
            [_, _, ..] if !what.contains('*') => return Err(ambiguous(what, &found)),
            found => selected.extend(found.iter().map(|urn| (*urn).clone())),
        }
    }
    Ok(selected)
}

/// What a resource may be called: its URN, kind and name in long and in short, its name.
fn names(urn: &Urn) -> [String; 4] {
    let kind = urn.kind().rsplit(['/', ':']).next().unwrap_or_default();
    let short = format!("{kind}/{}", urn.name());
    [urn.as_str().to_owned(), urn.short().to_owned(), short, urn.name().to_owned()]
}

fn ambiguous(name: &str, several: &[&Urn]) -> Failure {
    let list: Vec<&str> = several.iter().map(|urn| urn.short()).collect();
    Failure::new(format!("`{name}` names several resources")).help(format!("say which: {}", list.join(", ")))
}

fn similar(what: &str, urns: &[&Urn]) -> Option<String> {
    let likeness =
        |urn: &Urn| names(urn).iter().map(|name| strsim::jaro_winkler(what, name)).fold(0.0, f64::max);
    let mut scored: Vec<(f64, &Urn)> = urns.iter().map(|urn| (likeness(urn), *urn)).collect();
    scored.retain(|(score, _)| *score >= LIKENESS);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let near: Vec<String> =
        scored.iter().take(SUGGESTED).map(|(_, urn)| format!("`{}`", urn.short())).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// Whether a text is what a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urns() -> Vec<Urn> {
        [
            ("plinth:Data", "r1"),
            ("plinth:Data", "r10"),
            ("k8s:v1/ConfigMap", "monitoring/note"),
            ("k8s:v1/Secret", "r1"),
        ]
        .map(|(kind, name)| Urn::new("bench", kind, name).unwrap())
        .into()
    }

    fn names_of(what: &str) -> Result<Vec<String>, Failure> {
        let urns = urns();
        let all: Vec<&Urn> = urns.iter().collect();
        let found = select(&[what.to_owned()], &all)?;
        Ok(found.iter().map(|urn| urn.short().to_owned()).collect())
    }

    #[test]
    fn resources_are_named_in_full_in_short_and_by_pattern() {
        assert_eq!(names_of("plinth:bench::plinth:Data::r1").unwrap(), ["plinth:Data::r1"]);
        assert_eq!(names_of("Data/r1").unwrap(), ["plinth:Data::r1"]);
        assert_eq!(names_of("r10").unwrap(), ["plinth:Data::r10"]);
        assert_eq!(names_of("monitoring/*").unwrap(), ["k8s:v1/ConfigMap::monitoring/note"]);
        assert_eq!(names_of("Data/*").unwrap().len(), 2);
        assert_eq!(names_of("*").unwrap().len(), 4);
        assert!(names_of("r1").is_err(), "two resources have that name");
        assert!(format!("{:?}", names_of("monitoring/nota").unwrap_err()).contains("did you mean"));
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, want) in [
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("*", "", true),
            ("a*b*c", "axxbc", true),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }
}
