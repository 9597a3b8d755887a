//! The configuration that every function's AWS clients start from.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a service may say nothing.
const READ: Duration = Duration::from_secs(20);
/// Attempts of a call, the first included; what is still failing then is for the state machine or Lambda to retry.
const ATTEMPTS: u32 = 3;

/// The environment's configuration with limits on time and attempts.
///
/// `call` bounds a call with all its attempts; without it, only silence is bounded, as uploads take as long as they are
/// large. See <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>.
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
