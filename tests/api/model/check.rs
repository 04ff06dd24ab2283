//! Runs operations against the API and against the model, and compares the two.

use serde_json::{Map, Value, json};

use super::operation::{
    Attributes, Change, IfMatch, LABELS, Operation, Requirements, Token, USERS,
};
use super::state::{Session, State};
use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, Request, Response, TOUCH, UNLOCK, handle, new_id,
};

const NOT_FOUND: &str = "404 session-not-found";
const ETAG_MISMATCH: &str = "412 etag-mismatch";

/// A prepared write, with what it requires.
struct Write {
    request: Request,
    if_match: Option<String>,
    token: Option<String>,
    /// Whether it releases the lock.
    releases: bool,
}

impl Write {
    /// Why the version of the data refuses the write, or `None` if it does not.
    fn version_refusal(&self, session: &Session) -> Option<&'static str> {
        let is_refused = self.if_match.as_ref().is_some_and(|etag| *etag != session.etag);
        is_refused.then_some(ETAG_MISMATCH)
    }
}

/// Adds the headers that change attributes.
fn with_attributes(mut request: Request, attributes: Attributes) -> Request {
    let Attributes { ttl, user, label } = attributes;
    if let Some(ttl) = ttl {
        request = request.header("session-ttl", &ttl.to_string());
    }
    for (name, change, values) in [("session-user", user, USERS), ("session-label", label, LABELS)]
    {
        request = match change {
            Change::Keep => request,
            Change::Set(n) => request.header(name, values[n]),
            Change::Remove => request.header(name, ""),
        };
    }
    request
}

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
            Operation::Create { ttl, attributes } => self.create(ttl, attributes).await,
            Operation::CreateWithId { on, ttl, attributes } => {
                self.create_with_id(on, ttl, attributes).await;
            }
            Operation::Read { on } => self.read(&self.state.id(on)).await,
            Operation::Replace { on, requirements, attributes, as_text } => {
                self.replace(on, requirements, attributes, as_text).await;
            }
            Operation::Patch { on, requirements, attributes, key } => {
                self.patch(on, requirements, attributes, key).await;
            }
            Operation::Touch { on, token, attributes, prefers_data } => {
                self.touch(on, token, attributes, prefers_data).await;
            }
            Operation::Rotate { .. } => self.rotate(operation).await,
            Operation::Lock { on, token, lease, ttl } => self.lock(on, token, lease, ttl).await,
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
        let read = self.send(READ, id).await;
        let head = self.send(HEAD, id).await;
        assert_eq!(head.status, read.status);
        let Some(session) = self.state.readable(id) else {
            assert_eq!(read.outcome(), NOT_FOUND);
            return;
        };
        assert_eq!(read.outcome(), "200");
        assert_eq!(head.header("ETag"), session.etag);
        self.assert_shows(&read, session);
    }

    /// Asserts that a response shows the session with its data and metadata.
    fn assert_shows(&self, response: &Response, session: &Session) {
        assert_eq!(serde_json::from_slice::<Value>(&response.body).unwrap(), session.data);
        assert_eq!(response.header("ETag"), session.etag);
        let left = session.seconds_left(self.state.time);
        assert_eq!(response.header("Session-TTL"), left.to_string());
        let names = response.header_names();
        let header = |name| names.contains(&name).then(|| response.header(name));
        assert_eq!(header("Session-User"), session.user);
        assert_eq!(header("Session-Label"), session.label);
    }

    /// Prepares a request about a session, without the optional headers of the event file.
    fn send(&self, event: &str, id: &str) -> Request {
        let request = self.app.send(event).id(id).at(self.state.time);
        ["session-ttl", "session-user", "session-unlock"]
            .into_iter()
            .fold(request, Request::without)
    }

    async fn create(&mut self, ttl: u64, attributes: Attributes) {
        let attributes = Attributes { ttl: Some(ttl), ..attributes };
        let request = self.app.send(CREATE).at(self.state.time);
        let request = request.without("session-user").without("session-label");
        let created = with_attributes(request, attributes).await;
        assert_eq!(created.outcome(), "201");
        let id = created.header("Session-Id").to_owned();
        self.state.insert(id, created.header("ETag"), attributes);
    }

    async fn create_with_id(&mut self, on: usize, ttl: u64, attributes: Attributes) {
        let attributes = Attributes { ttl: Some(ttl), ..attributes };
        let id = self.state.id(on);
        let created = with_attributes(self.send(CREATE_WITH_ID, &id), attributes).await;
        if self.state.live(&id).is_some() {
            assert_eq!(created.outcome(), "412 session-exists");
        } else {
            assert_eq!(created.outcome(), "201");
            self.state.insert(id, created.header("ETag"), attributes);
        }
    }

    /// Prepares a write to a session.
    fn send_write(
        &self,
        event: &str,
        id: &str,
        requirements: Requirements,
        attributes: Attributes,
    ) -> Write {
        let Requirements { if_match, token, releases } = requirements;
        let (if_match, token) = (self.state.if_match(id, if_match), self.state.token(id, token));
        let mut request = with_attributes(self.send(event, id), attributes);
        if let Some(etag) = &if_match {
            request = request.header("if-match", etag);
        }
        if let Some(token) = &token {
            request =
                request.header(if releases { "session-unlock" } else { "session-lock" }, token);
        }
        let releases = releases && token.is_some();
        Write { request, if_match, token, releases }
    }

    async fn replace(
        &mut self,
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        as_text: bool,
    ) {
        let id = self.state.id(on);
        let write = self.send_write(REPLACE, &id, requirements, attributes);
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) => self
                .state
                .lock_refusal(session, write.token.as_ref())
                .or(write.version_refusal(session))
                .unwrap_or("204"),
        };
        let data = json!({ "step": self.step });
        let mut request = write.request.body(data.to_string().as_bytes());
        if as_text {
            request = request.header("content-type", "text/plain");
        }
        let replaced = request.await;
        assert_eq!(replaced.outcome(), expected);
        if expected == "204" {
            let session = self.state.write(&id, attributes, write.releases);
            session.data = data;
            session.is_json = !as_text;
            session.etag = replaced.header("ETag").to_owned();
        }
    }

    async fn patch(
        &mut self,
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        key: Option<u8>,
    ) {
        let id = self.state.id(on);
        let write = self.send_write(PATCH, &id, requirements, attributes);
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) => write.version_refusal(session).unwrap_or(if session.is_json {
                self.state.lock_refusal(session, write.token.as_ref()).unwrap_or("204")
            } else {
                "415 unsupported-media-type"
            }),
        };
        let changes: Map<_, _> =
            key.into_iter().map(|key| (format!("key{key}"), self.step.into())).collect();
        let patch = Value::Object(changes.clone()).to_string();
        let patched = write.request.body(patch.as_bytes()).await;
        assert_eq!(patched.outcome(), expected);
        if expected == "204" {
            let session = self.state.write(&id, attributes, write.releases);
            let etag = patched.header("ETag");
            assert_eq!(etag == session.etag, changes.is_empty(), "the tag is that of the data");
            session.data.as_object_mut().unwrap().extend(changes);
            session.etag = etag.to_owned();
        }
    }

    async fn touch(&mut self, on: usize, token: Token, attributes: Attributes, prefers_data: bool) {
        let id = self.state.id(on);
        let requirements = Requirements { if_match: IfMatch::Absent, token, releases: true };
        let write = self.send_write(TOUCH, &id, requirements, attributes);
        let mut request = write.request;
        if prefers_data {
            request = request.header("prefer", "return=representation");
        }
        let touched = request.await;
        let success = if prefers_data { "200" } else { "204" };
        let expected = match (self.state.current(&id), &write.token) {
            (None, _) => NOT_FOUND,
            (Some(session), Some(token)) => {
                self.state.lock_refusal(session, Some(token)).unwrap_or(success)
            }
            (Some(_), None) => success,
        };
        assert_eq!(touched.outcome(), expected);
        if expected == success {
            let session = self.state.write(&id, attributes, write.releases).clone();
            let left = session.seconds_left(self.state.time);
            assert_eq!(touched.header("Session-TTL"), left.to_string());
            if prefers_data {
                self.assert_shows(&touched, &session);
            }
        }
    }

    async fn rotate(&mut self, operation: Operation) {
        let Operation::Rotate {
            on,
            requirements,
            attributes,
            grace,
            has_data,
            names_new_id,
            limit,
        } = operation
        else {
            unreachable!()
        };
        let old_id = self.state.id(on);
        let write = self.send_write(ROTATE, &old_id, requirements, attributes);
        let expected = match self.state.current(&old_id) {
            None => NOT_FOUND,
            Some(session) => write
                .version_refusal(session)
                .or(self.state.lock_refusal(session, write.token.as_ref()))
                .unwrap_or("200"),
        };
        let mut request = write.request.header("session-grace", &grace.to_string());
        let data = json!({ "step": self.step });
        if has_data {
            request = request.header("content-type", "application/json");
            request = request.body(data.to_string().as_bytes());
        }
        let named_id = names_new_id.then(new_id);
        if let Some(id) = &named_id {
            request = request.header("session-new-id", id);
        }
        if let Some(limit) = limit {
            request = request.header("session-limit", &limit.to_string());
        }
        let rotated = request.await;
        assert_eq!(rotated.outcome(), expected);
        if expected != "200" {
            return;
        }
        let new_id = rotated.header("Session-Id").to_owned();
        assert!(named_id.is_none_or(|id| id == new_id));
        let mut old = self.state.sessions[&old_id].clone();
        let new = self.state.write(&old_id, attributes, write.releases);
        new.etag = rotated.header("ETag").to_owned();
        assert_eq!(new.etag != old.etag, has_data, "the tag changes only with the data");
        if has_data {
            (new.data, new.is_json) = (data, true);
        }
        new.predecessor = Some(old_id.clone());
        let new = self.state.sessions.remove(&old_id).unwrap();
        if grace > 0 {
            old.successor = Some(new_id.clone());
            old.expires = self.state.time + grace;
            old.user = new.user;
            self.state.sessions.insert(old_id.clone(), old);
        }
        if let Some(token) = self.state.tokens.get(&old_id).cloned() {
            self.state.tokens.insert(new_id.clone(), token);
        }
        let user = new.user.and_then(|user| USERS.iter().position(|name| *name == user));
        self.state.sessions.insert(new_id.clone(), new);
        self.state.ids.push(new_id.clone());
        if let (Some(user), Some(limit)) = (user, limit) {
            self.limit_sessions(user, &new_id, limit).await;
        }
    }

    /// Asserts that a rotation has ended the oldest other sessions of the user, and removes those.
    async fn limit_sessions(&mut self, user: usize, current: &str, limit: usize) {
        let before = self.state.sessions_of(user);
        let left = self.listed(user).await;
        let (left, ended): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|id| left.contains(&handle(id)));
        assert!(left.iter().any(|id| id == current));
        assert_eq!(left.len(), limit.min(left.len() + ended.len()));
        let created = |id: &String| self.state.sessions[id].created;
        let newest_ended = ended.iter().map(created).max();
        for id in left.iter().filter(|id| *id != current) {
            assert!(newest_ended.is_none_or(|newest| newest <= created(id)));
        }
        for id in ended {
            self.state.sessions.remove(&id);
        }
    }

    async fn lock(&mut self, on: usize, token: Token, lease: u64, ttl: Option<u64>) {
        let id = self.state.id(on);
        let requirements = Requirements { if_match: IfMatch::Absent, token, releases: false };
        let attributes = Attributes { ttl, user: Change::Keep, label: Change::Keep };
        let write = self.send_write(LOCK, &id, requirements, attributes);
        let locked = write.request.header("session-lease", &lease.to_string()).await;
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            Some(session) => {
                self.state.lock_refusal(session, write.token.as_ref()).unwrap_or("200")
            }
        };
        assert_eq!(locked.outcome(), expected);
        if expected == "200" {
            let token = locked.header("Session-Lock").to_owned();
            assert!(write.token.is_none_or(|renewed| renewed == token));
            self.state.tokens.insert(id.clone(), token.clone());
            let until = self.state.time + lease;
            let session = self.state.write(&id, attributes, false);
            session.lock = Some((token, until));
            let session = session.clone();
            self.assert_shows(&locked, &session);
        }
    }

    async fn unlock(&mut self, on: usize, token: Token) {
        let id = self.state.id(on);
        let Some(token) = self.state.token(&id, token) else { return };
        let unlocked = self.send(UNLOCK, &id).header("session-unlock", &token).await;
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
        let request = self.send(DESTROY, &id);
        let destroyed = match &etag {
            Some(etag) => request.header("if-match", etag).await,
            None => request.await,
        };
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
        let mut listed = self.listed(user).await;
        let mut expected: Vec<_> =
            self.state.sessions_of(user).iter().map(|id| handle(id)).collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }

    /// Returns the handles of a user's sessions, as the API lists them.
    async fn listed(&self, user: usize) -> Vec<String> {
        let request = self.app.send(LIST).at(self.state.time).without("session-id");
        let response = request.header("session-user", USERS[user]).await;
        let listed: Vec<Value> = serde_json::from_slice(&response.body).unwrap();
        listed.iter().map(|entry| entry["handle"].as_str().unwrap().to_owned()).collect()
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
