//! The function's settings.

use std::num::{NonZeroU32, NonZeroU64};

use archive::Limits;
use dockerfile::AccountId;
use runtime::settings::{BucketName, SecretArn, SettingError, Variables};

/// Default limit for an archive in bytes.
const MAX_ARCHIVE_BYTES: u64 = 500 << 20;
/// Default number of days after which an image expires.
const IMAGE_RETENTION_DAYS: u32 = 90;

#[derive(Clone, Debug)]
pub struct Settings {
    /// `STACK_NAME`: the tag of repositories.
    pub stack_name: String,
    /// `ACCOUNT_ID`: the account whose registry holds the images of all submissions.
    pub account: AccountId,
    /// `STAGING_BUCKET`: the bucket where archives are staged; it has to keep versions.
    pub staging_bucket: BucketName,
    /// `AUTH0_SECRET_ARN`: the secret with the Submission API's credentials.
    pub secret_arn: SecretArn,
    /// `IMAGE_RETENTION_DAYS` (default 90), at least 1: images expire this many days after they were pushed.
    pub image_retention_days: u32,
    /// `MAX_ARCHIVE_BYTES` (default 524288000), at least 1: the limit for a download; the function's storage has to hold it.
    pub max_archive_bytes: u64,
    /// `MAX_ENTRIES` (default 10000), `MAX_ENTRY_BYTES` (default 2147483648), `MAX_UNPACKED_BYTES` (default 4294967296) and
    /// `MAX_COMPRESSION_RATIO` (default 200), each at least 1.
    pub limits: Limits,
    pub api: submission_api::Settings,
}

impl Settings {
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let positive = |name, default| Ok(variables.optional::<NonZeroU64>(name)?.map_or(default, NonZeroU64::get));
        let defaults = Limits::default();
        Ok(Self {
            stack_name: variables.required("STACK_NAME")?,
            account: variables.required("ACCOUNT_ID")?,
            staging_bucket: variables.required("STAGING_BUCKET")?,
            secret_arn: variables.required("AUTH0_SECRET_ARN")?,
            image_retention_days: variables
                .optional::<NonZeroU32>("IMAGE_RETENTION_DAYS")?
                .map_or(IMAGE_RETENTION_DAYS, NonZeroU32::get),
            max_archive_bytes: positive("MAX_ARCHIVE_BYTES", MAX_ARCHIVE_BYTES)?,
            limits: Limits {
                entries: positive("MAX_ENTRIES", defaults.entries)?,
                entry_bytes: positive("MAX_ENTRY_BYTES", defaults.entry_bytes)?,
                unpacked_bytes: positive("MAX_UNPACKED_BYTES", defaults.unpacked_bytes)?,
                ratio: positive("MAX_COMPRESSION_RATIO", defaults.ratio)?,
            },
            api: submission_api::Settings::read(variables)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 7] = [
        ("STACK_NAME", "mm"),
        ("ACCOUNT_ID", "123456789012"),
        ("STAGING_BUCKET", "staging"),
        ("AUTH0_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0"),
        ("SUBMISSION_API_URL", "https://api.topcoder.com/v5"),
        ("AUTH0_URL", "https://topcoder.auth0.com/oauth/token"),
        ("AUTH0_AUDIENCE", "https://m2m.topcoder.com/"),
    ];

    #[test]
    fn limits_have_the_documented_defaults() {
        let settings = Settings::read(&Variables::from_iter(REQUIRED)).unwrap();
        assert_eq!((settings.max_archive_bytes, settings.image_retention_days), (524_288_000, 90));
        let documented =
            Limits { entries: 10_000, entry_bytes: 2_147_483_648, unpacked_bytes: 4_294_967_296, ratio: 200 };
        assert_eq!(settings.limits, documented);
    }

    #[test]
    fn a_missing_or_invalid_setting_is_named() {
        for (missing, _) in REQUIRED {
            let variables: Variables = REQUIRED.into_iter().filter(|(name, _)| *name != missing).collect();
            assert_eq!(Settings::read(&variables).unwrap_err(), SettingError::Missing { name: missing });
        }
        for name in [
            "ACCOUNT_ID",
            "IMAGE_RETENTION_DAYS",
            "MAX_ARCHIVE_BYTES",
            "MAX_ENTRIES",
            "MAX_ENTRY_BYTES",
            "MAX_UNPACKED_BYTES",
            "MAX_COMPRESSION_RATIO",
        ] {
            for value in ["0", "-1", "many"] {
                let variables: Variables = REQUIRED.into_iter().chain([(name, value)]).collect();
                assert!(Settings::read(&variables).unwrap_err().to_string().contains(name));
            }
        }
    }
}
