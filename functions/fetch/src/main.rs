//! The Lambda function `fetch`.

use std::process::ExitCode;

use fetch::{Deps, handle, settings::Settings};
use runtime::settings::Variables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(async {
        // No limit for a whole call: large uploads take long.
        let deps = Deps::new(Settings::read(&Variables::of_process())?, &runtime::aws::config(None).await);
        runtime::serve(async |request| handle(request, &deps).await).await
    })
    .await
}
