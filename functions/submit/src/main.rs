//! The Lambda function `submit`.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use shared::settings::Variables;
use submit::{Deps, Settings, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::read(&Variables::of_process())?;
    let aws = shared::aws::config(Some(Duration::from_secs(10))).await;
    let deps = Deps::new(
        settings,
        aws_sdk_dynamodb::Client::new(&aws),
        aws_sdk_sfn::Client::new(&aws),
        aws_sdk_secretsmanager::Client::new(&aws),
    );
    let answer = async |event: LambdaEvent<_>| Ok::<_, lambda_runtime::Error>(handle(event.payload, &deps).await);
    lambda_runtime::run(service_fn(answer)).await
}
