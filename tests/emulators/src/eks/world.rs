//! Everything there is, and what time does to it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cloudformation::{Revert, StackDrift};
use super::wire::{Refused, Reply, in_use, missing};
use super::{ACCOUNT, Ask};

/// A certificate authority that nobody is to trust, where a test names none.
const NO_AUTHORITY: &str = "bm9ib2R5IHRydXN0cyB0aGlz";

#[derive(Debug)]
pub(super) struct World {
    pub pace: Duration,
    pub endpoint: Option<(String, String)>,
    pub clusters: BTreeMap<String, Cluster>,
    /// What is to fail when it is made, by name.
    pub failing_creates: HashMap<String, (String, String)>,
    /// What is to fail when it is changed, by the update's type.
    pub failing_updates: HashMap<String, (String, String)>,
    /// Version, name and reason of what EKS advises against.
    pub advice: Vec<(String, String, String)>,
    /// Versions of Kubernetes in extended support.
    pub extended: Vec<String>,
    /// What somebody has changed inside CloudFormation stacks, by their names.
    pub drifts: BTreeMap<String, Vec<StackDrift>>,
    /// Change sets that revert it.
    pub reverts: HashMap<String, Revert>,
    pub made: u64,
}

/// One thing: how it is described, and what becomes of it at which time.
#[derive(Debug, Default)]
pub(super) struct Thing {
    pub doc: Value,
    pub token: Option<String>,
    pub ends: Option<(Instant, End)>,
}

/// What becomes of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Active,
    Failed,
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub doc: Value,
    pub token: Option<String>,
    pub ends: Option<(Instant, End)>,
    pub updates: Vec<Update>,
    pub node_groups: BTreeMap<String, Thing>,
    pub add_ons: BTreeMap<String, Thing>,
    pub entries: BTreeMap<String, Thing>,
    pub associations: BTreeMap<String, Thing>,
    pub refreshes: Option<Instant>,
}

/// An update under way or past.
#[derive(Debug)]
pub(super) struct Update {
    pub id: String,
    pub token: Option<String>,
    pub kind: String,
    pub of: Of,
    pub status: &'static str,
    pub error: Option<(String, String)>,
    pub ends: Instant,
    /// When the cluster looks as if it were over: before it is.
    pub looks_over: Instant,
    /// What it makes of the description, merged in at its end.
    pub change: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    Cluster,
    NodeGroup(String),
    AddOn(String),
}

impl World {
    pub fn new(pace: Duration) -> Self {
        Self {
            pace,
            endpoint: None,
            clusters: BTreeMap::new(),
            failing_creates: HashMap::new(),
            failing_updates: HashMap::new(),
            advice: Vec::new(),
            extended: Vec::new(),
            drifts: BTreeMap::new(),
            reverts: HashMap::new(),
            made: 0,
        }
    }

    /// An id in the form of a UUID.
    pub fn id(&mut self) -> String {
        self.made += 1;
        format!("{:08x}-1f6e-4c1b-9a3d-{:012x}", self.made, self.made)
    }

    pub fn cluster(&mut self, name: &str) -> Result<&mut Cluster, Refused> {
        self.clusters.get_mut(name).ok_or_else(|| missing(format!("No cluster found for name: {name}.")))
    }

    /// A cluster that things can be put into.
    pub fn active(&mut self, name: &str) -> Result<&mut Cluster, Refused> {
        let cluster = self.cluster(name)?;
        match cluster.doc["status"].as_str() {
            Some("ACTIVE" | "UPDATING") => Ok(cluster),
            status => Err(in_use(format!("Cluster '{name}' is in status {}", status.unwrap_or_default()))),
        }
    }

    /// How a create ends, and after which time.
    pub fn ending(&mut self, name: &str) -> (Instant, End) {
        let end = if self.failing_creates.contains_key(name) { End::Failed } else { End::Active };
        (Instant::now() + self.pace, end)
    }

    pub fn foreign_update(&mut self, name: &str, time: Duration) -> Option<String> {
        let id = self.id();
        let cluster = self.clusters.get_mut(name)?;
        cluster.updates.push(Update {
            id: id.clone(),
            token: None,
            kind: "LoggingUpdate".to_owned(),
            of: Of::Cluster,
            status: "InProgress",
            error: None,
            ends: Instant::now() + time,
            looks_over: Instant::now() + time / 2,
            change: json!({}),
        });
        cluster.doc["status"] = "UPDATING".into();
        Some(id)
    }

