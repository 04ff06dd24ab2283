#[cfg(test)]
mod contract;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tower_sessions_core::session::Id;

use crate::error::describe;
use crate::json::{self, Texts};
use crate::options::FunctionUrls;
use crate::signer::Signer;
use crate::{Data, Error, Options};

/// `If-Match` that every existing session matches.
pub(crate) const ANY: HeaderValue = HeaderValue::from_static("*");
/// Stands for a conflict, whose response has the session instead of a problem document.
const CONFLICT: &str = "conflict";
/// Removes an owner or a label. Not just an empty header, because gateways may drop those.
const NONE: &str = "\"\"";
/// Idle connections are closed after this time, before gateways and firewalls forget them.
const IDLE: Duration = Duration::from_secs(50);
/// Most lifetimes cut by the API that a client remembers.
const MAX_SHORTENED: usize = 10_000;
/// Longest label, percent-encoded.
const MAX_LABEL: usize = 256;
/// Characters that stay as they are when a name is percent-encoded, the same in all clients (RFC 3986).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Calls the session API: signs requests and retries them.
///
/// A retry never takes effect twice: it carries the same `Idempotency-Key`, or the call is idempotent by nature.
///
/// Every method fails with [`Error::Unavailable`] if the API doesn't respond, fails, or refuses the request.
pub(crate) struct Client {
    options: Options,
    connector: HttpsConnector<HttpConnector>,
    /// Kept connections.
    pool: Mutex<Arc<Pool>>,
    signer: Signer,
    /// Lifetimes that the API has cut, in seconds.
    shortened: Mutex<HashMap<Id, i64>>,
}

type Pool = HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A session as the API has it.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) id: Id,
    pub(crate) data: Arc<Data>,
    /// Original text of values that another framework wrote and that we would write differently.
    pub(crate) texts: Arc<Texts>,
    pub(crate) etag: HeaderValue,
    /// Seconds until it expires.
    pub(crate) ttl: i64,
    pub(crate) user: Option<String>,
    /// Token of its lock, if this client holds it.
    pub(crate) lock: Option<HeaderValue>,
}

impl Stored {
    /// A session of which only the id is known.
    pub(crate) fn unread(id: Id) -> Self {
        let (data, texts, user, lock) = Default::default();
        Self { id, data, texts, etag: ANY, ttl: 0, user, lock }
    }
}

/// What a write sets besides the data. `None` keeps the current value, and an empty text removes it.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    /// Idle lifetime in seconds.
    pub(crate) ttl: i64,
    pub(crate) user: Option<&'a str>,
    pub(crate) label: Option<&'a str>,
}

/// Outcome of a write.
pub(crate) enum Written {
    Applied(Stored),
    /// The session has ended, so nothing was written.
    Ended,
    /// Another request has changed the session since it was read. This is the session as it is now.
    Conflict(Stored),
}

/// A session in a user's device list. Times are RFC 3339.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// Pass it to [`logout_device`](crate::SessionApiStore::logout_device). It can't be used to read a session.
    pub handle: String,
    /// Name of the device.
    pub label: Option<String>,
    /// When the session was created.
    pub created: String,
    /// When its expiry was last slid.
    pub used: String,
    /// When it ends unless it's used.
    pub expires: String,
    /// Whether it's the session whose id was passed.
    #[serde(default)]
    pub current: bool,
}

