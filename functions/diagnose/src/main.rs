//! The Lambda function `diagnose`.

use std::process::ExitCode;
use std::time::Duration;

use diagnose::{Deps, Settings, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::settings::Variables;

/// How long one call may take: the diagnosis itself needs none.
const CALL: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let deps = Deps::new(settings, &shared::aws::config(Some(CALL)).await);
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(event.payload, &deps))).await
}
