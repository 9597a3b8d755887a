//! The configuration that all AWS clients share.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Limit for the time from the start of an attempt to the first byte of its answer. It includes sending the body.
const READ: Duration = Duration::from_secs(20);
/// Attempts of a call, including the first. After that, the state machine or Lambda retries.
const ATTEMPTS: u32 = 3;

/// The configuration of the environment, with limits on time and attempts.
///
/// `call` limits a call including all its attempts. Without it a call may take as long as data flows, as for large
/// uploads: only the SDK's protection against stalled streams ends it. See
/// <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>.
pub async fn config(call: Option<Duration>) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts(call))
        .load()
        .await
}

fn timeouts(call: Option<Duration>) -> TimeoutConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT);
    match call {
        Some(call) => timeouts.read_timeout(READ.min(call)).operation_timeout(call).operation_attempt_timeout(call / 2),
        None => timeouts,
    }
    .build()
}

/// The region of the configuration.
///
/// # Panics
///
/// If there is none. Lambda always sets one.
#[must_use]
pub fn region(aws: &SdkConfig) -> &str {
    aws.region().expect("invariant: Lambda sets AWS_REGION").as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_with_a_limit_have_to_answer_in_time() {
        let upload = timeouts(None);
        assert_eq!((upload.read_timeout(), upload.operation_timeout()), (None, None));
        assert_eq!(upload.operation_attempt_timeout(), None);
        let call = timeouts(Some(Duration::from_secs(8)));
        assert_eq!(call.read_timeout(), Some(Duration::from_secs(8)));
        assert_eq!(call.operation_attempt_timeout(), Some(Duration::from_secs(4)));
    }
}
