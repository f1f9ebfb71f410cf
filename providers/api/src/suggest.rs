//! Suggestions for words that do not exist.

/// `did you mean …?` for the most similar of the words, else all of them.
pub fn did_you_mean<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    let best = known
        .iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.as_ref().to_lowercase()), candidate)
        })
        .min_by_key(|(distance, _)| *distance);
    match best {
        Some((distance, candidate)) if distance * 3 <= word.chars().count().max(3) => {
            format!("did you mean `{}`?", candidate.as_ref())
        }
        _ => {
            let all: Vec<String> = known.iter().map(|name| format!("`{}`", name.as_ref())).collect();
            format!("there are: {}", all.join(", "))
        }
    }
}
