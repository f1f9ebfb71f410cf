//! Stack files that are wrong, right, odd, huge, or garbage.

mod bad;
mod extending;
mod robust;

use std::path::Path;

use super::{Loaded, load_text};

/// Everything that is wrong with a text, as the user sees it.
fn complaints(text: &str) -> String {
    match load_text(Path::new("stacks/test.yaml"), text) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(found) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"),
    }
}

fn right(text: &str) -> Loaded {
    load_text(Path::new("stacks/test.yaml"), text).unwrap_or_else(|found| {
        panic!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
    })
}

const HEAD: &str = "apiVersion: plinth.dev/v1\nkind: Stack\nname: test\n";
