//! The Lambda function `fetch`.

use std::process::ExitCode;

use fetch::{Deps, handle, settings::Settings};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let aws = shared::aws::config(None).await;
    let deps = &Deps::new(
        settings,
        aws_sdk_secretsmanager::Client::new(&aws),
        aws_sdk_s3::Client::new(&aws),
        aws_sdk_ecr::Client::new(&aws),
    );
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| handle(event.payload, deps))).await
}
