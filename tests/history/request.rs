//! The request for each operation.

use fastrand::Rng;
use serde_json::json;

use crate::board::Board;
use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, Example, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, Request, TOUCH, UNLOCK, handle, new_id,
};
use crate::operation::{Change, Id, Keep, Kind, LockHeader, Origin, Write};
use crate::state::{GRACE, LEASE};

/// A request that is ready to be sent any number of times.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    /// Whether the API recognizes the request when it is sent again.
    pub(crate) is_repeatable: bool,
}

impl Prepared {
    pub(crate) fn new(
        app: &App,
        board: &Board,
        origin: Origin,
        id: Id,
        kind: &Kind,
        random: &mut Rng,
    ) -> Self {
        Builder { app, board, origin, id }.build(kind, random)
    }
}

struct Builder<'a> {
    app: &'a App,
    board: &'a Board,
    origin: Origin,
    id: Id,
}

impl Builder<'_> {
    fn build(&self, kind: &Kind, random: &mut Rng) -> Prepared {
        let once = |request| Prepared { request, is_repeatable: false };
        match kind {
            Kind::Post(write) => once(self.write(self.data(self.app.send(CREATE), "w"), write)),
            Kind::Read { if_match } => {
                let event = if random.u32(0..4) == 0 { HEAD } else { READ };
                once(optional(self.send(event), "if-match", if_match.clone()))
            }
            Kind::Destroy { if_match } => {
                once(optional(self.send(DESTROY), "if-match", if_match.clone()))
            }
            Kind::List { user, sends_id } => once(self.of_user(LIST, *user, *sends_id)),
            Kind::RevokeAll { user, keep } => {
                let request = self.of_user(REVOKE_ALL, *user, *keep == Keep::Id);
                once(match keep {
                    Keep::Newest(count) => request.header("session-limit", &count.to_string()),
                    _ => request,
                })
            }
            Kind::Revoke { user } => {
                let request = self.of_user(REVOKE, *user, false);
                once(request.handle(&handle(&self.board.id(self.id))))
            }
            // A token is released only once, so the API recognizes the request.
            Kind::Unlock { token } => {
                let request = self.lock(self.send(UNLOCK), LockHeader::Unlock(*token));
                Prepared { request, is_repeatable: true }
            }
            Kind::Rotate { new, has_data, has_grace, write } => {
                let mut request = self.write(self.send(ROTATE), write);
                if *has_data {
                    request = self.data(request.header("content-type", "application/json"), "w");
                }
                if *has_grace {
                    request = request.header("session-grace", &GRACE.to_string());
                }
                if random.u32(0..3) == 0 {
                    return once(request);
                }
                let id = new_id();
                self.board.learn_id(*new, &id);
                Prepared { request: request.header("session-new-id", &id), is_repeatable: true }
            }
            Kind::Create(write) => {
                keyed(self.write(self.data(self.send(CREATE_WITH_ID), "w"), write), random)
            }
            Kind::Replace(write) => {
                keyed(prefer(self.write(self.data(self.send(REPLACE), "w"), write), random), random)
            }
            Kind::Patch(write) => {
                let request = self.data(self.send(PATCH), &format!("p{}", self.origin));
                keyed(prefer(self.write(request, write), random), random)
            }
            Kind::Touch(write) => {
                keyed(prefer(self.write(self.send(TOUCH), write), random), random)
            }
            Kind::Lock { renewed, ttl, waits } => {
                let lock = renewed.map_or(LockHeader::Absent, LockHeader::Lock);
                let write = Write { lock, ttl: *ttl, ..Write::PLAIN };
                let request = self.send(LOCK).header("session-lease", &LEASE.to_string());
                let request = optional(request, "session-wait", waits.then(|| "1".to_owned()));
                keyed(self.write(request, &write), random)
            }
        }
    }

    /// Prepares a request for the operation's id.
    fn send(&self, example: Example) -> Request {
        self.app.send(example).id(&self.board.id(self.id))
    }

    fn of_user(&self, example: Example, user: u8, sends_id: bool) -> Request {
        let request = self.app.send(example).without("session-id");
        let request = request.header("session-user", &self.board.user(user));
        if sends_id { request.id(&self.board.id(self.id)) } else { request }
    }

    /// Sets data that shows which operation wrote it.
    fn data(&self, request: Request, member: &str) -> Request {
        request.body(json!({ member: self.origin }).to_string().as_bytes())
    }

    fn write(&self, request: Request, write: &Write) -> Request {
        let Write { if_match, lock, ttl, user, label } = write;
        let request = optional(request, "if-match", if_match.clone());
        let request = optional(request, "session-ttl", ttl.map(|ttl| ttl.to_string()));
        let user = changed(*user, |user| self.board.user(user));
        let request = optional(request, "session-user", user);
        let label = changed(*label, |origin| format!("l{origin}"));
        self.lock(optional(request, "session-label", label), *lock)
    }

    fn lock(&self, request: Request, header: LockHeader) -> Request {
        match header {
            LockHeader::Absent => request,
            LockHeader::Lock(lock) => request.header("session-lock", &self.board.token(lock)),
            LockHeader::Unlock(lock) => request.header("session-unlock", &self.board.token(lock)),
        }
    }
}

/// Sets a header, or removes it if the example has it.
fn optional(request: Request, name: &str, value: Option<String>) -> Request {
    match value {
        Some(value) => request.header(name, &value),
        None => request.without(name),
    }
}

/// Returns the value of a header that changes an attribute. An empty one removes it.
fn changed<T>(change: Change<T>, value: impl Fn(T) -> String) -> Option<String> {
    match change {
        Change::Keep => None,
        Change::Set(new) => Some(value(new)),
        Change::Remove => Some(String::new()),
    }
}

/// Asks for the representation in one of three requests.
fn prefer(request: Request, random: &mut Rng) -> Request {
    match random.u32(0..3) {
        0 => request.header("prefer", "return=representation"),
        _ => request,
    }
}

/// Gives two of three requests a key, by which the API recognizes them when they are sent again.
fn keyed(request: Request, random: &mut Rng) -> Prepared {
    match random.u32(0..3) {
        0 => Prepared { request, is_repeatable: false },
        _ => {
            let request = request.header("idempotency-key", &new_id());
            Prepared { request, is_repeatable: true }
        }
    }
}
