//! What the environment says, read once at init.
//!
//! A bad or missing value stops the function there, with one line that names the variable, what it
//! holds and what it may hold: a session store that half works is worse than one that does not start.

use std::fmt;
use std::ops::RangeInclusive;

use tracing::level_filters::LevelFilter;

use crate::session::Ttl;

/// The configuration of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `TABLE_NAME`: the DynamoDB table.
    pub table: String,
    /// How long sessions may live.
    pub limits: Limits,
    /// Where DynamoDB is and who calls it.
    pub aws: Aws,
    /// `RUST_LOG`: how much this crate logs; what it depends on logs errors only, whatever this says,
    /// because nobody here can vouch for what is in their lines.
    pub log_level: LevelFilter,
}

/// How long sessions may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `DEFAULT_TTL`: the idle lifetime of a session that asks for none.
    pub default_ttl: Ttl,
    /// `MAX_TTL`: the longest idle lifetime that a session may ask for.
    pub max_ttl: Ttl,
    /// `MAX_LIFETIME`: seconds from its creation after which a session ends whatever happens.
    pub max_lifetime: Option<u32>,
}

/// Where DynamoDB is and who calls it, from the variables that every AWS SDK reads and Lambda sets.
/// There is no further chain of providers, and no file is read: on Lambda these are all there is.
#[derive(Clone, PartialEq, Eq)]
pub struct Aws {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, or else `AWS_ENDPOINT_URL`: a DynamoDB that is not AWS's own.
    pub endpoint_url: Option<String>,
    /// Whether to trust the system's certificate authorities, or those that `SSL_CERT_FILE` names,
    /// in place of Amazon's alone: where that variable is set, and in the partitions of AWS that
    /// are apart from the rest.
    pub system_roots: bool,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .field("system_roots", &self.system_roots)
            .finish_non_exhaustive()
    }
}

/// The longest of each that is taken, in seconds: ten years of 365 days. More is a mistake in units.
const TEN_YEARS: u32 = 315_360_000;

/// Levels that `RUST_LOG` may name; nothing is logged below `info`. The parser of `LevelFilter` also
/// accepts numbers and an empty string.
const LEVELS: [LevelFilter; 4] =
    [LevelFilter::OFF, LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::INFO];

/// A variable that does not hold what it should.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    variable: &'static str,
    holds: Option<String>,
    expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, holds, expected } = self;
        match holds {
            Some(value) => write!(f, "{variable} is {value:?}; it must be {expected}"),
            None => write!(f, "{variable} is not set; it must be {expected}"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the function's own environment.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let error = |variable, holds, expected| ConfigError { variable, holds, expected };
        let seconds = |variable, default, range: RangeInclusive<u32>| match lookup(variable) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                let expected = format!("a whole number of seconds from {least} to {most}");
                error(variable, Some(text), expected)
            }),
        };

        let table = lookup("TABLE_NAME").filter(|name| !name.is_empty()).ok_or_else(|| {
            let expected = "the name of the DynamoDB table that holds the sessions";
            error("TABLE_NAME", lookup("TABLE_NAME"), expected.to_owned())
        })?;
        let aws = Aws::from_lookup(&lookup)?;
        let max_ttl = seconds("MAX_TTL", 2_592_000, 1..=TEN_YEARS)?;
        let default_ttl = seconds("DEFAULT_TTL", max_ttl.min(86_400), 1..=max_ttl)?;
        let max_lifetime = seconds("MAX_LIFETIME", 0, 0..=TEN_YEARS)?;
        let log_level = match lookup("RUST_LOG") {
            None => LevelFilter::INFO,
            Some(text) => {
                LEVELS.iter().find(|level| level.to_string() == text).copied().ok_or_else(|| {
                    let expected = "one of off, error, warn and info";
                    error("RUST_LOG", Some(text), expected.to_owned())
                })?
            }
        };
        Ok(Self {
            table,
            limits: Limits {
                default_ttl: Ttl::from_seconds(default_ttl),
                max_ttl: Ttl::from_seconds(max_ttl),
                max_lifetime: (max_lifetime > 0).then_some(max_lifetime),
            },
            aws,
            log_level,
        })
    }
}

