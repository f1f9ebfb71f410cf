//! What the SDK tries again and need not: it takes a quota that is used up for too many requests at once.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

/// Ends the tries of a call that a quota stands against.
#[derive(Debug)]
pub(crate) struct QuotasAreFinal;

impl ClassifyRetry for QuotasAreFinal {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let (Some(Err(_)), Some(response)) = (context.output_or_error(), context.response()) else {
            return RetryAction::NoActionIndicated;
        };
        let code = response.headers().get("x-amzn-errortype").unwrap_or_default();
        let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        if is_quota(code) || is_quota(&body) {
            return RetryAction::RetryForbidden;
        }
        RetryAction::NoActionIndicated
    }

    fn name(&self) -> &'static str {
        "quotas are final"
    }
}

fn is_quota(text: &str) -> bool {
    text.contains("LimitExceededException")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_told_from_too_many_requests() {
        assert!(is_quota(r#"{"__type":"LimitExceededException","message":"50000 keys"}"#));
        assert!(is_quota("ResourceLimitExceededException"));
        assert!(!is_quota("<Code>RequestLimitExceeded</Code>") && !is_quota("ThrottlingException"));
    }
}
