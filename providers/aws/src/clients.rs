//! The connection to AWS: made with the first call that needs one, and only to the account that the stack means.

use std::time::{Duration, Instant};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::config::Builder as S3Config;
use plinth_provider::{Class, Error, Result};
use tokio::sync::{Mutex, OnceCell};

use crate::Settings;
use crate::error::{chain, refused};
use crate::retry::QuotasAreFinal;

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's number.
    pub account: String,
    /// The user or role.
    pub arn: String,
    /// `aws`, `aws-cn`, `aws-us-gov`: the first part of every ARN after `arn`.
    pub partition: String,
}

/// The clients of every service, for one account and region.
#[derive(Debug, Clone)]
pub struct Clients {
    /// What they were made of: region, credentials, endpoints.
    pub config: SdkConfig,
    /// Who calls.
    pub identity: Identity,
    /// Managed Kubernetes.
    pub eks: aws_sdk_eks::Client,
    /// Roles and policies.
    pub iam: aws_sdk_iam::Client,
    /// Encryption keys.
    pub kms: aws_sdk_kms::Client,
    /// Buckets.
    pub s3: aws_sdk_s3::Client,
    /// Stacks of anything else.
    pub cloudformation: aws_sdk_cloudformation::Client,
}

impl Clients {
    /// The region that calls go to.
    pub fn region(&self) -> &str {
        self.config.region().map_or("", Region::as_ref)
    }

    /// Buckets of another region than the stack's; the same where none is named.
    pub fn s3_in(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        match region.filter(|region| *region != self.region()) {
            Some(region) => {
                let config = self.s3.config().to_builder().region(Region::new(region.to_owned())).build();
                aws_sdk_s3::Client::from_conf(config)
            }
            None => self.s3.clone(),
        }
    }

    async fn connect(settings: &Settings, config: Option<SdkConfig>) -> Result<Self> {
        let config = match config {
            Some(config) => config,
            None => load(settings).await,
        };
        if config.credentials_provider().is_none() {
            return Err(no_credentials("the SDK finds none"));
        }
        let identity = identify(&config, settings).await?;
        // Stores that imitate S3 have no host name per bucket; an address of their own says that it is one.
        let imitation = config.endpoint_url().is_some() || settings.s3_path_style;
        let s3 = S3Config::from(&config).force_path_style(imitation).build();
        let eks = aws_sdk_eks::config::Builder::from(&config).retry_classifier(QuotasAreFinal).build();
        let iam = aws_sdk_iam::config::Builder::from(&config).retry_classifier(QuotasAreFinal).build();
        let kms = aws_sdk_kms::config::Builder::from(&config).retry_classifier(QuotasAreFinal).build();
        let cloudformation =
            aws_sdk_cloudformation::config::Builder::from(&config).retry_classifier(QuotasAreFinal).build();
        Ok(Self {
            identity,
            eks: aws_sdk_eks::Client::from_conf(eks),
            iam: aws_sdk_iam::Client::from_conf(iam),
            kms: aws_sdk_kms::Client::from_conf(kms),
            s3: aws_sdk_s3::Client::from_conf(s3),
            cloudformation: aws_sdk_cloudformation::Client::from_conf(cloudformation),
            config,
        })
    }
}

/// Clients that are connected when they are first needed. A failed attempt is not kept for long: credentials may be renewed
/// while a run waits.
#[derive(Debug)]
pub(crate) struct Connection {
    settings: Settings,
    config: Option<SdkConfig>,
    clients: OnceCell<Clients>,
    /// What the last attempt came to, for all who wait for the same.
    failed: Mutex<Option<(Instant, Error)>>,
}

/// How long an attempt that failed stands for the next ones. Credentials may be renewed while a run waits, so not for long.
const STANDS: Duration = Duration::from_secs(5);
/// How often it is asked who calls: an address that nothing answers at is known soon.
const GREETINGS: u32 = 5;

