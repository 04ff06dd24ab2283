use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::sync::Mutex;

use crate::error::describe;
use crate::{Error, Options};

/// How long before temporary credentials expire they're renewed.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);
/// Credentials that don't expire are loaded again after this time, because their file may have changed.
const KEPT: Duration = Duration::from_secs(900);

/// Signs requests with the server's credentials (AWS Signature Version 4).
pub(crate) struct Signer {
    region: String,
    has_credentials: bool,
    state: Mutex<State>,
}

struct State {
    provider: Option<SharedCredentialsProvider>,
    /// The credentials, and when to renew them.
    found: Option<(Credentials, SystemTime)>,
}

impl Signer {
    pub(crate) fn new(options: &Options) -> Self {
        // Docker Compose passes a variable without a value as an empty string.
        let has_variable = std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|id| !id.is_empty());
        Self {
            region: options.region.clone(),
            has_credentials: options.credentials.is_some() || has_variable,
            state: Mutex::new(State { provider: options.credentials.clone(), found: None }),
        }
    }

    /// Whether calls to this URL are signed.
    fn is_needed(&self, url: &Uri) -> bool {
        // `make run` serves the API without an authorizer.
        let is_local = matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        self.has_credentials || !is_local
    }

    /// Adds the signature to a request: for the service and region that its host names, or else for this service and
    /// the region of the options.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if there are no credentials.
    pub(crate) async fn sign(
        &self,
        request: &mut Request<Vec<u8>>,
        service: &str,
    ) -> Result<(), Error> {
        if !self.is_needed(request.uri()) {
            return Ok(());
        }
        let named = request.uri().host().and_then(service_and_region);
        let (service, region) = named.unwrap_or((service, &self.region));
        let identity = self.credentials().await?.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(cannot_sign)?
            .into();
        let uri = request.uri().to_string();
        let headers = request.headers().iter();
        // All values are ASCII, because the client made them.
        let signable = SignableRequest::new(
            request.method().as_str(),
            &uri,
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
            SignableBody::Bytes(request.body()),
        )
        .map_err(cannot_sign)?;
        let (instructions, _) = sign(signable, &parameters).map_err(cannot_sign)?.into_parts();
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(cannot_sign)?;
            let mut value = HeaderValue::from_str(value).map_err(cannot_sign)?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    /// Forgets credentials that were refused at this URL. Returns whether there may be others.
    pub(crate) async fn renew(&self, url: &Uri) -> bool {
        self.state.lock().await.found = None;
        self.is_needed(url)
    }

    /// Returns the credentials. While they're being renewed, other requests wait.
    async fn credentials(&self) -> Result<Credentials, Error> {
        let mut state = self.state.lock().await;
        let now = SystemTime::now();
        if let Some((credentials, renewal)) = &state.found
            && now < *renewal
        {
            return Ok(credentials.clone());
        }
        let provider = match &state.provider {
            Some(provider) => provider.clone(),
            None => default_provider().await?,
        };
        state.provider = Some(provider.clone());
        match (provider.provide_credentials().await, &state.found) {
            (Ok(credentials), _) => {
                let renewal = match credentials.expiry() {
                    Some(expiry) => expiry.checked_sub(RENEWED_BEFORE).unwrap_or(now),
                    None => now + KEPT,
                };
                state.found = Some((credentials.clone(), renewal));
                Ok(credentials)
            }
            // The old ones work until they expire.
            (Err(_), Some((old, _))) if old.expiry().is_none_or(|expiry| now < expiry) => {
                Ok(old.clone())
            }
            (Err(error), _) => Err(cannot_sign(error)),
        }
    }
}

/// Returns the service to sign for and the region, if the host is one of AWS's that name them.
fn service_and_region(host: &str) -> Option<(&str, &str)> {
    let labels: Vec<&str> = host.splitn(4, '.').collect();
    match labels[..] {
        [_, "execute-api", region, "amazonaws.com" | "amazonaws.com.cn"] => {
            Some(("execute-api", region))
        }
        // It's `on.aws`, except perhaps in partitions that don't have function URLs yet, such as China.
        [_, "lambda-url", region, domain] if domain.starts_with("on.") => Some(("lambda", region)),
        _ => None,
    }
}

async fn default_provider() -> Result<SharedCredentialsProvider, Error> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    config.credentials_provider().ok_or_else(|| {
        Error::Unavailable(
            "Calls to the session API cannot be signed: there are no credentials".into(),
        )
    })
}

fn cannot_sign(error: impl std::error::Error) -> Error {
    let reason = describe(&error);
    Error::Unavailable(format!("Calls to the session API cannot be signed: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::credential_fn::provide_credentials_fn;
    use aws_credential_types::provider::error::CredentialsError;

    use super::*;

    /// Signs three requests with credentials that live this long; the provider fails the first time. Returns how often
    /// it was asked.
    async fn asked(lifetime: Option<Duration>) -> usize {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let provider = provide_credentials_fn(move || {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            async move {
                if number == 0 {
                    return Err(CredentialsError::not_loaded("the metadata server is away"));
                }
                let expiry = lifetime.map(|lifetime| SystemTime::now() + lifetime);
                Ok(Credentials::new("key", "secret", Some("token".into()), expiry, "test"))
            }
        });
        let options = Options::new("http://localhost").unwrap().with_credentials(provider);
        let signer = Signer::new(&options);
        let request = || Request::get("http://localhost/session").body(Vec::new()).unwrap();
        assert!(matches!(
            signer.sign(&mut request(), "execute-api").await,
            Err(Error::Unavailable(_))
        ));
        for _ in 0..2 {
            let mut request = request();
            signer.sign(&mut request, "execute-api").await.unwrap();
            assert_eq!(request.headers()["x-amz-security-token"], "token");
        }
        asked.load(Ordering::Relaxed)
    }

    #[test]
    fn without_credentials_only_local_urls_are_unsigned() {
        let options = Options::new("http://localhost").unwrap();
        let signer = Signer { has_credentials: false, ..Signer::new(&options) };
        assert!(!signer.is_needed(&options.url));
        assert!(signer.is_needed(&Uri::from_static("https://sessions.example.com")));
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_about_to_expire() {
        assert_eq!(asked(None).await, 2);
        assert_eq!(asked(Some(Duration::from_secs(3600))).await, 2);
        assert_eq!(asked(Some(Duration::from_secs(200))).await, 3);
    }
}