impl Client {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| {
                Error::Unavailable(format!("This machine has no certificates for TLS: {error}"))
            })?
            .https_or_http()
            .enable_http1()
            .build();
        let signer = Signer::new(&options);
        let pool = Mutex::new(Arc::new(pool(&tls)));
        Ok(Self { options, connector: tls, pool, signer, shortened: Mutex::default() })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Reads a session. Returns `None` if there is none.
    pub(crate) async fn read(&self, id: &Id) -> Result<Option<Stored>, Error> {
        let call = Call::new(Method::GET, "/session", StatusCode::OK).id(id);
        let response = self.send(call, &["session-not-found"]).await?;
        response.status.is_success().then(|| response.session(id)).transpose()
    }

    /// Locks a session and reads it. This also slides its expiry. Returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another request held the lock the whole time.
    pub(crate) async fn lock(
        &self,
        id: &Id,
        wait: Duration,
        lease: Duration,
    ) -> Result<Option<Stored>, Error> {
        let mut call = Call::new(Method::POST, "/session/lock", StatusCode::OK)
            .id(id)
            .header("session-lease", lease.as_secs())
            .header("session-wait", wait.as_secs())
            .idempotent();
        call.wait = wait;
        let response = self.send(call, &["session-not-found", "session-locked"]).await?;
        if response.problem().as_deref() == Some("session-locked") {
            let seconds = wait.as_secs();
            return Err(Error::Locked(format!(
                "Another request held the session's lock for {seconds} s"
            )));
        }
        if !response.status.is_success() {
            return Ok(None);
        }
        let lock = response.required("session-lock")?.clone();
        match response.session(id) {
            Ok(stored) => Ok(Some(Stored { lock: Some(lock), ..stored })),
            Err(error) => {
                self.release(&Stored { lock: Some(lock), ..Stored::unread(*id) }).await?;
                Err(error)
            }
        }
    }

    /// Creates a session with this id. Returns `None` if the id is taken.
    pub(crate) async fn create(
        &self,
        id: &Id,
        data: &Data,
        attributes: Attributes<'_>,
    ) -> Result<Option<Stored>, Error> {
        let call = Call::new(Method::PUT, "/session", StatusCode::CREATED)
            .id(id)
            .header("if-none-match", ANY)
            .idempotent()
            .attributes(attributes)
            .label(attributes.label)
            .data(data, None);
        let response = self.send(call, &["session-exists"]).await?;
        let is_created = response.status.is_success();
        is_created.then(|| self.written(&response, id, None, data, attributes)).transpose()
    }

    /// Replaces a session's data, and releases its lock if this client holds it. Unless the session was read, this
    /// replaces whatever is there.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another request holds the lock, or this one has lost it.
    pub(crate) async fn replace(
        &self,
        id: &Id,
        read: Option<&Stored>,
        data: &Data,
        attributes: Attributes<'_>,
    ) -> Result<Written, Error> {
        let call = Call::new(Method::PUT, "/session", StatusCode::NO_CONTENT)
            .id(id)
            .header("if-match", read.map_or(ANY, |read| read.etag.clone()))
            .idempotent()
            .attributes(attributes)
            .unlock(read)
            .data(data, read);
        self.write(call, id, read, data, attributes).await
    }

    /// Like `replace`, but also moves the session to a new id. The old id stops working.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another request holds the lock, or this one has lost it.
    pub(crate) async fn rotate(
        &self,
        old: &Id,
        new: &Id,
        read: Option<&Stored>,
        data: &Data,
        attributes: Attributes<'_>,
    ) -> Result<Written, Error> {
        let call = Call::new(Method::POST, "/session/rotate", StatusCode::OK)
            .id(old)
            .header("session-new-id", ascii(&new.to_string()))
            .header_if("if-match", read.map(|read| read.etag.clone()))
            .attributes(attributes)
            .label(attributes.label)
            .unlock(read)
            .data(data, read);
        self.write(call, new, read, data, attributes).await
    }

    async fn write(
        &self,
        call: Call,
        id: &Id,
        read: Option<&Stored>,
        data: &Data,
        attributes: Attributes<'_>,
    ) -> Result<Written, Error> {
        let call = call.header("prefer", HeaderValue::from_static("return=representation"));
        let accepted =
            ["session-not-found", "session-locked", "not-lock-holder", "session-exists", CONFLICT];
        let response = self.send(call, &accepted).await?;
        match response.problem().as_deref() {
            None => Ok(Written::Applied(self.written(&response, id, read, data, attributes)?)),
            Some("session-not-found") => Ok(Written::Ended),
            Some("session-locked") => Err(Error::Locked(
                "Another request holds the lock, so the session was not written".into(),
            )),
            Some("not-lock-holder") => {
                Err(Error::Locked("The lock has expired, so the session was not written".into()))
            }
            Some("session-exists") => {
                Err(Error::Unavailable("The session's new id is taken".into()))
            }
            Some(_) => {
                let lock = read.and_then(|read| read.lock.clone());
                Ok(Written::Conflict(Stored { lock, ..response.session(id)? }))
            }
        }
    }

    /// Slides a session's expiry, and releases its lock if this client holds it. Returns the seconds until it expires,
    /// which the API may have cut, or `None` if the session has ended.
    pub(crate) async fn touch(&self, read: &Stored, ttl: i64) -> Result<Option<i64>, Error> {
        let call = Call::new(Method::POST, "/session/touch", StatusCode::NO_CONTENT)
            .id(&read.id)
            .header("session-ttl", ttl)
            .idempotent()
            .unlock(Some(read));
        let accepted = ["session-not-found", "session-locked", "not-lock-holder"];
        let response = self.send(call, &accepted).await?;
        match response.problem().as_deref() {
            None => Ok(Some(self.lifetime(&response, &read.id, ttl))),
            Some("session-not-found") => Ok(None),
            // Taking the lock has already slid the expiry, whoever took it.
            Some(_) => Ok(Some(read.ttl)),
        }
    }

    /// Returns the wanted lifetime, or the shorter one that the API has cut it to.
    pub(crate) fn longest(&self, id: &Id, ttl: i64) -> i64 {
        locked(&self.shortened).get(id).map_or(ttl, |longest| ttl.min(*longest))
    }

    /// Returns the lifetime that a write has set, and remembers it if the API has cut it.
    fn lifetime(&self, response: &Response, id: &Id, asked: i64) -> i64 {
        let ttl = response.ttl().unwrap_or(asked);
        let mut shortened = locked(&self.shortened);
        if ttl >= asked {
            shortened.remove(id);
        } else {
            if shortened.len() >= MAX_SHORTENED {
                shortened.clear();
            }
            shortened.insert(*id, ttl);
        }
        ttl
    }

    /// Returns the session as a write left it.
    fn written(
        &self,
        response: &Response,
        id: &Id,
        read: Option<&Stored>,
        data: &Data,
        attributes: Attributes<'_>,
    ) -> Result<Stored, Error> {
        let mut texts = Arc::default();
        if let Some(read) = read.filter(|read| !read.texts.is_empty()) {
            let mut kept = Texts::clone(&read.texts);
            kept.retain(|key, _| data.get(key) == read.data.get(key));
            texts = Arc::new(kept);
        }
        let old_user = read.and_then(|read| read.user.clone());
        let user = attributes.user.map_or(old_user, |user| Some(user.to_owned()));
        Ok(Stored {
            id: *id,
            data: Arc::new(data.clone()),
            texts,
            etag: response.etag()?,
            ttl: self.lifetime(response, id, attributes.ttl),
            user: user.filter(|user| !user.is_empty()),
            lock: None,
        })
    }

    /// Releases a session's lock.
    pub(crate) async fn release(&self, read: &Stored) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, "/session/lock", StatusCode::NO_CONTENT)
            .id(&read.id)
            .unlock(Some(read));
        self.send(call, &["session-not-found", "not-lock-holder"]).await?;
        Ok(())
    }

    /// Ends a session.
    pub(crate) async fn destroy(&self, id: &Id) -> Result<(), Error> {
        // The old id of a rotation isn't found, even while it's readable: the session has moved.
        let call = Call::new(Method::DELETE, "/session", StatusCode::NO_CONTENT).id(id);
        self.send(call, &["session-not-found"]).await?;
        Ok(())
    }

    /// Lists a user's sessions, newest first. The one with this id is marked as current.
    pub(crate) async fn sessions(&self, user: &str, id: Option<&Id>) -> Result<Vec<Device>, Error> {
        let call = Call::new(Method::GET, "/sessions", StatusCode::OK).user(Some(user)).id_if(id);
        let mut devices: Vec<Device> = self.send(call, &[]).await?.json()?;
        for device in &mut devices {
            device.label = device.label.as_deref().map(|label| decode(label.as_bytes()));
        }
        Ok(devices)
    }

    /// Ends all of a user's sessions except the one with this id. Returns how many it ended.
    pub(crate) async fn destroy_all(&self, user: &str, except: Option<&Id>) -> Result<u64, Error> {
        let call =
            Call::new(Method::DELETE, "/sessions", StatusCode::OK).user(Some(user)).id_if(except);
        self.destroy_many(call).await
    }

    /// Ends a user's oldest sessions if they have more than this many. Returns how many it ended.
    pub(crate) async fn limit(&self, user: &str, number: u32) -> Result<u64, Error> {
        let call = Call::new(Method::DELETE, "/sessions", StatusCode::OK).user(Some(user));
        self.destroy_many(call.header("session-limit", number)).await
    }

    async fn destroy_many(&self, call: Call) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Destroyed {
            destroyed: u64,
        }
        Ok(self.send(call, &[]).await?.json::<Destroyed>()?.destroyed)
    }

    /// Ends one of a user's sessions by its handle. Returns whether there was one. If a retry doesn't find it, an
    /// earlier attempt whose response was lost has ended it.
    pub(crate) async fn destroy_by_handle(&self, user: &str, handle: &str) -> Result<bool, Error> {
        let path = format!("/sessions/{}", utf8_percent_encode(handle, KEPT));
        let call = Call::new(Method::DELETE, path, StatusCode::NO_CONTENT).user(Some(user));
        let response = self.send(call, &["session-not-found"]).await?;
        Ok(response.status.is_success() || response.is_to_retry)
    }

    /// Calls the API, with retries, and returns the first response that is a success or one of these problems.
    async fn send(&self, call: Call, accepted: &[&str]) -> Result<Response, Error> {
        let (mut attempts, mut failures) = (0, 0);
        let (mut has_reconnected, mut has_renewed) = (false, false);
        loop {
            let mut retry_after = None;
            let error = match self.attempt(&call).await {
                Ok(mut response) => {
                    let problem = response.problem();
                    let is_accepted = |problem: String| accepted.contains(&problem.as_str());
                    if problem.map_or(response.status == call.success, is_accepted) {
                        response.is_to_retry = attempts > 0;
                        return Ok(response);
                    }
                    if response.status == StatusCode::FORBIDDEN && !has_renewed {
                        has_renewed = true;
                        if self.signer.renew(self.destination(&call).0).await {
                            continue;
                        }
                    }
                    if !response.is_transient() {
                        return Err(response.unexpected(&call));
                    }
                    retry_after = response.retry_after();
                    response.unexpected(&call)
                }
                // A kept connection that died says nothing about the API, so it doesn't count as an attempt.
                Err(Failure::Closed(_)) if !has_reconnected => {
                    (has_reconnected, attempts) = (true, attempts + 1);
                    continue;
                }
                Err(Failure::Closed(error) | Failure::Other(error)) => error,
            };
            if failures >= self.options.retries {
                return Err(error);
            }
            let pause = retry_after.map(|after| after.min(self.options.timeout));
            tokio::time::sleep(pause.unwrap_or_else(|| back_off(failures))).await;
            (attempts, failures) = (attempts + 1, failures + 1);
        }
    }

    /// Returns the URL that a call goes to, and the service to sign for if its host doesn't name one.
    fn destination(&self, call: &Call) -> (&Uri, &'static str) {
        let urls = self.options.function_urls.as_ref();
        let function_url = urls.and_then(|urls| call.function_url(urls));
        function_url.map_or((&self.options.url, "execute-api"), |url| (url, "lambda"))
    }

    async fn attempt(&self, call: &Call) -> Result<Response, Failure> {
        let (url, service) = self.destination(call);
        let unavailable = |reason: &str| {
            let host = url.host().unwrap_or_default();
            Error::Unavailable(format!("The session API at {host} {reason}"))
        };
        let mut request = call.request(url).map_err(Failure::Other)?;
        self.signer.sign(&mut request, service).await.map_err(Failure::Other)?;
        let pool = Arc::clone(&locked(&self.pool));
        let exchange = async {
            let response = pool.request(request.map(|body| Full::new(body.into()))).await;
            let (parts, body) =
                response.map_err(|error| (describe(&error), !error.is_connect()))?.into_parts();
            let body = body.collect().await.map_err(|error| (describe(&error), true))?.to_bytes();
            let (status, headers) = (parts.status, parts.headers);
            Ok(Response { status, headers, body: body.to_vec(), is_to_retry: false })
        };
        let failure = match tokio::time::timeout(self.options.timeout + call.wait, exchange).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err((reason, was_connected))) => {
                let reason: String = reason;
                let error = unavailable(&format!("cannot be reached: {reason}"));
                if was_connected { Failure::Closed(error) } else { Failure::Other(error) }
            }
            Err(_) => Failure::Other(unavailable("did not respond in time")),
        };
        // The pool's other connections may be dead, too.
        let mut current = locked(&self.pool);
        if Arc::ptr_eq(&current, &pool) {
            *current = Arc::new(self::pool(&self.connector));
        }
        Err(failure)
    }
}

