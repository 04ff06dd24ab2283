//! Sessions in DynamoDB: one method per operation, and one DynamoDB call per method wherever possible.
//!
//! # Conventions
//!
//! - Each operation has a file named after it, with its input, its call, and its outcome.
//! - An expired session counts as absent. DynamoDB's TTL deletes items up to two days late, so every
//!   read and every write condition checks the lifetime itself.
//! - Only [`SessionStore::create`] and [`SessionStore::rotate`] insert items.
//! - Every write has a write id and applies once, however often it's sent: `call.rs` adds the id to the item's
//!   last write ids and refuses a write whose id is already there. While the session is live, that refusal
//!   counts as success. A write that's refused after an attempt with an unknown outcome (`outcome.rs`) fails
//!   with [`StoreError::OutcomeUnknown`], unless the item shows that it was applied.
//! - What a request may change is fixed when it arrives: no write condition lets it change a session created
//!   later, however long the request has waited or been retried since.
//! - Each method documents how many DynamoDB calls it makes. `call.rs` sends and meters them.
//! - No method reads a clock. `now` is an argument: when the request arrived, or later if it has been waiting.
//! - Any method can return [`StoreError::Throttled`], [`StoreError::Unavailable`], [`StoreError::Refused`], and
//!   [`StoreError::Corrupt`]; writes can also return [`StoreError::OutcomeUnknown`]. `# Errors` lists only the
//!   others.

mod call;
mod client;
mod condition;
mod create;
mod destroy;
mod error;
mod expression;
mod item;
mod lock;
mod outcome;
mod read;
mod replace;
mod rotate;
mod touch;
mod transaction;
mod usage;
mod users;
mod warmup;
mod write;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

use crate::session::{Limits, Liveness, Timestamp};
use usage::Meter;

pub use client::{client, settings};
pub use create::{Created, NewSession};
pub use error::{Cause, StoreError};
pub use item::{CorruptItem, SealedSession};
pub use read::Snapshot;
pub use replace::{NewData, Replaced, Update};
pub use rotate::{Rotated, Rotation};
pub use touch::Touched;
pub use usage::Usage;
pub use users::{Ending, SessionSummary};
pub use write::{AttributeChanges, Write};

/// The session table, and one request's usage of it.
#[derive(Debug, Clone)]
pub struct SessionStore {
    client: Client,
    table: Arc<str>,
    limits: Limits,
    arrived: Timestamp,
    meter: Meter,
}

impl SessionStore {
    /// Returns a store backed by this table.
    pub fn new(client: Client, table: &str, limits: Limits) -> Self {
        let arrived = Timestamp::from_millis(0);
        Self { client, table: table.into(), limits, arrived, meter: Meter::default() }
    }

    /// Returns the same store for a request that arrived at this moment, with its usage at zero.
    #[must_use]
    pub fn for_request(&self, arrived: Timestamp) -> Self {
        Self { arrived, meter: Meter::default(), ..self.clone() }
    }

    /// Returns what it takes for a session to be live at this moment.
    fn liveness(&self, now: Timestamp) -> Liveness {
        Liveness::new(&self.limits, self.arrived, now)
    }

    /// Returns the usage of all calls made through this store so far.
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }
}
