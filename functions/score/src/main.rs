//! The Lambda function `score`.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use score::{Deps, Settings, handle};
use shared::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    // Without a limit on the whole call: large predictions take as long as they take.
    let aws = shared::aws::config(None).await;
    let deps = Deps::new(settings, aws_sdk_s3::Client::new(&aws), aws_sdk_dynamodb::Client::new(&aws));
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(event.payload, &deps))).await
}
