//! The graph that `resources:` make among themselves: names, kinds, references, circles. Linear in entries and
//! references, and it works on the plain tree, so that it can speak up beside other mistakes.

use rustc_hash::{FxBuildHasher, FxHashMap};
use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, closest};
use super::interpolation::{Piece, pieces, split};
use super::node::{Children, Place, Places, Sources};
use super::secrets::{self, check_secret_name};
use super::validate::MOST_DIAGNOSTICS;

/// Tells every mistake in the graph of `resources:`.
pub(crate) fn check(tree: &Value, places: &Places, sources: &Sources, found: &mut Vec<Diagnostic>) {
    let Some(entries) = tree.get("resources").and_then(Value::as_array) else { return };
    let nowhere = Places::default();
    let list = child(places, "resources", sources).unwrap_or(&nowhere);
    let mut objects: Vec<(&Map<String, Value>, &Places)> = Vec::with_capacity(entries.len());
    objects.extend(entries.iter().enumerate().filter_map(|(position, entry)| {
        let places = match &list.children {
            Children::List(children) => children.get(position).unwrap_or(&nowhere),
            _ => &nowhere,
        };
        Some((entry.as_object()?, places))
    }));
    let entries = objects;
    let mut graph = Graph {
        sources,
        found,
        names: FxHashMap::with_capacity_and_hasher(entries.len(), FxBuildHasher),
        edges: vec![Vec::new(); entries.len()],
    };
    graph.identities(&entries);
    for (position, (entry, places)) in entries.iter().enumerate() {
        graph.dependencies(position, entry, places);
        graph.options(entry, places);
    }
    graph.circles(&entries);
}

struct Graph<'a, 'f> {
    sources: &'a Sources,
    found: &'f mut Vec<Diagnostic>,
    names: FxHashMap<&'a str, (usize, Place)>,
    edges: Vec<Vec<usize>>,
}

fn child<'p>(places: &'p Places, key: &str, sources: &Sources) -> Option<&'p Places> {
    let Children::Map(entries) = &places.children else { return None };
    entries.iter().find(|entry| sources.text_of(entry.key) == key).map(|entry| &entry.value)
}

/// The texts of a list in an entry, each with its place.
fn listed<'a>(
    entry: &'a Map<String, Value>,
    key: &str,
    places: &Places,
    sources: &Sources,
) -> Vec<(&'a str, Place)> {
    let Some(Value::Array(texts)) = entry.get(key) else { return Vec::new() };
    let list = child(places, key, sources);
    let place = |at: usize| match list.map(|list| &list.children) {
        Some(Children::List(children)) => children.get(at).map_or(places.place, |child| child.place),
        _ => places.place,
    };
    let texts = texts.iter().enumerate();
    texts.filter_map(|(at, text)| Some((text.as_str()?, place(at)))).collect()
}

fn place_of(places: &Places, key: &str, sources: &Sources) -> Place {
    child(places, key, sources).map_or(places.place, |child| child.place)
}

