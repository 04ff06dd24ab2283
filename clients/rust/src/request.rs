use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// State of each session when the request last read or wrote it.
    read: HashMap<Id, Read>,
    /// Sessions that end with the request, or earlier if another session takes their place.
    deleted: Vec<Id>,
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
    pub(crate) fn new(label: Option<String>) -> Self {
        Self { label, ..Self::default() }
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

    /// Notes that the request is over.
    pub(crate) fn end(&self) {
        self.sessions().is_over = true;
    }

    /// Notes that a session is to end.
    pub(crate) fn delete(&self, id: Id) {
        self.sessions().deleted.push(id);
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

    /// Whether no session is left to end and no lock to release.
    pub(crate) fn is_finished(&self) -> bool {
        self.next_deleted().is_none() && self.next_locked().is_none()
    }

    /// Forgets what is left to do.
    pub(crate) fn give_up(&self) {
        self.sessions().deleted.clear();
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Nothing can panic while it is locked.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