impl Aws {
    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |variable| lookup(variable).filter(|value| !value.is_empty());
        let required = |variable, expected: &str| {
            // Where it is there, it is empty, so that no secret is told.
            let holds = lookup(variable);
            let error = || ConfigError { variable, holds, expected: expected.to_owned() };
            optional(variable).ok_or_else(error)
        };
        let region = required("AWS_REGION", "an AWS region, as in eu-central-1")?;
        let apart = ["cn-", "us-iso", "eu-isoe"].iter().any(|start| region.starts_with(start));
        Ok(Self {
            access_key_id: required("AWS_ACCESS_KEY_ID", "the id of an AWS access key")?,
            secret_access_key: required("AWS_SECRET_ACCESS_KEY", "the secret of that key")?,
            session_token: optional("AWS_SESSION_TOKEN"),
            endpoint_url: optional("AWS_ENDPOINT_URL_DYNAMODB")
                .or_else(|| optional("AWS_ENDPOINT_URL")),
            system_roots: apart || optional("SSL_CERT_FILE").is_some(),
            region,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Lambda sets by itself.
    const LAMBDA: [(&str, &str); 3] = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];

    fn config(variables: &[(&str, &str)]) -> Result<Config, String> {
        let value = |name: &str| {
            let mut all = variables.iter().chain(&LAMBDA);
            all.find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        Config::from_lookup(value).map_err(|e| e.to_string())
    }

    #[test]
    fn the_table_is_all_that_has_to_be_said() {
        let config = config(&[("TABLE_NAME", "sessions")]).unwrap();
        assert_eq!(
            config,
            Config {
                table: "sessions".into(),
                limits: Limits {
                    default_ttl: Ttl::from_seconds(86_400),
                    max_ttl: Ttl::from_seconds(2_592_000),
                    max_lifetime: None,
                },
                aws: Aws {
                    region: "eu-central-1".into(),
                    access_key_id: "key".into(),
                    secret_access_key: "secret".into(),
                    session_token: None,
                    endpoint_url: None,
                    system_roots: false,
                },
                log_level: LevelFilter::INFO,
            }
        );
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn what_is_set_is_taken() {
        let config = config(&[
            ("TABLE_NAME", "t"),
            ("DEFAULT_TTL", "60"),
            ("MAX_TTL", "120"),
            ("MAX_LIFETIME", "3600"),
            ("RUST_LOG", "warn"),
        ]);
        let config = config.unwrap();
        assert_eq!(config.limits.default_ttl.seconds(), 60);
        assert_eq!(config.limits.max_ttl.seconds(), 120);
        assert_eq!(config.limits.max_lifetime, Some(3600));
        assert_eq!(config.log_level, LevelFilter::WARN);
    }

    #[test]
    fn dynamodb_is_found_by_the_variables_of_the_sdk() {
        let aws = |name, value| config(&[("TABLE_NAME", "t"), (name, value)]).unwrap().aws;
        let local = "http://localhost:8000";
        assert_eq!(aws("AWS_ENDPOINT_URL", local).endpoint_url.as_deref(), Some(local));
        assert_eq!(aws("AWS_ENDPOINT_URL_DYNAMODB", local).endpoint_url.as_deref(), Some(local));
        assert_eq!(aws("AWS_ENDPOINT_URL_DYNAMODB", "").endpoint_url, None);
        assert_eq!(aws("AWS_SESSION_TOKEN", "token").session_token.as_deref(), Some("token"));
        assert!(aws("SSL_CERT_FILE", "/etc/ssl/ca.pem").system_roots);
        assert!(aws("AWS_REGION", "cn-north-1").system_roots);
        assert_eq!(
            config(&[("TABLE_NAME", "t"), ("AWS_REGION", "")]).unwrap_err(),
            "AWS_REGION is \"\"; it must be an AWS region, as in eu-central-1"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_what_it_holds_and_may_hold() {
        let error = |name, value| config(&[("TABLE_NAME", "t"), (name, value)]).unwrap_err();
        let table = "it must be the name of the DynamoDB table that holds the sessions";
        assert_eq!(config(&[]).unwrap_err(), format!("TABLE_NAME is not set; {table}"));
        assert_eq!(
            config(&[("TABLE_NAME", "")]).unwrap_err(),
            format!("TABLE_NAME is \"\"; {table}")
        );
        assert_eq!(
            error("MAX_TTL", "one day"),
            "MAX_TTL is \"one day\"; it must be a whole number of seconds from 1 to 315360000"
        );
        assert_eq!(
            error("DEFAULT_TTL", "2592001"),
            "DEFAULT_TTL is \"2592001\"; it must be a whole number of seconds from 1 to 2592000"
        );
        for value in ["-1", "", "1.5", "315360001", "99999999999999999999"] {
            assert!(error("MAX_LIFETIME", value).starts_with("MAX_LIFETIME is "), "{value}");
        }
        for value in ["", "3", "INFO", "debug", "trace"] {
            assert!(error("RUST_LOG", value).starts_with("RUST_LOG is "), "{value}");
        }
        assert_eq!(
            error("RUST_LOG", "loud"),
            "RUST_LOG is \"loud\"; it must be one of off, error, warn and info"
        );
    }
}
