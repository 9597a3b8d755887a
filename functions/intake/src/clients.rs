//! The AWS clients, each made when it is first needed.

use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::OnceCell;

/// How long a call may take: what does not answer now is retried with the batch, and other records wait behind this one.
const CALL: Duration = Duration::from_secs(20);

/// The AWS clients. Most batches hold nothing to start and hardly any something to quarantine, so that a new
/// instance of the function answers sooner for not making them at its start.
#[derive(Debug, Default)]
pub struct Clients {
    config: OnceCell<SdkConfig>,
    step_functions: OnceCell<aws_sdk_sfn::Client>,
    s3: OnceCell<aws_sdk_s3::Client>,
}

impl Clients {
    /// Clients of this configuration instead of the environment's.
    #[must_use]
    pub fn with_config(config: SdkConfig) -> Self {
        Self { config: OnceCell::new_with(Some(config)), ..Self::default() }
    }

    pub(crate) async fn step_functions(&self) -> &aws_sdk_sfn::Client {
        self.step_functions.get_or_init(async || aws_sdk_sfn::Client::new(self.config().await)).await
    }

    pub(crate) async fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(async || aws_sdk_s3::Client::new(self.config().await)).await
    }

    async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| shared::aws::config(Some(CALL))).await
    }
}

/// An AWS call that failed in spite of the SDK's own retries.
#[derive(Debug, thiserror::Error)]
#[error("{service} answered {code}: {message}")]
pub struct CallFailed {
    /// Which service was called.
    pub service: &'static str,
    /// The service's name for the error; `NoAnswer` if it gave none.
    pub code: String,
    /// The whole chain of causes.
    pub message: String,
}

impl CallFailed {
    pub(crate) fn new<E>(service: &'static str, error: &E) -> Self
    where
        E: aws_sdk_sfn::error::ProvideErrorMetadata + std::error::Error,
    {
        Self {
            service,
            code: error.code().unwrap_or("NoAnswer").to_owned(),
            message: aws_sdk_sfn::error::DisplayErrorContext(error).to_string(),
        }
    }
}
