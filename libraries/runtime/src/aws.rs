//! The configuration that all AWS clients share.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_types::sdk_config::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

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
/// Lambda gives credentials and region in variables, see
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>. The SDK's default chain would also look elsewhere,
/// and make each package a quarter of a megabyte larger.
///
/// `call` limits a call including all its attempts. Without it a call may take as long as its answer flows, as for large
/// downloads. See <https://docs.aws.amazon.com/sdk-for-rust/latest/dg/timeouts.html>.
pub async fn config(call: Option<Duration>) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .service_config(Endpoints)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts(call))
        .build()
}

/// The endpoints that the environment names, such as those of the local stack: of one service, or of all others; see
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
#[derive(Debug)]
struct Endpoints;

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        endpoint(&key, |name| std::env::var(name).ok())
    }
}

fn endpoint(key: &ServiceConfigKey<'_>, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    const ALL: &str = "AWS_ENDPOINT_URL";
    if key.env() != ALL {
        return None;
    }
    let service = key.service_id().to_uppercase().replace(' ', "_");
    variable(&format!("{ALL}_{service}")).or_else(|| variable(ALL))
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
    fn an_endpoint_of_the_service_comes_before_the_one_of_all() {
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://all".to_owned()),
            "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some("http://secrets".to_owned()),
            _ => None,
        };
        let key = |service, env| {
            ServiceConfigKey::builder().service_id(service).env(env).profile("endpoint_url").build().unwrap()
        };
        for (service, expected) in [("Secrets Manager", "http://secrets"), ("SFN", "http://all")] {
            assert_eq!(endpoint(&key(service, "AWS_ENDPOINT_URL"), variable).as_deref(), Some(expected));
            assert_eq!(endpoint(&key(service, "AWS_ENDPOINT_URL"), |_| None), None);
        }
        assert_eq!(endpoint(&key("S3", "AWS_S3_USE_ARN_REGION"), variable), None);
    }

    #[test]
    fn a_large_upload_has_more_time_but_not_any_time() {
        assert_eq!(upload(0).read_timeout(), Some(READ));
        assert_eq!(upload(4 << 30).read_timeout(), Some(READ + Duration::from_secs(512)));
        assert_eq!(timeouts(None).read_timeout(), Some(READ));
        assert_eq!(timeouts(Some(Duration::from_secs(8))).operation_attempt_timeout(), Some(Duration::from_secs(4)));
    }
}
