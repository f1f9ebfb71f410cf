//! A platform as tests see it: every object that a stack declares, with outputs filled in by their own names.

use std::fmt;
use std::path::Path;

use plinth_provider::{Resource, Value};
use serde_json::{Value as Json, json};

use crate::model::Stack;
use crate::program::{ProgramError, Target, program};

/// Everything that a stack declares.
#[derive(Debug)]
pub(crate) struct Rendered {
    resources: Vec<Resource>,
}

/// One object.
pub(crate) struct Rendering {
    value: Value,
}

/// A highly available platform with everything in it.
pub(crate) fn highly_available() -> Rendered {
    Rendered::of(json!({ "highAvailability": true }))
}

/// The small platform that needs nothing.
pub(crate) fn local() -> Rendered {
    Rendered::of(json!({}))
}

impl Rendered {
    /// The platform of a stack in the embedded cloud.
    pub fn of(platform: Json) -> Self {
        Self::in_directory(platform, Path::new("."))
    }

    /// The same, for a stack file in a folder.
    pub fn in_directory(platform: Json, directory: &Path) -> Self {
        Self::try_in_directory(platform, directory).unwrap()
    }

    /// The same, or what is wrong.
    pub fn try_in_directory(platform: Json, directory: &Path) -> Result<Self, Vec<ProgramError>> {
        let mut stack: Stack = serde_json::from_value(json!({
            "apiVersion": "plinth.dev/v1", "kind": "Stack", "name": "prod", "platform": platform,
        }))
        .unwrap();
        stack.directory = directory.to_path_buf();
        let mut resources = program(&stack, &Target::default())?;
        for resource in &mut resources {
            resource.inputs =
                resource.inputs.resolve(&mut |output| Some(format!("<{}>", output.path).into()));
        }
        Ok(Self { resources })
    }

    /// The URNs of everything.
    pub fn names(&self) -> Vec<String> {
        self.resources.iter().map(|resource| resource.urn.as_str().to_owned()).collect()
    }

    /// The objects of a kind.
    pub fn objects(&self, kind: &str) -> Vec<Rendering> {
        let kind = format!("/{kind}::");
        self.resources
            .iter()
            .filter(|resource| resource.urn.as_str().contains(&kind))
            .map(|resource| Rendering { value: resource.inputs.clone() })
            .collect()
    }

    /// One object.
    #[track_caller]
    pub fn object(&self, kind: &str, name: &str) -> Rendering {
        let found = self.objects(kind).into_iter().find(|object| object.at("metadata.name") == json!(name));
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The files in a ConfigMap.
    #[track_caller]
    pub fn files(&self, config_map: &str) -> Vec<(String, String)> {
        let data = self.object("ConfigMap", config_map).at("data");
        data.as_object()
            .unwrap()
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
            .collect()
    }

    /// One file in a ConfigMap.
    #[track_caller]
    pub fn file(&self, config_map: &str, name: &str) -> String {
        let found = self.files(config_map).into_iter().find(|(file, _)| file == name);
        found.unwrap_or_else(|| panic!("no {name} in {config_map}")).1
    }

    /// One file in a ConfigMap, read as YAML.
    #[track_caller]
    pub fn yaml(&self, config_map: &str, name: &str) -> Json {
        serde_saphyr::from_str(&self.file(config_map, name)).unwrap()
    }

    /// The containers of a workload's pods.
    #[track_caller]
    pub fn containers(&self, kind: &str, name: &str) -> Vec<Json> {
        self.object(kind, name).at("spec.template.spec.containers").as_array().unwrap().clone()
    }

    /// The arguments of one of them.
    #[track_caller]
    pub fn arguments(&self, kind: &str, name: &str, container: usize) -> Vec<String> {
        let arguments = self.containers(kind, name)[container]["args"].clone();
        serde_json::from_value(arguments).unwrap()
    }

    /// What everyone may read who may read anything but Secrets.
    pub fn everything_but_secrets(&self) -> String {
        let kind = "/Secret::";
        let open = self.resources.iter().filter(|resource| !resource.urn.as_str().contains(kind));
        open.map(|resource| resource.inputs.expose().to_string()).collect()
    }
}

impl Rendering {
    /// What is at a path such as `spec.containers.0.name`.
    #[track_caller]
    pub fn at(&self, path: &str) -> Json {
        let mut place = &self.value.expose();
        for segment in path.split('.') {
            place = match segment.parse::<usize>() {
                Ok(index) => &place[index],
                Err(_) => &place[segment],
            };
        }
        place.clone()
    }

    /// Whether anything in it is marked as secret.
    pub fn has_secret(&self) -> bool {
        self.value.has_secret()
    }
}

impl fmt::Display for Rendering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.value.expose())
    }
}
