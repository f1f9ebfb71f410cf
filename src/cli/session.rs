//! What every command on a stack opens: the stack file, its log, the providers it needs.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use plinth_aws::Aws;
use plinth_kubernetes::{Connector, KubeconfigConnector, Kubernetes};
use plinth_local::{LocalCloud, Options, Place};
use plinth_provider::{Class, Path, Provider, Providers, Resource, Urn, Value, builtin::Builtin};
use plinth_stacks::file::{self, Draft, Loaded, StackSecrets};
use plinth_stacks::model::{Cloud, Concurrency, Encryption, SecretText};
use plinth_stacks::program::Target as ProgramTarget;
use plinth_state::{
    AwsKms, AzureCredentials, AzureKeyVault, Clock, Former, GcpKms, Holder, Keys, Learned, Log, Retention,
    State,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::digest::Digest;
use super::eks::EksConnector;
use super::embedded::Embedded;
use super::failure::{Diagnostic, Failure};
use super::interrupt;
use super::opening::Opening;
use super::stack_args::{PlaceArgs, StackArgs, error_style};
use super::{own, pace};
use crate::engine::{Engine, Events, Limits, PlanError, Reading, Refresh, RunError, Settings, Target, due};
use crate::faults::Injector;
use crate::present;

/// How old a recorded fact may be before a plan reads it again, unless the stack file says otherwise.
const DEFAULT_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(60);
/// How long the lease lasts under which a move between stacks is ended that was cut short.
const SETTLE_LEASE: std::time::Duration = std::time::Duration::from_secs(60);
/// How long a cluster may take to say that it is there.
const PREFLIGHT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// What may still protect a stack's secrets, by where they live.
type FormerKeys<'a> = &'a dyn Fn(&Home) -> Option<Former>;

/// Where the state of one or more stacks lives, and what lives beside it.
#[derive(Debug, Clone)]
pub struct Home {
    /// The URL that holds every stack's log.
    pub url: String,
    /// The folder of the embedded cloud and cluster.
    pub place: PathBuf,
    /// The file of the key that protects secrets when there is no passphrase.
    pub identity: PathBuf,
}

impl Home {
    /// The home of a stack: `--state` or the stack file's or `.plinth`; a rehearsal has one of its own inside it.
    ///
    /// # Errors
    /// When the working folder cannot be told.
    pub fn of(args: &PlaceArgs, settings: Option<&str>, stack: &str) -> Result<Self, Failure> {
        let cwd =
            std::env::current_dir().map_err(|error| Failure::new(format!("the working folder: {error}")))?;
        let beside = cwd.join(".plinth");
        let given = args.state.as_deref().or(settings);
        let folder = match given {
            None => Some(beside.clone()),
            Some(url) => plinth_state::folder_of(url),
        };
        // Names with an underscore cannot be stacks' names, so they stand beside them.
        if args.rehearse {
            let own = folder.unwrap_or(beside).join("_rehearse").join(stack);
            return Ok(Self {
                url: file_url(&own.join("state")),
                place: own.join("local"),
                identity: own.join("identity.txt"),
            });
        }
        let folder = folder.unwrap_or(beside);
        Ok(Self {
            url: given.map_or_else(|| file_url(&folder), str::to_owned),
            place: folder.join("_local"),
            identity: folder.join("_identity.txt"),
        })
    }

    /// The folder for what stands in for the systems of a program's own providers.
    pub fn own_systems(&self) -> PathBuf {
        self.place.with_file_name("_own")
    }

    /// What opens the secrets in state. A rehearsal needs nobody's keys: it has an identity file of its own.
    ///
    /// # Errors
    /// When the stack file wants a passphrase and none was given.
    pub fn keys(&self, args: &PlaceArgs, encryption: &Encryption) -> Result<Keys, Failure> {
        if args.rehearse {
            return Ok(Keys::Identity(self.identity.clone()));
        }
        let identity = args.identity.clone().unwrap_or_else(|| self.identity.clone());
        Ok(match (encryption, &args.passphrase) {
            (Encryption::Auto | Encryption::Passphrase, Some(passphrase)) => {
                Keys::Passphrase(passphrase.clone())
            }
            (Encryption::Passphrase, None) => {
                return Err(Failure::new("this stack's secrets are protected by a passphrase")
                    .help("give it in the environment variable PLINTH_PASSPHRASE"));
            }
            (Encryption::Auto | Encryption::IdentityFile, _) => Keys::Identity(identity),
            (Encryption::Age(age), _) => Keys::Recipients { recipients: age.recipients.clone(), identity },
            (Encryption::AwsKms(kms), _) => Keys::AwsKms(AwsKms {
                key_id: kms.key_id.clone(),
                region: kms.region.clone(),
                profile: kms.profile.clone(),
            }),
            (Encryption::GcpKms(kms), _) => {
                Keys::GcpKms(GcpKms { key: kms.key.clone(), endpoint: kms.endpoint.clone() })
            }
            (Encryption::AzureKeyVault(vault), _) => Keys::AzureKeyVault(AzureKeyVault {
                vault: vault.vault.clone(),
                key: vault.key.clone(),
                credentials: azure_credentials(),
            }),
        })
    }
}

/// How to sign in to Azure, as its own tools spell it.
pub fn azure_credentials() -> AzureCredentials {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let client = variable("AZURE_CLIENT_ID");
    AzureCredentials {
        tenant: variable("AZURE_TENANT_ID"),
        secret: variable("AZURE_CLIENT_SECRET"),
        token_file: variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
        managed_identity: client.is_some() || variable("IDENTITY_ENDPOINT").is_some(),
        client,
    }
}

/// Who holds a lease or sets a secret: this person, this machine, this command.
pub fn holder(command: &str) -> Holder {
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    Holder::current(user.filter(|user| !user.is_empty()), command)
}

fn file_url(path: &FilePath) -> String {
    format!("file://{}", path.to_string_lossy().replace('%', "%25"))
}

/// One stack, opened.
pub struct Session {
    /// The stack's name.
    pub name: String,
    /// The stack file.
    pub file: PathBuf,
    /// What it says, with a promotion in force laid over it.
    pub loaded: Loaded,
    /// What of it can be promoted, with a promotion in force laid over it.
    promotable: serde_json::Value,
    /// Tells whether the file has changed.
    digest: Digest,
    /// Whether this is a rehearsal.
    pub rehearse: bool,
    /// Where things live.
    pub home: Home,
    /// What goes wrong on purpose.
    faults: Option<Injector>,
    /// The embedded cloud and cluster, if the stack lives there.
    pub place: Option<Place>,
    /// The user's own cluster, if the stack lives there.
    cluster: Option<Arc<dyn Connector>>,
    /// The account, if the stack lives on AWS.
    pub(super) aws: Option<Aws>,
    /// Who does things.
    pub providers: Providers,
    /// Its log.
    pub log: Log,
    /// What is recorded.
    pub state: State,
    /// What is being read of live systems already.
    ahead: Arc<Mutex<Option<Reading>>>,
}

impl Session {
    /// Opens a stack. Nothing is touched: the embedded cloud starts with the first call to it.
    ///
    /// # Errors
    /// When the stack file is wrong, or its state cannot be read.
    pub async fn open(args: &StackArgs) -> Result<Self, Failure> {
        let session = Self::open_with(args, None, None).await?;
        session.warn_of_recipients();
        session.tell_endpoints();
        Ok(session)
    }

    /// Opens another stack in the same process: what goes wrong on purpose is counted over both.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open_beside(&self, args: &StackArgs) -> Result<Self, Failure> {
        let session = Self::open_with(args, self.faults.clone(), None).await?;
        session.warn_of_recipients();
        Ok(session)
    }

    /// Opens a stack whose secrets may still be protected by what `former` gives, and says nothing of it.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open_quietly(
        args: &StackArgs,
        former: impl Fn(&Home) -> Option<Former>,
    ) -> Result<Self, Failure> {
        Self::open_with(args, None, Some(&former)).await
    }

    async fn open_with(
        args: &StackArgs,
        faults: Option<Injector>,
        former: Option<FormerKeys<'_>>,
    ) -> Result<Self, Failure> {
        let file = args.file();
        let plain = faults.is_none() && args.place.faults.is_none() && former.is_none();
        let opening = if plain { Opening::at_a_glance(args, &file) } else { None };
        let draft = tracing::info_span!("read").in_scope(|| read(&file, &args.stack))?;
        let opening = opening.or_else(|| if plain { Opening::of_draft(args, &draft) } else { None });
        let loaded = tracing::info_span!("judge").in_scope(|| draft.judged(&variable))?;
        let name = loaded.stack.name.to_string();
        let home = Home::of(&args.place, loaded.stack.settings.state.as_deref(), &name)?;
        let keys = home.keys(&args.place, &loaded.stack.settings.encryption)?;
        let faults = match faults {
            Some(faults) => Some(faults),
            None => injector(args, &loaded)?,
        };
        let backend = super::storage::open(&home.url).await?;
        let backend = match &faults {
            Some(faults) => faults.storage(backend),
            None => backend,
        };
        let former = former.and_then(|former| former(&home));
        let open = async {
            match (opening, former) {
                (Some(opening), _) if opening.fits(&name, &loaded.stack.settings) => opening.opened().await,
                (_, Some(former)) => Ok(Log::open_formerly(backend, &name, keys, former).await?),
                (_, None) => Ok(Log::open(backend, &name, keys).await?),
            }
        };
        let (log, state) = open.instrument(tracing::info_span!("open")).await?;
        let history = loaded.stack.settings.history.unwrap_or_default();
        let log = log.with_retention(Retention {
            revisions: history.keep_revisions.map(|count| u64::from(count.get())),
            days: history.keep_days.map(|days| u64::from(days.get())),
        });
        let skew = faults.as_ref().map(|faults| faults.spec().clock).unwrap_or_default();
        let log = log.with_clock(Clock::skewed(skew));
        let state = Self::settle(&log, state, &home, faults.as_ref()).await?;
        let secrets = stack_secrets(&state, args);
        let as_it_is = state.promotion().is_none() && loaded.secret_uses.is_empty();
        let digest = (!as_it_is).then(|| Digest::of(&loaded.tree));
        let mut loaded = match state.promotion() {
            Some(promotion) => {
                let tree = file::overlay(loaded.tree, &promotion.overlay, &promotion.base);
                file::load_from_tree(tree, loaded.locations.with_secrets(secrets))?
            }
            None if as_it_is => loaded,
            None => file::load_from_tree(loaded.tree, loaded.locations.with_secrets(secrets))?,
        };
        // The tree has served its purpose once the stack was made of it.
        let tree = std::mem::take(&mut loaded.tree);
        let promotable = file::promotable(&tree);
        let digest = digest.unwrap_or_else(|| Digest::of_last(tree));
        let mut state = state;
        let learned = match args.place.rehearse {
            true => pace::of_real(&args.place, &loaded.stack.settings, &name).await,
            false => Learned::default(),
        };
        if args.place.rehearse {
            state.learned = pace::expected(state.learned, &learned);
        }
        let mut session = Self {
            name,
            file,
            promotable,
            loaded,
            digest,
            rehearse: args.place.rehearse,
            home,
            faults,
            place: None,
            cluster: None,
            aws: None,
            providers: Providers::new(),
            log,
            state,
            ahead: Arc::default(),
        };
        session.connect(&learned)?;
        session.check_limits()?;
        Ok(session)
    }

    /// Recipients that were added or removed in the stack file alone have no effect; nobody should believe otherwise.
    fn warn_of_recipients(&self) {
        let keys = self.log.keys();
        if let Some(wrapped) = self.state.key.as_ref().filter(|wrapped| !keys.wraps_as(wrapped)) {
            let protected = wrapped.opened_by();
            let message =
                format!("the stack's secrets are protected by {protected}, and the stack file names {keys}");
            let help = "run `plinth secrets rotate` to change over";
            present::diagnostics::warning(&message, Some(help), error_style());
        }
    }

    /// Ends a move of resources from another stack that was cut short.
    async fn settle(
        log: &Log,
        state: State,
        home: &Home,
        faults: Option<&Injector>,
    ) -> Result<State, Failure> {
        let open = async |url: &str| {
            // What is recorded of a URL lacks its password; our own has it.
            let url = if plinth_state::shown_url(&home.url) == url { &home.url } else { url };
            let backend = super::storage::open(url).await?;
            Ok(match faults {
                Some(faults) => faults.storage(backend),
                None => backend,
            })
        };
        let holder = || holder("plinth (ending a move between stacks)");
        Ok(plinth_state::settle(log, state, holder, SETTLE_LEASE, open).await?)
    }

    fn connect(&mut self, learned: &Learned) -> Result<(), Failure> {
        let mut providers: Vec<Arc<dyn Provider>> = vec![Arc::new(Builtin)];
        let embedded = self.rehearse || matches!(self.loaded.stack.cloud, Cloud::Local(_));
        if embedded {
            let options = self.faults.as_ref().map(Injector::place).unwrap_or_default();
            let options = Options { latencies: pace::latencies(learned), ..options };
            let place = Place::new(&self.home.place, options);
            providers.push(Arc::new(LocalCloud::new(place.clone())));
            providers
                .push(Arc::new(Kubernetes::new(Arc::new(Embedded::new(place.clone(), &self.home.place)))));
            if let Cloud::Aws(cloud) = &self.loaded.stack.cloud {
                // What the stack file itself asks of AWS; the platform stands on the embedded cloud.
                let notes = self.home.place.with_file_name("aws");
                providers.push(Arc::new(plinth_aws::Rehearsal::new(&cloud.region, &notes)));
            }
            self.place = Some(place);
        } else {
            let kubeconfig = self.kubeconfig();
            let cluster: Arc<dyn Connector> = match &self.loaded.stack.cloud {
                Cloud::Aws(cloud) => {
                    let aws = super::cloud::aws(cloud);
                    providers.push(Arc::new(aws.clone()));
                    self.aws = Some(aws.clone());
                    Arc::new(EksConnector::new(aws, kubeconfig))
                }
                _ => Arc::new(kubeconfig),
            };
            providers.push(Arc::new(Kubernetes::new(Arc::clone(&cluster))));
            self.cluster = Some(cluster);
        }
        providers.extend(own::providers(&self.loaded, self.rehearse, &self.home.own_systems())?);
        self.providers = providers.into_iter().fold(Providers::new(), |all, provider| {
            all.with(match &self.faults {
                Some(faults) => faults.provider(provider),
                None => provider,
            })
        });
        Ok(())
    }

    /// A limit for a provider that does not take part would limit nothing.
    fn check_limits(&self) -> Result<(), Failure> {
        let Some(Concurrency::Each(each)) = &self.loaded.stack.settings.concurrency else { return Ok(()) };
        let known: Vec<&str> = self.providers.iter().map(|provider| provider.name()).collect();
        if let Some(name) = each.providers.keys().find(|name| !known.contains(&name.as_str())) {
            let path = Path::parse("settings.concurrency.providers").key(name);
            let message = format!("no provider of this stack is called `{name}`");
            let placed = self.loaded.locations.diagnostic(&path, message);
            let placed = placed.help(format!("its kinds begin with: {}", known.join(":, ") + ":"));
            return Err(Failure::many(vec![Diagnostic::rendered(placed.to_string())]));
        }
        Ok(())
    }

    /// The user's clusters, by `kubectl`'s rules.
    fn kubeconfig(&self) -> KubeconfigConnector {
        let (file, context) = match &self.loaded.stack.cloud {
            Cloud::Existing(existing) => (existing.kubeconfig.as_deref(), existing.context.clone()),
            _ => (None, None),
        };
        let files = match file {
            Some(file) => vec![self.loaded.stack.directory.join(file)],
            None => default_kubeconfigs(),
        };
        KubeconfigConnector::new(files, context)
    }

    /// What the stack declares.
    ///
    /// # Errors
    /// When its program refuses it.
    pub fn resources(&self) -> Result<Vec<Resource>, Failure> {
        if !self.rehearse && !self.loaded.missing.is_empty() {
            return Err(self.loaded.missing.clone().into());
        }
        let target = ProgramTarget { rehearse: self.rehearse, offline: false };
        own::resources(&self.loaded, &target)
    }

    /// What is to be applied, from the stack file.
    ///
    /// # Errors
    /// As [`Session::target_to_look`].
    pub fn target(&self, command: &str) -> Result<Target, Failure> {
        let target = self.target_to_look(command)?;
        Ok(Target { stack_file_digest: self.digest().to_owned(), ..target })
    }

    /// Tells whether the stack file has changed.
    pub fn digest(&self) -> &str {
        self.digest.text()
    }

    /// What would be applied, for those who record nothing and need not wait for the stack file's digest.
    ///
    /// # Errors
    /// When the program refuses it or its resources are not a graph.
    pub fn target_to_look(&self, command: &str) -> Result<Target, Failure> {
        self.digest.begin();
        let resources = tracing::info_span!("program").in_scope(|| self.resources())?;
        let target = tracing::info_span!("graph")
            .in_scope(|| Target::new(command, resources, &self.providers))
            .map_err(|error| self.located(error))?;
        Ok(Target { settings: self.settings(), ..target })
    }

    /// Frees what the stack file says of resources' inputs, once the target is made of them. A run goes on for long, and
    /// the target has them.
    pub fn let_go_of_inputs(&mut self) {
        for entry in &mut self.loaded.stack.resources {
            entry.inputs = serde_json::Value::Null;
        }
    }

    /// The promotable settings in force, with every version spelled out: what a run of this stack proves.
    pub fn settings(&self) -> serde_json::Value {
        let stack = &self.loaded.stack;
        let mut settings = self.promotable.clone();
        if stack.platform.is_some() {
            settings["catalogue"] = stack.catalogue.resolved();
        }
        if stack.cloud.creates_cluster() && stack.platform.is_some() {
            settings["cluster"]["version"] = stack.cluster.version.to_string().into();
        }
        settings
    }

    /// What the stack file says by itself, whatever promotion is in force.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn own_tree(&self, args: &StackArgs) -> Result<serde_json::Value, Failure> {
        Ok(load(&self.file, &args.stack)?.tree)
    }

    /// Works with another tree from now on.
    ///
    /// # Errors
    /// When it is no stack.
    pub fn use_tree(&mut self, tree: serde_json::Value) -> Result<(), Failure> {
        let loaded = file::load_from_tree(tree, self.loaded.locations.clone())?;
        self.promotable = file::promotable(&loaded.tree);
        self.loaded = Loaded { tree: serde_json::Value::Null, ..loaded };
        Ok(())
    }

    /// An engine on this stack.
    pub fn engine(
        &self,
        events: Events,
        refresh: RefreshChoice,
        lock_timeout: std::time::Duration,
    ) -> Engine {
        let settings = &self.loaded.stack.settings;
        let lease = self.faults.as_ref().and_then(|faults| faults.spec().lease);
        Engine {
            stack: self.name.clone(),
            log: self.log.clone(),
            providers: self.providers.clone(),
            events,
            interrupt: interrupt::on_signals(),
            settings: Settings {
                limits: limits(settings.concurrency.as_ref()),
                refresh: self.refresh(refresh),
                lock_timeout,
                lease_ttl: lease.unwrap_or(Settings::default().lease_ttl),
            },
            ahead: Arc::clone(&self.ahead),
        }
    }

    fn refresh(&self, choice: RefreshChoice) -> Refresh {
        let max_age = self.loaded.stack.settings.refresh_max_age.as_ref();
        match choice {
            RefreshChoice::Auto => Refresh::Auto {
                max_age: max_age.map_or(DEFAULT_MAX_AGE, plinth_stacks::model::Duration::std),
            },
            RefreshChoice::Always => Refresh::Always,
            RefreshChoice::Never => Refresh::Never,
        }
    }

    /// Begins to read live systems, while what the stack declares is worked out.
    pub fn read_ahead(&self, choice: RefreshChoice) {
        let wanted = self.refresh(choice);
        // What an interrupted run left is resolved before anything is read.
        if !self.state.pending.is_empty() || due(&self.state, wanted, self.log.clock().now()) == 0 {
            return;
        }
        let reading = Reading::begin(&self.state, wanted, &self.providers, &CancellationToken::new());
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }

    /// Asks every cluster that the user brings whether it is there, before anything is touched.
    ///
    /// # Errors
    /// When one cannot be reached, with what to look at.
    pub async fn preflight(&self, target: &Target) -> Result<(), Failure> {
        self.check_account(false).await?;
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let desired = target.desired.resources().iter().map(|resource| (&resource.urn, &resource.connection));
        let recorded = self.state.resources.values().map(|tracked| (&tracked.urn, &tracked.connection));
        let mut connections: Vec<Option<&Value>> = Vec::new();
        for (_, connection) in desired.chain(recorded).filter(|(urn, _)| urn.kind().starts_with("k8s:")) {
            let known = connection.as_ref().is_none_or(|connection| !connection.has_unknown());
            if known && !connections.contains(&connection.as_ref()) {
                connections.push(connection.as_ref());
            }
        }
        for connection in connections {
            let failed = |why: String| Failure::new(format!("the stack's cluster cannot be reached: {why}"));
            let client = match cluster.client(connection).await {
                Ok(client) => client,
                // One that the stack makes itself is made again.
                Err(error) if error.class == Class::NotFound => continue,
                Err(error) => {
                    let failure = failed(error.message);
                    return Err(match error.help {
                        Some(help) => failure.help(help),
                        None => failure,
                    });
                }
            };
            let asked = tokio::time::timeout(PREFLIGHT_PATIENCE, client.apiserver_version()).await;
            let help = "nothing was changed; see whether `kubectl version` answers with the same kubeconfig and context";
            match asked {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(failed(error.to_string()).help(help)),
                Err(_) => {
                    let patience = present::duration(PREFLIGHT_PATIENCE);
                    return Err(failed(format!("it has not answered for {patience}")).help(help));
                }
            }
        }
        Ok(())
    }

    /// Ends what this process serves, so that everything is on disk.
    pub async fn close(&self) {
        if let Some(place) = &self.place {
            place.shutdown().await;
        }
    }

    /// An engine's error as a failure. Errors of resources that the stack file itself lists are shown at their place.
    pub fn located(&self, error: RunError) -> Failure {
        let RunError::Plan(errors) = &error else { return Failure::from(error) };
        let diagnostics = errors.iter().map(|error| {
            let entry = self.entry_of(error.urn());
            let Some(entry) = entry else { return Diagnostic::plan(error) };
            let path = match error {
                PlanError::Invalid { path: Some(path), .. } => entry.key("inputs").join(path),
                _ => entry,
            };
            let mut placed = self.loaded.locations.diagnostic(&path, error.to_string());
            if let Some(help) = error.help() {
                placed = placed.help(help);
            }
            Diagnostic::rendered(placed.to_string())
        });
        Failure::many(diagnostics.collect())
    }

    /// Where the stack file says what a resource's input is.
    pub fn declared_at(&self, urn: &Urn, path: &Path) -> Option<String> {
        let entry = self.entry_of(urn)?;
        self.loaded.locations.find(&entry.key("inputs").join(path)).map(|location| location.to_string())
    }

    /// Where the stack file lists a resource.
    fn entry_of(&self, urn: &Urn) -> Option<Path> {
        let entries = &self.loaded.stack.resources;
        let at = entries.iter().position(|entry| entry.kind == urn.kind() && entry.name == urn.name())?;
        Some(Path::parse("resources").index(at))
    }
}