/// Why an attempt got no response.
enum Failure {
    /// The connection was closed. It may have been dead for a while.
    Closed(Error),
    Other(Error),
}

/// Returns the time to wait before a retry, with jitter: 50 to 150 ms at first, then twice as long each time.
fn back_off(failures: u32) -> Duration {
    Duration::from_millis(fastrand::u64(50..=150) << failures.min(10))
}

fn pool(connector: &HttpsConnector<HttpConnector>) -> Pool {
    HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector.clone())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing can panic while it's locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call to the API, which may take several attempts.
struct Call {
    method: Method,
    path: String,
    /// The only success status that the API sends. Any other is another server's.
    success: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Extra time that the API may take to respond.
    wait: Duration,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, success: StatusCode) -> Self {
        let (headers, body, wait) = Default::default();
        Self { method, path: path.into(), success, headers, body, wait }
    }

    fn header(mut self, name: &'static str, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    fn header_if(self, name: &'static str, value: Option<impl Into<HeaderValue>>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    fn id(self, id: &Id) -> Self {
        self.header("session-id", ascii(&id.to_string()))
    }

    fn id_if(self, id: Option<&Id>) -> Self {
        self.header_if("session-id", id.map(|id| ascii(&id.to_string())))
    }

    fn user(self, user: Option<&str>) -> Self {
        self.header_if("session-user", user.map(|user| ascii(&encode(user))))
    }

    fn label(self, label: Option<&str>) -> Self {
        self.header_if("session-label", label.map(|label| ascii(&or_none(shorten(label)))))
    }

    fn attributes(self, attributes: Attributes<'_>) -> Self {
        let user = attributes.user.map(|user| ascii(&or_none(encode(user))));
        self.header("session-ttl", attributes.ttl).header_if("session-user", user)
    }

    fn unlock(self, read: Option<&Stored>) -> Self {
        self.header_if("session-unlock", read.and_then(|read| read.lock.clone()))
    }

    /// Adds a fresh key for the request and its retries.
    fn idempotent(self) -> Self {
        self.header("idempotency-key", ascii(&Id::default().to_string()))
    }

    fn data(mut self, data: &Data, read: Option<&Stored>) -> Self {
        self.body = match read {
            Some(read) => json::write(data, &read.data, &read.texts),
            None => json::write(data, &Data::new(), &Texts::new()),
        }
        .into_bytes();
        self.header("content-type", HeaderValue::from_static("application/json"))
    }

    /// Returns the URL of the function that serves the call, unless it's for all of a user's sessions: functions refuse
    /// those over their URLs.
    fn function_url<'a>(&self, urls: &'a FunctionUrls) -> Option<&'a Uri> {
        match (&self.method, self.path.as_str()) {
            (_, path) if path.starts_with("/sessions") => None,
            (&Method::GET | &Method::HEAD, _) => Some(&urls.read),
            (&Method::DELETE, "/session") => Some(&urls.destroy),
            _ => Some(&urls.write),
        }
    }

    fn request(&self, url: &Uri) -> Result<Request<Vec<u8>>, Error> {
        let base = url.to_string();
        let target = format!("{}{}", base.trim_end_matches('/'), self.path);
        let mut request = Request::builder()
            .method(&self.method)
            .uri(target)
            .body(self.body.clone())
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// Returns the method and path without a handle, to show in errors.
    fn route(&self) -> String {
        let path =
            if self.path.starts_with("/sessions/") { "/sessions/{handle}" } else { &self.path };
        format!("{} {path}", self.method)
    }
}

