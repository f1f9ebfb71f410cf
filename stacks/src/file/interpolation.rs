//! `${name.output.path}` inside texts.

use std::borrow::Cow;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text as it is.
    Text(Cow<'a, str>),
    /// What stands between `${` and `}`.
    Reference(&'a str),
}

/// Takes a text apart. `$${` stands for a literal `${`.
///
/// # Errors
/// When a `${` is not closed, or holds nothing.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    if !text.contains("${") {
        return Ok(vec![Piece::Text(Cow::Borrowed(text))]);
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(position) = rest.find("${") {
        if rest[..position].ends_with('$') {
            literal.push_str(&rest[..position - 1]);
            literal.push_str("${");
            rest = &rest[position + 2..];
            continue;
        }
        literal.push_str(&rest[..position]);
        let inside = &rest[position + 2..];
        let Some(end) = inside.find('}') else { return Err("`${` is not closed by `}`") };
        let reference = inside[..end].trim();
        if reference.is_empty() {
            return Err("`${}` names nothing");
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(Cow::Owned(std::mem::take(&mut literal))));
        }
        pieces.push(Piece::Reference(reference));
        rest = &inside[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(Cow::Owned(literal)));
    }
    Ok(pieces)
}

/// Splits a reference into a resource's name and the path of its output. Names may hold dots, so the longest known
/// name wins; without any, the name ends at the first dot or bracket, and `None` says that it is not known.
pub(crate) fn split<T>(reference: &str, known: impl Fn(&str) -> Option<T>) -> (Option<T>, &str, &str) {
    let path_after = |position: usize| {
        let rest = &reference[position..];
        rest.strip_prefix('.').unwrap_or(rest)
    };
    let boundaries = reference.match_indices(['.', '[']).map(|(position, _)| position);
    for position in std::iter::once(reference.len()).chain(boundaries.clone().rev()) {
        if let Some(found) = known(&reference[..position]) {
            return (Some(found), &reference[..position], path_after(position));
        }
    }
    let end = boundaries.min().unwrap_or(reference.len());
    (None, &reference[..end], path_after(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece<'_> {
        Piece::Text(Cow::Borrowed(text))
    }

    #[test]
    fn texts_come_apart_at_references() {
        assert_eq!(pieces("plain $x {y}").unwrap(), [text("plain $x {y}")]);
        assert_eq!(pieces("${a.b}").unwrap(), [Piece::Reference("a.b")]);
        assert_eq!(
            pieces("x ${ a.b } y ${c.d}").unwrap(),
            [text("x "), Piece::Reference("a.b"), text(" y "), Piece::Reference("c.d")]
        );
        assert_eq!(pieces("").unwrap(), [text("")]);
    }

    #[test]
    fn a_doubled_dollar_sign_escapes() {
        assert_eq!(pieces("$${HOME}/x").unwrap(), [text("${HOME}/x")]);
        assert_eq!(pieces("$$${a}").unwrap(), [text("$${a}")]);
        assert_eq!(pieces("$${a} ${b.c}").unwrap(), [text("${a} "), Piece::Reference("b.c")]);
    }

    #[test]
    fn broken_references_are_told() {
        assert!(pieces("${a").is_err());
        assert!(pieces("${}").is_err());
        assert!(pieces("${ }").is_err());
    }

    #[test]
    fn the_longest_known_name_wins() {
        let known = |name: &str| ["a", "a.b"].contains(&name).then_some(());
        assert_eq!(split("a.b.c", known), (Some(()), "a.b", "c"));
        assert_eq!(split("a.x[0].y", known), (Some(()), "a", "x[0].y"));
        assert_eq!(split("a[\"k\"]", known), (Some(()), "a", "[\"k\"]"));
        assert_eq!(split("z.x", known), (None, "z", "x"));
        assert_eq!(split("a", known), (Some(()), "a", ""));
    }
}
