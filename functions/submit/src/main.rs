//! The Lambda function `submit`.

use std::process::ExitCode;
use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use runtime::settings::Variables;
use submit::{Deps, Settings, handle};

/// A caller waits for the answer.
const MAX_CALL: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(async {
        let aws = runtime::aws::config(Some(MAX_CALL)).await;
        let deps = Deps::new(Settings::read(&Variables::of_process())?, &aws);
        let answer = async |event: LambdaEvent<_>| Ok::<_, lambda_runtime::Error>(handle(event.payload, &deps).await);
        lambda_runtime::run(service_fn(answer)).await
    })
    .await
}
