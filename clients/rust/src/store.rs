use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store;

use crate::client::{ANY, Attributes, Client, Device, Stored, Written};
use crate::merge::merge;
use crate::request::{self, Read, RequestState};
use crate::{Data, Error, Options, SessionApiLayer};

/// Time after which a write gives up merging with the changes of other requests.
const MERGING: std::time::Duration = std::time::Duration::from_secs(10);

/// tower-sessions store that keeps sessions in the session API.
///
/// Clones share their connections. The app needs the store's [`layer`](Self::layer), too.
#[derive(Clone)]
pub struct SessionApiStore {
    client: Arc<Client>,
}

impl SessionApiStore {
    /// A store for the API at the URL in the environment variable `SESSION_API_URL`.
    ///
    /// # Errors
    ///
    /// Same as [`Options::from_env`] and [`new`](Self::new).
    pub fn from_env() -> Result<Self, Error> {
        Self::new(Options::from_env()?)
    }

    /// A store with these options. This makes no call yet.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if this machine has no certificates for TLS.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Self { client: Arc::new(Client::new(options)?) })
    }

    /// Layer that ties the store to the current request. Add it after `SessionManagerLayer`, so that it wraps that
    /// layer.
    #[must_use]
    pub fn layer(&self) -> SessionApiLayer {
        SessionApiLayer { store: self.clone() }
    }

    /// Lists a user's sessions, newest first. The one with this id is marked as current.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]
    pub async fn devices(&self, user: &str, current: Option<&Id>) -> Result<Vec<Device>, Error> {
        self.client.sessions(user, current).await
    }

    /// Ends one of a user's sessions by its handle. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]
    pub async fn logout_device(&self, user: &str, handle: &str) -> Result<bool, Error> {
        self.client.destroy_by_handle(user, handle).await
    }

    /// Ends all of a user's sessions except the one with this id. Returns how many it ended.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]
    pub async fn logout_other_devices(&self, user: &str, current: &Id) -> Result<u64, Error> {
        self.client.destroy_all(user, Some(current)).await
    }

    /// Ends all of a user's sessions. Returns how many it ended.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]
    pub async fn logout_everywhere(&self, user: &str) -> Result<u64, Error> {
        self.client.destroy_all(user, None).await
    }

    /// Returns the state for a new request with these headers.
    pub(crate) fn begin(&self, headers: &http::HeaderMap) -> Arc<RequestState> {
        Arc::new(RequestState::new((self.client.options().label)(headers), headers))
    }

    /// Ends the sessions that a request deleted, and releases the locks it still holds.
    pub(crate) async fn finish(&self, request: &RequestState) -> Result<(), Error> {
        let ended = self.end_deleted(request).await;
        self.release_locks(request).await;
        ended
    }

    async fn end_deleted(&self, request: &RequestState) -> Result<(), Error> {
        request.keep_unmoved();
        while let Some(id) = request.next_deleted() {
            self.client.destroy(&id).await?;
            request.forget(&id);
        }
        Ok(())
    }

    async fn release_locks(&self, request: &RequestState) {
        while let Some(stored) = request.next_locked() {
            if let Err(error) = self.client.release(&stored).await {
                tracing::warn!(%error, "a lock was not released, but it expires by itself");
            }
            request.forget_lock(&stored.id);
        }
    }

    /// Limits the sessions of users that a request logged in.
    pub(crate) async fn limit_sessions(&self, request: &RequestState) -> Result<(), Error> {
        for user in request.take_logins() {
            self.limit(&user).await?;
        }
        Ok(())
    }

    async fn limit(&self, user: &str) -> Result<(), Error> {
        if let Some(number) = self.client.options().max_sessions {
            self.client.limit(user, number).await?;
        }
        Ok(())
    }

    /// Locks a session in a separate task, so that a request that ends while it waits leaves no lock behind.
    async fn lock(
        &self,
        request: &Arc<RequestState>,
        id: &Id,
        wait: std::time::Duration,
    ) -> Result<Option<Stored>, Error> {
        let (store, request, id) = (self.clone(), Arc::clone(request), *id);
        let lease = self.client.options().lease;
        let task = tokio::spawn(async move {
            let locked = store.client.lock(&id, wait, lease).await?;
            if let Some(stored) = locked.clone() {
                let base = Arc::clone(&stored.data);
                if !request.remember(id, Read { stored: Some(stored), base }) {
                    store.release_locks(&request).await;
                }
            }
            Ok(locked)
        });
        task.await.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
    }

    /// Creates a session. If the record's id is taken, gives it another one.
    async fn begin_session(
        &self,
        record: &mut Record,
        attributes: Attributes<'_>,
    ) -> session_store::Result<Option<Stored>> {
        loop {
            if let Some(stored) = self.client.create(&record.id, &record.data, attributes).await? {
                return Ok(Some(stored));
            }
            record.id = Id::default();
        }
    }

    /// Writes a record over the session that was read, merged with what other requests have written since. If the
    /// record has another id, the session moves there. Returns `None` if the session has ended.
    async fn write_merged(
        &self,
        read: &Read,
        record: &Record,
        attributes: Attributes<'_>,
    ) -> session_store::Result<Option<Stored>> {
        let Some(stored) = &read.stored else { return Ok(None) };
        let (old, new) = (&stored.id, &record.id);
        let mut current = stored.clone();
        let (start, mut pause) = (Instant::now(), 25);
        while start.elapsed() < MERGING {
            let data = merged(&read.base, &record.data, &current);
            let written = if old == new {
                self.client.replace(old, Some(&current), &data, attributes).await?
            } else {
                self.client.rotate(old, new, Some(&current), &data, attributes).await?
            };
            current = match written {
                Written::Applied(stored) => return Ok(Some(stored)),
                Written::Ended => return Ok(None),
                Written::Conflict(changed) => changed,
            };
            let jittered = fastrand::u64(pause / 2..=pause);
            tokio::time::sleep(std::time::Duration::from_millis(jittered)).await;
            pause = (pause * 2).min(500);
            // With many writers, the session is probably outdated again after a long pause.
            if jittered > 50 {
                let Some(read) = self.client.read(old).await? else { return Ok(None) };
                current = Stored { lock: current.lock, ..read };
            }
        }
        Err(Error::Unavailable("Other requests kept changing the session".into()).into())
    }

    /// Replaces a session with a new one that keeps nothing of it, even if the old one has already ended.
    async fn replace_session(
        &self,
        old: &Id,
        read: Option<Read>,
        record: &mut Record,
        attributes: Attributes<'_>,
    ) -> session_store::Result<Option<Stored>> {
        // Other requests' changes end with the old session, so this is unconditional. The lock is this request's own.
        let unconditional = read.and_then(|read| Some(Stored { etag: ANY, ..read.stored? }));
        // Without a `Session-User`, a rotation would keep the old session's owner.
        let user = Some(attributes.user.unwrap_or_default());
        let (id, data) = (&record.id, &record.data);
        let attributes = Attributes { user, ..attributes };
        match self.client.rotate(old, id, unconditional.as_ref(), data, attributes).await? {
            Written::Applied(stored) => Ok(Some(stored)),
            _ => self.begin_session(record, attributes).await,
        }
    }

    /// Replaces the data of a session that the request hasn't read. Returns `None` if the session has ended.
    async fn overwrite(
        &self,
        record: &Record,
        attributes: Attributes<'_>,
    ) -> session_store::Result<Option<Stored>> {
        match self.client.replace(&record.id, None, &record.data, attributes).await? {
            Written::Applied(stored) => Ok(Some(stored)),
            _ => Ok(None),
        }
    }

    /// Slides an unchanged session's expiry if enough time has passed, or if it should end earlier now.
    async fn keep_alive(
        &self,
        request: &RequestState,
        read: Read,
        ttl: i64,
    ) -> session_store::Result<()> {
        let Read { stored: Some(stored), base } = read else { return Ok(()) };
        let longest = self.client.longest(&stored.id, ttl);
        let touch_after = match self.client.options().touch_after {
            Some(touch_after) => i64::try_from(touch_after.as_secs()).unwrap_or(i64::MAX),
            None => longest / 20,
        };
        let is_due = longest.saturating_sub(stored.ttl) >= touch_after;
        // The API counts in whole seconds.
        let is_to_end_earlier = ttl < stored.ttl.saturating_sub(1);
        if is_due || is_to_end_earlier {
            let id = stored.id;
            let ttl = self.client.touch(&stored, ttl).await?;
            let stored = ttl.map(|ttl| Stored { ttl, lock: None, ..stored });
            if stored.is_none() {
                request.note_end(id);
            }
            request.remember(id, Read { stored, base });
        }
        Ok(())
    }
}

