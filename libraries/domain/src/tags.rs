//! The tags of what belongs to a submission: repositories, jobs and staged archives.

/// The name of the stack. Roles may only access what has it.
pub const STACK: &str = "marathon-match:stack";
/// The submission's id as the Submission API writes it.
pub const SUBMISSION: &str = "marathon-match:submission";
/// The ARN of the running build that may use it. Absent while none does.
pub const BUILD: &str = "marathon-match:build";
/// The session of that build, `ROLE_ID:SESSION_NAME`, as `aws:userid` has it. Absent while none does.
pub const BUILD_SESSION: &str = "marathon-match:build-session";
