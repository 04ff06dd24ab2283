//! Runs operations on both the API and the model, and compares the two.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::operation::{
    Attributes, Change, IfMatch, LABELS, NewId, Operation, Requirements, Token, USERS,
};
use super::state::{Session, State};
use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, Example, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, Request, Response, TOUCH, UNLOCK, handle, new_id,
};

const NOT_FOUND: &str = "404 session-not-found";
const ETAG_MISMATCH: &str = "412 etag-mismatch";
const NOT_LOCK_HOLDER: &str = "412 not-lock-holder";
const EXISTS: &str = "412 session-exists";

/// A write to a session, with its whole request, so that it can be sent again.
struct Write {
    id: String,
    request: Request,
    /// What identifies the write when it's sent again, if `has_key`.
    key: String,
    has_key: bool,
    prefers_data: bool,
    if_match: Option<String>,
    token: Option<String>,
    /// Whether the write releases the lock.
    releases: bool,
    attributes: Attributes,
    kind: Kind,
}

/// What a write does besides changing attributes.
enum Kind {
    Create,
    Replace { data: Value, is_json: bool },
    Patch { changes: Map<String, Value> },
    Touch,
    Rotate { grace: u64, data: Option<Value>, new: Option<String> },
    Lock { lease: u64 },
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
            Change::Remove => request.header(name, "\"\""),
        };
    }
    request
}

/// What identifies a rotation.
fn rotation(old: &str, new: &str) -> String {
    format!("{old} to {new}")
}

/// The API and its model.
pub(super) struct Checker {
    app: App,
    pub(super) state: State,
    /// The operation's number. It's part of the data that the operation writes, so no two operations write the same
    /// data.
    step: u64,
    /// The writes with a key.
    sent: Vec<Write>,
    /// The lock tokens that writes returned, by the write's key.
    locks: BTreeMap<String, String>,
    /// Every tag that ever stood for some data.
    etags: BTreeSet<String>,
    began: Instant,
}

impl Checker {
    pub(super) fn new(app: App) -> Self {
        let (locks, etags) = (BTreeMap::new(), BTreeSet::new());
        let began = Instant::now();
        Self { app, state: State::default(), step: 0, sent: Vec::new(), locks, etags, began }
    }

    /// Runs an operation, asserts that the outcome matches the model's, and updates the model.
    pub(super) async fn run(&mut self, operation: Operation) {
        self.step += 1;
        self.began = Instant::now();
        let data = json!({ "step": self.step });
        match operation {
            Operation::Create { ttl, attributes } => self.create(ttl, attributes).await,
            Operation::CreateWithId { on, ttl, attributes } => {
                let attributes = Attributes { ttl: Some(ttl), ..attributes };
                self.send_write(CREATE_WITH_ID, on, NOTHING, attributes, Kind::Create).await;
            }
            Operation::Read { on, if_match } => self.read_if(on, if_match).await,
            Operation::Replace { on, requirements, attributes, as_text } => {
                let kind = Kind::Replace { data, is_json: !as_text };
                self.send_write(REPLACE, on, requirements, attributes, kind).await;
            }
            Operation::Patch { on, requirements, attributes, key } => {
                let member = |key| (format!("key{key}"), self.step.into());
                let kind = Kind::Patch { changes: key.into_iter().map(member).collect() };
                self.send_write(PATCH, on, requirements, attributes, kind).await;
            }
            Operation::Touch { on, requirements, attributes, prefers_data } => {
                let mut write = self.prepare(TOUCH, on, requirements, attributes, Kind::Touch);
                if prefers_data {
                    write.request = write.request.header("prefer", "return=representation");
                    write.prefers_data = true;
                }
                self.write(write).await;
            }
            Operation::Rotate { on, requirements, attributes, grace, has_data, new } => {
                let id = self.state.id(on);
                let new = match new {
                    NewId::Generated => None,
                    NewId::Known(on) if self.state.id(on) != id => Some(self.state.id(on)),
                    NewId::Fresh | NewId::Known(_) => Some(new_id()),
                };
                let kind = Kind::Rotate { grace, data: has_data.then_some(data), new };
                self.send_write(ROTATE, on, requirements, attributes, kind).await;
            }
            Operation::Lock { on, token, lease, ttl } => {
                let requirements = Requirements { token, ..NOTHING };
                let attributes = Attributes { ttl, user: Change::Keep, label: Change::Keep };
                self.send_write(LOCK, on, requirements, attributes, Kind::Lock { lease }).await;
            }
            Operation::Unlock { on, token } => self.unlock(on, token).await,
            Operation::Destroy { on, if_match } => self.destroy(on, if_match).await,
            Operation::List { user } => self.list(user).await,
            Operation::RevokeAll { user, keep } => self.revoke_all(user, keep).await,
            Operation::Revoke { on, user } => self.revoke(on, user).await,
            Operation::Limit { user, limit } => self.limit(user, limit).await,
            Operation::Repeat { which } if !self.sent.is_empty() => {
                let write = self.sent.swap_remove(which % self.sent.len());
                self.write(write).await;
            }
            Operation::Repeat { .. } => {}
            Operation::Wait { seconds } => self.state.time += seconds,
        }
    }