/// What is to go wrong on purpose; only what is simulated may.
fn injector(args: &StackArgs, loaded: &Loaded) -> Result<Option<Injector>, Failure> {
    let Some(spec) = &args.place.faults else { return Ok(None) };
    if !args.place.rehearse && !matches!(loaded.stack.cloud, Cloud::Local(_)) {
        return Err(Failure::new(format!("stack `{}` does not live in the embedded cloud, so no faults are injected", loaded.stack.name))
            .help("rehearse it: with `--rehearse`, `--faults` makes the rehearsal go wrong and touches no real system"));
    }
    let injector = Injector::new(spec.clone())
        .map_err(|error| Failure::new(format!("the audit file of --faults cannot be opened: {error}")))?;
    Ok(Some(injector))
}

fn limits(concurrency: Option<&Concurrency>) -> Limits {
    match concurrency {
        None => Limits::default(),
        Some(Concurrency::Total(total)) => Limits { total: Some(*total as usize), ..Limits::default() },
        Some(Concurrency::Each(each)) => Limits {
            total: each.total.map(|total| total as usize),
            providers: each.providers.iter().map(|(name, most)| (name.clone(), most.0 as usize)).collect(),
        },
    }
}

/// The stack's own secrets for its stack file.
fn stack_secrets(state: &State, args: &StackArgs) -> StackSecrets {
    let value = |secret: &plinth_state::StackSecret| secret.value.as_str().map(SecretText::new);
    let values = state.secrets.iter().filter_map(|(name, secret)| Some((name.clone(), value(secret)?)));
    let rehearse = if args.place.rehearse { " --rehearse" } else { "" };
    StackSecrets {
        values: values.collect(),
        set_with: format!("plinth secrets set NAME -s {}{rehearse}", args.stack),
    }
}

