//! `plinth render`

use std::path::{Path, PathBuf};

use clap::Args;
use plinth_provider::{Provider, Resource};
use plinth_stacks::program::Target;

use super::failure::{Code, Failure};
use super::own;
use super::session::load;
use super::stack_args::StackArgs;
use crate::present;

/// Write every Kubernetes object as a YAML file; needs no cluster and no credentials
#[derive(Debug, Args)]
pub struct Render {
    #[command(flatten)]
    stack: StackArgs,
    /// The folder to write to; it is made if it does not exist
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Render {
    /// Runs the command.
    pub fn run(self) -> Result<Code, Failure> {
        let loaded = load(&self.stack.file(), &self.stack.stack)?;
        let target = Target { rehearse: self.stack.place.rehearse, offline: true };
        let resources = own::resources(&loaded, &target)?;
        let kubernetes = plinth_kubernetes::Kubernetes::new(std::sync::Arc::new(
            plinth_kubernetes::KubeconfigConnector::new(Vec::new(), None),
        ));
        let objects: Vec<&Resource> = resources.iter().filter(|r| r.urn.kind().starts_with("k8s:")).collect();
        let mut files = Vec::with_capacity(objects.len());
        let mut errors = Vec::new();
        for object in objects {
            // Outputs are unknown here: they show as what they are.
            let inputs = object.inputs.resolve(&mut |_| None);
            match kubernetes.check(&object.urn, inputs) {
                Ok(inputs) => {
                    files.push((file_name(object), plinth_kubernetes::manifest(&object.urn, &inputs)))
                }
                Err(error) => {
                    errors.push(super::failure::Diagnostic::error(format!(
                        "{}: {}",
                        object.urn, error.message
                    )));
                }
            }
        }
        if !errors.is_empty() {
            return Err(Failure::many(errors));
        }
        let count = files.len();
        for (name, manifest) in files {
            let text = serde_saphyr::to_string(&manifest)
                .map_err(|error| Failure::new(format!("{}: {error}", name.display())))?;
            write(&self.dir.join(name), &text)?;
        }
        if self.stack.output.json {
            let event = serde_json::json!({"event": "rendered", "objects": count, "dir": self.dir});
            present::out(&format!("{event}\n"));
        } else {
            present::out(&format!(
                "{} written to {}; secrets in them are masked.\n",
                present::count(count as u64, "object"),
                self.dir.display()
            ));
        }
        Ok(Code::Done)
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let cannot =
        |error: std::io::Error| Failure::new(format!("{} cannot be written: {error}", file.display()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    std::fs::write(file, text).map_err(cannot)
}

/// `<namespace>/<kind>-<name>.yaml`; objects without a namespace stand under `cluster/`.
fn file_name(object: &Resource) -> PathBuf {
    let text = |path: &str| object.inputs.text_at(path).map(str::to_owned);
    let kind = object.urn.kind().rsplit('/').next().unwrap_or("object").to_lowercase();
    let name = text("metadata.name").unwrap_or_else(|| object.urn.name().replace('/', "-"));
    let safe = |text: String| text.replace(['/', ':'], "-");
    PathBuf::from(safe(text("metadata.namespace").unwrap_or_else(|| "cluster".to_owned())))
        .join(format!("{kind}-{}.yaml", safe(name)))
}
