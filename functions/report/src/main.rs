//! The Lambda function `report`.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use report::{Deps, Settings, handle};
use shared::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let aws = shared::aws::config(Some(Duration::from_secs(20))).await;
    let region = aws.region().map(ToString::to_string).unwrap_or_default();
    let deps = Deps::new(
        settings,
        region,
        aws_sdk_s3::Client::new(&aws),
        aws_sdk_sfn::Client::new(&aws),
        aws_sdk_secretsmanager::Client::new(&aws),
    );
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(event.payload, &deps))).await
}
