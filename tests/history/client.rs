//! Clients that work on one session at the same time, and record what they were told.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, HEAD, LOCK, PATCH, READ, REPLACE, REVOKE, REVOKE_ALL, ROTATE,
    Request, Response, TOUCH, UNLOCK, handle, new_id,
};
use crate::model::CREATED_TTL;
use crate::operation::{Attributes, Id, Kind, Lock, Metadata, Operation, Origin, Outcome, Seen};
use crate::proxy::Mode;

/// Number of clients, and of operations of each.
const CLIENTS: usize = 4;
const OPERATIONS: usize = 6;
/// Number of requests that a client sends before it gives up on a store that does not respond.
const ATTEMPTS: usize = 6;
const LIFETIMES: [u64; 3] = [2_000, 8_000, 14_000];

/// What the clients of a history share.
struct Shared {
    app: App,
    /// Distinguishes the history's users from those of other histories.
    tag: String,
    /// Whether sessions are revoked by their user. A revocation of all is no single moment, so that such
    /// a history has no grace periods and no session that is created again.
    has_revocations: bool,
    /// Whether sessions are created again under the same id. Such a session does not know the writes to
    /// the former one, so that no client repeats a request.
    has_recreations: bool,
    may_repeat: bool,
    clock: AtomicU64,
    origins: AtomicUsize,
    /// The ids, as far as they are known.
    ids: Mutex<Vec<Option<String>>>,
    etags: Mutex<Vec<String>>,
    tokens: Mutex<Vec<(Origin, String)>>,
    operations: Mutex<Vec<Operation>>,
}

