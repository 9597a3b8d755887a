//! The Lambda function `intake`.

use std::process::ExitCode;

use intake::{Deps, Event, Settings};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use runtime::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(async {
        let deps = &Deps::new(Settings::read(&Variables::of_process())?);
        // Not `runtime::serve`: it wraps each invocation in a span, and repeating the span in thousands of log lines takes
        // longer than deciding about the records. The line with the counts has the request's id.
        Runtime::new(service_fn(async |event: LambdaEvent<Event>| intake::handle(event, deps).await)).run().await
    })
    .await
}
