//! The nodes that the simulated cloud gives to the cluster.

use std::collections::BTreeMap;

use super::json::{Json, Look, json, name, now};
use super::server::{ApiServer, Server};
use super::status::Status;
use super::store::Key;
use super::write::DeleteOptions;

/// The node that stands in for a cluster that has none.
pub(crate) const VIRTUAL: &str = "plinth-local";

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value, possibly empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A node to be added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeSpec {
    /// The name.
    pub name: String,
    /// The zone, empty when there are none.
    pub zone: String,
    /// The machine type, possibly empty.
    pub instance_type: String,
    /// Processors, as a quantity.
    pub cpu: String,
    /// Memory, as a quantity.
    pub memory: String,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
}

impl NodeSpec {
    fn to_json(&self, number: usize) -> Json {
        let mut labels = self.labels.clone();
        let mut well_known = vec![
            ("kubernetes.io/hostname", self.name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
        ];
        if !self.zone.is_empty() {
            well_known.push(("topology.kubernetes.io/zone", &self.zone));
            let region = self.zone.trim_end_matches(|c: char| c.is_ascii_lowercase()).trim_end_matches('-');
            well_known.push(("topology.kubernetes.io/region", region));
        }
        if !self.instance_type.is_empty() {
            well_known.push(("node.kubernetes.io/instance-type", &self.instance_type));
        }
        for (key, value) in well_known {
            labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        let taints: Vec<Json> = self
            .taints
            .iter()
            .map(|t| match t.value.as_str() {
                "" => json!({"key": t.key, "effect": t.effect}),
                value => json!({"key": t.key, "value": value, "effect": t.effect}),
            })
            .collect();
        // The stand-in stands in for as many machines as it takes.
        let pods = if self.name == VIRTUAL { "20000" } else { "110" };
        let resources =
            json!({"cpu": self.cpu, "memory": self.memory, "pods": pods, "ephemeral-storage": "100Gi"});
        let ready = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": now(), "lastTransitionTime": now()})
        };
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels},
            "spec": {"podCIDR": format!("10.244.{}.0/24", number % 256), "providerID": format!("plinth://{}", self.name),
                "taints": taints},
            "status": {
                "capacity": resources, "allocatable": resources,
                "addresses": [{"type": "InternalIP", "address": format!("10.0.{}.{}", number / 250, number % 250 + 4)},
                    {"type": "Hostname", "address": self.name}],
                "conditions": [
                    ready("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                    ready("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                    ready("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                    ready("Ready", "True", "KubeletReady", "kubelet is posting ready status")],
                "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux", "osImage": "Plinth local",
                    "kernelVersion": "6.12.0", "containerRuntimeVersion": "containerd://2.1.0",
                    "kubeletVersion": "v1.36.2", "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": ""}
            }
        })
    }
}

impl Server {
    fn put_node(&self, spec: &NodeSpec) -> Result<(), Status> {
        let number = self.store.list("nodes", None).0.len();
        match self.system_create("kubelet", spec.to_json(number)) {
            Err(status) if status.reason != "AlreadyExists" => Err(status),
            _ => Ok(()),
        }
    }

    /// Adds or removes the stand-in, by whether there is a real node.
    pub(crate) fn balance_virtual_node(&self) -> Result<(), Status> {
        let (nodes, _) = self.store.list("nodes", None);
        let real = nodes.iter().any(|n| name(n) != VIRTUAL);
        let there = nodes.iter().any(|n| name(n) == VIRTUAL);
        if real && there {
            return self.drop_node(VIRTUAL);
        }
        if !real && !there && self.options.virtual_node {
            return self.put_node(&NodeSpec {
                name: VIRTUAL.into(),
                zone: "local-a".into(),
                cpu: "10k".into(),
                memory: "40Ti".into(),
                ..NodeSpec::default()
            });
        }
        Ok(())
    }

    fn drop_node(&self, node: &str) -> Result<(), Status> {
        self.system_delete(&Key::new("nodes", "", node), &DeleteOptions::default())?;
        let (pods, _) = self.store.list("pods", None);
        for pod in pods.iter().filter(|p| p.text("spec.nodeName") == node) {
            let options = DeleteOptions { grace: Some(0), ..DeleteOptions::default() };
            if let Some(key) = self.key_of(pod) {
                self.system_delete(&key, &options)?;
            }
        }
        Ok(())
    }
}

impl ApiServer {
    /// Adds a node; that it is there already is fine.
    ///
    /// # Errors
    /// When the node is not a valid one or the journal cannot be written.
    pub fn add_node(&self, spec: &NodeSpec) -> Result<(), Status> {
        self.server().put_node(spec)?;
        self.server().balance_virtual_node()
    }

    /// Removes a node and the pods on it; that it is gone already is fine.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn remove_node(&self, node: &str) -> Result<(), Status> {
        self.server().drop_node(node)?;
        self.server().balance_virtual_node()
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> Vec<String> {
        self.server().store.list("nodes", None).0.iter().map(|n| name(n).to_owned()).collect()
    }
}
