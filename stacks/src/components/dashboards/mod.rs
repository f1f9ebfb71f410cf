//! Dashboards of our own writing, built from types, and those that a stack adds as files. Grafana mounts what comes out
//! of here; nothing here knows how.

mod cluster;
mod metrics;
mod model;
mod overview;
mod stores;
#[cfg(test)]
mod tests;

use self::model::Dashboard;
use crate::components::grafana::DASHBOARDS;
use crate::kit::Build;

/// The most text that one ConfigMap takes, with room for its metadata.
const LARGEST: usize = 900_000;

/// Dashboards that people find together.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// The folder's name on disk.
    pub name: String,
    /// The folder's name in Grafana.
    pub title: String,
    /// The dashboards: file name and text.
    pub files: Vec<(String, String)>,
}

impl Folder {
    /// What the name of its ConfigMap ends in.
    pub fn config_map(&self) -> String {
        format!("dashboards-{}", self.name)
    }

    /// Where it is mounted.
    pub fn path(&self) -> String {
        format!("{DASHBOARDS}/{}", self.name)
    }
}

/// Every folder of dashboards.
pub(crate) fn folders(b: &mut Build<'_>) -> Vec<Folder> {
    let mut folders = Vec::new();
    if b.platform.grafana.dashboards.built_in {
        folders.push(folder("platform", "Platform", &platform(b)));
        folders.push(folder(
            "kubernetes",
            "Kubernetes",
            &[cluster::nodes(), cluster::pods(), cluster::volumes()],
        ));
    }
    folders.extend(own(b));
    folders
}

fn platform(b: &Build<'_>) -> Vec<Dashboard> {
    let platform = b.platform;
    let mut list =
        vec![overview::overview(b), metrics::prometheus(), metrics::alerting(), overview::certificates()];
    if platform.thanos.enabled {
        list.push(metrics::thanos());
    }
    if platform.loki.enabled {
        list.push(stores::loki());
    }
    if platform.tempo.enabled {
        list.push(stores::tempo());
    }
    list.push(stores::collector());
    list
}

fn folder(name: &str, title: &str, dashboards: &[Dashboard]) -> Folder {
    Folder {
        name: name.to_owned(),
        title: title.to_owned(),
        files: dashboards
            .iter()
            .map(|dashboard| {
                let file = dashboard.uid.strip_prefix("plinth-").unwrap_or(&dashboard.uid);
                (format!("{file}.json"), dashboard.text())
            })
            .collect(),
    }
}

/// The dashboards that the stack's own folder holds; its sub-folders become folders in Grafana.
fn own(b: &mut Build<'_>) -> Vec<Folder> {
    let Some(directory) = b.platform.grafana.dashboards.directory.clone() else { return Vec::new() };
    let path = b.stack.directory.join(&directory);
    let mut folders = Vec::new();
    match read(&path) {
        Ok(found) => {
            for (name, files) in found {
                let size: usize = files.iter().map(|(_, text)| text.len()).sum();
                if size > LARGEST {
                    b.error(
                        format!("the dashboards in `{directory}/{name}` have {size} bytes, more than the {LARGEST} that fit"),
                        "spread them over several sub-folders",
                    );
                    continue;
                }
                for (file, text) in &files {
                    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
                        b.error(
                            format!("the dashboard `{directory}/{name}/{file}` is not JSON: {error}"),
                            "export it from Grafana again",
                        );
                    }
                }
                let title = if name.is_empty() { "Dashboards".to_owned() } else { name.clone() };
                let safe: String = title
                    .chars()
                    .map(|one| if one.is_ascii_alphanumeric() { one.to_ascii_lowercase() } else { '-' })
                    .collect();
                folders.push(Folder { name: format!("own-{}", safe.trim_matches('-')), title, files });
            }
        }
        Err(error) => {
            b.error(
                format!("the dashboards in `{}` cannot be read: {error}", path.display()),
                "correct `platform.grafana.dashboards.directory`, which is relative to the stack file",
            );
        }
    }
    folders
}

/// A folder's name, and the files in it: name and text.
type Found = Vec<(String, Vec<(String, String)>)>;

fn read(path: &std::path::Path) -> std::io::Result<Found> {
    let mut found = Vec::new();
    let (mut here, mut below) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            below.push((name, entry.path()));
        } else if name.ends_with(".json") {
            here.push((name, std::fs::read_to_string(entry.path())?));
        }
    }
    here.sort();
    below.sort();
    if !here.is_empty() {
        found.push((String::new(), here));
    }
    for (name, path) in below {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().into_owned();
            if file.ends_with(".json") {
                files.push((file, std::fs::read_to_string(entry.path())?));
            }
        }
        files.sort();
        if !files.is_empty() {
            found.push((name, files));
        }
    }
    Ok(found)
}