    /// Lets time do what it does.
    pub fn advance(&mut self) {
        let now = Instant::now();
        let failing = &mut self.failing_creates;
        let endpoint = &self.endpoint;
        for (name, cluster) in &mut self.clusters {
            if let Some((_, end)) = cluster.ends.take_if(|(at, end)| *at <= now && *end != End::Gone) {
                finish(&mut cluster.doc, &end, failing.remove(name));
                if end == End::Active {
                    let (url, authority) = endpoint.clone().unwrap_or_else(|| {
                        (
                            format!("https://{name}.gr7.eu-central-1.eks.amazonaws.com"),
                            NO_AUTHORITY.to_owned(),
                        )
                    });
                    cluster.doc["endpoint"] = url.into();
                    cluster.doc["certificateAuthority"] = json!({ "data": authority });
                }
            }
            for things in [&mut cluster.node_groups, &mut cluster.add_ons] {
                for (name, thing) in &mut *things {
                    let ended = thing.ends.take_if(|(at, end)| *at <= now && *end != End::Gone);
                    if let Some((_, end)) = ended {
                        finish(&mut thing.doc, &end, failing.remove(name));
                    }
                }
                things.retain(|_, thing| !is_over(thing.ends.as_ref(), now));
            }
            for update in cluster.updates.iter_mut().filter(|update| update.status == "InProgress") {
                if update.of == Of::Cluster && update.looks_over <= now {
                    cluster.doc["status"] = "ACTIVE".into();
                }
                if update.ends > now {
                    continue;
                }
                let doc = match &update.of {
                    Of::Cluster => Some(&mut cluster.doc),
                    Of::NodeGroup(name) => cluster.node_groups.get_mut(name).map(|thing| &mut thing.doc),
                    Of::AddOn(name) => cluster.add_ons.get_mut(name).map(|thing| &mut thing.doc),
                };
                update.status = if update.error.is_some() { "Failed" } else { "Successful" };
                if let Some(doc) = doc {
                    doc["status"] = "ACTIVE".into();
                    if update.error.is_none() {
                        merge(doc, &update.change);
                    }
                }
            }
            wake(cluster);
        }
        self.clusters.retain(|_, cluster| !is_over(cluster.ends.as_ref(), now));
    }

    pub fn inventory(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, cluster) in &self.clusters {
            names.push(name.clone());
            let parts = [&cluster.node_groups, &cluster.add_ons, &cluster.entries, &cluster.associations];
            names.extend(parts.into_iter().flatten().map(|(part, _)| format!("{name}/{part}")));
        }
        names
    }
}

fn is_over(ends: Option<&(Instant, End)>, now: Instant) -> bool {
    ends.is_some_and(|(at, end)| *at <= now && *end == End::Gone)
}

fn finish(doc: &mut Value, end: &End, issue: Option<(String, String)>) {
    match end {
        End::Active => doc["status"] = "ACTIVE".into(),
        _ => {
            let whole = doc.get("nodegroupName").is_some() || doc.get("addonName").is_some();
            doc["status"] = if whole { "CREATE_FAILED" } else { "FAILED" }.into();
            if let Some((code, message)) = issue {
                doc["health"] =
                    json!({ "issues": [{ "code": code, "message": message, "resourceIds": ["i-0123"] }] });
            }
        }
    }
}

/// What needs nodes comes up with the first of them, and is degraded until then.
fn wake(cluster: &mut Cluster) {
    let nodes = cluster.node_groups.values().any(|group| group.doc["status"] == "ACTIVE");
    for (name, add_on) in &mut cluster.add_ons {
        if !super::add_on::needs_nodes(name) || add_on.ends.is_some() {
            continue;
        }
        if !nodes && add_on.doc["status"] == "ACTIVE" {
            add_on.doc["status"] = "DEGRADED".into();
            let said = "The add-on is unhealthy because it doesn't have the desired number of replicas.";
            add_on.doc["health"] =
                json!({ "issues": [{ "code": "InsufficientNumberOfReplicas", "message": said }] });
        } else if nodes && add_on.doc["status"] == "DEGRADED" {
            add_on.doc["status"] = "ACTIVE".into();
            add_on.doc["health"] = json!({ "issues": [] });
        }
    }
}

/// Lays the one over the other: objects deeply, everything else as a whole. `null` removes.
pub(super) fn merge(doc: &mut Value, change: &Value) {
    match (doc, change) {
        (Value::Object(doc), Value::Object(change)) => {
            for (key, value) in change {
                match value {
                    Value::Null => {
                        doc.remove(key);
                    }
                    value => merge(doc.entry(key.clone()).or_insert(Value::Null), value),
                }
            }
        }
        (doc, change) => *doc = change.clone(),
    }
}

pub(super) fn arn(region: &str, kind: &str, path: &str) -> String {
    format!("arn:aws:eks:{region}:{ACCOUNT}:{kind}/{path}")
}

/// A time as REST with JSON has it.
pub(super) fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64().floor())
}

/// Tags of anything, by its ARN.
pub(super) fn tags(world: &mut World, ask: &Ask<'_>) -> Reply {
    let arn = ask.segments.get(1..).unwrap_or_default().join("/");
    const ARNS: [&str; 5] = ["arn", "nodegroupArn", "addonArn", "accessEntryArn", "associationArn"];
    let is_it = |doc: &Value| ARNS.iter().any(|key| doc[*key] == arn.as_str());
    let mut docs = world.clusters.values_mut().flat_map(|cluster| {
        let parts =
            [&mut cluster.node_groups, &mut cluster.add_ons, &mut cluster.entries, &mut cluster.associations];
        let parts = parts.into_iter().flat_map(|things| things.values_mut().map(|thing| &mut thing.doc));
        std::iter::once(&mut cluster.doc).chain(parts)
    });
    let doc = docs.find(|doc| is_it(doc)).ok_or_else(|| missing(format!("Resource {arn} not found")))?;
    match ask.operation {
        "TagResource" => merge(&mut doc["tags"], &ask.body["tags"]),
        "UntagResource" => {
            for key in ask.query.get("tagKeys").into_iter().flatten() {
                if let Some(tags) = doc["tags"].as_object_mut() {
                    tags.remove(key);
                }
            }
        }
        _ => return Ok(json!({ "tags": doc["tags"] })),
    }
    Ok(json!({}))
}
