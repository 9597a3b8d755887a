//! A deployed stack, found by the settings of its functions.

use std::collections::HashMap;

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, SdkConfig};

/// A stack in the account and region of the environment.
#[derive(Clone, Debug)]
pub(crate) struct DeployedStack {
    pub(crate) name: String,
    pub(crate) aws: SdkConfig,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) s3: aws_sdk_s3::Client,
}

impl DeployedStack {
    /// Sends nothing yet.
    pub(crate) async fn of_name(name: &str) -> Result<Self> {
        let aws = aws_config::load_defaults(BehaviorVersion::latest()).await;
        aws.region().context("no AWS region is configured: set AWS_REGION or choose an AWS_PROFILE")?;
        // An emulator at a host name does not resolve buckets as its subdomains.
        let s3 = aws_sdk_s3::config::Builder::from(&aws).force_path_style(Self::is_emulated()).build();
        Ok(Self {
            name: name.to_owned(),
            lambda: aws_sdk_lambda::Client::new(&aws),
            s3: aws_sdk_s3::Client::from_conf(s3),
            aws,
        })
    }

    /// Whether calls go to an emulator and not to AWS.
    pub(crate) fn is_emulated() -> bool {
        std::env::var_os("AWS_ENDPOINT_URL").is_some()
    }

    /// The name of a function, such as `marathon-match-intake`.
    pub(crate) fn function(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// The environment variables of a function.
    pub(crate) async fn settings(&self, part: &str) -> Result<HashMap<String, String>> {
        let function = self.function(part);
        let read = self.lambda.get_function_configuration().function_name(&function).send().await;
        let read = read.with_context(|| {
            format!("the function {function} could not be read: check the stack's name, the region and the credentials")
        })?;
        Ok(read.environment.and_then(|environment| environment.variables).unwrap_or_default())
    }
}

/// One of a function's settings.
pub(crate) fn setting(settings: &HashMap<String, String>, name: &str) -> Result<String> {
    let value = settings.get(name).filter(|value| !value.is_empty());
    value
        .cloned()
        .with_context(|| format!("the stack's functions have no setting {name}: deploy this version of the stack"))
}
