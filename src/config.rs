//! A function's configuration, read from the environment once at init.
//!
//! If a value is invalid or missing, the function stops right there, with one line that names the variable,
//! its value, and the valid values: a session store that half works is worse than one that doesn't start.

mod aws;
mod environment;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use aws_config::SdkConfig;
use tracing::level_filters::LevelFilter;

use self::environment::Environment;
use crate::session::{Limits, Timestamp};

pub use aws::{http_client, sdk_config};
pub use environment::ConfigError;

/// A function's configuration.
#[derive(Clone)]
pub struct Config {
    /// `TABLE_NAME`: name of the DynamoDB table.
    pub table: String,
    /// Limits on the lifetimes of sessions.
    pub limits: Limits,
    /// Region, credentials, and DynamoDB endpoint, from the AWS SDKs' variables.
    pub aws: SdkConfig,
    /// `RUST_LOG`: lowest level that this crate logs. Whatever the level, dependencies log nothing except the
    /// Lambda runtime's errors, because nobody has reviewed their log lines for secrets.
    pub log_level: LevelFilter,
    /// `LOG_SAMPLE`: one in this many successful requests is logged.
    pub log_sample: u32,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SDK's configuration could print credentials.
        f.debug_struct("Config")
            .field("table", &self.table)
            .field("limits", &self.limits)
            .field("region", &self.aws.region())
            .field("log_level", &self.log_level)
            .field("log_sample", &self.log_sample)
            .finish_non_exhaustive()
    }
}

/// Longest lifetime, in seconds: ten years of 365 days. Anything longer must be a mix-up of units.
const TEN_YEARS: u64 = 315_360_000;

/// Default for `MAX_TTL`, in seconds: 400 days, the longest that browsers keep a cookie
/// ([RFC 6265bis, 5.5](https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-5.5)).
const DEFAULT_MAX_TTL: u64 = 34_560_000;

/// Levels that `RUST_LOG` accepts. We log nothing below `info`, and the alarms need the `error` lines.
/// `LevelFilter` would also parse numbers and an empty string.
const LEVELS: [LevelFilter; 3] = [LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::INFO];

/// Maximum `LOG_SAMPLE`. A larger value would save next to nothing, because the access log would dominate the
/// cost, and hours with little traffic would have no lines at all.
const MAX_LOG_SAMPLE: u32 = 100;

impl Config {
    /// Reads the configuration from the process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or invalid.
    pub async fn from_env() -> Result<Self, ConfigError> {
        let environment = Environment(&|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        });
        let Settings { table, limits, log_level, log_sample } =
            Settings::read(&environment, Timestamp::now())?;
        let aws = aws::load(&environment).await?;
        Ok(Self { table, limits, aws, log_level, log_sample })
    }
}

/// The part of the configuration that's specific to this project.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    table: String,
    limits: Limits,
    log_level: LevelFilter,
    log_sample: u32,
}

impl Settings {
    fn read(environment: &Environment<'_>, now: Timestamp) -> Result<Self, ConfigError> {
        let table = "the name of the DynamoDB table that holds the sessions: 3 to 255 characters of A-Z, a-z, \
                     0-9, '_', '-' and '.'";
        let table = environment
            .require("TABLE_NAME", table, |name| is_table_name(name).then(|| name.to_owned()))?;
        let seconds = |variable, range| number(environment, variable, " of seconds", range);
        let max_ttl = seconds("MAX_TTL", 1..=TEN_YEARS)?.unwrap_or(DEFAULT_MAX_TTL);
        let default_ttl = seconds("DEFAULT_TTL", 1..=max_ttl)?.unwrap_or(max_ttl.min(86_400));
        let max_lifetime = seconds("MAX_LIFETIME", 0..=TEN_YEARS)?.filter(|seconds| *seconds > 0);
        // With a moment in the future, every session created before then would be dead on arrival.
        let past = "a moment in the past, as in 2026-11-24T10:00:00Z";
        let revoked_before = environment.read("REVOKED_BEFORE", past, |text| match text {
            "" => Some(None),
            text => Timestamp::parse_rfc3339(text).filter(|moment| *moment <= now).map(Some),
        })?;
        let log_level = environment.read("RUST_LOG", "one of error, warn and info", |text| {
            LEVELS.into_iter().find(|level| level.to_string() == text)
        })?;
        let log_sample = number(environment, "LOG_SAMPLE", "", 1..=MAX_LOG_SAMPLE.into())?;
        let limits = Limits {
            default_ttl: Duration::from_secs(default_ttl),
            max_ttl: Duration::from_secs(max_ttl),
            max_lifetime: max_lifetime.map(Duration::from_secs),
            revoked_before: revoked_before.flatten(),
        };
        Ok(Self {
            table,
            limits,
            log_level: log_level.unwrap_or(LevelFilter::INFO),
            log_sample: log_sample.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        })
    }
}

