//! A client that performs operations, repeats them blindly, and records what it learns.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join;

use crate::board::Board;
use crate::faults::{self, Faults, Mode};
use crate::generate::{Generator, Profile};
use crate::harness::App;
use crate::operation::{Id, Kind, NEVER, Operation, Origin, Outcome};
use crate::proxy::Network;
use crate::request::Prepared;
use crate::response;

/// How many times a client sends a request that gets no response.
const ATTEMPTS: usize = 4;
/// Longest pause before an operation, in microseconds. Random pauses make operations overlap in different ways.
const MAX_PAUSE: u64 = 4_000;

/// An operation that can be repeated at any later time.
struct Sent {
    origin: Origin,
    id: Id,
    kind: Kind,
    prepared: Prepared,
}

pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) app: App,
    pub(crate) board: Arc<Board>,
    pub(crate) network: Arc<Network>,
    pub(crate) faults: Faults,
    pub(crate) profile: Profile,
    pub(crate) random: Rng,
    sent: Vec<Sent>,
}

impl Client {
    pub(crate) fn new(
        number: usize,
        app: App,
        board: &Arc<Board>,
        network: &Arc<Network>,
        (faults, profile): (Faults, Profile),
        random: Rng,
    ) -> Self {
        let (board, network) = (board.clone(), network.clone());
        Self { number, app, board, network, faults, profile, random, sent: Vec::new() }
    }

    /// Creates the history's session.
    pub(crate) async fn start(&mut self) {
        let board = self.board.clone();
        let origin = board.next_origin();
        let kind = self.generator(&board).first(origin);
        let sent = self.prepare(origin, 0, kind);
        self.perform(sent).await;
    }

    /// Performs random operations, and repeats some.
    pub(crate) async fn run(mut self, operations: usize) -> Self {
        let board = self.board.clone();
        for _ in 0..operations {
            tokio::time::sleep(Duration::from_micros(self.random.u64(0..MAX_PAUSE))).await;
            let sent = if !self.sent.is_empty() && self.random.u32(0..4) == 0 {
                self.sent.swap_remove(self.random.usize(0..self.sent.len()))
            } else {
                let origin = board.next_origin();
                let (id, kind) = self.generator(&board).next(origin);
                self.prepare(origin, id, kind)
            };
            self.perform(sent).await;
        }
        self
    }

    /// Reads what has become of the sessions.
    pub(crate) async fn finish(mut self) {
        let board = self.board.clone();
        for id in board.usable_ids() {
            let read = self.prepare(board.next_origin(), id, Kind::Read { if_match: None });
            self.perform(read).await;
        }
    }

    fn generator<'a>(&'a mut self, board: &'a Board) -> Generator<'a> {
        Generator { board, random: &mut self.random, profile: self.profile }
    }

    fn prepare(&mut self, origin: Origin, id: Id, kind: Kind) -> Sent {
        let prepared = Prepared::new(&self.app, &self.board, origin, id, &kind, &mut self.random);
        Sent { origin, id, kind, prepared }
    }

    /// Sends an operation until it gets a response. If it can't be repeated, sends it only once.
    async fn perform(&mut self, sent: Sent) {
        self.network.begin(self.number, sent.origin as u64).await;
        for _ in 0..ATTEMPTS {
            let fault = self.faults.choose(&mut self.random);
            let delay = faults::delay(&mut self.random);
            let has_response = match fault {
                Mode::LoseReply => self.attempt(&sent, false).await,
                Mode::SendTwice if sent.prepared.is_repeatable => {
                    let again = async {
                        tokio::time::sleep(delay).await;
                        self.attempt(&sent, true).await
                    };
                    let (first, second) = join(self.attempt(&sent, true), again).await;
                    first || second
                }
                _ => self.attempt(&sent, true).await,
            };
            if has_response || !sent.prepared.is_repeatable {
                break;
            }
            tokio::time::sleep(delay).await;
        }
        self.network.end(self.number).await;
        match sent.kind {
            Kind::Rotate { new, .. } => self.board.publish_id(new),
            Kind::Post(_) | Kind::Create(_) => self.board.publish_id(sent.id),
            _ => {}
        }
        if sent.prepared.is_repeatable {
            self.sent.push(sent);
        }
    }

    /// Sends a request, reads the response unless it gets lost, and records both. Returns whether there was a
    /// response. A `503` doesn't count: after it, we still don't know the outcome.
    async fn attempt(&self, sent: &Sent, reads_response: bool) -> bool {
        let Sent { origin, id, kind, prepared } = sent;
        let mut operation = Operation {
            origin: *origin,
            client: self.number,
            id: *id,
            kind: kind.clone(),
            may_be_repeated: self.faults.mode.loses_responses(),
            sent: self.board.tick(),
            returned: NEVER,
            outcome: Outcome::Unknown,
        };
        let arrival = Duration::from_millis(operation.sent);
        let response = prepared.request.copy().at_exactly(arrival).into_future().await;
        let is_read = reads_response && response.status != 503;
        if is_read {
            operation.returned = self.board.tick();
            operation.outcome = response::outcome(&self.board, &operation, &response);
        }
        self.board.record(operation);
        is_read
    }
}
