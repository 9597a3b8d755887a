//! The AWS clients, each created when it is first needed.

use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::OnceCell;

/// Limit for a call with its retries. Other records wait behind it, and Lambda delivers the batch again if it fails.
const CALL: Duration = Duration::from_secs(20);

/// The AWS clients. Most batches start nothing and almost none quarantine anything: without clients to create, a new
/// instance of the function answers sooner.
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
        self.config.get_or_init(|| runtime::aws::config(Some(CALL))).await
    }
}
