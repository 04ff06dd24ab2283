use std::env;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use http::{HeaderMap, Uri, header};

use crate::{Data, Error};

type UserOf = dyn Fn(&Data) -> Option<String> + Send + Sync;
type LabelOf = dyn Fn(&HeaderMap) -> Option<String> + Send + Sync;

/// Limits of the session API.
const MAX_WAIT: Duration = Duration::from_secs(10);
const MAX_LEASE: Duration = Duration::from_secs(60);
const MAX_SESSIONS: u32 = 100;

/// Options of a [`SessionApiStore`](crate::SessionApiStore).
#[derive(Clone)]
pub struct Options {
    pub(crate) url: Uri,
    pub(crate) region: String,
    pub(crate) touch_after: Option<Duration>,
    pub(crate) lock: Option<Duration>,
    pub(crate) lease: Duration,
    pub(crate) max_sessions: Option<u32>,
    pub(crate) user: Arc<UserOf>,
    pub(crate) label: Arc<LabelOf>,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) credentials: Option<SharedCredentialsProvider>,
}

impl Options {
    /// Options for the API whose URL is in the environment variable `SESSION_API_URL`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if the variable is missing or is not a URL.
    pub fn from_env() -> Result<Self, Error> {
        Self::new(&env::var("SESSION_API_URL").unwrap_or_default())
    }

    /// Options for the API at a URL, as in `https://abc.execute-api.eu-central-1.amazonaws.com`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if the text is not the URL of an API.
    pub fn new(url: &str) -> Result<Self, Error> {
        let region = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION"));
        Ok(Self {
            url: parse_url(url)?,
            region: region.unwrap_or_else(|_| "us-east-1".into()),
            touch_after: None,
            lock: None,
            lease: Duration::from_secs(10),
            max_sessions: None,
            user: Arc::new(|_| None),
            label: Arc::new(user_agent),
            timeout: Duration::from_secs(5),
            retries: 2,
            credentials: None,
        })
    }

    /// Region that signatures are for. The default is `AWS_REGION`.
    #[must_use]
    pub fn with_region(self, region: impl Into<String>) -> Self {
        Self { region: region.into(), ..self }
    }

    /// Time after which a request slides the expiry of an unchanged session. It applies only with
    /// [`with_always_save(true)`](https://docs.rs/tower-sessions/latest/tower_sessions/struct.SessionManagerLayer.html).
    /// The default is a twentieth of the lifetime.
    #[must_use]
    pub fn with_touch_after(self, touch_after: Duration) -> Self {
        Self { touch_after: Some(touch_after), ..self }
    }

    /// Gives the session to one request at a time. Others wait for its lock up to this time, and then fail. By
    /// default there is no lock.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it is more than 10 s, or not a number of whole seconds.
    pub fn with_lock(self, wait: Duration) -> Result<Self, Error> {
        if wait > MAX_WAIT || wait.subsec_nanos() != 0 {
            return Err(Error::InvalidOption(
                "The wait for a lock must be 0 to 10 whole seconds.".into(),
            ));
        }
        Ok(Self { lock: Some(wait), ..self })
    }

    /// Time after which the lock of a request that never ended expires. The default is 10 s.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it is not 1 to 60 whole seconds.
    pub fn with_lease(self, lease: Duration) -> Result<Self, Error> {
        if !(Duration::from_secs(1)..=MAX_LEASE).contains(&lease) || lease.subsec_nanos() != 0 {
            return Err(Error::InvalidOption(
                "The lease of a lock must be 1 to 60 whole seconds.".into(),
            ));
        }
        Ok(Self { lease, ..self })
    }

    /// Number of sessions that a user can have. A login ends the oldest ones above it. Unlimited by default.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it is not 1 to 100.
    pub fn with_max_sessions(self, number: u32) -> Result<Self, Error> {
        if !(1..=MAX_SESSIONS).contains(&number) {
            return Err(Error::InvalidOption(
                "The number of sessions of a user must be 1 to 100.".into(),
            ));
        }
        Ok(Self { max_sessions: Some(number), ..self })
    }

    /// Owner of a session, as a function of its data. `None` keeps the owner, and an empty name removes it.
    #[must_use]
    pub fn with_user(self, user: impl Fn(&Data) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { user: Arc::new(user), ..self }
    }

    /// Label by which the user recognizes a session, as a function of the request's headers. The default is the browser's
    /// `User-Agent`.
    #[must_use]
    pub fn with_label(
        self,
        label: impl Fn(&HeaderMap) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { label: Arc::new(label), ..self }
    }

    /// Time for each attempt of a call. The default is 5 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Retries of a call that failed. The default is 2.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Credentials that sign calls. By default they are those that the AWS SDK finds in the environment, in
    /// profiles, or for the role of the server.
    #[must_use]
    pub fn with_credentials(self, credentials: impl ProvideCredentials + 'static) -> Self {
        Self { credentials: Some(SharedCredentialsProvider::new(credentials)), ..self }
    }
}

/// Parses a URL that has only a scheme, host, port and path. Removes slashes at its end.
fn parse_url(text: &str) -> Result<Uri, Error> {
    let invalid = || {
        Error::InvalidOption(
            "Set SESSION_API_URL to the URL of the session API, as in \
             https://abc.execute-api.eu-central-1.amazonaws.com."
                .into(),
        )
    };
    let url: Uri = text.trim_end_matches('/').parse().map_err(|_| invalid())?;
    let authority = url.authority().ok_or_else(invalid)?;
    let is_url = matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.as_str().contains('@')
        && url.query().is_none()
        && !text.contains('#');
    if is_url { Ok(url) } else { Err(invalid()) }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::USER_AGENT)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
