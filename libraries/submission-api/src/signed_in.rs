use std::sync::Arc;

use domain::{Coded, FailureCode};
use runtime::CallFailed;
use runtime::settings::SecretArn;
use tokio::sync::Mutex;

use crate::{Client, Credentials, Error, InvalidCredentials, Settings};

/// The Submission API with the credentials of a secret, which is read when it is first needed.
#[derive(Debug)]
pub struct SignedIn {
    secrets: aws_sdk_secretsmanager::Client,
    secret_arn: SecretArn,
    settings: Settings,
    client: Mutex<Option<Arc<Client>>>,
}

impl SignedIn {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(secrets: aws_sdk_secretsmanager::Client, secret_arn: SecretArn, settings: Settings) -> Self {
        Self { secrets, secret_arn, settings, client: Mutex::new(None) }
    }

    /// Calls the API. If it refuses the credentials, they may have been replaced: the next call reads the secret again.
    pub async fn call<T, E>(&self, call: impl AsyncFnOnce(&Client) -> Result<T, E>) -> Result<T, E>
    where
        E: Coded + From<Error>,
    {
        let client = self.client().await?;
        let result = call(&client).await;
        if result.as_ref().is_err_and(|error| error.code() == FailureCode::SubmissionApiDenied) {
            *self.client.lock().await = None;
        }
        result
    }

    async fn client(&self) -> Result<Arc<Client>, Error> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let new = Arc::new(Client::new(self.settings.clone(), self.credentials().await?)?);
        *client = Some(Arc::clone(&new));
        Ok(new)
    }

    async fn credentials(&self) -> Result<Credentials, Error> {
        let secret = self.secrets.get_secret_value().secret_id(&self.secret_arn).send().await;
        let secret = secret.map_err(|error| Error::Secret {
            arn: self.secret_arn.clone(),
            source: CallFailed::new("Secrets Manager", "GetSecretValue", &error),
        })?;
        let credentials = secret.secret_string().ok_or(InvalidCredentials).and_then(Credentials::from_json);
        credentials.map_err(|source| Error::Credentials { arn: self.secret_arn.clone(), source })
    }
}