/// Reads a whole number in this range. Rust's integer parser would also accept a sign.
fn number(
    environment: &Environment<'_>,
    variable: &'static str,
    unit: &str,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, ConfigError> {
    let expected = format!("a whole number{unit} from {} to {}", range.start(), range.end());
    environment.read(variable, &expected, |text| {
        let digits = text.bytes().all(|b| b.is_ascii_digit()).then_some(text)?;
        digits.parse().ok().filter(|number| range.contains(number))
    })
}

/// Whether DynamoDB allows the name ([naming rules](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html)).
fn is_table_name(name: &str) -> bool {
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (3..=255).contains(&name.len()) && name.bytes().all(alphabet)
}

#[cfg(test)]
mod tests {
    use super::environment::with_variables;
    use super::*;

    /// 2026-11-24T10:00:00Z
    const NOW: Timestamp = Timestamp::from_seconds(1_795_514_400);

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
        with_variables(variables, |environment| Settings::read(environment, NOW))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_table_is_required() {
        assert_eq!(
            settings(&[("TABLE_NAME", "sessions")]).unwrap(),
            Settings {
                table: "sessions".into(),
                limits: Limits {
                    default_ttl: Duration::from_secs(86_400),
                    max_ttl: Duration::from_secs(34_560_000),
                    max_lifetime: None,
                    revoked_before: None,
                },
                log_level: LevelFilter::INFO,
                log_sample: 1,
            }
        );
    }

    #[test]
    fn variables_override_the_defaults() {
        let settings = settings(&[
            ("TABLE_NAME", "a.b"),
            ("DEFAULT_TTL", "60"),
            ("MAX_TTL", "120"),
            ("MAX_LIFETIME", "3600"),
            ("REVOKED_BEFORE", "2026-11-24T10:00:00Z"),
            ("RUST_LOG", "warn"),
            ("LOG_SAMPLE", "100"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.limits.default_ttl.as_secs(), 60);
        assert_eq!(settings.limits.max_ttl.as_secs(), 120);
        assert_eq!(settings.limits.max_lifetime, Some(Duration::from_secs(3600)));
        assert_eq!(settings.limits.revoked_before, Some(NOW));
        assert_eq!(settings.log_level, LevelFilter::WARN);
        assert_eq!(settings.log_sample, 100);
    }

    #[test]
    fn empty_revocation_counts_as_none() {
        let settings = settings(&[("TABLE_NAME", "sessions"), ("REVOKED_BEFORE", "")]);
        assert_eq!(settings.unwrap().limits.revoked_before, None);
    }

    #[test]
    fn credentials_are_not_printed() {
        use aws_sdk_dynamodb::config::{Credentials, Region};

        let region = Region::from_static("eu-central-1");
        let key = Credentials::new("key-id", "secret", Some("token".into()), None, "test");
        let config = Config {
            table: "sessions".into(),
            limits: settings(&[("TABLE_NAME", "sessions")]).unwrap().limits,
            aws: sdk_config(region.clone(), key, http_client(&region, None), None),
            log_level: LevelFilter::INFO,
            log_sample: 1,
        };
        let printed = format!("{config:?}");
        assert!(printed.contains("eu-central-1"), "{printed}");
        for secret in ["key-id", "secret", "token"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn errors_name_the_variable_its_value_and_the_valid_values() {
        let error = |name, value| settings(&[("TABLE_NAME", "abc"), (name, value)]).unwrap_err();
        let table = "it must be the name of the DynamoDB table that holds the sessions: 3 to 255 \
                     characters of A-Z, a-z, 0-9, '_', '-' and '.'";
        assert_eq!(settings(&[]).unwrap_err(), format!("TABLE_NAME is not set; {table}"));
        for name in ["", "ab", "a b", "sessions/", &"a".repeat(256)] {
            assert_eq!(
                settings(&[("TABLE_NAME", name)]).unwrap_err(),
                format!("TABLE_NAME is {name:?}; {table}")
            );
        }
        assert_eq!(
            error("MAX_TTL", "one day"),
            "MAX_TTL is \"one day\"; it must be a whole number of seconds from 1 to 315360000"
        );
        assert_eq!(
            error("DEFAULT_TTL", "34560001"),
            "DEFAULT_TTL is \"34560001\"; it must be a whole number of seconds from 1 to 34560000"
        );
        for value in ["2026-11-24T10:00:01Z", "2026-11-24", "now", " "] {
            assert_eq!(
                error("REVOKED_BEFORE", value),
                format!(
                    "REVOKED_BEFORE is {value:?}; it must be a moment in the past, as in \
                     2026-11-24T10:00:00Z"
                )
            );
        }
        for value in ["-1", "+5", " 5", "", "1.5", "315360001", "99999999999999999999"] {
            assert!(error("MAX_LIFETIME", value).starts_with("MAX_LIFETIME is "), "{value}");
        }
        for value in ["", "3", "off", "INFO", "debug", "trace"] {
            assert!(error("RUST_LOG", value).starts_with("RUST_LOG is "), "{value}");
        }
        for value in ["0", "101", "10 %"] {
            assert_eq!(
                error("LOG_SAMPLE", value),
                format!("LOG_SAMPLE is {value:?}; it must be a whole number from 1 to 100")
            );
        }
        assert_eq!(
            error("RUST_LOG", "loud"),
            "RUST_LOG is \"loud\"; it must be one of error, warn and info"
        );
    }
}