/// A response from the API, or from another server that responded instead.
struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Whether this answers a retry: an earlier attempt failed, but may have taken effect.
    is_to_retry: bool,
}

impl Response {
    /// Returns the API's problem code, such as `session-not-found`, or [`CONFLICT`]. Returns `None` for a success, and
    /// if another server responded.
    fn problem(&self) -> Option<String> {
        let media_type = self.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if media_type == Some(b"application/problem+json") {
            let problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
            return problem.code.strip_prefix("urn:session-api:").map(str::to_owned);
        }
        let is_conflict = self.status == StatusCode::PRECONDITION_FAILED
            && self.headers.contains_key(header::ETAG);
        is_conflict.then(|| CONFLICT.to_owned())
    }

    /// Whether the same request may succeed later.
    fn is_transient(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 500 | 502 | 503 | 504)
    }

    /// Returns the time that the response says to wait, if any.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Returns the session in a response.
    fn session(&self, id: &Id) -> Result<Stored, Error> {
        let etag = self.etag()?;
        let ttl = self.ttl().ok_or_else(|| lacks("session-ttl"))?;
        let (data, texts) = json::parse(&self.body)
            .ok_or_else(|| Error::Unavailable("The session is not a JSON object".into()))?;
        let user = self.headers.get("session-user").map(|user| decode(user.as_bytes()));
        let (data, texts) = (Arc::new(data), Arc::new(texts));
        Ok(Stored { id: *id, data, texts, etag, ttl, user, lock: None })
    }

    fn etag(&self) -> Result<HeaderValue, Error> {
        self.required("etag").cloned()
    }

    fn ttl(&self) -> Option<i64> {
        self.headers.get("session-ttl")?.to_str().ok()?.parse().ok()
    }

    /// Returns a header that the API sends and another server doesn't.
    fn required(&self, name: &str) -> Result<&HeaderValue, Error> {
        self.headers.get(name).ok_or_else(|| lacks(name))
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::Unavailable(format!("The session API sent unexpected JSON: {error}"))
        })
    }

    /// Returns the error for a response that is neither a success nor an accepted problem.
    fn unexpected(&self, call: &Call) -> Error {
        let problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        let reason = if problem.detail.is_empty() { "no reason given" } else { &problem.detail };
        let (route, status) = (call.route(), self.status.as_u16());
        Error::Unavailable(format!(
            "The session API refused {route} with status {status}: {reason}"
        ))
    }
}

