//! The Lambda function `score`.

use std::process::ExitCode;

use runtime::settings::Variables;
use score::{Deps, Settings, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::run(async {
        // Without a limit on the whole call: reading large predictions takes as long as they are large.
        let deps = Deps::new(Settings::read(&Variables::of_process())?, &runtime::aws::config(None).await);
        runtime::serve(async |request| handle(request, &deps).await).await
    })
    .await
}
