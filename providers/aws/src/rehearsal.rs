//! The kinds of AWS without AWS: what a rehearsal makes of them. Everything that is planned is planned as for the real
//! account; what would be made there is only noted in a folder, under names and ARNs such as AWS gives.

use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use plinth_provider::{
    Applied, Class, Context, Diff, Error, KindSchema, Lane, Live, Path, Provider, ReadRequest, Recorded,
    Request, Resource, Result, Urn, Value,
};
use sha2::{Digest, Sha256};

use crate::{Aws, Settings};

/// The account of everything that is rehearsed.
const ACCOUNT: &str = "000000000000";

/// The provider of the kinds `aws:…` in a rehearsal.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    kinds: Aws,
    region: String,
    folder: PathBuf,
}

impl Rehearsal {
    /// A rehearsal of what is in a region, noted in a folder.
    pub fn new(region: &str, folder: &FilePath) -> Self {
        Self { kinds: Aws::new(Settings::new(region)), region: region.to_owned(), folder: folder.to_owned() }
    }

    fn note(&self, urn: &Urn, id: &str) -> PathBuf {
        self.folder.join(digits(&format!("{urn} {id}"), 32))
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{ACCOUNT}:{resource}", self.region)
    }

    /// What AWS knows it by, and what comes back of it.
    fn made(&self, urn: &Urn, inputs: &Value) -> (String, Value) {
        let text = |key: &str| inputs.text_at(key).unwrap_or_else(|| urn.name()).to_owned();
        let (name, cluster, path) = (text("name"), text("cluster"), inputs.text_at("path").unwrap_or("/"));
        let hash = digits(urn.as_str(), 17);
        let (arn, more): (String, Vec<(&str, String)>) = match urn.kind() {
            "aws:iam/Role" => {
                (format!("arn:aws:iam::{ACCOUNT}:role{path}{name}"), vec![("uniqueId", hash.to_uppercase())])
            }
            "aws:iam/Policy" => (format!("arn:aws:iam::{ACCOUNT}:policy{path}{name}"), vec![]),
            "aws:iam/OidcProvider" => {
                let issuer = text("url").trim_start_matches("https://").to_owned();
                (format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"), vec![("issuer", issuer)])
            }
            "aws:kms/Key" => (self.arn("kms", &format!("key/{hash}")), vec![("id", hash.clone())]),
            "aws:kms/Alias" => (self.arn("kms", &format!("alias/{name}")), vec![]),
            "aws:logs/LogGroup" => (self.arn("logs", &format!("log-group:{name}")), vec![]),
            "aws:s3/Bucket" => {
                let region = inputs.text_at("region").unwrap_or(&self.region).to_owned();
                let endpoint = format!("s3.{region}.amazonaws.com");
                (format!("arn:aws:s3:::{name}"), vec![("region", region), ("endpoint", endpoint)])
            }
            "aws:cloudformation/Stack" => {
                let id = self.arn("cloudformation", &format!("stack/{name}/{hash}"));
                return (id.clone(), stack_outputs(urn, inputs, &id));
            }
            "aws:eks/Cluster" => {
                let arn = self.arn("eks", &format!("cluster/{name}"));
                let endpoint = format!("https://{}.eks.{}.amazonaws.com", hash.to_uppercase(), self.region);
                let issuer =
                    format!("https://oidc.eks.{}.amazonaws.com/id/{}", self.region, hash.to_uppercase());
                let more = vec![
                    ("connection", arn.clone()),
                    ("region", self.region.clone()),
                    ("version", text("version")),
                    ("endpoint", endpoint),
                    ("oidcIssuer", issuer),
                    ("securityGroupId", format!("sg-{hash}")),
                ];
                (arn, more)
            }
            kind => {
                let noun = kind.rsplit('/').next().unwrap_or(kind).to_lowercase();
                (self.arn("eks", &format!("{noun}/{cluster}/{name}/{hash}")), vec![("cluster", cluster)])
            }
        };
        let mut outputs = Value::from([("arn", arn.as_str()), ("name", name.as_str())]);
        for (key, value) in more {
            outputs.set(&Path::root().key(key), value.into());
        }
        (arn, outputs)
    }

    fn applied(&self, urn: &Urn, inputs: &Value) -> Result<Applied> {
        let (id, outputs) = self.made(urn, inputs);
        let write = || {
            std::fs::create_dir_all(&self.folder)?;
            std::fs::write(self.note(urn, &id), format!("{urn}\n"))
        };
        write().map_err(|error| unavailable(&self.folder, &error))?;
        Ok(Applied { id, outputs })
    }

    fn is_noted(&self, urn: &Urn, id: &str) -> bool {
        self.note(urn, id).is_file()
    }
}

fn unavailable(folder: &FilePath, error: &std::io::Error) -> Error {
    Error::new(Class::Unavailable, format!("the rehearsal's folder {}: {error}", folder.display()))
}

/// The outputs that a template promises, in the form that their names let expect.
fn stack_outputs(urn: &Urn, inputs: &Value, id: &str) -> Value {
    let template = inputs.text_at("template").and_then(|text| serde_json::from_str(text).ok());
    let template: serde_json::Value = template.unwrap_or_default();
    let mut outputs = Value::from([("stack_id", id)]);
    let promised = template.get("Outputs").and_then(|held| held.as_object());
    for key in promised.into_iter().flat_map(|map| map.keys()) {
        let hash = digits(&format!("{urn} {key}"), 17);
        let value = if key.contains("Subnet") {
            format!("subnet-{hash}")
        } else if key.starts_with("Vpc") {
            format!("vpc-{hash}")
        } else {
            format!("{key}-{hash}")
        };
        outputs.set(&Path::root().key(key), value.into());
    }
    outputs
}

fn digits(text: &str, count: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().chars().take(count).collect()
}

#[async_trait]
impl Provider for Rehearsal {
    fn name(&self) -> &str {
        "aws"
    }