    async fn read_if(&self, on: usize, if_match: IfMatch) {
        let id = self.state.id(on);
        let (Some(etag), Some(session)) =
            (self.state.if_match(&id, if_match), self.state.readable(&id))
        else {
            return self.read(&id).await;
        };
        let expected = if etag == session.etag { "200" } else { ETAG_MISMATCH };
        let read = self.send(READ, &id).header("if-match", &etag).await;
        assert_eq!(read.outcome(), expected);
    }

    /// Asserts that reads of this id return the model's data and metadata.
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

    /// Asserts that a response shows the seconds until the session expires. On a slow machine, the operation may take
    /// whole seconds, and the API counts those too.
    fn check_seconds_left(&self, shown: &str, session: &Session) {
        let left = session.seconds_left(self.state.time);
        let passed = self.began.elapsed().as_secs();
        let range = left.saturating_sub(passed)..=left;
        assert!(range.contains(&shown.parse().unwrap()), "{shown} is not within {range:?}");
    }

    /// Asserts that a response shows the session with its data and metadata.
    fn assert_shows(&self, response: &Response, session: &Session) {
        assert_eq!(serde_json::from_slice::<Value>(&response.body).unwrap(), session.data);
        assert_eq!(response.header("ETag"), session.etag);
        self.check_seconds_left(response.header("Session-TTL"), session);
        assert_eq!(optional(response, "Session-User"), session.user);
        assert_eq!(optional(response, "Session-Label"), session.label);
    }

    /// Prepares a request about a session, without the example's optional headers.
    fn send(&self, example: Example, id: &str) -> Request {
        let request = self.app.send(example).id(id).at(self.state.time);
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
        let mut session = Session::new(self.state.time);
        session.apply(attributes, self.state.time);
        self.made(&mut session, &created);
        session.remember("POST");
        self.state.insert(created.header("Session-Id"), session);
    }

    /// Prepares a write to a session. Three out of four have a key.
    fn prepare(
        &self,
        example: Example,
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        kind: Kind,
    ) -> Write {
        let id = self.state.id(on);
        let Requirements { if_match, token, releases } = requirements;
        let (if_match, token) = (self.state.if_match(&id, if_match), self.state.token(&id, token));
        let mut request = with_attributes(self.send(example, &id), attributes);
        if let Some(etag) = &if_match {
            request = request.header("if-match", etag);
        }
        if let Some(token) = &token {
            request =
                request.header(if releases { "session-unlock" } else { "session-lock" }, token);
        }
        let mut key = new_id();
        let mut has_key = !self.step.is_multiple_of(4);
        request = match &kind {
            Kind::Replace { data, is_json } => {
                let media_type = if *is_json { "application/json" } else { "text/plain" };
                request.header("content-type", media_type).body(data.to_string().as_bytes())
            }
            Kind::Patch { changes } => {
                request.body(Value::Object(changes.clone()).to_string().as_bytes())
            }
            Kind::Rotate { grace, data, new } => {
                request = request.header("session-grace", &grace.to_string());
                if let Some(data) = data {
                    request = request.header("content-type", "application/json");
                    request = request.body(data.to_string().as_bytes());
                }
                has_key = new.is_some();
                key = new.as_ref().map_or(key, |new| rotation(&id, new));
                new.iter().fold(request, |request, new| request.header("session-new-id", new))
            }
            Kind::Lock { lease } => request.header("session-lease", &lease.to_string()),
            Kind::Create | Kind::Touch => request,
        };
        if has_key && !matches!(kind, Kind::Rotate { .. }) {
            request = request.header("idempotency-key", &key);
        }
        let releases = releases && token.is_some();
        let prefers_data = false;
        Write {
            id,
            request,
            key,
            has_key,
            prefers_data,
            if_match,
            token,
            releases,
            attributes,
            kind,
        }
    }

    async fn send_write(
        &mut self,
        example: Example,
        on: usize,
        requirements: Requirements,
        attributes: Attributes,
        kind: Kind,
    ) {
        let write = self.prepare(example, on, requirements, attributes, kind);
        self.write(write).await;
    }

