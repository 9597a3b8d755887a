//! Functions of the stack, set up and invoked by a test.

use anyhow::{Context, Result, ensure};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::LogType;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::deploy::STACK;
use local::stack::Stack;
use serde_json::Value;

/// Sets a variable of a function's environment, which restarts the function.
pub(crate) async fn set_variable(stack: &Stack, function: &str, name: &str, value: &str) -> Result<()> {
    let lambda = &stack.clients.lambda;
    let function = format!("{STACK}-{function}");
    let configuration = lambda.get_function_configuration().function_name(&function).send().await?;
    let environment = aws_sdk_lambda::types::Environment::builder()
        .set_variables(configuration.environment.and_then(|environment| environment.variables))
        .variables(name, value)
        .build();
    let update = lambda.update_function_configuration().function_name(&function).environment(environment);
    update.send().await.with_context(|| format!("setting {name} of {function}"))?;
    Ok(())
}

/// Invokes a function, which must not fail.
pub(crate) async fn invoke(stack: &Stack, function: &str, event: &Value) -> Result<()> {
    let name = format!("{STACK}-{function}");
    let invoked = stack.clients.lambda.invoke().function_name(name).log_type(LogType::Tail);
    let answer = invoked.payload(Blob::new(event.to_string())).send().await?;
    let log = answer.log_result().and_then(|log| BASE64_STANDARD.decode(log).ok()).unwrap_or_default();
    ensure!(answer.function_error().is_none(), "{function} failed: {}", String::from_utf8_lossy(&log));
    Ok(())
}
