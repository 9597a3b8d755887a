//! The Lambda function `report`.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use report::{Deps, Settings, handle};
use shared::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let s3 = aws_sdk_s3::Client::new(&aws_config::load_from_env().await);
    let deps = Deps { settings, s3 };
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| handle(event.payload, &deps))).await
}
