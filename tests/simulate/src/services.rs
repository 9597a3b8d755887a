//! Models of the services behind the tasks: their quotas, how long they take, and how they fail.

pub(crate) mod code_build;
pub(crate) mod lambda;
pub(crate) mod sage_maker;

use std::time::Duration;

use serde::Serialize;

use crate::step_functions::Failure;

/// How long a call of a service's API takes.
pub(crate) const CALL: Duration = Duration::from_millis(200);
/// Between the end of a job and that of its task, which an event reports.
pub(crate) const EVENT_DELAY: Duration = Duration::from_secs(2);

/// The calls of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    pub made: u64,
    /// Refused because of a rate.
    pub throttled: u64,
    /// Refused because everything that the quota allows was in use.
    pub over_quota: u64,
}

/// A call that was throttled, as the AWS SDK for Java reports it to Step Functions.
fn throttled(error: &str, service: &str) -> Failure {
    Failure::new(
        error,
        format!(
            "Rate exceeded (Service: {service}; Status Code: 400; Error Code: ThrottlingException; Request ID: 7f; Proxy: null)"
        ),
    )
}

/// A call that was throttled at Systems Manager or ECR, whose errors have names of their own.
#[must_use]
pub(crate) fn throttled_sdk_call(service: &str) -> Failure {
    throttled(&format!("{service}.ThrottlingException"), service)
}
