use std::env;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use http::{HeaderMap, Uri, header};

use crate::{Data, Error};

type UserOf = dyn Fn(&Data) -> Option<String> + Send + Sync;
type LabelOf = dyn Fn(&HeaderMap) -> Option<String> + Send + Sync;

/// The session API's limits.
const MAX_WAIT: Duration = Duration::from_secs(10);
const MAX_LEASE: Duration = Duration::from_secs(60);
const MAX_SESSIONS: u32 = 100;

/// Options of a [`SessionApiStore`](crate::SessionApiStore).
#[derive(Clone)]
pub struct Options {
    pub(crate) url: Uri,
    pub(crate) function_urls: Option<FunctionUrls>,
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
    /// Options for the API at the URL in the environment variable `SESSION_API_URL`, with the function URLs in
    /// `SESSION_API_FUNCTION_URLS`, if any.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if `SESSION_API_URL` is missing, or one of them isn't valid.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| env::var(name).unwrap_or_default())
    }

    pub(crate) fn from_variables(variable: impl Fn(&str) -> String) -> Result<Self, Error> {
        let options = Self::new(&variable("SESSION_API_URL"))?;
        let urls = variable("SESSION_API_FUNCTION_URLS");
        if urls.is_empty() { Ok(options) } else { options.with_function_urls(&urls) }
    }

    /// Options for the API at a URL such as `https://abc.execute-api.eu-central-1.amazonaws.com`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if the text isn't a valid URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let region = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION"));
        let url = parse_url(url).ok_or_else(|| {
            Error::InvalidOption(
                "Set SESSION_API_URL to the URL of the session API, such as \
                 https://abc.execute-api.eu-central-1.amazonaws.com."
                    .into(),
            )
        })?;
        Ok(Self {
            url,
            function_urls: None,
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

    /// The stack's output `FunctionUrls`: sends the calls of a page past API Gateway. Default: none, or
    /// `SESSION_API_FUNCTION_URLS` with [`from_env`](Self::from_env).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it isn't one valid URL for each of the three functions.
    pub fn with_function_urls(self, urls: &str) -> Result<Self, Error> {
        let function_urls = FunctionUrls::parse(urls).ok_or_else(|| {
            Error::InvalidOption(
                "Set with_function_urls or SESSION_API_FUNCTION_URLS to the stack's output \
                 FunctionUrls: read=https://...,write=https://...,destroy=https://..."
                    .into(),
            )
        })?;
        Ok(Self { function_urls: Some(function_urls), ..self })
    }

    /// AWS region to sign for if the host doesn't name one, such as that of a custom domain. Default: `AWS_REGION`.
    #[must_use]
    pub fn with_region(self, region: impl Into<String>) -> Self {
        Self { region: region.into(), ..self }
    }

    /// Time after which using an unchanged session slides its expiry. It only matters with
    /// [`with_always_save(true)`](https://docs.rs/tower-sessions/latest/tower_sessions/struct.SessionManagerLayer.html).
    /// Default: 5% of the lifetime.
    #[must_use]
    pub fn with_touch_after(self, touch_after: Duration) -> Self {
        Self { touch_after: Some(touch_after), ..self }
    }

    /// Time to wait for the session's lock, so that only one request at a time uses the session. One that doesn't get
    /// the lock in time fails. Default: no lock.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it isn't 0 to 10 whole seconds.
    pub fn with_lock(self, wait: Duration) -> Result<Self, Error> {
        if wait > MAX_WAIT || wait.subsec_nanos() != 0 {
            return Err(Error::InvalidOption(
                "The wait for a lock must be 0 to 10 whole seconds.".into(),
            ));
        }
        Ok(Self { lock: Some(wait), ..self })
    }

    /// Time after which a lock expires by itself. Default: 10 s.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it isn't 1 to 60 whole seconds.
    pub fn with_lease(self, lease: Duration) -> Result<Self, Error> {
        if !(Duration::from_secs(1)..=MAX_LEASE).contains(&lease) || lease.subsec_nanos() != 0 {
            return Err(Error::InvalidOption(
                "The lease of a lock must be 1 to 60 whole seconds.".into(),
            ));
        }
        Ok(Self { lease, ..self })
    }

    /// Maximum number of sessions per user. A login beyond that ends the oldest. Default: no limit.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it isn't 1 to 100.
    pub fn with_max_sessions(self, number: u32) -> Result<Self, Error> {
        if !(1..=MAX_SESSIONS).contains(&number) {
            return Err(Error::InvalidOption(
                "A user's maximum number of sessions must be 1 to 100.".into(),
            ));
        }
        Ok(Self { max_sessions: Some(number), ..self })
    }

    /// Owner of a session, as a function of its data. `None` keeps the owner, an empty name removes it.
    #[must_use]
    pub fn with_user(self, user: impl Fn(&Data) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { user: Arc::new(user), ..self }
    }

    /// Name shown in the device list, as a function of the request's headers. Default: the browser's `User-Agent`.
    #[must_use]
    pub fn with_label(
        self,
        label: impl Fn(&HeaderMap) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { label: Arc::new(label), ..self }
    }

    /// Time for each attempt of a call, plus the wait for a lock. Default: 5 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Retries of a failed call. Default: 2.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Credentials to sign with. Default: what the AWS SDK finds in the environment, in profiles, or for the server's
    /// role.
    #[must_use]
    pub fn with_credentials(self, credentials: impl ProvideCredentials + 'static) -> Self {
        Self { credentials: Some(SharedCredentialsProvider::new(credentials)), ..self }
    }
}

/// URLs of the API's functions.
#[derive(Clone)]
pub(crate) struct FunctionUrls {
    pub(crate) read: Uri,
    pub(crate) write: Uri,
    pub(crate) destroy: Uri,
}

impl FunctionUrls {
    fn parse(text: &str) -> Option<Self> {
        let mut urls: Vec<_> = text.split(',').map(|pair| pair.split_once('=')).collect();
        urls.sort_unstable();
        let [Some(("destroy", destroy)), Some(("read", read)), Some(("write", write))] = urls[..]
        else {
            return None;
        };
        let (read, write, destroy) = (parse_url(read)?, parse_url(write)?, parse_url(destroy)?);
        Some(Self { read, write, destroy })
    }
}

/// Parses a URL of just a scheme, host, port and path, and removes trailing slashes.
fn parse_url(text: &str) -> Option<Uri> {
    let url: Uri = text.trim_end_matches('/').parse().ok()?;
    let authority = url.authority()?;
    let is_url = matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.as_str().contains('@')
        && url.query().is_none()
        && !text.contains('#');
    is_url.then_some(url)
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::USER_AGENT)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
