//! What is simulated: the evening, the quotas and how often services fail.

use std::time::Duration;

/// The evening of a deadline.
#[derive(Clone, Debug)]
pub struct Plan {
    pub submissions: usize,
    /// The time before the deadline in which the submissions arrive, half of them in its last sixth.
    pub span: Duration,
    pub seed: u64,
    pub quotas: Quotas,
    /// How often services fail, as a multiple of [`rates`].
    pub faults: f64,
}

/// The quotas of the account.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Tokens and tokens a second, in US East (N. Virginia), US West (Oregon) and Europe (Ireland):
    /// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-action-throttling-general>.
    pub start_execution: (f64, f64),
    /// As above: <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-state-throttling>.
    pub state_transition: (f64, f64),
    /// Concurrent executions of all functions. New accounts have fewer:
    /// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
    pub lambda_concurrency: u32,
    /// Builds of one compute type that run at once. New accounts have as few as 1:
    /// <https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html>. Five times as many can queue:
    /// <https://docs.aws.amazon.com/codebuild/latest/userguide/builds-working.html>.
    pub builds: u32,
    /// Training instances of one type. The quota depends on the account, and new accounts have 0:
    /// <https://docs.aws.amazon.com/general/latest/gr/sagemaker.html>.
    pub training_instances: u32,
    /// Reads of parameters a second:
    /// <https://docs.aws.amazon.com/general/latest/gr/ssm.html>.
    pub parameter_reads: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            start_execution: (1300.0, 300.0),
            state_transition: (5000.0, 5000.0),
            lambda_concurrency: 1000,
            builds: 60,
            training_instances: 20,
            parameter_reads: 40,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self { submissions: 10_000, span: Duration::from_hours(1), seed: 1, quotas: Quotas::default(), faults: 1.0 }
    }
}

/// How often services fail. Assumptions: no service promises such rates.
pub mod rates {
    /// An invocation that Lambda does not start.
    pub const LAMBDA_FAILS: f64 = 0.0005;
    /// An invocation whose answer is lost after the function has done its work.
    pub const LAMBDA_ANSWER_LOST: f64 = 0.0002;
    /// A call of CodeBuild, SageMaker, ECR or Systems Manager that is throttled, whatever the quota.
    pub const CALL_THROTTLED: f64 = 0.002;
    /// A function's use of the Submission API that ends with 429 or 5xx.
    pub const SUBMISSION_API_FAILS: f64 = 0.01;
    /// A build that CodeBuild cannot provision.
    pub const BUILD_FAULT: f64 = 0.002;
    /// A build whose image cannot be pushed.
    pub const PUSH_FAILS: f64 = 0.001;
    /// A training job for which SageMaker has no machine, within the quota.
    pub const NO_CAPACITY: f64 = 0.005;
    /// A training job that SageMaker fails.
    pub const TRAINING_FAULT: f64 = 0.002;
    /// A message that the bus publishes twice.
    pub const PUBLISHED_TWICE: f64 = 0.02;
    /// Messages about other reviews, for each submission.
    pub const OTHER_REVIEWS: u32 = 2;
    /// Messages that cannot be read, for each submission.
    pub const UNREADABLE: f64 = 0.001;
}
