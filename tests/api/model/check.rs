//! Runs operations against the API and against the model, and compares the two.

use serde_json::{Value, json};

use super::operation::{IfMatch, Operation, Token, USERS};
use super::state::State;
use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, Request, TOUCH, UNLOCK, handle,
};

const NOT_FOUND: &str = "404 session-not-found";
const ETAG_MISMATCH: &str = "412 etag-mismatch";

/// The API and the model of it.
pub(super) struct Checker {
    app: App,
    pub(super) state: State,
    /// Number of the operation. Data that is written contains it, so that all data differs.
    step: u64,
}

impl Checker {
    pub(super) fn new(app: App) -> Self {
        Self { app, state: State::default(), step: 0 }
    }

    /// Runs an operation, asserts that its outcome is that of the model, and updates the model.
    pub(super) async fn run(&mut self, operation: Operation) {
        self.step += 1;
        match operation {
            Operation::Create { ttl, user } => self.create(ttl, user).await,
            Operation::CreateWithId { on, ttl } => self.create_with_id(on, ttl).await,
            Operation::Read { on } => self.read(&self.state.id(on)).await,
            Operation::Replace { on, if_match, token, release, ttl, as_text } => {
                self.replace(on, if_match, token, release, ttl, as_text).await;
            }
            Operation::Patch { on, if_match, token, key } => {
                self.patch(on, if_match, token, key).await;
            }
            Operation::Touch { on, ttl } => self.touch(on, ttl).await,
            Operation::Rotate { on, if_match, token, grace, with_data, user } => {
                self.rotate(on, if_match, token, grace, with_data, user).await;
            }
            Operation::Lock { on, lease } => self.lock(on, lease).await,
            Operation::Unlock { on, token } => self.unlock(on, token).await,
            Operation::Destroy { on, if_match } => self.destroy(on, if_match).await,
            Operation::List { user } => self.list(user).await,
            Operation::RevokeAll { user, keep } => self.revoke_all(user, keep).await,
            Operation::Revoke { on, user } => self.revoke(on, user).await,
            Operation::Wait { seconds } => self.state.time += seconds,
        }
    }

    /// Asserts that reads of this id return the data and metadata of the model.
    pub(super) async fn read(&self, id: &str) {
        let read = self.send(READ, id, None, None).await;
        let head = self.send(HEAD, id, None, None).await;
        assert_eq!(head.status, read.status);
        let Some(session) = self.state.readable(id) else {
            assert_eq!(read.outcome(), NOT_FOUND);
            return;
        };
        assert_eq!(read.outcome(), "200");
        assert_eq!(serde_json::from_slice::<Value>(&read.body).unwrap(), session.data);
        assert_eq!(read.header("ETag"), session.etag);
        assert_eq!(head.header("ETag"), session.etag);
        let left = session.expires.min(session.deadline) - self.state.time;
        assert_eq!(read.header("Session-TTL"), left.to_string());
        assert_eq!(read.header_names().contains(&"Session-User"), session.user.is_some());
    }

    /// Prepares a request about a session, with these values of `If-Match` and `Session-Lock` and
    /// without the optional headers of the event file.
    fn send(
        &self,
        event: &str,
        id: &str,
        if_match: Option<&String>,
        token: Option<&String>,
    ) -> Request {
        let request = self.app.send(event).id(id).at(self.state.time).without("session-ttl");
        let mut request = request.without("session-user").without("session-unlock");
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        if let Some(token) = token {
            request = request.header("session-lock", token);
        }
        request
    }

    async fn create(&mut self, ttl: u64, user: Option<usize>) {
        let mut request = self.app.send(CREATE).at(self.state.time).without("session-user");
        if let Some(user) = user {
            request = request.header("session-user", USERS[user]);
        }
        let created = request.header("session-ttl", &ttl.to_string()).await;
        assert_eq!(created.outcome(), "201");
        let id = created.header("Session-Id").to_owned();
        self.state.insert(id, created.header("ETag"), ttl, user);
    }

    async fn create_with_id(&mut self, on: usize, ttl: u64) {
        let id = self.state.id(on);
        let request = self.send(CREATE_WITH_ID, &id, None, None);
        let created = request.header("session-ttl", &ttl.to_string()).await;
        if self.state.live(&id).is_some() {
            assert_eq!(created.outcome(), "412 session-exists");
        } else {
            assert_eq!(created.outcome(), "201");
            self.state.insert(id, created.header("ETag"), ttl, None);
        }
    }

