//! The Submission API's client, made of the secret when it is first needed.

use std::sync::Arc;

use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use tokio::sync::Mutex;

use super::{Client, Credentials, Error, InvalidCredentials, Settings};
use crate::{Failure, FailureCode};

/// The Submission API, to which the function signs in when first asked to.
#[derive(Debug)]
pub struct SignedIn {
    secrets: aws_sdk_secretsmanager::Client,
    secret_arn: String,
    settings: Settings,
    client: Mutex<Option<Arc<Client>>>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Secrets Manager did not give the secret out.
    #[error("The secret {arn} cannot be read. Check AUTH0_SECRET_ARN and the function's right to it.")]
    Secret {
        /// The secret.
        arn: String,
        /// What happened.
        source: Box<SdkError<GetSecretValueError>>,
    },
    /// The secret is not of the form expected.
    #[error("The secret {arn} is not usable: {source}.")]
    Credentials {
        /// The secret.
        arn: String,
        /// What is wrong with it.
        source: InvalidCredentials,
    },
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] Error),
}

impl SignedIn {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(secrets: aws_sdk_secretsmanager::Client, secret_arn: String, settings: Settings) -> Self {
        Self { secrets, secret_arn, settings, client: Mutex::new(None) }
    }

    /// The client, made on the first call.
    ///
    /// # Errors
    ///
    /// If the secret cannot be read or does not hold the credentials.
    pub async fn client(&self) -> Result<Arc<Client>, SignInError> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let arn = || self.secret_arn.clone();
        let secret = self.secrets.get_secret_value().secret_id(&self.secret_arn).send().await;
        let secret = secret.map_err(|source| SignInError::Secret { arn: arn(), source: Box::new(source) })?;
        let credentials = Credentials::from_json(secret.secret_string().unwrap_or_default())
            .map_err(|source| SignInError::Credentials { arn: arn(), source })?;
        let made = Arc::new(Client::new(self.settings.clone(), credentials)?);
        *client = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Makes the next call read the secret again.
    pub async fn forget(&self) {
        *self.client.lock().await = None;
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        match error {
            SignInError::Secret { source, .. } => Self::new(FailureCode::Internal, message).caused_by(source),
            SignInError::Credentials { .. } => Self::new(FailureCode::Internal, message),
            SignInError::Client(error) => error.into(),
        }
    }
}
