//! From the SDK's errors to the classes that the engine acts on. AWS's own text stays whole, since it names the action
//! and the resource that a permission is missing for.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use plinth_provider::{Class, Error};

/// What a call was about to do.
#[derive(Debug, Clone, Copy)]
enum Effect {
    /// It only reads: repeating it is safe.
    Reads,
    /// It changes something: without an answer nobody knows whether it did.
    Changes,
}

/// The error of a call that only reads. `action` is IAM's word for it, such as `eks:DescribeCluster`.
pub(crate) fn refused<E>(action: &str, what: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    translate(action, what, Effect::Reads, &error)
}

/// The error of a call that changes something.
pub(crate) fn failed<E>(action: &str, what: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    translate(action, what, Effect::Changes, &error)
}

/// AWS's code for an error; empty when there was no answer.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

/// AWS's text of an error; empty when there was no answer.
pub(crate) fn message<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default()
}

/// Whether AWS says that the thing is not there. S3's HEAD has no body, and so no code but its status.
pub(crate) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const CODES: &[&str] = &[
        "NoSuchEntity",
        "ChangeSetNotFound",
        "ResourceNotFoundException",
        "NotFoundException",
        "NoSuchBucket",
        "NotFound",
        "NoSuchBucketPolicy",
        "NoSuchTagSet",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
        "OwnershipControlsNotFoundError",
        "ReplicationConfigurationNotFoundError",
        "ObjectLockConfigurationNotFoundError",
    ];
    let code = code(error);
    CODES.contains(&code)
        || (code.is_empty() || code == "Unknown") && error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404)
        // An EKS cluster that is being removed may answer with this instead.
        || code == "ClientException" && message(error).starts_with("No cluster found for name")
}

/// An error with its causes, which is where the SDK says what happened.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

fn translate<E>(action: &str, what: &str, effect: Effect, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let lost = match effect {
        Effect::Reads => Class::Unavailable,
        Effect::Changes => Class::UnknownOutcome,
    };
    let Some(answer) = error.as_service_error() else {
        let text = chain(error);
        return match error {
            SdkError::ConstructionFailure(_) => Error::invalid(format!("{action} on {what}: {text}")),
            _ if text.contains("credential") => expired(format!("{action} on {what}: {text}")),
            _ => Error::new(lost, format!("{action} on {what} got no answer: {text}")),
        };
    };
    let code = answer.code().unwrap_or("an error without a code");
    let said = answer.message().unwrap_or_default();
    let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
    let text = match said {
        "" => format!("{action} on {what} was refused: {code}"),
        said => format!("{action} on {what} was refused: {said} ({code})"),
    };
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => Error::new(Class::Throttled { retry_after: retry_after(error) }, text),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "Forbidden"
        | "UnauthorizedException" => Error::new(Class::Denied, text).help(format!(
            "allow {action}; `plinth check --permissions` prints the whole policy that the stack needs"
        )),
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "TokenRefreshRequired" => expired(text),
        "LimitExceeded"
        | "LimitExceededException"
        | "ResourceLimitExceededException"
        | "TooManyBuckets"
        | "ServiceQuotaExceededException"
        | "QuotaExceeded" => Error::invalid(text)
            .help("ask for a higher quota in Service Quotas, or remove what is not needed"),
        "EntityAlreadyExists"
        | "AlreadyExistsException"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou" => Error::new(Class::AlreadyExists, text),
        "OperationAborted"
        | "ConflictException"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "DeleteConflict"
        | "DependencyViolation"
        | "ResourceInUseException"
        | "InvalidBucketState" => Error::new(Class::Conflict, text),
        _ if is_missing(error) => Error::new(Class::NotFound, text),
        _ if status == 429 => Error::new(Class::Throttled { retry_after: retry_after(error) }, text),
        _ if status >= 500 => Error::new(lost, text),
        _ if status == 403 => Error::new(Class::Denied, text).help(format!("allow {action}")),
        _ => Error::invalid(text),
    }
}

fn expired(text: String) -> Error {
    Error::new(Class::Denied, text)
        .help("the credentials are missing, expired or wrong: log in again and run the same command, it continues where this one stopped")
}

fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<std::time::Duration> {
    let seconds = error.raw_response()?.headers().get("retry-after")?.parse().ok()?;
    Some(std::time::Duration::from_secs(seconds))
}
