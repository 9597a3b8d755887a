//! Names and ARNs of AWS resources, checked when the settings are read.

use std::fmt;
use std::str::FromStr;

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $is_valid:expr, $reason:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(text) { Ok(Self(text.to_owned())) } else { Err($reason) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(checked: $name) -> Self {
                checked.0
            }
        }

        impl From<&$name> for String {
            fn from(checked: &$name) -> Self {
                checked.0.clone()
            }
        }
    };
}

checked_text! {
    /// The name of an S3 bucket: 3 to 63 characters of `[a-z0-9.-]`; see
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
    BucketName, is_bucket_name, "expected the name of an S3 bucket"
}

checked_text! {
    /// The ARN of a state machine, or of a version or alias of one.
    StateMachineArn,
    |arn| has_arn_form(arn, "states", "stateMachine"),
    "expected the ARN of a state machine"
}

checked_text! {
    /// The ARN of a secret in Secrets Manager.
    SecretArn,
    |arn| has_arn_form(arn, "secretsmanager", "secret"),
    "expected the ARN of a secret"
}

checked_text! {
    /// The name of a DynamoDB table: 3 to 255 characters of `[A-Za-z0-9_.-]`; see
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.
    TableName, is_table_name, "expected the name of a DynamoDB table"
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
}

fn is_table_name(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// `arn:{partition}:{service}:{region}:{account}:{kind}:{name}`, where the name may have further parts.
fn has_arn_form(arn: &str, service: &str, kind: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    matches!(parts[..], ["arn", _, of, _, _, is, name, ..] if of == service && is == kind && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for name in ["abc", "my.models-2026", &"b".repeat(63)] {
            assert_eq!(name.parse::<BucketName>().unwrap().as_str(), name);
        }
        for name in ["", "ab", "Models", "a_b", "s3://models", &"b".repeat(64)] {
            assert_eq!(name.parse::<BucketName>(), Err("expected the name of an S3 bucket"), "{name}");
        }
    }

    #[test]
    fn table_names_follow_the_rules_of_dynamodb() {
        assert!("marathon-match-submissions".parse::<TableName>().is_ok());
        for name in ["", "ab", "a/b", "a b"] {
            assert!(name.parse::<TableName>().is_err(), "{name}");
        }
    }

    #[test]
    fn an_arn_names_the_right_kind_of_resource() {
        let machine = "arn:aws:states:us-east-1:123456789012:stateMachine:mm";
        let secret = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:auth0-AbCdEf";
        assert!(
            machine.parse::<StateMachineArn>().is_ok() && format!("{machine}:1").parse::<StateMachineArn>().is_ok()
        );
        assert!(secret.parse::<SecretArn>().is_ok());
        for arn in ["", "mm", secret, "arn:aws:states:us-east-1:123456789012:stateMachine:", &machine[4..]] {
            assert!(arn.parse::<StateMachineArn>().is_err(), "{arn}");
        }
        for arn in ["auth0", machine, "arn:aws:secretsmanager:us-east-1:123456789012:secret"] {
            assert!(arn.parse::<SecretArn>().is_err(), "{arn}");
        }
    }
}
