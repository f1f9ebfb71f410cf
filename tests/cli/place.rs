//! Where state lives: in files beside the embedded cloud, at a URL, or on an emulator that is started for it.

use std::any::Any;
use std::sync::Arc;

use plinth_emulators::Server;
use plinth_state::{Backend, Options, open_backend_with};

use crate::support::Sandbox;

/// A storage for the states of many rounds.
#[derive(Default)]
pub struct Place {
    /// With `{}` for what tells rounds apart; none: files in the sandbox.
    url: Option<String>,
    /// Credentials, by the names of environment variables.
    variables: Vec<(&'static str, String)>,
    /// Runs as long as this lives.
    _server: Option<Box<dyn Any + Send + Sync>>,
}

impl Place {
    /// Nothing, a URL, or `moto`, `ministack`, `azurite`, `postgres`; none when that is not installed.
    pub fn find(asked: Option<&str>) -> Option<Self> {
        Some(match asked {
            None => Self::default(),
            Some("moto") => Self::s3(plinth_emulators::moto()?),
            Some("ministack") => Self::s3(plinth_emulators::ministack()?),
            Some("azurite") => {
                let server = plinth_emulators::azurite()?;
                server.make_container("state");
                let url =
                    format!("az://state/{{}}?endpoint={}/devstoreaccount1&allow_http=true", server.url());
                let variables = vec![
                    ("AZURE_STORAGE_ACCOUNT", "devstoreaccount1".to_owned()),
                    ("AZURE_STORAGE_KEY", Server::AZURITE_KEY.to_owned()),
                ];
                Self { url: Some(url), variables, _server: Some(Box::new(server)) }
            }
            Some("postgres") => {
                let server = plinth_emulators::postgres()?;
                let url = format!("{}?table=state_{{}}", server.url());
                Self { url: Some(url), variables: Vec::new(), _server: Some(Box::new(server)) }
            }
            Some(url) => Self { url: Some(url.to_owned()), ..Self::default() },
        })
    }

    fn s3(server: Server) -> Self {
        server.make_bucket("state");
        let url = format!("s3://state/{{}}?endpoint={}&allow_http=true", server.url());
        let variables =
            [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")];
        Self {
            url: Some(url),
            variables: variables.map(|(name, value)| (name, value.to_owned())).into(),
            _server: Some(Box::new(server)),
        }
    }

    /// The `--state` of a round, unless it is what a sandbox has by itself.
    pub fn url(&self, round: &str) -> Option<String> {
        // A table's name has no hyphens.
        let own = format!("{round}_{}", std::process::id()).replace('-', "_");
        self.url.as_ref().map(|url| url.replace("{}", &own))
    }

    /// Gives a sandbox what its commands need to get there.
    pub fn equip(&self, sandbox: &mut Sandbox) {
        for (name, value) in &self.variables {
            sandbox.set(name, value);
        }
    }

    /// The storage itself, to read what was written.
    pub fn open(&self, url: &str) -> Result<Arc<dyn Backend>, String> {
        let options = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let options: Options = options.collect();
        open_backend_with(url, &options).map_err(|error| error.to_string())
    }
}