    /// Sends a write, whether for the first time or again.
    async fn write(&mut self, write: Write) {
        let response = write.request.copy().at(self.state.time).await;
        match self.refusal(&write) {
            Some(ETAG_MISMATCH) if write.prefers_data => {
                assert_eq!(response.status, 412);
                self.assert_shows(&response, self.state.current(&write.id).unwrap());
            }
            Some(reason) => assert_eq!(response.outcome(), reason),
            None => {
                let is_repeated = self.remembering(&write).is_some();
                let is_plain = is_repeated && response.outcome() == "204";
                // If the data has changed since the first attempt, the response to a retry doesn't include it.
                assert!(is_plain || response.outcome() == write.success(), "{response:?}");
                let id = if is_repeated { write.target() } else { self.apply(&write, &response) };
                self.check(&write, &response, &id, is_repeated);
                if let Kind::Lock { .. } = write.kind {
                    let token = response.header("Session-Lock").to_owned();
                    assert!(write.token.as_ref().is_none_or(|renewed| *renewed == token));
                    self.locks.insert(write.key.clone(), token.clone());
                    self.state.tokens.insert(id, token);
                }
            }
        }
        if write.has_key {
            self.sent.push(write);
        }
    }

    /// Returns the session that remembers the write, unless it has ended or was rotated away.
    fn remembering(&self, write: &Write) -> Option<&Session> {
        let session = self.state.current(&write.target())?;
        let is_rotated = matches!(write.kind, Kind::Rotate { .. })
            && session.predecessor.as_ref() == Some(&write.id);
        (is_rotated || session.etag_after(&write.key).is_some()).then_some(session)
    }

