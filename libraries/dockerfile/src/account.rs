//! The account whose registry holds the images of submissions.

use std::str::FromStr;

use crate::reference::ImageReference;

/// An AWS account's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account has 12 digits")]
pub struct InvalidAccountId;

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidAccountId) }
    }
}

impl AccountId {
    /// Whether the image is in one of the account's private registries, in any region and by any of their names:
    /// `{account}.dkr.ecr.{region}.amazonaws.com`, with `ecr-fips`, or `{account}.dkr-ecr.{region}.on.aws`. See
    /// <https://docs.aws.amazon.com/general/latest/gr/ecr.html>.
    pub(crate) fn owns(&self, image: &ImageReference) -> bool {
        let host = image.host().to_ascii_lowercase();
        let mut labels = host.split('.');
        labels.next() == Some(self.0.as_str()) && matches!(labels.next(), Some("dkr" | "dkr-ecr"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twelve_digits_are_an_account() {
        for text in ["", "12345678901", "1234567890123", "12345678901x", "12345678901\u{661}"] {
            assert_eq!(text.parse::<AccountId>(), Err(InvalidAccountId), "{text}");
        }
    }

    #[test]
    fn every_name_of_the_accounts_registry_is_known() {
        let account: AccountId = "123456789012".parse().unwrap();
        for (host, owned) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", true),
            ("123456789012.DKR.ECR.us-east-1.amazonaws.com:443", true),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", true),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", true),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", true),
            ("763104351884.dkr.ecr.us-east-1.amazonaws.com", false),
            ("public.ecr.aws/123456789012.dkr", false),
        ] {
            let image = ImageReference::parse(&format!("{host}/x:1")).unwrap();
            assert_eq!(account.owns(&image), owned, "{host}");
        }
    }
}
