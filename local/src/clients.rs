//! Clients of the emulator.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use parking_lot::Mutex;
use serde_json::Value;

use crate::emulator::REGION;

/// The arguments of the tasks so far, by the task's name.
pub type Tasks = Arc<Mutex<HashMap<String, Value>>>;

/// The configuration of a client of an emulator.
pub async fn config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .endpoint_url(endpoint)
        .load()
        .await
}

#[derive(Debug, Clone)]
pub struct Clients {
    /// The emulator's URL.
    pub endpoint: String,
    pub s3: aws_sdk_s3::Client,
    pub sfn: aws_sdk_sfn::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub secrets: aws_sdk_secretsmanager::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    pub(crate) async fn connect(endpoint: String) -> Self {
        let config = config(&endpoint).await;
        Self {
            endpoint,
            s3: aws_sdk_s3::Client::new(&config),
            sfn: aws_sdk_sfn::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
        }
    }

    /// An image in an account's registry by its address in the emulator's registry. Other images stay as they are.
    #[must_use]
    pub fn with_local_registry(&self, image: &str) -> String {
        match image.split_once(".dkr.ecr.").and_then(|(_, rest)| rest.split_once('/')) {
            Some((_, repository)) => format!("{}/{repository}", self.endpoint.trim_start_matches("http://")),
            None => image.to_owned(),
        }
    }
}

/// The repository of an image in a registry: what follows the registry's address, without tag and digest.
pub(crate) fn repository_of(image: &str) -> anyhow::Result<&str> {
    let path = image.split_once('/').map(|(_, path)| path.split(['@', ':']).next().unwrap_or(path));
    path.filter(|path| !path.is_empty()).with_context(|| format!("{image} names no repository"))
}
