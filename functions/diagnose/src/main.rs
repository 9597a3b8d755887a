//! The Lambda function `diagnose`.

use std::process::ExitCode;

use diagnose::{Deps, Settings, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&aws_config::load_from_env().await);
    let deps = Deps { settings, logs };
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(event.payload, &deps))).await
}