#[async_trait]
impl SessionStore for SessionApiStore {
    /// Creates a session. If it replaces one that the request has deleted, a single call does both.
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let request = request::current();
        let request = request.as_deref();
        let user = (self.client.options().user)(&record.data);
        let label = request.and_then(|request| request.label.as_deref());
        let ttl = ttl(record);
        if ttl <= 0 {
            return Ok(());
        }
        let attributes = Attributes { ttl, user: user.as_deref(), label };
        let old = request.and_then(RequestState::next_deleted);
        let read = old.and_then(|old| request?.read(&old));
        let mut old_owner = None;
        let created = match (old, read) {
            (None, _) => self.begin_session(record, attributes).await?,
            // `cycle_id`: the new session has the old one's data, so if the old one has ended, it only begins if
            // somebody logs in.
            (Some(old), Some(read)) if old != record.id => {
                old_owner = read.stored.as_ref().and_then(|stored| stored.user.clone());
                let moved = self.write_merged(&read, record, attributes).await;
                if let (Err(_), Some(request)) = (&moved, request) {
                    request.note_unmoved(old);
                }
                match moved? {
                    None if is_login(user.as_deref(), old_owner.as_deref()) => {
                        self.begin_session(record, attributes).await?
                    }
                    moved => moved,
                }
            }
            // `flush`, then a new session, which begins even if the old one has ended.
            (Some(old), read) => {
                if old == record.id {
                    record.id = Id::default();
                }
                self.replace_session(&old, read, record, attributes).await?
            }
        };
        let is_login = created.is_some() && is_login(user.as_deref(), old_owner.as_deref());
        let user = user.filter(|_| is_login);
        let Some(request) = request else {
            if let Some(user) = user {
                self.limit(&user).await?;
            }
            return Ok(());
        };
        if let Some(user) = user {
            request.note_login(user);
        }
        if let Some(old) = old {
            request.forget(&old);
            if created.is_none() {
                request.note_end(old);
                request.note_end(record.id);
            }
        }
        let base = Arc::new(record.data.clone());
        request.remember(record.id, Read { stored: created, base });
        Ok(())
    }

    /// Writes a session if it has changed, otherwise slides its expiry if it's time. A session that has ended doesn't
    /// come back.
    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let Some(request) = request::current() else {
            return Err(session_store::Error::Backend(
                "The session is used outside of a request. Add the store's layer to the app, \
                 `.layer(store.layer())`, after that of tower-sessions, and save sessions in the \
                 task of their request."
                    .into(),
            ));
        };
        if request.is_deleted(&record.id) {
            return Ok(());
        }
        let ttl = ttl(record);
        if ttl <= 0 {
            return self.delete(&record.id).await;
        }
        let user = (self.client.options().user)(&record.data);
        let read = request.read(&record.id);
        if let Some(read) = &read
            && is_unchanged(read, &record.data, user.as_deref())
        {
            return self.keep_alive(&request, read.clone(), ttl).await;
        }
        let attributes = Attributes { ttl, user: user.as_deref(), label: None };
        let stored = match &read {
            Some(read) => self.write_merged(read, record, attributes).await?,
            // The app has cleared a session without reading it.
            None => self.overwrite(record, attributes).await?,
        };
        let old_owner = read.and_then(|read| read.stored?.user);
        match user {
            _ if stored.is_none() => request.note_end(record.id),
            Some(user) if is_login(Some(&user), old_owner.as_deref()) => request.note_login(user),
            _ => {}
        }
        request.remember(record.id, Read { stored, base: Arc::new(record.data.clone()) });
        Ok(())
    }

    /// Reads a session, locking it if the options say so.
    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let request = request::current();
        if request.as_ref().is_some_and(|request| request.is_deleted(id)) {
            return Ok(None);
        }
        let known = request.as_ref().and_then(|request| request.read(id)?.stored);
        let is_known = known.is_some();
        let held = known.and_then(|stored| stored.lock);
        let stored = match (self.client.options().lock, &request) {
            // Only requests take locks, because it's their end that releases them.
            (Some(wait), Some(request)) if held.is_none() => self.lock(request, id, wait).await?,
            _ => self.client.read(id).await?.map(|stored| Stored { lock: held, ..stored }),
        };
        let Some(stored) = stored else {
            if let Some(request) = request.filter(|_| is_known) {
                request.note_end(*id);
            }
            return Ok(None);
        };
        let record = Record {
            id: *id,
            data: Data::clone(&stored.data),
            expiry_date: OffsetDateTime::now_utc().saturating_add(Duration::seconds(stored.ttl)),
        };
        if let Some(request) = request {
            let base = Arc::clone(&stored.data);
            request.remember(*id, Read { stored: Some(stored), base });
        }
        Ok(Some(record))
    }

    /// Ends a session, but only at the end of the request, so that a session that replaces it can end it in the same
    /// call.
    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        match request::current() {
            Some(request) => request.delete(*id),
            None => self.client.destroy(id).await?,
        }
        Ok(())
    }
}

impl fmt::Debug for SessionApiStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionApiStore").field("url", &self.client.options().url).finish()
    }
}

/// Returns the data to write, including other requests' changes.
fn merged(base: &Arc<Data>, mine: &Data, current: &Stored) -> Data {
    if Arc::ptr_eq(base, &current.data) { mine.clone() } else { merge(base, mine, &current.data) }
}

fn is_unchanged(read: &Read, data: &Data, user: Option<&str>) -> bool {
    let Some(stored) = &read.stored else { return true };
    let is_same_user = user.is_none_or(|user| user == stored.user.as_deref().unwrap_or_default());
    *read.base == *data && is_same_user
}

/// Whether a session gets a new owner.
fn is_login(user: Option<&str>, old_owner: Option<&str>) -> bool {
    user.is_some_and(|user| !user.is_empty()) && user != old_owner
}

/// Returns the seconds until a record expires.
fn ttl(record: &Record) -> i64 {
    let left = record.expiry_date - OffsetDateTime::now_utc();
    left.whole_seconds().saturating_add(i64::from(left.subsec_nanoseconds() > 0))
}
