//! Random sequences of operations against a plain model of what the contract says: status codes and
//! data agree at every step, and nothing outlives its absolute end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use session_api::session::SessionId;

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, Exchange, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, TOUCH, UNLOCK,
};

/// Seconds after which every session ends.
const MAX_LIFETIME: i64 = 120;

/// What a request says in `If-Match`.
#[derive(Debug, Clone, Copy)]
enum Match {
    Nothing,
    Current,
    Stale,
}

/// What a request says in `Session-Lock`.
#[derive(Debug, Clone, Copy)]
enum Token {
    Nothing,
    /// The last that was given for this session.
    Last,
    Wrong,
}

/// An operation on one of the ids there are so far.
#[derive(Debug, Clone)]
enum Op {
    Create { ttl: i64, user: Option<usize> },
    CreateWithId { on: usize, ttl: i64 },
    Read { on: usize },
    Replace { on: usize, tag: Match, token: Token, release: bool, ttl: Option<i64>, text: bool },
    Patch { on: usize, tag: Match, token: Token, key: u8 },
    Touch { on: usize, ttl: Option<i64> },
    Rotate { on: usize, tag: Match, token: Token, grace: i64, body: bool, user: Option<usize> },
    Lock { on: usize, lease: i64 },
    Unlock { on: usize, token: Token },
    Destroy { on: usize, tag: Match },
    List { user: usize },
    RevokeAll { user: usize, keep: Option<usize> },
    Revoke { on: usize, user: usize },
    Wait { seconds: i64 },
}

const USERS: [&str; 2] = ["ada", "grace"];
const NO_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Time goes on in even steps and leases are odd, so that none ends in the moment of a request: a
/// lease ends to the millisecond, and a request takes some.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let on = 0..64_usize;
    let user = 0..USERS.len();
    let tag = || prop_oneof![3 => Just(Match::Nothing), 2 => Just(Match::Current), 1 => Just(Match::Stale)];
    let token =
        || prop_oneof![3 => Just(Token::Nothing), 3 => Just(Token::Last), 1 => Just(Token::Wrong)];
    let ttl = 2..60_i64;
    let some_ttl = || prop::option::weighted(0.3, 2..60_i64);
    let some_user = || prop::option::weighted(0.5, 0..USERS.len());
    let op = prop_oneof![
        3 => (ttl.clone(), some_user()).prop_map(|(ttl, user)| Op::Create { ttl, user }),
        1 => (on.clone(), ttl).prop_map(|(on, ttl)| Op::CreateWithId { on, ttl }),
        3 => on.clone().prop_map(|on| Op::Read { on }),
        4 => (on.clone(), tag(), token(), any::<bool>(), some_ttl(), prop::bool::weighted(0.2)).prop_map(
            |(on, tag, token, release, ttl, text)| Op::Replace { on, tag, token, release, ttl, text }
        ),
        4 => (on.clone(), tag(), token(), any::<u8>())
            .prop_map(|(on, tag, token, key)| Op::Patch { on, tag, token, key }),
        2 => (on.clone(), some_ttl()).prop_map(|(on, ttl)| Op::Touch { on, ttl }),
        3 => (on.clone(), tag(), token(), prop_oneof![Just(0), 2..30_i64], any::<bool>(), some_user())
            .prop_map(|(on, tag, token, grace, body, user)| {
                Op::Rotate { on, tag, token, grace, body, user }
            }),
        3 => (on.clone(), 0..8_i64).prop_map(|(on, n)| Op::Lock { on, lease: 2 * n + 1 }),
        1 => (on.clone(), token()).prop_map(|(on, token)| Op::Unlock { on, token }),
        1 => (on.clone(), tag()).prop_map(|(on, tag)| Op::Destroy { on, tag }),
        1 => user.clone().prop_map(|user| Op::List { user }),
        1 => (user.clone(), prop::option::of(on.clone()))
            .prop_map(|(user, keep)| Op::RevokeAll { user, keep }),
        1 => (on, user).prop_map(|(on, user)| Op::Revoke { on, user }),
        3 => (1..12_i64).prop_map(|n| Op::Wait { seconds: 2 * n }),
    ];
    prop::collection::vec(op, 1..60)
}