/// Runs a history and returns its operations, in the order of their invocations.
pub(crate) async fn run(app: App, mode: Mode, seed: u64) -> Vec<Operation> {
    let mut random = Rng::with_seed(seed);
    let first = new_id();
    let kind = random.u32(0..3);
    let shared = Arc::new(Shared {
        app,
        tag: first[..8].to_owned(),
        has_revocations: kind == 0,
        has_recreations: kind == 1,
        may_repeat: !matches!(mode, Mode::None | Mode::Delay | Mode::Throttle | Mode::Conflict),
        clock: AtomicU64::new(0),
        origins: AtomicUsize::new(0),
        ids: Mutex::new(vec![Some(first)]),
        etags: Mutex::default(),
        tokens: Mutex::default(),
        operations: Mutex::default(),
    });
    Client { shared: shared.clone(), number: 0, random: random.fork() }
        .perform(0, Kind::Create)
        .await;
    let clients = (0..CLIENTS).map(|number| {
        let mut client = Client { shared: shared.clone(), number, random: random.fork() };
        tokio::spawn(async move {
            for _ in 0..OPERATIONS {
                client.step().await;
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    let mut operations = std::mem::take(&mut *shared.operations.lock().unwrap());
    operations.sort_by_key(|operation| operation.invoked);
    operations
}

struct Client {
    shared: Arc<Shared>,
    number: usize,
    random: Rng,
}

impl Client {
    /// Chooses an operation and performs it.
    async fn step(&mut self) {
        // Operations of the clients overlap in different ways.
        tokio::time::sleep(Duration::from_micros(self.random.u64(0..4_000))).await;
        let id = self.choose_id();
        let kind = self.choose_kind();
        let id = if matches!(kind, Kind::Create) { 0 } else { id };
        self.perform(id, kind).await;
    }

    /// Chooses one of the ids that are known, most often the newest.
    fn choose_id(&mut self) -> Id {
        let ids = self.shared.ids.lock().unwrap();
        let known: Vec<_> = (0..ids.len()).filter(|n| ids[*n].is_some()).collect();
        match self.random.u32(0..4) {
            0 => known[self.random.usize(0..known.len())],
            _ => *known.last().unwrap(),
        }
    }

    fn choose_kind(&mut self) -> Kind {
        let Shared { has_revocations: revokes, has_recreations: recreates, .. } = *self.shared;
        match self.random.u32(0..if revokes || recreates { 25 } else { 21 }) {
            0..4 => Kind::Read,
            4 => Kind::Head,
            5..8 => Kind::Replace {
                if_match: self.choose_etag(),
                lock: self.choose_lock(),
                attributes: self.choose_attributes(),
            },
            8..11 => Kind::Patch {
                if_match: self.choose_etag(),
                lock: self.choose_lock(),
                attributes: self.choose_attributes(),
            },
            11..14 => {
                let lock = match self.choose_token() {
                    Some(token) if self.random.bool() => Lock::Released(token),
                    _ => Lock::None,
                };
                Kind::Touch { lock, attributes: self.choose_attributes() }
            }
            14..17 => {
                let mut ids = self.shared.ids.lock().unwrap();
                ids.push(None);
                let new = ids.len() - 1;
                drop(ids);
                Kind::Rotate {
                    new,
                    data: self.random.bool(),
                    grace: !revokes && self.random.bool(),
                    if_match: self.choose_etag(),
                    lock: self.choose_lock(),
                    attributes: self.choose_attributes(),
                }
            }
            17 => Kind::Lock {
                renewed: self.choose_token().filter(|_| self.random.bool()),
                ttl: self.random.bool().then(|| self.choose_ttl()),
            },
            18 => match self.choose_token() {
                Some(token) => Kind::Unlock { token },
                None => Kind::Lock { renewed: None, ttl: None },
            },
            19 | 21 | 22 if recreates => Kind::Create,
            19 => Kind::Read,
            20 => Kind::Destroy { if_match: self.choose_etag() },
            _ if recreates => Kind::Destroy { if_match: None },
            21 => Kind::Revoke { user: self.random.u8(0..2) },
            _ => Kind::RevokeAll { user: self.random.u8(0..2) },
        }
    }

    fn choose_ttl(&mut self) -> u64 {
        LIFETIMES[self.random.usize(0..LIFETIMES.len())]
    }

    fn choose_attributes(&mut self) -> Attributes {
        Attributes {
            ttl: (self.random.u32(0..3) == 0).then(|| self.choose_ttl()),
            user: match self.random.u32(0..6) {
                0 => Some(None),
                1 => Some(Some(0)),
                2 => Some(Some(1)),
                _ => None,
            },
            has_label: self.random.u32(0..4) == 0,
        }
    }

    fn choose_etag(&mut self) -> Option<String> {
        let etags = self.shared.etags.lock().unwrap();
        match self.random.u32(0..4) {
            0 => etags.last().cloned(),
            1 if !etags.is_empty() => Some(etags[self.random.usize(0..etags.len())].clone()),
            _ => None,
        }
    }

    fn choose_token(&mut self) -> Option<Origin> {
        self.shared.tokens.lock().unwrap().last().map(|(origin, _)| *origin)
    }

    fn choose_lock(&mut self) -> Lock {
        match (self.choose_token(), self.random.u32(0..4)) {
            (Some(token), 0 | 1) => Lock::Held(token),
            (Some(token), 2) => Lock::Released(token),
            _ => Lock::None,
        }
    }

    /// Performs an operation, and records it with its outcome. A request that says how it can be repeated
    /// is repeated until the store responds.
    async fn perform(&mut self, id: Id, kind: Kind) {
        let shared = self.shared.clone();
        let origin = shared.origins.fetch_add(1, Ordering::SeqCst);
        let (request, is_repeatable) = self.request(id, &kind, origin);
        let mut operation = Operation {
            origin,
            client: self.number,
            may_be_repeated: shared.may_repeat,
            id,
            kind,
            invoked: shared.tick(),
            returned: u64::MAX,
            outcome: Outcome::Unknown,
        };
        let mut attempts = 0;
        let mut last_invoked = operation.invoked;
        loop {
            let response = request.copy().await;
            attempts += 1;
            if response.status != 503 {
                operation.outcome = shared.outcome(&operation, &response);
                operation.returned = shared.tick();
                break;
            }
            if !is_repeatable || shared.has_recreations || attempts == ATTEMPTS {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.random.u64(1..20))).await;
            last_invoked = shared.tick();
        }
        let mut operations = shared.operations.lock().unwrap();
        if attempts > 1 && matches!(operation.outcome, Outcome::Refused(..)) {
            // An attempt before the last one may have been applied.
            operations.push(Operation {
                outcome: Outcome::Unknown,
                returned: u64::MAX,
                ..operation.clone()
            });
            operation.invoked = last_invoked;
        }
        operations.push(operation);
    }

    /// Prepares the request of an operation. Also returns whether it can be repeated as the same one.
    fn request(&mut self, id: Id, kind: &Kind, origin: Origin) -> (Request, bool) {
        let shared = self.shared.clone();
        let app = &shared.app;
        let send = |event: &str| {
            let request = app.send(event).without("session-ttl").without("session-user");
            request.id(shared.ids.lock().unwrap()[id].as_ref().unwrap())
        };
        let key = new_id();
        let mut keyed = |request: Request| {
            if self.random.bool() {
                (request.header("idempotency-key", &key), true)
            } else {
                (request, false)
            }
        };
        let attributes = |request: Request, attributes: &Attributes| {
            shared.attributes(request, attributes, origin)
        };
        let data = |request: Request, member: &str| {
            request.body(json!({ member: origin }).to_string().as_bytes())
        };
        match kind {
            Kind::Create => {
                let request = send(CREATE_WITH_ID).header("session-ttl", &CREATED_TTL.to_string());
                (data(request, "w").header("idempotency-key", &key), false)
            }
            Kind::Read => (send(READ), false),
            Kind::Head => (send(HEAD), false),
            Kind::Replace { if_match, lock, attributes: a } => {
                let request = attributes(data(send(REPLACE), "w"), a);
                keyed(prefer(shared.conditions(request, if_match.as_ref(), *lock), origin))
            }
            Kind::Patch { if_match, lock, attributes: a } => {
                let request = attributes(data(send(PATCH), &format!("p{origin}")), a);
                keyed(prefer(shared.conditions(request, if_match.as_ref(), *lock), origin))
            }
            Kind::Touch { lock, attributes: a } => {
                let request = attributes(send(TOUCH), a);
                keyed(prefer(shared.conditions(request, None, *lock), origin))
            }
            Kind::Rotate { data: has_data, grace, if_match, lock, attributes: a, .. } => {
                let mut request = attributes(send(ROTATE), a);
                request = shared.conditions(request, if_match.as_ref(), *lock);
                if *has_data {
                    request = data(request.header("content-type", "application/json"), "w");
                }
                if *grace {
                    request = request.header("session-grace", "300");
                }
                if self.random.u32(0..3) == 0 {
                    return (request, false);
                }
                (request.header("session-new-id", &key), true)
            }
            Kind::Lock { renewed, ttl } => {
                let mut request = send(LOCK).header("session-lease", "60");
                if let Some(ttl) = ttl {
                    request = request.header("session-ttl", &ttl.to_string());
                }
                if let Some(token) = renewed {
                    request = request.header("session-lock", &shared.token(*token));
                }
                keyed(request)
            }
            Kind::Unlock { token } => {
                (send(UNLOCK).header("session-unlock", &shared.token(*token)), true)
            }
            Kind::Destroy { if_match } => {
                (shared.conditions(send(DESTROY), if_match.as_ref(), Lock::None), false)
            }
            Kind::Revoke { user } => {
                let session = handle(shared.ids.lock().unwrap()[id].as_ref().unwrap());
                let request = app.send(REVOKE).handle(&session);
                (request.header("session-user", &shared.user(*user)), false)
            }
            Kind::RevokeAll { user } => {
                (app.send(REVOKE_ALL).header("session-user", &shared.user(*user)), false)
            }
        }
    }
}

/// Asks for the representation in every third request.
fn prefer(request: Request, origin: Origin) -> Request {
    if origin.is_multiple_of(3) {
        request.header("prefer", "return=representation")
    } else {
        request
    }
}

impl Shared {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn user(&self, user: u8) -> String {
        format!("{}-{user}", self.tag)
    }

    fn token(&self, origin: Origin) -> String {
        let tokens = self.tokens.lock().unwrap();
        tokens.iter().find(|(taken, _)| *taken == origin).unwrap().1.clone()
    }

    fn attributes(&self, mut request: Request, attributes: &Attributes, origin: Origin) -> Request {
        if let Some(ttl) = attributes.ttl {
            request = request.header("session-ttl", &ttl.to_string());
        }
        if let Some(user) = attributes.user {
            let user = user.map(|user| self.user(user)).unwrap_or_default();
            request = request.header("session-user", &user);
        }
        if attributes.has_label {
            request = request.header("session-label", &format!("l{origin}"));
        }
        request
    }

    fn conditions(&self, mut request: Request, if_match: Option<&String>, lock: Lock) -> Request {
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        match lock {
            Lock::None => request,
            Lock::Held(token) => request.header("session-lock", &self.token(token)),
            Lock::Released(token) => request.header("session-unlock", &self.token(token)),
        }
    }

    /// Reads a response, and remembers what other operations may use.
    fn outcome(&self, operation: &Operation, response: &Response) -> Outcome {
        let seen = self.seen(response);
        if response.status >= 400 {
            let outcome = match seen.data {
                // With `Prefer`, the data takes the place of the problem.
                Some(_) => match operation.kind {
                    Kind::Create => "412 session-exists".to_owned(),
                    _ => "412 etag-mismatch".to_owned(),
                },
                None => response.outcome(),
            };
            return Outcome::Refused(outcome, seen);
        }
        self.etags.lock().unwrap().extend(seen.etag.clone());
        match &operation.kind {
            Kind::Rotate { new, .. } => {
                self.ids.lock().unwrap()[*new] = Some(response.header("Session-Id").to_owned());
            }
            Kind::Lock { renewed: None, .. } => {
                let token = response.header("Session-Lock").to_owned();
                self.tokens.lock().unwrap().push((operation.origin, token));
            }
            _ => {}
        }
        Outcome::Success(seen)
    }

    fn seen(&self, response: &Response) -> Seen {
        let header = |name: &str| {
            response.header_names().contains(&name).then(|| response.header(name).to_owned())
        };
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let is_json = header("Content-Type").as_deref() == Some("application/json");
        let is_data = is_json && !response.body.is_empty() && body["destroyed"].is_null();
        let data = is_data.then(|| members(&response.body));
        let metadata = header("Session-Created").map(|_| Metadata {
            user: header("Session-User").map(|user| user[self.tag.len() + 1..].parse().unwrap()),
            label: header("Session-Label").map(|label| label[1..].parse().unwrap()),
        });
        Seen {
            data,
            etag: header("ETag"),
            metadata,
            ttl: header("Session-TTL").map(|seconds| seconds.parse().unwrap()),
            destroyed: body["destroyed"].as_u64(),
        }
    }
}

/// The operations that made the members of the data, in order.
fn members(data: &[u8]) -> Vec<Origin> {
    let text = std::str::from_utf8(data).unwrap();
    let numbers = text.trim_matches(['{', '}']).split(',');
    numbers.map(|member| member.split_once(':').unwrap().1.parse().unwrap()).collect()
}
