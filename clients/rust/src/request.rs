use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue, header};
use tower_sessions_core::session::Id;

use crate::Data;
use crate::client::Stored;

tokio::task_local! {
    /// The request that the current task works on.
    static CURRENT: Arc<RequestState>;
}

/// Sessions of one request. Parallel requests do not share this state.
#[derive(Default)]
pub(crate) struct RequestState {
    pub(crate) label: Option<String>,
    /// Cookies that came with it, as in `a=1; b=2`.
    cookies: Vec<HeaderValue>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// State of each session when the request last read or wrote it.
    read: HashMap<Id, Read>,
    /// Sessions that end with the request, or earlier if another session takes their place.
    deleted: Vec<Id>,
    /// Those of them that were to move to another id, but could not.
    unmoved: Vec<Id>,
    /// Ids whose session ended while the request ran, or that it would have got then.
    ended: Vec<Id>,
    /// Owners that sessions got.
    logins: Vec<String>,
    /// Whether the request is over.
    is_over: bool,
}

/// A session that the request has read or written.
#[derive(Clone)]
pub(crate) struct Read {
    /// The session as the API has it; `None` if it has ended.
    pub(crate) stored: Option<Stored>,
    /// Data that the app last read or saved. A merge compares the app's current data with it.
    pub(crate) base: Arc<Data>,
}

/// Runs a future as part of a request.
pub(crate) async fn scope<F: Future>(request: Arc<RequestState>, future: F) -> F::Output {
    CURRENT.scope(request, future).await
}

/// Returns the request that the current task works on.
pub(crate) fn current() -> Option<Arc<RequestState>> {
    CURRENT.try_with(Arc::clone).ok()
}

impl RequestState {
    pub(crate) fn new(label: Option<String>, headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().cloned().collect();
        Self { label, cookies, ..Self::default() }
    }

    /// Returns the state of a session when the request last read or wrote it.
    pub(crate) fn read(&self, id: &Id) -> Option<Read> {
        self.sessions().read.get(id).cloned()
    }

    /// Notes the state of a session. Returns whether the request still runs.
    pub(crate) fn remember(&self, id: Id, read: Read) -> bool {
        let mut sessions = self.sessions();
        sessions.read.insert(id, read);
        !sessions.is_over
    }

    /// Notes that a session ended while the request ran, or could not begin for that reason.
    pub(crate) fn note_end(&self, id: Id) {
        self.sessions().ended.push(id);
    }

    /// Takes the cookies out of a response that would bring the id of an ended session back, or delete a newer cookie
    /// of the same name. Encrypted cookies cannot be told apart, and stay.
    pub(crate) fn drop_dead_cookies(&self, headers: &mut HeaderMap) {
        let ids: Vec<String> = self.sessions().ended.iter().map(Id::to_string).collect();
        if ids.is_empty() {
            return;
        }
        let names: Vec<&str> = self
            .cookies
            .iter()
            .filter_map(|cookies| cookies.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter(|cookie| ids.iter().any(|id| cookie.contains(id)))
            .map(name_of)
            .collect();
        let is_dead = |cookie: &HeaderValue| {
            let text = String::from_utf8_lossy(cookie.as_bytes());
            let is_removal = text.split(';').next().is_some_and(|pair| pair.ends_with('='));
            is_removal && names.contains(&name_of(&text)) || ids.iter().any(|id| text.contains(id))
        };
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        headers.remove(header::SET_COOKIE);
        for cookie in cookies.into_iter().filter(|cookie| !is_dead(cookie)) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }

    /// Notes that a session got an owner.
    pub(crate) fn note_login(&self, user: String) {
        self.sessions().logins.push(user);
    }

    pub(crate) fn take_logins(&self) -> Vec<String> {
        std::mem::take(&mut self.sessions().logins)
    }

    /// Notes that the request is over.
    pub(crate) fn end(&self) {
        self.sessions().is_over = true;
    }

    /// Notes that a session is to end.
    pub(crate) fn delete(&self, id: Id) {
        self.sessions().deleted.push(id);
    }

    /// Notes that a session could not be moved to another id. If that does not succeed later, it stays.
    pub(crate) fn note_unmoved(&self, id: Id) {
        self.sessions().unmoved.push(id);
    }

    pub(crate) fn keep_unmoved(&self) {
        let mut sessions = self.sessions();
        let unmoved = std::mem::take(&mut sessions.unmoved);
        sessions.deleted.retain(|id| !unmoved.contains(id));
    }

    pub(crate) fn is_deleted(&self, id: &Id) -> bool {
        self.sessions().deleted.contains(id)
    }

    /// Notes that a lock is not held any more.
    pub(crate) fn forget_lock(&self, id: &Id) {
        if let Some(Read { stored: Some(stored), .. }) = self.sessions().read.get_mut(id) {
            stored.lock = None;
        }
    }

    /// Forgets a session that has ended.
    pub(crate) fn forget(&self, id: &Id) {
        let mut sessions = self.sessions();
        sessions.read.remove(id);
        sessions.deleted.retain(|deleted| deleted != id);
    }

    /// Returns a session that is still to end.
    pub(crate) fn next_deleted(&self) -> Option<Id> {
        self.sessions().deleted.first().copied()
    }

    /// Returns a session whose lock is still to be released.
    pub(crate) fn next_locked(&self) -> Option<Stored> {
        let sessions = self.sessions();
        let mut stored = sessions.read.values().filter_map(|read| read.stored.as_ref());
        stored.find(|stored| stored.lock.is_some()).cloned()
    }

    /// Whether no session is left to end, no lock to release, and no user's sessions to limit.
    pub(crate) fn is_finished(&self) -> bool {
        let has_logins = !self.sessions().logins.is_empty();
        self.next_deleted().is_none() && self.next_locked().is_none() && !has_logins
    }

    /// Forgets what is left to do.
    pub(crate) fn give_up(&self) {
        let mut sessions = self.sessions();
        sessions.deleted.clear();
        sessions.logins.clear();
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Nothing can panic while it is locked.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name of a cookie, with or without attributes.
fn name_of(cookie: &str) -> &str {
    cookie.split_once('=').map_or("", |(name, _)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_of_an_ended_session_are_dropped() {
        let (dead, new) = (Id(1), Id(2));
        for (sent, answered, is_kept) in [
            (format!("id={dead}"), format!("id={dead}; Path=/"), false),
            // As signed cookies are.
            (format!("id=c2lnbmF0dXJl%3D{dead}"), format!("id=c2lnbmF0dXJl%3D{dead}"), false),
            // A request without cookies began it.
            (String::new(), format!("id={dead}; Path=/"), false),
            // A removal could hit the cookie of a login in another tab.
            (format!("a=1; id={dead}"), "id=; Max-Age=0".to_owned(), false),
            (format!("a=1; id={dead}"), "a=; Max-Age=0".to_owned(), true),
            (format!("a=1; id={dead}"), format!("id={new}; Path=/"), true),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::COOKIE, sent.parse().unwrap());
            let state = RequestState::new(None, &request);
            let mut response = HeaderMap::new();
            response.append(header::SET_COOKIE, "other=1".parse().unwrap());
            response.append(header::SET_COOKIE, answered.parse().unwrap());
            state.drop_dead_cookies(&mut response);
            assert_eq!(response.get_all(header::SET_COOKIE).iter().count(), 2);
            state.note_end(dead);
            state.drop_dead_cookies(&mut response);
            let left: Vec<_> = response.get_all(header::SET_COOKIE).iter().collect();
            let expected = if is_kept { vec!["other=1", &answered] } else { vec!["other=1"] };
            assert_eq!(left, expected);
        }
    }
}