impl Connection {
    pub fn new(settings: Settings, config: Option<SdkConfig>) -> Self {
        Self { settings, config, clients: OnceCell::new(), failed: Mutex::default() }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub async fn clients(&self) -> Result<&Clients> {
        let connect = || async {
            let mut failed = self.failed.lock().await;
            if let Some((_, error)) = failed.as_ref().filter(|(at, _)| at.elapsed() < STANDS) {
                return Err(error.clone());
            }
            let connected = Clients::connect(&self.settings, self.config.clone()).await;
            *failed = connected.as_ref().err().map(|error| (Instant::now(), error.clone()));
            connected
        };
        self.clients.get_or_try_init(connect).await
    }
}

async fn load(settings: &Settings) -> SdkConfig {
    let retry = aws_config::retry::RetryConfig::standard().with_max_attempts(settings.attempts);
    let region = Region::new(settings.region.clone());
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .app_name(app_name())
        .retry_config(retry);
    if let Some(profile) = &settings.profile {
        // A profile that the stack names counts, whoever the environment says one is.
        let place = ProviderConfig::default().with_region(Some(region.clone()));
        let own = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&place);
        loader = loader.profile_name(profile).credentials_provider(own.build());
    }
    let base = loader.load().await;
    let Some(role) = &settings.role_arn else { return base };
    let assumed = aws_config::sts::AssumeRoleProvider::builder(role)
        .configure(&base)
        .region(region)
        .session_name("plinth")
        .build()
        .await;
    base.into_builder()
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(assumed))
        .build()
}

fn app_name() -> aws_config::AppName {
    #[expect(clippy::expect_used, reason = "a constant of letters")]
    aws_config::AppName::new("plinth").expect("letters only")
}

async fn identify(config: &SdkConfig, settings: &Settings) -> Result<Identity> {
    if let Some(provider) = config.credentials_provider()
        && let Err(error) = provider.provide_credentials().await
    {
        return Err(unusable(&chain(&error), settings));
    }
    let greetings = aws_config::retry::RetryConfig::standard().with_max_attempts(GREETINGS);
    let greetings = match config.retry_config() {
        Some(own) if own.max_attempts() < GREETINGS => own.clone(),
        Some(own) => greetings.with_initial_backoff(own.initial_backoff()),
        None => greetings,
    };
    let sts = aws_sdk_sts::config::Builder::from(config).retry_config(greetings).build();
    let answer = aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await.map_err(|error| {
        let unanswered = error.as_service_error().is_none();
        let error = refused("sts:GetCallerIdentity", "the caller", error);
        if unanswered && error.class == Class::Unavailable {
            let help = format!("see whether there is a region `{}` and a network to it", settings.region);
            return error.help(help);
        }
        error
    })?;
    let arn = answer.arn().unwrap_or_default().to_owned();
    let identity = Identity {
        account: answer.account().unwrap_or_default().to_owned(),
        partition: arn.split(':').nth(1).filter(|part| !part.is_empty()).unwrap_or("aws").to_owned(),
        arn,
    };
    match &settings.account_id {
        Some(wanted) if *wanted != identity.account => Err(Error::new(
            Class::Denied,
            format!(
                "these credentials belong to account {} ({}), and the stack means account {wanted}",
                identity.account, identity.arn
            ),
        )
        .at("cloud.accountId".into())
        .help("use a profile or role of that account (cloud.profile, cloud.roleArn, AWS_PROFILE), or correct cloud.accountId")),
        _ => Ok(identity),
    }
}

/// Why what the stack asks for gives no credentials.
fn unusable(why: &str, settings: &Settings) -> Error {
    match (&settings.role_arn, &settings.profile) {
        (Some(role), _) => Error::new(Class::Denied, format!("the role {role} cannot be assumed: {why}"))
            .at("cloud.roleArn".into())
            .help("the role's trust policy must let you assume it, and you need `sts:AssumeRole` on it; `aws sts get-caller-identity` shows who you are"),
        (None, Some(profile)) => Error::new(Class::Denied, format!("the profile `{profile}` gives no credentials: {why}"))
            .at("cloud.profile".into())
            .help(format!(
                "see whether `{profile}` is in ~/.aws/config or ~/.aws/credentials, log in (`aws sso login --profile {profile}`), or correct cloud.profile"
            )),
        (None, None) => no_credentials(why),
    }
}

fn no_credentials(why: &str) -> Error {
    // Where nothing is set up, the list of what could have been says nothing more.
    let why = why.split(". Attempted:").next().unwrap_or(why);
    Error::new(Class::Denied, format!("there are no AWS credentials: {why}")).help(
        "log in (`aws sso login`), set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached",
    )
}
