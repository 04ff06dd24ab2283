use tower_sessions_core::session_store;

/// Failure of a call of the session API, or an invalid option.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session API did not respond, or not as it should. What is in the session cannot be known.
    #[error("{0}")]
    Unavailable(String),
    /// Another request holds the lock of the session, or has taken it.
    #[error("{0}")]
    Locked(String),
    /// An option or an environment variable is not valid. The text names it, and its valid values.
    #[error("{0}")]
    InvalidOption(String),
}

impl From<Error> for session_store::Error {
    fn from(error: Error) -> Self {
        Self::Backend(error.to_string())
    }
}

/// Returns the text of an error and its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
