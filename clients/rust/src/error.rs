use tower_sessions_core::session_store;

/// A failed call to the session API, or an invalid option.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session couldn't be read or written: the API didn't respond, failed, or refused the request.
    ///
    /// It never means that the session doesn't exist.
    #[error("{0}")]
    Unavailable(String),
    /// Another request holds the session's lock, or this one has lost it.
    #[error("{0}")]
    Locked(String),
    /// An option or an environment variable is invalid. The text names it and its valid values.
    #[error("{0}")]
    InvalidOption(String),
}

impl From<Error> for session_store::Error {
    fn from(error: Error) -> Self {
        Self::Backend(error.to_string())
    }
}

/// Returns an error's text, followed by its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
