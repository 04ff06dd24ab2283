use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue, header};
use tower_sessions_core::session::Id;

use crate::Data;
use crate::client::Stored;

tokio::task_local! {
    /// The request that the current task is working on.
    static CURRENT: Arc<RequestState>;
}

/// Sessions of one request. Parallel requests don't share this state.
#[derive(Default)]
pub(crate) struct RequestState {
    pub(crate) label: Option<String>,
    /// Its `Cookie` headers, such as `a=1; b=2`.
    cookies: Vec<HeaderValue>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// Each session as the request last read or wrote it.
    read: HashMap<Id, Read>,
    /// Sessions that end with the request, or earlier if another session replaces them.
    deleted: Vec<Id>,
    /// Those among them that should have moved to another id but couldn't.
    unmoved: Vec<Id>,
    /// Ids of sessions that ended while the request ran, and ids they would have moved to.
    ended: Vec<Id>,
    /// New owners of sessions.
    logins: Vec<String>,
    /// Whether the request is over.
    is_over: bool,
}

/// A session that the request has read or written.
#[derive(Clone)]
pub(crate) struct Read {
    /// The session as the API has it; `None` if it has ended.
    pub(crate) stored: Option<Stored>,
    /// The data the app last read or saved, which a merge compares the app's current data with.
    pub(crate) base: Arc<Data>,
}

/// Runs a future as part of a request.
pub(crate) async fn scope<F: Future>(request: Arc<RequestState>, future: F) -> F::Output {
    CURRENT.scope(request, future).await
}

/// Returns the request that the current task is working on.
pub(crate) fn current() -> Option<Arc<RequestState>> {
    CURRENT.try_with(Arc::clone).ok()
}

impl RequestState {
    pub(crate) fn new(label: Option<String>, headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().cloned().collect();
        Self { label, cookies, ..Self::default() }
    }

    /// Returns a session as the request last read or wrote it.
    pub(crate) fn read(&self, id: &Id) -> Option<Read> {
        self.sessions().read.get(id).cloned()
    }

    /// Remembers a session's state. Returns whether the request is still running.
    pub(crate) fn remember(&self, id: Id, read: Read) -> bool {
        let mut sessions = self.sessions();
        sessions.read.insert(id, read);
        !sessions.is_over
    }

    /// Notes that a session ended while the request ran, or couldn't move to this id for that reason.
    pub(crate) fn note_end(&self, id: Id) {
        self.sessions().ended.push(id);
    }

    /// Removes cookies from a response that would bring an ended session's id back, or delete a newer cookie with the
    /// same name. Encrypted cookies stay, because their ids can't be seen.
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

    /// Notes that a session got a new owner.
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

    /// Notes that a session should end.
    pub(crate) fn delete(&self, id: Id) {
        self.sessions().deleted.push(id);
    }

    /// Notes that a session couldn't be moved to another id. Unless a later attempt succeeds, it stays.
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

    /// Records that we no longer hold a lock.
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

    /// Returns a session that still has to end.
    pub(crate) fn next_deleted(&self) -> Option<Id> {
        self.sessions().deleted.first().copied()
    }

    /// Returns a session whose lock still has to be released.
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

    /// Forgets what's left to do.
    pub(crate) fn give_up(&self) {
        let mut sessions = self.sessions();
        sessions.deleted.clear();
        sessions.logins.clear();
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Nothing can panic while it's locked.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a cookie's name. The cookie may have attributes.
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
            // Signed cookies look like this.
            (format!("id=c2lnbmF0dXJl%3D{dead}"), format!("id=c2lnbmF0dXJl%3D{dead}"), false),
            // A request without cookies began the session.
            (String::new(), format!("id={dead}; Path=/"), false),
            // Removing the cookie could hit that of a login in another tab.
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