    /// Why the write is refused, or `None` if it isn't.
    fn refusal(&self, write: &Write) -> Option<&'static str> {
        if let Some(session) = self.remembering(write) {
            let own = write.token.as_ref().or(self.locks.get(&write.key));
            return match (&write.kind, self.state.held(session)) {
                (Kind::Lock { .. }, Some(held)) if Some(held) == own => None,
                (Kind::Lock { .. }, Some(_)) => Some("423 session-locked"),
                (Kind::Lock { .. }, None) => Some(NOT_LOCK_HOLDER),
                _ => None,
            };
        }
        if let Kind::Create = write.kind {
            return self.state.readable(&write.id).map(|_| EXISTS);
        }
        let Some(session) = self.state.current(&write.id) else { return Some(NOT_FOUND) };
        let is_locked = match (&write.kind, &write.token) {
            // A touch ignores the lock.
            (Kind::Touch, None) => None,
            (_, token) => self.state.lock_refusal(session, token.as_ref()),
        };
        let is_stale = write.if_match.as_ref().is_some_and(|etag| *etag != session.etag);
        let is_text = matches!(write.kind, Kind::Patch { .. }) && !session.is_json;
        let is_taken = if let Kind::Rotate { new: Some(new), .. } = &write.kind {
            // A session may return to the id it came from, even if that's still in its grace period.
            let taken = self.state.readable(new);
            taken.is_some_and(|other| other.successor.as_ref() != Some(&write.id))
        } else {
            false
        };
        is_locked
            .or(is_stale.then_some(ETAG_MISMATCH))
            .or(is_text.then_some("415 unsupported-media-type"))
            .or(is_taken.then_some(EXISTS))
    }

    /// Applies a write to the model. Returns the session's id afterwards.
    fn apply(&mut self, write: &Write, response: &Response) -> String {
        let time = self.state.time;
        let mut session = match write.kind {
            Kind::Create => Session::new(time),
            _ => self.state.sessions[&write.id].clone(),
        };
        let old = session.clone();
        session.lock = session.lock.take().filter(|_| !write.releases);
        session.apply(write.attributes, time);
        match &write.kind {
            Kind::Replace { data, is_json } => {
                (session.data, session.is_json) = (data.clone(), *is_json);
            }
            Kind::Patch { changes } => {
                session.data.as_object_mut().unwrap().extend(changes.clone());
            }
            Kind::Rotate { data: Some(data), .. } => {
                (session.data, session.is_json) = (data.clone(), true);
            }
            Kind::Lock { lease } => {
                let token = response.header("Session-Lock").to_owned();
                session.lock = Some((token, time + lease));
            }
            Kind::Create | Kind::Touch | Kind::Rotate { data: None, .. } => {}
        }
        let makes_data = match write.kind {
            Kind::Create | Kind::Replace { .. } | Kind::Rotate { data: Some(_), .. } => true,
            _ => session.data != old.data,
        };
        if makes_data {
            self.made(&mut session, response);
        }
        let Kind::Rotate { grace, .. } = write.kind else {
            session.remember(&write.key);
            self.state.insert(&write.id, session);
            return write.id.clone();
        };
        let new = response.header("Session-Id").to_owned();
        // A rotation is identified by its two ids, even if the API chose the new one.
        session.remember(&rotation(&write.id, &new));
        session.predecessor = Some(write.id.clone());
        self.state.sessions.remove(&write.id);
        if grace > 0 {
            let (successor, lock) = (Some(new.clone()), None);
            self.state.insert(&write.id, Session { successor, lock, expires: time + grace, ..old });
        }
        self.state.insert(&new, session);
        if let Some(token) = self.state.tokens.get(&write.id).cloned() {
            self.state.tokens.insert(new.clone(), token);
        }
        new
    }

    /// Records the tag of new data, and asserts that it has never been used before.
    fn made(&mut self, session: &mut Session, response: &Response) {
        session.etag = response.header("ETag").to_owned();
        assert!(self.etags.insert(session.etag.clone()), "a tag was reused");
    }

    /// Checks what the response to a write shows of the session. The response to a retry shows the session as it is
    /// now, or less.
    fn check(&self, write: &Write, response: &Response, id: &str, is_repeated: bool) {
        let session = &self.state.sessions[id];
        if let Kind::Rotate { .. } = write.kind {
            assert_eq!(response.header("Session-Id"), id);
        }
        if let Some(shown) = optional(response, "Session-TTL") {
            self.check_seconds_left(shown, session);
        }
        if !response.body.is_empty() {
            self.assert_shows(response, session);
        } else if let Some(shown) = optional(response, "ETag") {
            let etag = session.etag_after(&write.key);
            assert!(etag.is_none_or(|etag| etag == shown), "{shown} is not {etag:?}");
            assert!(self.etags.contains(shown), "no data has {shown}");
        } else {
            assert!(is_repeated, "the first response must have the tag");
        }
    }

    async fn unlock(&mut self, on: usize, token: Token) {
        let id = self.state.id(on);
        let Some(token) = self.state.token(&id, token) else { return };
        let unlocked = self.send(UNLOCK, &id).header("session-unlock", &token).await;
        let write = format!("release {token}");
        let expected = match self.state.current(&id) {
            None => NOT_FOUND,
            // This token has released the lock before.
            Some(session) if session.etag_after(&write).is_some() => "204",
            Some(session) => match self.state.lock_refusal(session, Some(&token)) {
                Some("423 session-locked") => NOT_LOCK_HOLDER,
                _ => "204",
            },
        };
        assert_eq!(unlocked.outcome(), expected);
        if let Some(session) = self.state.sessions.get_mut(&id).filter(|_| expected == "204")
            && session.lock.take_if(|(holder, _)| *holder == token).is_some()
        {
            session.remember(&write);
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
        let expected = match self.state.readable(&id) {
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
        // Ids in their grace period are destroyed too, but not counted.
        let mut rotated = self.state.rotated_ids_of(user);
        rotated.retain(|id| !is_kept(id));
        for id in destroyed.iter().chain(&rotated) {
            self.state.sessions.remove(id);
        }
    }

    /// Asserts that the sessions that got their owner last are left. If several got it in the same second, the model
    /// doesn't know their order.
    async fn limit(&mut self, user: usize, limit: usize) {
        let before = self.state.sessions_of(user);
        let request = self.app.send(REVOKE_ALL).at(self.state.time);
        let request = request.header("session-user", USERS[user]);
        let limited = request.header("session-limit", &limit.to_string()).await;
        let expected = before.len().saturating_sub(limit);
        assert_eq!(limited.body, json!({ "destroyed": expected }).to_string().as_bytes());
        let left = self.listed(user).await;
        let (left, ended): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|id| left.contains(&handle(id)));
        assert_eq!(ended.len(), expected);
        let oldest_left = left.iter().map(|id| self.state.sessions[id].owned.1).min();
        for id in ended {
            let session = self.state.sessions.remove(&id).unwrap();
            assert!(oldest_left.is_none_or(|oldest| session.owned.0 <= oldest));
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

impl Write {
    fn success(&self) -> &'static str {
        match self.kind {
            Kind::Create => "201",
            Kind::Rotate { .. } | Kind::Lock { .. } => "200",
            _ if self.prefers_data => "200",
            _ => "204",
        }
    }

    /// The id of the session that remembers the write.
    fn target(&self) -> String {
        match &self.kind {
            Kind::Rotate { new: Some(new), .. } => new.clone(),
            _ => self.id.clone(),
        }
    }
}

const NOTHING: Requirements =
    Requirements { if_match: IfMatch::Absent, token: Token::Absent, releases: false };

/// The value of a header, if it's there.
fn optional<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.header_names().contains(&name).then(|| response.header(name))
}
