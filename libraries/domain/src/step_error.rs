//! The error of a failed state.

use serde::{Deserialize, Serialize};

/// `$states.errorOutput` of a state machine's `Catch`; see
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StepError {
    /// The error's name, such as `States.TaskFailed` or a failure code.
    #[serde(default)]
    pub error: String,
    /// JSON for a failed build, job or function; a plain sentence for a service fault.
    #[serde(default)]
    pub cause: String,
}
