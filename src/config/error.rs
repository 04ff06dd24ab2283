//! Errors of the configuration.

use std::fmt;

/// An environment variable that is missing or holds an invalid value.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Name of the variable.
    pub(super) variable: &'static str,
    /// Value of the variable; `None` if it is not set.
    pub(super) value: Option<String>,
    /// Description of valid values, to follow "it must be".
    pub(super) expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, expected } = self;
        match value {
            Some(value) => write!(f, "{variable} is {value:?}; it must be {expected}"),
            None => write!(f, "{variable} is not set; it must be {expected}"),
        }
    }
}

impl std::error::Error for ConfigError {}
