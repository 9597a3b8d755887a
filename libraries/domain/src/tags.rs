//! The tags of what belongs to a submission, such as repositories.

/// The name of the stack. Roles may only access what has it.
pub const STACK: &str = "marathon-match:stack";
/// The submission's id as the Submission API writes it.
pub const SUBMISSION: &str = "marathon-match:submission";
