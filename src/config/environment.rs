//! Environment variables, and errors that say what is wrong with them.

use std::fmt;

/// An environment variable that is missing or holds an invalid value.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable's name.
    pub(super) variable: &'static str,
    /// Its value; `None` if it isn't set.
    pub(super) value: Option<String>,
    /// Description of valid values, to follow "it must be".
    pub(super) expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, expected } = self;
        match value {
            // The part of a URL before an `@` may be a password.
            Some(value) if value.contains('@') => {
                write!(f, "{variable} is [redacted]; it must be {expected}")
            }
            Some(value) => write!(f, "{variable} is {value:?}; it must be {expected}"),
            None => write!(f, "{variable} is not set; it must be {expected}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The environment: a function that looks up a variable.
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// Parses a variable if it's set. `expected` describes valid values.
    pub(super) fn read<T>(
        &self,
        variable: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = (self.0)(variable) else {
            return Ok(None);
        };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(ConfigError { variable, value: Some(text), expected: expected.to_owned() }),
        }
    }

    /// Parses a variable that must be set.
    pub(super) fn require<T>(
        &self,
        variable: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let missing = || ConfigError { variable, value: None, expected: expected.to_owned() };
        self.read(variable, expected, parse)?.ok_or_else(missing)
    }
}

/// Calls `read` with an environment that holds just these variables.
#[cfg(test)]
pub(super) fn with_variables<T>(
    variables: &[(&str, &str)],
    read: impl FnOnce(&Environment<'_>) -> T,
) -> T {
    read(&Environment(&|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    }))
}
