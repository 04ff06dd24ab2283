//! A client that performs operations, retries them blindly, and records what it learned.

use std::future::{Future, IntoFuture as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::{Either, select};

use crate::board::Board;
use crate::faults::{self, Faults, Mode};
use crate::generate::{Generator, Profile};
use crate::harness::{App, Response};
use crate::operation::{Id, Kind, NEVER, Operation, Origin, Outcome};
use crate::proxy::Network;
use crate::request::Prepared;
use crate::response;

/// Number of times that a client sends a request.
const ATTEMPTS: usize = 4;
/// Longest pause before an operation, so that operations overlap in different ways.
const MAX_PAUSE: u64 = 4_000;

type Pending = Pin<Box<dyn Future<Output = Response> + Send>>;

pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) app: App,
    pub(crate) board: Arc<Board>,
    pub(crate) network: Arc<Network>,
    pub(crate) faults: Faults,
    pub(crate) profile: Profile,
    pub(crate) random: Rng,
}

impl Client {
    /// Creates the session of the history.
    pub(crate) async fn start(&mut self) {
        let board = self.board.clone();
        let origin = board.next_origin();
        let kind = self.generator(&board).first(origin);
        self.perform(origin, 0, kind).await;
    }

    /// Performs random operations.
    pub(crate) async fn run(mut self, operations: usize) -> Self {
        let board = self.board.clone();
        for _ in 0..operations {
            tokio::time::sleep(Duration::from_micros(self.random.u64(0..MAX_PAUSE))).await;
            let origin = board.next_origin();
            let (id, kind) = self.generator(&board).next(origin);
            self.perform(origin, id, kind).await;
        }
        self
    }

    /// Reads what the session has become.
    pub(crate) async fn finish(mut self) {
        let board = self.board.clone();
        for id in board.usable_ids() {
            self.perform(board.next_origin(), id, Kind::Read).await;
        }
    }

    fn generator<'a>(&'a mut self, board: &'a Board) -> Generator<'a> {
        Generator { board, random: &mut self.random, profile: self.profile }
    }

    /// Performs an operation and records it.
    async fn perform(&mut self, origin: Origin, id: Id, kind: Kind) {
        let board = self.board.clone();
        let prepared = Prepared::new(&self.app, &board, origin, id, &kind, &mut self.random);
        let new_id = match kind {
            Kind::Rotate { new, .. } => Some(new),
            Kind::Post(_) => Some(id),
            _ => None,
        };
        let mut operation = Operation {
            origin,
            client: self.number,
            id,
            kind,
            may_be_repeated: self.faults.mode.loses_responses(),
            sent: Vec::new(),
            returned: NEVER,
            outcome: Outcome::Unknown,
        };
        self.network.begin(self.number, origin as u64).await;
        for _ in 0..ATTEMPTS {
            self.attempt(&prepared, &mut operation).await;
            if operation.outcome != Outcome::Unknown || !prepared.is_repeatable {
                break;
            }
            tokio::time::sleep(faults::delay(&mut self.random)).await;
        }
        self.network.end(self.number).await;
        if let Some(new_id) = new_id {
            board.publish_id(new_id);
        }
        board.record(operation);
    }

    /// Sends the request of an operation, and reads the response unless it gets lost.
    async fn attempt(&mut self, prepared: &Prepared, operation: &mut Operation) {
        if matches!(operation.kind, Kind::Create(_)) {
            // A session is created in a later millisecond than any request that is over, as anywhere
            // outside of a test: a late attempt of such a request must not change it.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let now = self.board.tick();
        operation.sent.push(now);
        let send = || prepared.request.copy().into_future();
        match self.faults.choose(&mut self.random) {
            Mode::LoseReply => drop(send().await),
            // A session that is created again does not recognize what arrives twice.
            Mode::SendTwice if prepared.is_repeatable && !self.profile.recreates() => {
                operation.sent.push(now);
                let (delay, again) = (faults::delay(&mut self.random), send());
                let again = Box::pin(async move {
                    tokio::time::sleep(delay).await;
                    again.await
                });
                let (Either::Left((response, other)) | Either::Right((response, other))) =
                    select(send(), again as Pending).await;
                self.receive(&response, operation);
                let other = other.await;
                if operation.outcome == Outcome::Unknown {
                    self.receive(&other, operation);
                }
            }
            _ => self.receive(&send().await, operation),
        }
    }

    /// Reads a response. After `503`, the outcome is still unknown.
    fn receive(&self, response: &Response, operation: &mut Operation) {
        if response.status != 503 {
            operation.returned = self.board.tick();
            operation.outcome = response::outcome(&self.board, operation, response);
        }
    }
}