fn lacks(name: &str) -> Error {
    Error::Unavailable(format!(
        "The response has no {name}, so it isn't from the session API. Check the URL."
    ))
}

/// The part of a problem document, or of the gateway's own errors, that we use.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default, rename = "type")]
    code: String,
    #[serde(default, alias = "message", alias = "Message")]
    detail: String,
}

/// Makes a header value from an id or a percent-encoded name.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids and encoded names are visible ASCII")
}

/// Returns an encoded name, or [`NONE`] if it's empty.
fn or_none(encoded: String) -> String {
    if encoded.is_empty() { NONE.to_owned() } else { encoded }
}

fn encode(name: &str) -> String {
    utf8_percent_encode(name, KEPT).to_string()
}

/// Decodes an owner or a label. If another program didn't encode it, it's returned as is.
fn decode(name: &[u8]) -> String {
    let decoded = percent_decode(name).decode_utf8();
    decoded.map_or_else(|_| String::from_utf8_lossy(name).into_owned(), Cow::into_owned)
}

/// Percent-encodes as much of a label as fits.
fn shorten(label: &str) -> String {
    let mut encoded = String::new();
    for character in label.chars() {
        let next = encode(character.encode_utf8(&mut [0; 4]));
        if encoded.len() + next.len() > MAX_LABEL {
            break;
        }
        encoded.push_str(&next);
    }
    encoded
}
