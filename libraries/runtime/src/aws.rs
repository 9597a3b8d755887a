//! The configuration that all AWS clients share.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// Limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Limit for the time from the start of an attempt to the first byte of its answer. It includes sending the body.
const READ: Duration = Duration::from_secs(20);
/// The slowest upload that is not given up, in bytes a second. The 4 GB that an archive may have then take 9 of the 15 minutes
/// that a function may run.
const SLOWEST_UPLOAD: u64 = 8 << 20;
/// Attempts of a call, including the first. After that, the state machine or Lambda retries.
const ATTEMPTS: u32 = 3;

/// The configuration of the environment, with limits on time and attempts.
///
/// `call` limits a call including all its attempts. Without it a call may take as long as its answer flows, as for large
/// downloads. See <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>.
pub async fn config(call: Option<Duration>) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts(call))
        .load()
        .await
}

fn timeouts(call: Option<Duration>) -> TimeoutConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(READ);
    match call {
        Some(call) => timeouts.operation_timeout(call).operation_attempt_timeout(call / 2),
        None => timeouts,
    }
    .build()
}

/// The limits for sending a body of this size, which takes long if it is large.
#[must_use]
pub fn upload(bytes: u64) -> TimeoutConfig {
    let sending = Duration::from_secs(bytes / SLOWEST_UPLOAD);
    TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(READ + sending).build()
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
    fn a_large_upload_has_more_time_but_not_any_time() {
        assert_eq!(upload(0).read_timeout(), Some(READ));
        assert_eq!(upload(4 << 30).read_timeout(), Some(READ + Duration::from_secs(512)));
        assert_eq!(timeouts(None).read_timeout(), Some(READ));
        assert_eq!(timeouts(Some(Duration::from_secs(8))).operation_attempt_timeout(), Some(Duration::from_secs(4)));
    }
}