impl<'a> Graph<'a, '_> {
    fn tell(&mut self, place: Place, message: String, why: Option<String>, help: Option<String>) {
        if self.found.len() < MOST_DIAGNOSTICS {
            let mut diagnostic = self.sources.diagnostic(place, message);
            diagnostic.why = why;
            diagnostic.help = help;
            self.found.push(diagnostic);
        }
    }

    fn identities(&mut self, entries: &[(&'a Map<String, Value>, &Places)]) {
        for (position, (entry, places)) in entries.iter().enumerate() {
            if let Some(kind) = entry.get("kind").and_then(Value::as_str)
                && let Err(why) = kind_is_well_formed(kind)
            {
                let place = place_of(places, "kind", self.sources);
                let help = "a kind looks like `plinth:Data`, `aws:s3/Bucket` or `k8s:apps/v1/Deployment`";
                self.tell(
                    place,
                    format!("`{kind}` is not the name of a kind"),
                    Some(why.to_owned()),
                    Some(help.to_owned()),
                );
            }
            let Some(name) = entry.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
                continue;
            };
            let place = place_of(places, "name", self.sources);
            if name.contains("::") || name.starts_with(':') || name.chars().any(char::is_control) {
                self.tell(
                    place,
                    format!("`{}` is not a name for a resource", name.escape_debug()),
                    Some("a name is part of a URN, in which `::` separates parts".to_owned()),
                    Some("use letters, digits, dashes and dots".to_owned()),
                );
            }
            if let Some((_, first)) = self.names.get(name) {
                let line = first.line;
                self.tell(
                    place,
                    format!("a second resource is named `{name}`"),
                    Some(format!(
                        "the first is on line {line}; references tell resources apart by their names"
                    )),
                    Some("rename one of them".to_owned()),
                );
            } else {
                self.names.insert(name, (position, place));
            }
        }
    }

    fn dependencies(&mut self, position: usize, entry: &'a Map<String, Value>, places: &Places) {
        for (name, place) in listed(entry, "dependsOn", places, self.sources) {
            match self.names.get(name) {
                Some((target, _)) => self.edge(position, *target, name, place),
                None => self.dangling(name, place, "`dependsOn`", None),
            }
        }
        if let Some(inputs) = entry.get("inputs") {
            let nowhere = Places { place: places.place, children: Children::None };
            let below = child(places, "inputs", self.sources).unwrap_or(&nowhere);
            self.texts(position, inputs, below, places.place);
        }
    }

    /// Paths and former names that could be misread would be options without effect.
    fn options(&mut self, entry: &'a Map<String, Value>, places: &Places) {
        for option in ["ignoreChanges", "replaceOnChanges"] {
            for (path, place) in listed(entry, option, places, self.sources) {
                if let Err(why) = plinth_provider::Path::checked(path) {
                    let help = "a path into `inputs` looks like `a.b`, `list[0].c` or `labels[\"x/y\"]`";
                    let message = format!("`{option}` has `{path}`, which is not a path");
                    self.tell(place, message, Some(why), Some(help.to_owned()));
                }
            }
        }
        for (alias, place) in listed(entry, "aliases", places, self.sources) {
            let kind = entry.get("kind").and_then(Value::as_str).unwrap_or("k");
            if let Err(error) = crate::resources::former("s", kind, alias)
                && kind_is_well_formed(kind).is_ok()
            {
                let help = "give the name that it had, or its whole URN as `plinth state list` shows it";
                self.tell(
                    place,
                    format!("`aliases` has `{alias}`, which is not a former name"),
                    Some(if alias.is_empty() { "it is empty".to_owned() } else { error.to_string() }),
                    Some(help.to_owned()),
                );
            }
        }
    }

    fn texts(&mut self, position: usize, value: &'a Value, places: &Places, fallback: Place) {
        let place = if places.place.column > 0 { places.place } else { fallback };
        let nowhere = Places::default();
        match value {
            Value::String(text) if text.contains("${") => self.text(position, text, place),
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    let below = match &places.children {
                        Children::List(children) => children.get(at).unwrap_or(&nowhere),
                        _ => &nowhere,
                    };
                    self.texts(position, value, below, place);
                }
            }
            Value::Object(map) => {
                for (at, (key, value)) in map.iter().enumerate() {
                    let below = match &places.children {
                        Children::Map(entries) => entries
                            .get(at)
                            .filter(|entry| self.sources.text_of(entry.key) == key)
                            .map_or(&nowhere, |entry| &entry.value),
                        _ => &nowhere,
                    };
                    self.texts(position, value, below, place);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, position: usize, text: &'a str, place: Place) {
        let pieces = match pieces(text) {
            Ok(pieces) => pieces,
            Err(message) => {
                return self.tell(
                    place,
                    message.to_owned(),
                    None,
                    Some(
                        "a reference looks like `${name.output}`; write `$${` for a literal `${`".to_owned(),
                    ),
                );
            }
        };
        for piece in pieces {
            let Piece::Reference(reference) = piece else { continue };
            let (target, name, path) =
                split(reference, |name| self.names.get(name).map(|(position, _)| *position));
            match target {
                None if name == secrets::PREFIX => self.secret(path, place),
                None => self.dangling(name, place, "a reference", Some(reference)),
                Some(_) if path.is_empty() => self.tell(
                    place,
                    format!("`${{{reference}}}` names a resource, but none of its outputs"),
                    None,
                    Some(format!(
                        "write `${{{reference}.output}}` with the output's name, or use `dependsOn`"
                    )),
                ),
                Some(target) => self.edge(position, target, name, place),
            }
        }
    }

    /// `${secret.NAME}`, in a file without a resource of the name `secret`. Whether it is set is not the file's matter.
    fn secret(&mut self, name: &str, place: Place) {
        if let Err(why) = check_secret_name(name) {
            self.tell(
                place,
                format!("`${{secret.{name}}}` does not name a secret of the stack"),
                Some(why.to_owned()),
                Some("write `${secret.NAME}`; `plinth secrets list` lists the names".to_owned()),
            );
        }
    }

    fn edge(&mut self, from: usize, to: usize, name: &str, place: Place) {
        if from == to {
            self.tell(
                place,
                format!("`{name}` refers to itself"),
                Some("an output is known only after the resource exists".to_owned()),
                Some("remove the reference".to_owned()),
            );
        } else {
            self.edges[from].push(to);
        }
    }

    fn dangling(&mut self, name: &str, place: Place, what: &str, reference: Option<&str>) {
        if self.found.len() >= MOST_DIAGNOSTICS {
            return;
        }
        let near = closest(name, self.names.keys().copied());
        let escape =
            reference.map(|reference| format!("write `$${{{reference}}}` if that text is meant literally"));
        let help = match (near, escape) {
            (Some(near), Some(escape)) => format!("did you mean `{near}`? Else {escape}"),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, Some(escape)) => format!("add a resource of that name, or {escape}"),
            (None, None) => "add a resource of that name".to_owned(),
        };
        self.tell(
            place,
            format!("{what} names the resource `{name}`, which does not exist"),
            None,
            Some(help),
        );
    }

    /// Walks depth first without recursion; every resource belongs to at most one circle that is told.
    fn circles(&mut self, entries: &[(&'a Map<String, Value>, &Places)]) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            No,
            OnTrail,
            Done,
        }
        let mut seen = vec![Seen::No; entries.len()];
        for start in 0..entries.len() {
            if seen[start] != Seen::No {
                continue;
            }
            let mut trail = vec![(start, 0)];
            seen[start] = Seen::OnTrail;
            while let Some((at, next)) = trail.last_mut() {
                let at = *at;
                let Some(&to) = self.edges[at].get(*next) else {
                    seen[at] = Seen::Done;
                    trail.pop();
                    continue;
                };
                *next += 1;
                match seen[to] {
                    Seen::Done => {}
                    Seen::No => {
                        seen[to] = Seen::OnTrail;
                        trail.push((to, 0));
                    }
                    Seen::OnTrail => {
                        let first = trail.iter().position(|(member, _)| *member == to).unwrap_or(0);
                        let members: Vec<usize> = trail[first..].iter().map(|(member, _)| *member).collect();
                        self.circle(&members, entries);
                    }
                }
            }
        }
    }

    fn circle(&mut self, members: &[usize], entries: &[(&'a Map<String, Value>, &Places)]) {
        let name = |position: usize| entries[position].0.get("name").and_then(Value::as_str).unwrap_or("?");
        const SHOWN: usize = 12;
        let mut names: Vec<&str> = members.iter().take(SHOWN).map(|member| name(*member)).collect();
        if members.len() > SHOWN {
            names.push("…");
        }
        names.push(name(members[0]));
        let place = place_of(entries[members[0]].1, "name", self.sources);
        self.tell(
            place,
            format!("resources depend on each other in a circle: {}", names.join(" → ")),
            Some("none of them could be made first".to_owned()),
            Some("remove one of these references".to_owned()),
        );
    }
}

/// Checks the form `provider:Kind`, `provider:group/Kind` or `k8s:[group/]version/Kind`.
fn kind_is_well_formed(kind: &str) -> Result<(), &'static str> {
    let Some((provider, path)) = kind.split_once(':') else {
        return Err("it has no provider before a colon");
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    if !word(provider)
        || !provider.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return Err("what stands before the colon is not the name of a provider");
    }
    let parts: Vec<&str> = path.split('/').collect();
    if !parts.iter().all(|part| word(part)) {
        return Err("what stands after the colon is not made of words separated by `/`");
    }
    let last = parts.last().copied().unwrap_or("");
    if !last.starts_with(|first: char| first.is_ascii_uppercase()) {
        return Err("its last part does not start with a capital letter");
    }
    if provider == "k8s" {
        let version = parts.len().checked_sub(2).and_then(|at| parts.get(at)).copied().unwrap_or("");
        let right = version
            .strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        if !(2..=3).contains(&parts.len()) || !right {
            return Err("a Kubernetes kind names a version, and before it a group unless it is a core kind");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::kind_is_well_formed;

    #[test]
    fn kinds_have_a_provider_and_a_capital() {
        for right in
            ["plinth:Data", "aws:s3/Bucket", "k8s:v1/ConfigMap", "k8s:networking.k8s.io/v1/NetworkPolicy"]
        {
            assert_eq!(kind_is_well_formed(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "Data",
            ":Data",
            "plinth:",
            "plinth:data",
            "k8s:ConfigMap",
            "k8s:apps/Deployment",
            "a:b::C",
            "A:B",
        ] {
            assert!(kind_is_well_formed(wrong).is_err(), "{wrong}");
        }
    }
}