    async fn replace(
        &mut self,
        on: usize,
        if_match: IfMatch,
        token: Token,
        release: bool,
        ttl: Option<u64>,
        as_text: bool,
    ) {
        let id = self.state.id(on);
        let (etag, token) = (self.state.if_match(&id, if_match), self.state.token(&id, token));
        let release = release && token.is_some();
        let mut request = self.send(REPLACE, &id, etag.as_ref(), token.as_ref());
        if let Some(token) = token.as_ref().filter(|_| release) {
            request = request.without("session-lock").header("session-unlock", token);
        }
        if let Some(ttl) = ttl {
            request = request.header("session-ttl", &ttl.to_string());
        }
        if as_text {
            request = request.header("content-type", "text/plain");
        }
        let data = json!({ "step": self.step });
        let replaced = request.body(data.to_string().as_bytes()).await;
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) => match self.state.lock_refusal(session, token.as_ref()) {
                Some(refusal) => refusal,
                None if etag.is_some_and(|etag| etag != session.etag) => ETAG_MISMATCH,
                None => "204",
            },
        };
        assert_eq!(replaced.outcome(), expected);
        if expected == "204" {
            let time = self.state.time;
            let session = self.state.session_mut(&id);
            session.data = data;
            session.is_json = !as_text;
            session.etag = replaced.header("ETag").to_owned();
            session.ttl = ttl.unwrap_or(session.ttl);
            session.expires = time + session.ttl;
            session.lock = session.lock.take().filter(|_| !release);
        }
    }

    async fn patch(&mut self, on: usize, if_match: IfMatch, token: Token, key: u8) {
        let id = self.state.id(on);
        let (etag, token) = (self.state.if_match(&id, if_match), self.state.token(&id, token));
        let request = self.send(PATCH, &id, etag.as_ref(), token.as_ref());
        let (key, step) = (format!("key{}", key % 4), self.step);
        let patched = request.body(json!({ &key: step }).to_string().as_bytes()).await;
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) if etag.is_some_and(|etag| etag != session.etag) => ETAG_MISMATCH,
            Some(session) if !session.is_json => "415 unsupported-media-type",
            Some(session) => self.state.lock_refusal(session, token.as_ref()).unwrap_or("204"),
        };
        assert_eq!(patched.outcome(), expected);
        if expected == "204" {
            let time = self.state.time;
            let session = self.state.session_mut(&id);
            session.data[key] = step.into();
            session.etag = patched.header("ETag").to_owned();
            session.expires = time + session.ttl;
        }
    }

    async fn touch(&mut self, on: usize, ttl: Option<u64>) {
        let id = self.state.id(on);
        let mut request = self.send(TOUCH, &id, None, None);
        if let Some(ttl) = ttl {
            request = request.header("session-ttl", &ttl.to_string());
        }
        let touched = request.await;
        if self.state.current(&id).is_none() {
            assert_eq!(touched.outcome(), NOT_FOUND);
            return;
        }
        let time = self.state.time;
        let session = self.state.session_mut(&id);
        session.ttl = ttl.unwrap_or(session.ttl);
        session.expires = time + session.ttl;
        let left = session.expires.min(session.deadline) - time;
        assert_eq!(touched.header("Session-TTL"), left.to_string());
    }

    async fn rotate(
        &mut self,
        on: usize,
        if_match: IfMatch,
        token: Token,
        grace: u64,
        with_data: bool,
        user: Option<usize>,
    ) {
        let old_id = self.state.id(on);
        let etag = self.state.if_match(&old_id, if_match);
        let token = self.state.token(&old_id, token);
        let request = self.send(ROTATE, &old_id, etag.as_ref(), token.as_ref());
        let mut request = request.header("session-grace", &grace.to_string());
        let data = json!({ "step": self.step });
        if with_data {
            request = request.header("content-type", "application/json");
            request = request.body(data.to_string().as_bytes());
        }
        if let Some(user) = user {
            request = request.header("session-user", USERS[user]);
        }
        let rotated = request.await;
        let expected = match self.state.current(&old_id) {
            None => NOT_FOUND,
            Some(session) if etag.is_some_and(|etag| etag != session.etag) => ETAG_MISMATCH,
            Some(session) => self.state.lock_refusal(session, token.as_ref()).unwrap_or("200"),
        };
        assert_eq!(rotated.outcome(), expected);
        if expected == "200" {
            let new_id = rotated.header("Session-Id").to_owned();
            let mut old = self.state.sessions.remove(&old_id).unwrap();
            let mut new = old.clone();
            new.etag = rotated.header("ETag").to_owned();
            assert_eq!(new.etag != old.etag, with_data, "the tag changes only with the data");
            new.expires = self.state.time + new.ttl;
            new.user = user.or(new.user);
            new.predecessor = Some(old_id.clone());
            if with_data {
                (new.data, new.is_json) = (data, true);
            }
            if grace > 0 {
                old.successor = Some(new_id.clone());
                old.expires = self.state.time + grace;
                old.user = new.user;
                self.state.sessions.insert(old_id.clone(), old);
            }
            if let Some(token) = self.state.tokens.get(&old_id).cloned() {
                self.state.tokens.insert(new_id.clone(), token);
            }
            self.state.sessions.insert(new_id.clone(), new);
            self.state.ids.push(new_id);
        }
    }

    async fn lock(&mut self, on: usize, lease: u64) {
        let id = self.state.id(on);
        let request = self.send(LOCK, &id, None, None);
        let locked = request.header("session-lease", &lease.to_string()).await;
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) => self.state.lock_refusal(session, None).unwrap_or("200"),
        };
        assert_eq!(locked.outcome(), expected);
        if expected == "200" {
            let token = locked.header("Session-Lock").to_owned();
            self.state.tokens.insert(id.clone(), token.clone());
            let (time, until) = (self.state.time, self.state.time + lease);
            let session = self.state.session_mut(&id);
            session.expires = time + session.ttl;
            session.lock = Some((token, until));
            assert_eq!(serde_json::from_slice::<Value>(&locked.body).unwrap(), session.data);
        }
    }

    async fn unlock(&mut self, on: usize, token: Token) {
        let id = self.state.id(on);
        let Some(token) = self.state.token(&id, token) else { return };
        let unlocked = self.send(UNLOCK, &id, None, None).header("session-unlock", &token).await;
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) => match self.state.lock_refusal(session, Some(&token)) {
                Some("423 session-locked") => "412 not-lock-holder",
                _ => "204",
            },
        };
        assert_eq!(unlocked.outcome(), expected);
        if expected == "204" {
            let session = self.state.session_mut(&id);
            session.lock = session.lock.take().filter(|(holder, _)| *holder != token);
        }
    }

    async fn destroy(&mut self, on: usize, if_match: IfMatch) {
        let id = self.state.id(on);
        let etag = self.state.if_match(&id, if_match);
        let destroyed = self.send(DESTROY, &id, etag.as_ref(), None).await;
        let expected = match self.state.live(&id) {
            Some(session) if session.successor.is_some() => NOT_FOUND,
            Some(session) if etag.is_some_and(|etag| etag != session.etag) => ETAG_MISMATCH,
            _ => "204",
        };
        assert_eq!(destroyed.outcome(), expected);
        if expected == "204" {
            self.state.sessions.remove(&id);
        }
    }

    async fn list(&self, user: usize) {
        let request = self.app.send(LIST).at(self.state.time).without("session-id");
        let response = request.header("session-user", USERS[user]).await;
        let listed: Vec<Value> = serde_json::from_slice(&response.body).unwrap();
        let mut listed: Vec<_> =
            listed.iter().map(|entry| entry["handle"].as_str().unwrap().to_owned()).collect();
        let mut expected: Vec<_> =
            self.state.sessions_of(user).iter().map(|id| handle(id)).collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }

    async fn revoke_all(&mut self, user: usize, keep: Option<usize>) {
        let keep = keep.map(|on| self.state.id(on));
        let mut request = self.app.send(REVOKE_ALL).at(self.state.time);
        if let Some(keep) = &keep {
            request = request.id(keep);
        }
        let revoked = request.header("session-user", USERS[user]).await;
        let mut destroyed = self.state.sessions_of(user);
        let is_kept = |id: &String| {
            let predecessor = self.state.sessions[id].predecessor.as_ref();
            keep.is_some() && (Some(id) == keep.as_ref() || predecessor == keep.as_ref())
        };
        destroyed.retain(|id| !is_kept(id));
        let expected = json!({ "destroyed": destroyed.len() }).to_string();
        assert_eq!(revoked.body, expected.as_bytes());
        // Ids in their grace period are destroyed as well, but not counted.
        let mut rotated = self.state.rotated_ids_of(user);
        rotated.retain(|id| !is_kept(id));
        for id in destroyed.iter().chain(&rotated) {
            self.state.sessions.remove(id);
        }
    }

    async fn revoke(&mut self, on: usize, user: usize) {
        let id = self.state.id(on);
        let request = self.app.send(REVOKE).at(self.state.time).handle(&handle(&id));
        let revoked = request.header("session-user", USERS[user]).await;
        if self.state.sessions_of(user).contains(&id) {
            assert_eq!(revoked.outcome(), "204");
            self.state.sessions.remove(&id);
        } else {
            assert_eq!(revoked.outcome(), NOT_FOUND);
        }
    }
}
