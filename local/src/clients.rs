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

/// What it takes to use an emulator.
#[derive(Debug, Clone)]
pub struct Access {
    /// The emulator's URL.
    pub endpoint: String,
    /// The secret of the run. It is sent as the session token of credentials.
    pub token: String,
}

/// The access key that the emulator takes for its default account, and its secret.
const KEY: &str = "test";

impl Access {
    #[must_use]
    pub fn new(endpoint: String, token: String) -> Self {
        Self { endpoint, token }
    }

    /// The configuration of a client.
    pub async fn config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(KEY, KEY, Some(self.token.clone()), None, "local"))
            .endpoint_url(&self.endpoint)
            .load()
            .await
    }

    /// The environment of a program that uses the emulator.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_SESSION_TOKEN", &self.token),
            ("AWS_DEFAULT_REGION", REGION),
        ]
    }
}

#[derive(Debug, Clone)]
pub struct Clients {
    pub access: Access,
    pub s3: aws_sdk_s3::Client,
    pub sfn: aws_sdk_sfn::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub secrets: aws_sdk_secretsmanager::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    pub(crate) async fn connect(access: Access) -> Self {
        let config = access.config().await;
        Self {
            access,
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
            Some((_, repository)) => format!("{}/{repository}", self.access.endpoint.trim_start_matches("http://")),
            None => image.to_owned(),
        }
    }
}

/// The repository of an image in a registry: what follows the registry's address, without tag and digest.
pub(crate) fn repository_of(image: &str) -> anyhow::Result<&str> {
    let path = image.split_once('/').map(|(_, path)| path.split(['@', ':']).next().unwrap_or(path));
    path.filter(|path| !path.is_empty()).with_context(|| format!("{image} names no repository"))
}
