//! The Lambda function `diagnose`.

use std::process::ExitCode;
use std::time::Duration;

use diagnose::{Deps, Settings, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::settings::Variables;

/// How long reading a log may take, twice at most: the diagnosis itself needs no log.
const CALL: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&shared::aws::config(Some(CALL)).await);
    let deps = Deps { settings, logs };
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(event.payload, &deps))).await
}