/// A session as the contract has it.
#[derive(Debug, Clone)]
struct Session {
    data: Value,
    is_json: bool,
    etag: String,
    ttl: i64,
    expires: i64,
    deadline: i64,
    user: Option<usize>,
    lock: Option<(String, i64)>,
    successor: Option<String>,
}

struct Model {
    app: App,
    sessions: BTreeMap<String, Session>,
    /// Every id that ever was, in the order of its making.
    ids: Vec<String>,
    /// The last lock token given for each id.
    tokens: BTreeMap<String, String>,
    time: i64,
    step: u64,
}

impl Model {
    fn id(&self, on: usize) -> String {
        self.ids[on % self.ids.len()].clone()
    }

    fn live(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id).filter(|s| s.expires > self.time && s.deadline > self.time)
    }

    /// Live, and not moved away.
    fn current(&self, id: &str) -> Option<&Session> {
        self.live(id).filter(|session| session.successor.is_none())
    }

    fn readable(&self, id: &str) -> Option<&Session> {
        let session = self.live(id)?;
        match &session.successor {
            None => Some(session),
            Some(successor) => self.readable(successor).map(|_| session),
        }
    }

    fn tag(&self, id: &str, tag: Match) -> Option<String> {
        let current = self.sessions.get(id).map_or("\"none\"", |session| &session.etag);
        match tag {
            Match::Nothing => None,
            Match::Current => Some(current.to_owned()),
            Match::Stale => Some("\"stale\"".to_owned()),
        }
    }

    fn token(&self, id: &str, token: Token) -> Option<String> {
        match token {
            Token::Nothing => None,
            Token::Last => self.tokens.get(id).cloned(),
            Token::Wrong => Some(NO_TOKEN.to_owned()),
        }
    }

    /// What the lock has to say to a write with this token, if anything.
    fn lock_says(&self, session: &Session, token: Option<&String>) -> Option<&'static str> {
        let held = session.lock.as_ref().is_some_and(|(_, until)| *until > self.time);
        match (token, &session.lock) {
            (None, _) => held.then_some("423 session-locked"),
            (Some(token), Some((holder, _))) if token == holder => None,
            (Some(_), _) if held => Some("423 session-locked"),
            (Some(_), _) => Some("412 not-lock-holder"),
        }
    }

    fn send(
        &self,
        event: &str,
        id: &str,
        tag: Option<&String>,
        token: Option<&String>,
    ) -> Exchange {
        let mut request = self.app.send(event).id(id).after(self.time).without("session-ttl");
        request = request.without("session-user").without("session-lock");
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        if let Some(token) = token {
            request = request.header("session-lock", token);
        }
        request
    }

    async fn apply(&mut self, op: Op) {
        self.step += 1;
        match op {
            Op::Wait { seconds } => self.time += seconds,
            Op::Create { ttl, user } => {
                let mut request = self.app.send(CREATE).after(self.time).without("session-user");
                if let Some(user) = user {
                    request = request.header("session-user", USERS[user]);
                }
                let created = request.header("session-ttl", &ttl.to_string()).await;
                assert_eq!(created.outcome(), "201");
                let id = created.header("Session-Id").to_owned();
                self.made(id, created.header("ETag"), ttl, user);
            }
            Op::CreateWithId { on, ttl } => {
                let id = self.id(on);
                let request = self.send(CREATE_WITH_ID, &id, None, None);
                let created = request.header("session-ttl", &ttl.to_string()).await;
                if self.live(&id).is_some() {
                    assert_eq!(created.outcome(), "412 session-exists");
                } else {
                    assert_eq!(created.outcome(), "201");
                    self.made(id, created.header("ETag"), ttl, None);
                }
            }
            Op::Read { on } => self.check(&self.id(on)).await,
            Op::Replace { on, tag, token, release, ttl, text } => {
                let id = self.id(on);
                let (tag, token) = (self.tag(&id, tag), self.token(&id, token));
                let mut request = self.send(REPLACE, &id, tag.as_ref(), token.as_ref());
                let release = release && token.is_some();
                if release {
                    request = request.header("session-lock-release", "true");
                }
                if let Some(ttl) = ttl {
                    request = request.header("session-ttl", &ttl.to_string());
                }
                if text {
                    request = request.header("content-type", "text/plain");
                }
                let data = json!({ "step": self.step });
                let answer = request.body(data.to_string().as_bytes()).await;
                let expected = match self.current(&id) {
                    None => "404 session-not-found",
                    Some(session) => match self.lock_says(session, token.as_ref()) {
                        Some(refusal) => refusal,
                        None if tag.is_some_and(|tag| tag != session.etag) => "412 etag-mismatch",
                        None => "204",
                    },
                };
                assert_eq!(answer.outcome(), expected);
                if expected == "204" {
                    let time = self.time;
                    let session = self.sessions.get_mut(&id).unwrap();
                    session.data = data;
                    session.is_json = !text;
                    session.etag = answer.header("ETag").to_owned();
                    session.ttl = ttl.unwrap_or(session.ttl);
                    session.expires = time + session.ttl;
                    session.lock = session.lock.take().filter(|_| !release);
                }
            }
            Op::Patch { on, tag, token, key } => {
                let id = self.id(on);
                let (tag, token) = (self.tag(&id, tag), self.token(&id, token));
                let request = self.send(PATCH, &id, tag.as_ref(), token.as_ref());
                let (key, step) = (format!("key{}", key % 4), self.step);
                let answer = request.body(json!({ &key: step }).to_string().as_bytes()).await;
                let expected = match self.current(&id) {
                    None => "404 session-not-found",
                    Some(session) if tag.is_some_and(|tag| tag != session.etag) => {
                        "412 etag-mismatch"
                    }
                    Some(session) if !session.is_json => "415 unsupported-media-type",
                    Some(session) => self.lock_says(session, token.as_ref()).unwrap_or("204"),
                };
                assert_eq!(answer.outcome(), expected);
                if expected == "204" {
                    let time = self.time;
                    let session = self.sessions.get_mut(&id).unwrap();
                    session.data[key] = step.into();
                    session.etag = answer.header("ETag").to_owned();
                    session.expires = time + session.ttl;
                }
            }
            Op::Touch { on, ttl } => {
                let id = self.id(on);
                let mut request = self.send(TOUCH, &id, None, None);
                if let Some(ttl) = ttl {
                    request = request.header("session-ttl", &ttl.to_string());
                }
                let answer = request.await;
                if self.current(&id).is_none() {
                    assert_eq!(answer.outcome(), "404 session-not-found");
                    return;
                }
                let time = self.time;
                let session = self.sessions.get_mut(&id).unwrap();
                session.ttl = ttl.unwrap_or(session.ttl);
                session.expires = time + session.ttl;
                let left = session.expires.min(session.deadline) - time;
                assert_eq!(answer.header("Session-TTL"), left.to_string());
            }
            Op::Rotate { on, tag, token, grace, body, user } => {
                let old = self.id(on);
                let (tag, token) = (self.tag(&old, tag), self.token(&old, token));
                let request = self.send(ROTATE, &old, tag.as_ref(), token.as_ref());
                let mut request = request.header("session-grace", &grace.to_string());
                let data = json!({ "step": self.step });
                if body {
                    request = request.header("content-type", "application/json");
                    request = request.body(data.to_string().as_bytes());
                }
                if let Some(user) = user {
                    request = request.header("session-user", USERS[user]);
                }
                let answer = request.await;
                let expected = match self.current(&old) {
                    None => "404 session-not-found",
                    Some(session) if tag.is_some_and(|tag| tag != session.etag) => {
                        "412 etag-mismatch"
                    }
                    Some(session) => self.lock_says(session, token.as_ref()).unwrap_or("200"),
                };
                assert_eq!(answer.outcome(), expected);
                if expected == "200" {
                    let id = answer.header("Session-Id").to_owned();
                    let mut left = self.sessions.remove(&old).unwrap();
                    let mut moved = left.clone();
                    moved.etag = answer.header("ETag").to_owned();
                    assert_eq!(moved.etag != left.etag, body, "a new version for new data only");
                    moved.expires = self.time + moved.ttl;
                    moved.user = user.or(moved.user);
                    if body {
                        (moved.data, moved.is_json) = (data, true);
                    }
                    if grace > 0 {
                        left.successor = Some(id.clone());
                        left.expires = self.time + grace;
                        self.sessions.insert(old.clone(), left);
                    }
                    if let Some(token) = self.tokens.get(&old).cloned() {
                        self.tokens.insert(id.clone(), token);
                    }
                    self.sessions.insert(id.clone(), moved);
                    self.ids.push(id);
                }
            }
            Op::Lock { on, lease } => {
                let id = self.id(on);
                let request = self.send(LOCK, &id, None, None);
                let answer = request.header("session-lock-lease", &lease.to_string()).await;
                let expected = match self.current(&id) {
                    None => "404 session-not-found",
                    Some(session) => self.lock_says(session, None).unwrap_or("200"),
                };
                assert_eq!(answer.outcome(), expected);
                if expected == "200" {
                    let token = answer.header("Session-Lock").to_owned();
                    self.tokens.insert(id.clone(), token.clone());
                    let until = self.time + lease;
                    let session = self.sessions.get_mut(&id).unwrap();
                    session.lock = Some((token, until));
                    assert_eq!(
                        serde_json::from_slice::<Value>(&answer.body).unwrap(),
                        session.data
                    );
                }
            }
            Op::Unlock { on, token } => {
                let id = self.id(on);
                let Some(token) = self.token(&id, token) else { return };
                let answer = self.send(UNLOCK, &id, None, Some(&token)).await;
                let expected = match self.current(&id) {
                    None => "404 session-not-found",
                    Some(session) => match self.lock_says(session, Some(&token)) {
                        Some("423 session-locked") => "412 not-lock-holder",
                        _ => "204",
                    },
                };
                assert_eq!(answer.outcome(), expected);
                if expected == "204" {
                    let session = self.sessions.get_mut(&id).unwrap();
                    session.lock = session.lock.take().filter(|(holder, _)| *holder != token);
                }
            }
            Op::Destroy { on, tag } => {
                let id = self.id(on);
                let tag = self.tag(&id, tag);
                let answer = self.send(DESTROY, &id, tag.as_ref(), None).await;
                let expected = match self.live(&id) {
                    Some(session) if session.successor.is_some() => "404 session-not-found",
                    Some(session) if tag.is_some_and(|tag| tag != session.etag) => {
                        "412 etag-mismatch"
                    }
                    _ => "204",
                };
                assert_eq!(answer.outcome(), expected);
                if expected == "204" {
                    self.sessions.remove(&id);
                }
            }
            Op::List { user } => {
                let request = self.app.send(LIST).after(self.time).without("session-id");
                let answer = request.header("session-user", USERS[user]).await;
                let listed: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
                let mut listed: Vec<_> =
                    listed.iter().map(|e| e["handle"].as_str().unwrap().to_owned()).collect();
                let mut expected: Vec<_> = self.of(user).iter().map(|id| handle(id)).collect();
                listed.sort_unstable();
                expected.sort_unstable();
                assert_eq!(listed, expected);
            }
            Op::RevokeAll { user, keep } => {
                let keep = keep.map(|on| self.id(on));
                let mut request = self.app.send(REVOKE_ALL).after(self.time);
                if let Some(keep) = &keep {
                    request = request.id(keep);
                }
                let answer = request.header("session-user", USERS[user]).await;
                let mut ended = self.of(user);
                ended.retain(|id| Some(id) != keep.as_ref());
                let expected = json!({ "destroyed": ended.len() }).to_string();
                assert_eq!(answer.body, expected.as_bytes());
                let is_moved =
                    |session: &Session| session.successor.is_some() && session.user == Some(user);
                let moved: Vec<_> = self
                    .ids
                    .iter()
                    .filter(|id| Some(*id) != keep.as_ref() && self.live(id).is_some_and(is_moved))
                    .cloned()
                    .collect();
                for id in ended.iter().chain(&moved) {
                    self.sessions.remove(id);
                }
            }
            Op::Revoke { on, user } => {
                let id = self.id(on);
                let request = self.app.send(REVOKE).after(self.time).handle(&handle(&id));
                let answer = request.header("session-user", USERS[user]).await;
                if self.of(user).contains(&id) {
                    assert_eq!(answer.outcome(), "204");
                    self.sessions.remove(&id);
                } else {
                    assert_eq!(answer.outcome(), "404 session-not-found");
                }
            }
        }
    }

    /// The ids of a user's sessions.
    fn of(&self, user: usize) -> Vec<String> {
        let is_theirs = |session: &Session| session.user == Some(user);
        let ids = self.sessions.keys();
        ids.filter(|id| self.current(id).is_some_and(is_theirs)).cloned().collect()
    }

    fn made(&mut self, id: String, etag: &str, ttl: i64, user: Option<usize>) {
        let session = Session {
            data: json!({ "cart": ["apple"] }),
            is_json: true,
            etag: etag.to_owned(),
            ttl,
            expires: self.time + ttl,
            deadline: self.time + MAX_LIFETIME,
            user,
            lock: None,
            successor: None,
        };
        self.sessions.insert(id.clone(), session);
        self.ids.push(id);
    }

    /// What is read agrees with the model in data, version, owner and lifetime.
    async fn check(&self, id: &str) {
        let read = self.send(READ, id, None, None).await;
        let head = self.send(HEAD, id, None, None).await;
        assert_eq!(head.status, read.status);
        let Some(session) = self.readable(id) else {
            assert_eq!(read.outcome(), "404 session-not-found");
            return;
        };
        assert_eq!(read.outcome(), "200");
        assert_eq!(serde_json::from_slice::<Value>(&read.body).unwrap(), session.data);
        assert_eq!(read.header("ETag"), session.etag);
        assert_eq!(head.header("ETag"), session.etag);
        let left = session.expires.min(session.deadline) - self.time;
        assert_eq!(read.header("Session-TTL"), left.to_string());
        assert_eq!(read.header_names().contains(&"Session-User"), session.user.is_some());
    }
}

fn handle(id: &str) -> String {
    SessionId::parse(id).unwrap().handle().as_str().to_owned()
}

#[test]
fn random_operations_agree_with_the_model_at_every_step() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&ops(), |ops| {
            runtime.block_on(async {
                let limits = |limits: &mut session_api::config::Limits| {
                    limits.max_lifetime =
                        Some(std::time::Duration::from_secs(MAX_LIFETIME.unsigned_abs()));
                };
                let mut model = Model {
                    app: App::with(limits).await,
                    sessions: BTreeMap::new(),
                    ids: Vec::new(),
                    tokens: BTreeMap::new(),
                    time: 0,
                    step: 0,
                };
                model.apply(Op::Create { ttl: 60, user: Some(0) }).await;
                for op in ops {
                    model.apply(op).await;
                    let touched = model.ids.last().unwrap().clone();
                    model.check(&touched).await;
                }
                for id in model.ids.clone() {
                    model.check(&id).await;
                }
                model.time += MAX_LIFETIME;
                assert!(model.ids.iter().all(|id| model.readable(id).is_none()));
                for id in model.ids.clone() {
                    model.check(&id).await;
                }
            });
            Ok(())
        })
        .unwrap();
}