    fn schema(&self, kind: &str) -> Result<KindSchema> {
        self.kinds.schema(kind)
    }

    fn check(&self, urn: &Urn, inputs: Value) -> Result<Value> {
        self.kinds.check(urn, inputs)
    }

    fn diff(&self, recorded: &Recorded, desired: &Value) -> Result<Diff> {
        self.kinds.diff(recorded, desired)
    }

    fn predict(&self, urn: &Urn, desired: &Value, recorded: Option<&Recorded>) -> Value {
        self.kinds.predict(urn, desired, recorded)
    }

    fn infer_dependencies(&self, resources: &[&Resource]) -> Vec<(Urn, Urn)> {
        self.kinds.infer_dependencies(resources)
    }

    fn inferred_because(
        &self,
        resources: &[&Resource],
        dependent: &Urn,
        dependency: &Urn,
    ) -> Option<&'static str> {
        self.kinds.inferred_because(resources, dependent, dependency)
    }

    fn identity(&self, urn: &Urn, inputs: &Value) -> Option<String> {
        self.kinds.identity(urn, inputs)
    }

    fn lives_in(&self, dependent: &Recorded, dependency: &Recorded) -> bool {
        self.kinds.lives_in(dependent, dependency)
    }

    fn beside(&self, recorded: &Recorded, declared: &Value, desired: &Value) -> Option<Value> {
        self.kinds.beside(recorded, declared, desired)
    }

    fn keep_name(&self, recorded: &Recorded, declared: &Value, desired: Value) -> Value {
        self.kinds.keep_name(recorded, declared, desired)
    }

    fn lanes(&self, urn: &Urn, inputs: &Value) -> Vec<Lane> {
        self.kinds.lanes(urn, inputs)
    }

    async fn create(&self, _context: &Context, request: Request<'_>) -> Result<Applied> {
        self.applied(request.urn, request.inputs)
    }

    async fn read(&self, _context: &Context, request: ReadRequest<'_>) -> Result<Option<Live>> {
        let recorded = request.recorded;
        Ok(self.is_noted(&recorded.urn, &recorded.id).then(|| Live {
            id: recorded.id.clone(),
            outputs: recorded.outputs.clone(),
            inputs: recorded.inputs.clone(),
            details: serde_json::Value::Null,
        }))
    }

    async fn update(&self, _context: &Context, request: Request<'_>, recorded: &Recorded) -> Result<Applied> {
        let applied = self.applied(request.urn, request.inputs)?;
        if applied.id != recorded.id {
            let _ = std::fs::remove_file(self.note(&recorded.urn, &recorded.id));
        }
        Ok(applied)
    }

    async fn delete(&self, _context: &Context, recorded: &Recorded) -> Result<()> {
        match std::fs::remove_file(self.note(&recorded.urn, &recorded.id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(unavailable(&self.folder, &error))
            }
            _ => Ok(()),
        }
    }

    async fn find(&self, _context: &Context, request: Request<'_>) -> Result<Option<Live>> {
        let (id, outputs) = self.made(request.urn, request.inputs);
        Ok(self.is_noted(request.urn, &id).then(|| Live {
            id,
            outputs,
            inputs: request.inputs.clone(),
            details: serde_json::Value::Null,
        }))
    }
}

#[cfg(test)]
mod tests {
    use plinth_provider::conformance::{Case, run};

    use super::*;

    #[tokio::test]
    async fn every_promise_of_the_contract_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let rehearsal = Rehearsal::new("eu-central-1", &folder.path().join("aws"));
        let json = |text: &str| Value::from_json(serde_json::from_str(text).unwrap());
        let urn = |kind: &str| Urn::new("dev", kind, "main").unwrap();
        let mut case = Case::new(urn("aws:s3/Bucket"), json("{}"));
        case.updated = Some(json(r#"{ "versioning": false }"#));
        case.replaced = Some(json(r#"{ "versioning": false, "name": "other-bucket" }"#));
        run(&rehearsal, &case).await;
        let template =
            r#"{ "template": { "Resources": {}, "Outputs": { "PrivateSubnet1": { "Value": "x" } } } }"#;
        let case = Case::new(urn("aws:cloudformation/Stack"), json(template));
        run(&rehearsal, &case).await;
        let checked = rehearsal.check(&case.urn, case.inputs.clone()).unwrap();
        let (_, outputs) = rehearsal.made(&case.urn, &checked);
        assert!(outputs.text_at("PrivateSubnet1").unwrap().starts_with("subnet-"));
    }
}
