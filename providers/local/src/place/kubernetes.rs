//! The Kubernetes API of a place: opened beside the cloud, and given the cloud's machines as nodes.

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value as Json, json};

use super::{Options, PlaceError};
use crate::cloud::{Machine, NodeHost, kubelet_version};
use crate::kube::{self, ApiServer, NodeSpec};

/// How often the store of a server that has just ended is tried again.
const TRIES: u32 = 40;

/// The Kubernetes API of a place.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    api: ApiServer,
}

impl Kubernetes {
    /// Opens the API. Its controllers run until the last handle is dropped.
    pub async fn open(dir: &Path, options: &Options) -> Result<Self, PlaceError> {
        let mut tries = 0;
        loop {
            let settings = kube::Options {
                virtual_node: options.virtual_node,
                time_scale: options.latency_scale,
                latency: options.distance,
                slow: options.faults.map(|faults| kube::Slow { seed: faults.seed, rate: faults.rate }),
                ..kube::Options::default()
            };
            match ApiServer::open(dir, settings) {
                Ok(api) => return Ok(Self { api }),
                // Watches of the last owner may take a moment to let go of it.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                Err(error) => return Err(PlaceError::files(format!("open {}", dir.display()))(error)),
            }
        }
    }

    /// The routes of the API.
    pub fn router(&self) -> Router {
        self.api.router()
    }

    async fn request(&self, method: Method, path: &str, body: Json) -> Result<Json, String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?fieldManager=cloud-node-manager"))
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .header(header::ACCEPT, "application/json")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .map_err(|error| error.to_string())?;
        let response = match TowerToHyperService::new(self.router()).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let answer: Json = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer.get("message").and_then(Json::as_str).unwrap_or("no reason given");
        Err(format!("the Kubernetes API answered {status} to {path}: {message}"))
    }

    /// Brings a node that may have joined earlier to the machine's labels, taints and version.
    async fn adjust(&self, machine: &Machine) -> Result<(), String> {
        let path = format!("/api/v1/nodes/{}", machine.name);
        let node = self.request(Method::GET, &path, Json::Null).await?;
        let mut labels: Map<String, Json> =
            labels_of(machine).into_iter().map(|(key, value)| (key, value.into())).collect();
        for key in node.pointer("/metadata/labels").and_then(Json::as_object).into_iter().flat_map(Map::keys)
        {
            // What belongs to Kubernetes stays; what the pool no longer says goes.
            if !labels.contains_key(key) && !key.contains("kubernetes.io/") {
                labels.insert(key.clone(), Json::Null);
            }
        }
        let taint = |(key, value, effect): &(String, String, String)| match value.as_str() {
            "" => json!({ "key": key, "effect": effect }),
            value => json!({ "key": key, "value": value, "effect": effect }),
        };
        let taints: Json = match machine.taints.is_empty() {
            true => Json::Null,
            false => machine.taints.iter().map(taint).collect(),
        };
        let patch = json!({ "metadata": { "labels": labels }, "spec": { "taints": taints } });
        self.request(Method::PATCH, &path, patch).await?;
        let size = json!({
            "cpu": machine.cpu.to_string(),
            "memory": format!("{}Gi", machine.memory_gb),
            "ephemeral-storage": format!("{}Gi", machine.disk_gb),
        });
        let status = json!({ "status": {
            "capacity": size,
            "allocatable": size,
            "nodeInfo": { "kubeletVersion": kubelet_version(&machine.version) },
        } });
        self.request(Method::PATCH, &format!("{path}/status"), status).await.map(drop)
    }
}

fn labels_of(machine: &Machine) -> std::collections::BTreeMap<String, String> {
    let mut labels = machine.labels.clone();
    labels.insert("topology.kubernetes.io/region".to_owned(), machine.region.clone());
    labels.insert("topology.kubernetes.io/zone".to_owned(), machine.zone.clone());
    labels.insert("node.kubernetes.io/instance-type".to_owned(), machine.instance_type.clone());
    labels
}

#[async_trait]
impl NodeHost for Kubernetes {
    async fn join(&self, machine: Machine) -> Result<(), String> {
        let spec = NodeSpec {
            name: machine.name.clone(),
            zone: machine.zone.clone(),
            instance_type: machine.instance_type.clone(),
            cpu: machine.cpu.to_string(),
            memory: format!("{}Gi", machine.memory_gb),
            labels: labels_of(&machine),
            taints: machine
                .taints
                .iter()
                .map(|(key, value, effect)| kube::Taint {
                    key: key.clone(),
                    value: value.clone(),
                    effect: effect.clone(),
                })
                .collect(),
        };
        self.api.add_node(&spec).map_err(|status| status.to_string())?;
        self.adjust(&machine).await
    }

    async fn leave(&self, name: &str) -> Result<(), String> {
        self.api.remove_node(name).map_err(|status| status.to_string())
    }
}
