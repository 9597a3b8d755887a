//! The configuration that all AWS clients share.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Limit for the time without any answer from the service.
const READ: Duration = Duration::from_secs(20);
/// Attempts of a call, including the first. After that, the state machine or Lambda retries.
const ATTEMPTS: u32 = 3;

/// The configuration of the environment, with limits on time and attempts.
///
/// `call` limits a call including all its attempts. Without it a call may take as long as data flows, as for large
/// uploads. See <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>.
pub async fn config(call: Option<Duration>) -> SdkConfig {
    let mut timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(READ);
    if let Some(call) = call {
        timeouts = timeouts.operation_timeout(call).operation_attempt_timeout(call / 2);
    }
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts.build())
        .load()
        .await
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
