//! Starts the intake function.

use std::process::ExitCode;

use intake::{Deps, Event, Settings};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use shared::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::start::run(serve()).await
}

async fn serve() -> Result<(), lambda_runtime::Error> {
    let deps = Deps::new(Settings::read(&Variables::of_process())?);
    let deps = &deps;
    // Not `lambda_runtime::run`: it wraps each invocation in a span, and repeating that in each of thousands of log lines
    // takes longer than deciding about the records. The line of counts has the request's id.
    Runtime::new(service_fn(async |event: LambdaEvent<Event>| intake::handle(event, deps).await)).run().await
}