/// How fresh the facts of a plan must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RefreshChoice {
    /// Trust what was recorded lately, read the rest.
    #[default]
    Auto,
    /// Read everything.
    Always,
    /// Read nothing.
    Never,
}

/// Reads a stack file. A missing one is explained by what there is instead.
///
/// # Errors
/// When it is missing or wrong.
pub fn load(file: &FilePath, asked: &str) -> Result<Loaded, Failure> {
    Ok(read(file, asked)?.judged(&variable)?)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(file: &FilePath, asked: &str) -> Result<Draft, Failure> {
    if !file.exists() {
        let failure = Failure::new(format!("there is no stack file {}", file.display()));
        return Err(match others(file) {
            others if others.is_empty() => failure.help(format!(
                "give the path of a stack file with --stack, or make {} (`plinth schema` describes its form)",
                file.display()
            )),
            others => failure.help(format!("`{asked}` was asked for; there are: {}", others.join(", "))),
        });
    }
    Ok(file::read(file)?)
}

fn others(file: &FilePath) -> Vec<String> {
    let Some(folder) = file.parent() else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "yaml"))
        .filter_map(|entry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort_unstable();
    names
}

fn default_kubeconfigs() -> Vec<PathBuf> {
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list).filter(|path| path.exists()).collect();
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube").join("config"));
    home.into_iter().filter(|path| path.exists()).collect()
}
