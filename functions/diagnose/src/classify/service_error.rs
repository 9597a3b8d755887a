//! What a service answered to a call of the state machine. The cause of such an error ends with the service's details:
//! `Rate exceeded (Service: AmazonSageMaker; Status Code: 400; Error Code: ThrottlingException; Request ID: …)`, or, from
//! version 2 of the AWS SDK for Java, `… (Service: SageMaker, Status Code: 400, Request ID: …)`.

/// Whether the same call may succeed later: it was throttled, or the service failed.
pub(super) fn is_temporary(cause: &str) -> bool {
    let (sentence, details) = cause.rsplit_once("(Service: ").unwrap_or((cause, ""));
    let detail = |name: &str| details.split([';', ',', ')']).find_map(|part| part.trim().strip_prefix(name));
    let throttled = |text: &str| text.starts_with("Throttling") || text.starts_with("Rate exceeded");
    detail("Status Code: ").is_some_and(|status| status.starts_with('5') || status == "429")
        || detail("Error Code: ").is_some_and(throttled)
        || throttled(sentence)
}

#[cfg(test)]
mod tests {
    use super::is_temporary;

    #[test]
    fn throttling_and_failures_of_the_service_are_temporary_and_refused_arguments_are_not() {
        for cause in [
            "Rate exceeded (Service: AmazonSageMaker; Status Code: 400; Error Code: ThrottlingException; Request ID: 7f; Proxy: null)",
            "Rate exceeded (Service: SageMaker, Status Code: 400, Request ID: 7f)",
            "null (Service: AmazonSageMaker; Status Code: 503; Error Code: ServiceUnavailable; Request ID: 7f)",
            "Too many requests (Service: CodeBuild, Status Code: 429, Request ID: 7f) (SDK Attempt Count: 1)",
            "ThrottlingException: Rate exceeded",
        ] {
            assert!(is_temporary(cause), "{cause}");
        }
        for cause in [
            "Could not assume role Status Code: 503 (Service: AmazonSageMaker; Status Code: 400; Error Code: ValidationException; Request ID: 7f)",
            "User is not authorized, Error Code: ThrottlingException (Service: SageMaker, Status Code: 403, Request ID: 7f)",
            "1 validation error detected: Rate exceeded",
            "",
        ] {
            assert!(!is_temporary(cause), "{cause}");
        }
    }
}
