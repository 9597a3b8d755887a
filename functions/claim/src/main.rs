//! The Lambda function `claim`.

use std::process::ExitCode;
use std::time::Duration;

use claim::{Deps, handle, settings::Settings};
use runtime::settings::Variables;

/// Limit for one call, of which four follow one another.
const CALL: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(async {
        let deps = Deps::new(Settings::read(&Variables::of_process())?, &runtime::aws::config(Some(CALL)).await);
        runtime::serve(async |request| handle(request, &deps).await).await
    })
    .await
}
