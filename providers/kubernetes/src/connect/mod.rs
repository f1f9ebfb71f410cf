//! How a cluster is reached. Credentials are looked up here, at each run; nothing of them is recorded.

mod http;
mod tokens;

use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use kube::config::{KubeConfigOptions, Kubeconfig};
use plinth_provider::{Class, Error, Result, Value};
use tokio::sync::Mutex;

pub use http::{client_at, client_of};
pub use tokens::Tokens;

/// Gives the client of a connection. `None` is the stack's default cluster.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The client; called for every operation, so it should be kept between calls.
    ///
    /// # Errors
    /// When the cluster's address or credentials cannot be had; [`Class::NotFound`] when the cluster is known to be gone,
    /// and everything in it with it.
    async fn client(&self, connection: Option<&Value>) -> Result<kube::Client>;

    /// Whether there is anything to ask yet. A cluster that would only be started by asking has nothing to say to a
    /// plan, and a plan starts nothing.
    fn is_there(&self, connection: Option<&Value>) -> bool {
        let _ = connection;
        true
    }

    /// The API server did not accept the client's credentials: the next [`Connector::client`] must bring new ones.
    async fn forget(&self, connection: Option<&Value>) {
        let _ = connection;
    }
}

/// Reaches clusters as `kubectl` does: by a kubeconfig file, or, without one, by the service account of the pod that
/// this runs in. A connection may be a map with `kubeconfig` (a path) and `context` that override the defaults.
pub struct KubeconfigConnector {
    files: Vec<PathBuf>,
    context: Option<String>,
    clients: Mutex<HashMap<Wanted, kube::Client>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    files: Vec<PathBuf>,
    context: Option<String>,
}

impl std::fmt::Debug for KubeconfigConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeconfigConnector")
            .field("files", &self.files)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl KubeconfigConnector {
    /// Connects by these kubeconfig files, merged in order as `$KUBECONFIG` names them, and this context or the
    /// current one. Without any file: the pod's service account.
    pub fn new(files: Vec<PathBuf>, context: Option<String>) -> Self {
        Self { files, context, clients: Mutex::default() }
    }

    fn wanted(&self, connection: Option<&Value>) -> Wanted {
        let text = |key: &str| connection.and_then(|value| value.get(key)).and_then(Value::as_str);
        match text("kubeconfig") {
            Some(file) => {
                Wanted { files: vec![PathBuf::from(file)], context: text("context").map(str::to_owned) }
            }
            None => Wanted {
                files: self.files.clone(),
                context: text("context").map(str::to_owned).or_else(|| self.context.clone()),
            },
        }
    }
}

#[async_trait]
impl Connector for KubeconfigConnector {
    async fn client(&self, connection: Option<&Value>) -> Result<kube::Client> {
        let wanted = self.wanted(connection);
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(&wanted) {
            return Ok(client.clone());
        }
        let client = client_of(config(&wanted).await?)?;
        clients.insert(wanted, client.clone());
        Ok(client)
    }

    async fn forget(&self, connection: Option<&Value>) {
        self.clients.lock().await.remove(&self.wanted(connection));
    }
}

async fn config(wanted: &Wanted) -> Result<kube::Config> {
    // Like kubectl: of a list of files, those that are not there are passed over.
    let present: Vec<&PathBuf> = wanted.files.iter().filter(|file| file.exists()).collect();
    if present.is_empty() {
        return kube::Config::incluster().map_err(|error| match wanted.files.first() {
            None => refused(format!("no kubeconfig was given, and this is no pod of a cluster: {error}"))
                .help("name a kubeconfig file in the stack file (cloud.kubeconfig), or set KUBECONFIG"),
            Some(file) => refused(format!("there is no kubeconfig {}", file.display()))
                .help("make one (`kubectl config view` shows the current), or name another file"),
        });
    }
    let mut merged: Option<Kubeconfig> = None;
    for file in present {
        let read = read(file)?;
        merged = Some(match merged {
            None => read,
            Some(before) => before
                .merge(read)
                .map_err(|error| refused(format!("cannot merge {}: {error}", file.display())))?,
        });
    }
    let options = KubeConfigOptions { context: wanted.context.clone(), ..KubeConfigOptions::default() };
    let names = wanted.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    kube::Config::from_custom_kubeconfig(merged.unwrap_or_default(), &options).await.map_err(|error| {
        refused(format!("kubeconfig {names}: {error}")).help(match &wanted.context {
            Some(context) => {
                format!("see whether the context `{context}` is there: kubectl config get-contexts")
            }
            None => "see whether a current context is set: kubectl config current-context".to_owned(),
        })
    })
}

fn read(file: &FilePath) -> Result<Kubeconfig> {
    Kubeconfig::read_from(file).map_err(|error| refused(format!("cannot read {}: {error}", file.display())))
}

fn refused(message: String) -> Error {
    Error::new(Class::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {server: 'http://127.0.0.1:1'}\nusers:\n- name: u\n  user: {}\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n";

    #[tokio::test]
    async fn a_missing_context_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, CONFIG).unwrap();
        let connector = KubeconfigConnector::new(vec![file.clone()], None);
        assert!(connector.client(None).await.is_ok());
        let wrong = Value::from([("context", "b")]);
        let error = connector.client(Some(&wrong)).await.err().unwrap();
        assert!(error.help.unwrap().contains("`b`"));
        let none = KubeconfigConnector::new(vec![dir.path().join("absent")], None);
        assert!(none.client(None).await.err().unwrap().message.contains("absent"));
    }
}
