//! The graphs, and their text for either program. A resource holds a value and takes over values of others.

use std::fmt::Write as _;

const LAYER: usize = 100;
const EDGES: usize = 3;

/// A graph that follows from its numbers alone.
#[derive(Clone, Copy)]
pub struct Shape {
    resources: usize,
    layered: bool,
}

impl Shape {
    /// No edges.
    pub fn flat(resources: usize) -> Self {
        Self { resources, layered: false }
    }

    /// Layers of a hundred; each resource uses three of the layer before it.
    pub fn layered(resources: usize) -> Self {
        Self { resources, layered: true }
    }

    /// How many resources.
    pub fn resources(self) -> usize {
        self.resources
    }

    /// Whether it has edges.
    pub fn is_layered(self) -> bool {
        self.layered
    }

    /// What people call it.
    pub fn title(self) -> String {
        let digits = self.resources.to_string();
        let mut number = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                number.push(',');
            }
            number.push(digit);
        }
        let edges = if self.layered { "layers of 100, 3 edges each" } else { "no edges" };
        format!("{number} resources, {edges}")
    }

    fn needs(self, at: usize) -> Vec<usize> {
        let layer = at / LAYER;
        if !self.layered || layer == 0 {
            return Vec::new();
        }
        // Steps that are prime to the layer's size spread the edges evenly.
        (0..EDGES).map(|edge| (layer - 1) * LAYER + (at * 7 + edge * 31 + layer * 13) % LAYER).collect()
    }

    /// A stack file.
    pub fn stack_file(self) -> String {
        let mut text = String::from(
            "apiVersion: plinth.dev/v1\nkind: Stack\nname: bench\ncloud: { provider: local }\nresources:\n",
        );
        for at in 0..self.resources {
            let _ = write!(text, "  - {{ kind: \"plinth:Data\", name: r{at}, inputs: {{ value: \"v{at}\"");
            self.list(&mut text, at, ", needs: [", |need| format!("\"${{r{need}.value}}\""));
            text.push_str(" } }\n");
        }
        text
    }

    /// A Terraform configuration.
    pub fn configuration(self) -> String {
        let mut text = String::new();
        for at in 0..self.resources {
            let _ = write!(text, "resource \"terraform_data\" \"r{at}\" {{\n  input = {{ value = \"v{at}\"");
            self.list(&mut text, at, ", needs = [", |need| format!("terraform_data.r{need}.output.value"));
            text.push_str(" }\n}\n");
        }
        text
    }

    fn list(self, text: &mut String, at: usize, opening: &str, reference: impl Fn(usize) -> String) {
        let needs: Vec<String> = self.needs(at).into_iter().map(reference).collect();
        if !needs.is_empty() {
            let _ = write!(text, "{opening}{}]", needs.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_use_three_different_resources_of_the_layer_before() {
        let shape = Shape::layered(1_000);
        for at in 0..1_000 {
            let mut needs = shape.needs(at);
            assert!(needs.iter().all(|need| need / LAYER + 1 == at / LAYER));
            needs.sort_unstable();
            needs.dedup();
            assert_eq!(needs.len(), if at < LAYER { 0 } else { EDGES });
        }
        assert_eq!(shape.title(), "1,000 resources, layers of 100, 3 edges each");
        assert_eq!(Shape::flat(100_000).title(), "100,000 resources, no edges");
    }

    #[test]
    fn both_texts_say_the_same() {
        let (ours, theirs) = (Shape::layered(300).stack_file(), Shape::layered(300).configuration());
        assert_eq!(ours.matches("plinth:Data").count(), 300);
        assert_eq!(theirs.matches("resource \"terraform_data\"").count(), 300);
        assert_eq!(ours.matches("${r").count(), theirs.matches("terraform_data.r").count());
    }
}
